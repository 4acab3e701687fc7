/** Front door of `wire/websocket`: RFC 6455 frames and the opening handshake. */
export { FrameDecoder, type Inflate, type MessageSink, Opcode } from "./decode.ts";
export {
  closePayload,
  encodeBinary,
  encodeDeflated,
  encodeFrame,
  encodeMaskedFrame,
  encodeText,
  textFrameBytes,
  writeText,
} from "./encode.ts";
export { type DeflateTerms, windowBitsMin } from "./extensions.ts";
export { CloseCode, type Fault, type FaultCode, faultTable, isSendableCloseCode } from "./faults.ts";
export { acceptKey, checkHandshake, type HandshakeRequest, type HandshakeResult, type Sha1 } from "./handshake.ts";
