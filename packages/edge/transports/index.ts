/** Front door of `edge/transports`: Engine.IO sessions over HTTP long-polling and WebSocket, feeding a hub. */

export type { LineObserver, WatchableLine } from "./observer.ts";
export type {
  CookieOptions,
  CorsOptions,
  HeadersHook,
  OriginRule,
  TransportRequest,
  TransportsOptions,
} from "./options.ts";
export type { Counters } from "./session.ts";
export { createTransports, type Transports } from "./transports.ts";
export type { Refusal } from "./verify.ts";
