/** Front door of `wire/engineio`: packets, payloads, the opening handshake and the error answers of Engine.IO protocol 4. */
export { type EngineError, EngineErrorCode, encodeEngineError, engineErrors } from "./errors.ts";
export {
  binaryForPolling,
  type DecodedPacket,
  decodePacket,
  decodePayloadPacket,
  type EnginePacket,
  encodeOpen,
  type Opening,
  PacketType,
  type PayloadStep,
  payloadSeparator,
} from "./packet.ts";
