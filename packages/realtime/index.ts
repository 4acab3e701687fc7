/** Front door of `@tideway/realtime`: the server API of Socket.IO 4, on Tideway's hub. */

export type { DisconnectReason } from "@tideway/engine/hub";
export { BroadcastOperator, RemoteSocket, type Room, type SocketId } from "./broadcast-operator.ts";
export type { Handshake } from "./handshake.ts";
export { type ExtendedError, Namespace } from "./namespace.ts";
export type { CookieOptions, CorsOptions, Durability, RecoveryOptions, ServerOptions } from "./options.ts";
export { Server } from "./server.ts";
export { PublishError, type PublishErrorCode, type Published } from "./session.ts";
export { type Event, Socket } from "./socket.ts";
export type { DefaultEventsMap } from "./typed-events.ts";
