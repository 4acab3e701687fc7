/**
 * What `new Server(...)` takes: Socket.IO's options by their names, and Tideway's own. Types and defaults only.
 */
import type { IncomingMessage } from "node:http";
import type { Logger } from "@tideway/base";
import type { CookieOptions, CorsOptions } from "@tideway/edge/transports";
import type { TransportName } from "@tideway/engine/hub";

export type { CookieOptions, CorsOptions } from "@tideway/edge/transports";

export interface RecoveryOptions {
  /** How long a client may stay away and still miss nothing, in ms. @default 120000 */
  readonly maxDisconnectionDuration?: number;
  /** Whether namespace middlewares are skipped for a client that recovered. @default true */
  readonly skipMiddlewares?: boolean;
}

/** Where events are kept: nowhere, in memory, or in a SQLite file under `data`. */
export type Durability = "none" | "memory" | "disk";

export interface ServerOptions {
  /** @default "/socket.io" */
  path: string;
  /** @default true */
  addTrailingSlash: boolean;
  /** Whether the browser's client is served under `path`, if `socket.io-client` is installed. @default true */
  serveClient: boolean;
  /** A client that joins no namespace within this many ms is closed. @default 45000 */
  connectTimeout: number;
  /** @default 25000 */
  pingInterval: number;
  /** @default 20000 */
  pingTimeout: number;
  /** @default 10000 */
  upgradeTimeout: number;
  /** Bytes of one message. @default 1000000 */
  maxHttpBufferSize: number;
  /** @default ["polling", "websocket"] */
  transports: readonly TransportName[];
  /** @default true */
  allowUpgrades: boolean;
  allowRequest: (req: IncomingMessage, fn: (err: string | null | undefined, success: boolean) => void) => void;
  cookie: CookieOptions | boolean;
  cors: CorsOptions;
  connectionStateRecovery: RecoveryOptions;
  /**
   * Which sites' pages may connect: those of the same host and what `cors` allows, any, or these. Unlike CORS it holds for
   * WebSockets too. @default "same"
   */
  origins: "any" | "same" | readonly string[];
  /** @default false */
  cleanupEmptyChildNamespaces: boolean;

  /** @default "none", or "memory" with `connectionStateRecovery` */
  durability: Durability;
  /** Directory of the events with `durability: "disk"`. @default "./data" */
  data: string;
  /** The hub to join instead of an own one: `unix:/path`. @default process.env.TIDEWAY_LINK */
  link: string;
  /** This process in the hub's logs. @default process.env.TIDEWAY_INSTANCE, or the process id */
  instance: string;
  /** Anything with pino's shape. @default none */
  logger: Logger;
}
