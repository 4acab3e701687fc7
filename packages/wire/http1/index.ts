/** Front door of `wire/http1`: HTTP/1.1 messages, bytes to values and back. */
export { inOnePiece, latin1 } from "./bytes.ts";
export type * from "./contract.ts";
export {
  chunkEnd,
  encodeChunkHead,
  encodeFieldLines,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  type WrittenFields,
  writeOnce,
  writtenOnce,
} from "./encode.ts";
export { type HttpFault, type HttpFaultCode, requestFaults } from "./faults.ts";
export { Framing } from "./framing.ts";
export { Phase, RequestDecoder } from "./request.ts";
export { ResponseDecoder } from "./response.ts";
export { normalisePath } from "./target.ts";
