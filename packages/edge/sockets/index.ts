/** Front door of `edge/sockets`: how TCP sockets are read and written past their streams, and how small texts leave. */
export { onread, readDirectly, takesDirectly } from "./direct.ts";
export { ReadBuffer } from "./readbuffer.ts";
export { type Gatherer, TickEnd } from "./tickend.ts";
export { TextWriter } from "./writer.ts";
