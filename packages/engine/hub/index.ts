/** Front door of `engine/hub`: connections, namespaces, rooms, sessions, delivery, acknowledgements and recovery. */
export * from "./contract.ts";
export { type Durability, Hub, type HubOptions } from "./hub.ts";
export { type HubLimits, hubLimits } from "./limits.ts";
export { MemoryStore, type MemoryStoreOptions } from "./memory-store.ts";
export { decodeOffset, encodeOffset } from "./offsets.ts";
export { Packet, payloadWeight } from "./outgoing.ts";
export type { HubCounters } from "./registry.ts";
export * from "./request-contract.ts";
export {
  type RoomAction,
  type RoomEvent,
  type RoomFollower,
  type RoomPage,
  type RoomPublished,
  type RoomQuestion,
  type RoomReading,
  type RoomsPort,
  RoomVerdict,
} from "./room-contract.ts";
export { atCommit, resolveRecord } from "./session.ts";
export type { HubStatus } from "./status.ts";
