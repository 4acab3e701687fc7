/** Front door of `edge/sockets`: how TCP sockets are read, and how small texts are written. */
export { onread, readDirectly } from "./direct.ts";
export { ReadBuffer } from "./readbuffer.ts";
export { type Gatherer, TickEnd } from "./tickend.ts";
export { TextWriter } from "./writer.ts";
