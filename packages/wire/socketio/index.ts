/** Front door of `wire/socketio`: packets of Socket.IO protocol 5, as text and attachments. */
export {
  depthMax,
  type EncodedArguments,
  encodeArguments,
  isTooDeep,
  type ParsedArguments,
  parseArguments,
  reservedEvents,
} from "./arguments.ts";
export { type Assembled, PacketAssembly } from "./assembly.ts";
export { type Fault, type FaultCode, faultMessages } from "./faults.ts";
export {
  appendOffset,
  type DecodedPacket,
  decodePacket,
  defaultPacketLimits,
  encodeAck,
  encodeConnect,
  encodeConnectError,
  encodeDisconnect,
  encodeEvent,
  type Packet,
  type PacketLimits,
  PacketType,
} from "./packet.ts";
