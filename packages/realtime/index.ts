/**
 * Front door of `@tideway/realtime`: the server API of Socket.IO 4, on Tideway's hub. For `require` it is, as with Socket.IO, a
 * function that makes a server and has the classes on it.
 */
import { Namespace } from "./namespace.ts";
import { presence } from "./presence.ts";
import { Server } from "./server.ts";
import { Socket } from "./socket.ts";

export type { DisconnectReason } from "@tideway/engine/hub";
export { Adapter, type BroadcastOptions } from "./adapter.ts";
export { BroadcastOperator, RemoteSocket, type Room, type SocketId } from "./broadcast-operator.ts";
export type { Connection } from "./connection.ts";
export { Engine } from "./engine.ts";
export type { Handshake } from "./handshake.ts";
export { type ExtendedError, Namespace } from "./namespace.ts";
export type { OpenedRooms, PublishRule, ReadRule, RoomPattern, RoomRules } from "./open-rooms.ts";
export type {
  CookieOptions,
  CorsOptions,
  Durability,
  HttpCompression,
  PerMessageDeflate,
  RecoveryOptions,
  ServerOptions,
} from "./options.ts";
export { Presence, type PresenceEvents, type PresenceOptions, presence } from "./presence.ts";
export { Server } from "./server.ts";
export { PublishError, type PublishErrorCode, type Published } from "./session.ts";
export { type Event, Socket } from "./socket.ts";
export type { DefaultEventsMap } from "./typed-events.ts";

const required = Object.assign((...args: ConstructorParameters<typeof Server>) => new Server(...args), {
  Server,
  Namespace,
  Socket,
  presence,
});

export { required as "module.exports" };
