/** Front door of `edge/transports`: Engine.IO sessions over HTTP long-polling and WebSocket, feeding a hub. */

export { answerCors, resolveCors } from "./cors.ts";
export type { Counters } from "./counters.ts";
export type { LineObserver, WatchableLine } from "./observer.ts";
export type {
  CookieOptions,
  CorsOptions,
  DeflateOptions,
  HeadersHook,
  HttpCompressionOptions,
  OriginRule,
  TransportRequest,
  TransportsOptions,
} from "./options.ts";
export { createTransports, type Transports } from "./transports.ts";
export type { Refusal } from "./verify.ts";
export { encodeWishes, isDecided } from "./wishes.ts";
