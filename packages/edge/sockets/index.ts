/** Front door of `edge/sockets`: how TCP sockets are read. */
export { onread, readDirectly } from "./direct.ts";
export { ReadBuffer } from "./readbuffer.ts";
