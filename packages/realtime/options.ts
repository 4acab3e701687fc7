/**
 * What `new Server(...)` takes: Socket.IO's options by their names, and Tideway's own. Types, defaults, and a word to whoever asks
 * for what cannot be.
 */
import type { IncomingMessage } from "node:http";
import type { ZlibOptions } from "node:zlib";
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

/** As the package `ws` takes it. There is no context takeover in either direction, whatever is asked for. */
export interface PerMessageDeflate {
  /** Bytes of a message from which on it is compressed. @default 1024 */
  readonly threshold?: number | undefined;
  readonly serverMaxWindowBits?: number | undefined;
  readonly clientMaxWindowBits?: number | undefined;
  readonly serverNoContextTakeover?: boolean | undefined;
  readonly clientNoContextTakeover?: boolean | undefined;
  readonly concurrencyLimit?: number | undefined;
  readonly zlibDeflateOptions?: ZlibOptions;
  readonly zlibInflateOptions?: ZlibOptions;
}

export interface HttpCompression extends ZlibOptions {
  /** Bytes of an answer from which on it is compressed. @default 1024 */
  readonly threshold?: number | undefined;
}

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
  /** Requests that read rooms over plain HTTP at once; a further one is answered with 503. @default 100000 */
  roomReadersMax: number;
  /** The same from one address, answered with 429; private networks are not counted. @default 1024 */
  roomReadersPerAddressMax: number;
  /** Events that one address may publish over plain HTTP in a second; 429 beyond it. @default 100 */
  roomPublishesPerSecondMax: number;
  /** @default false */
  cleanupEmptyChildNamespaces: boolean;
  /** Compression of WebSocket messages (RFC 7692). @default false */
  perMessageDeflate: boolean | PerMessageDeflate;
  /** Compression of polling answers. @default true, from 1024 bytes on */
  httpCompression: boolean | HttpCompression;
  /** An Engine.IO message that each client is sent first. */
  initialPacket: string;
  /** Whether an upgrade of the http.Server's that nobody answers is closed. @default true */
  destroyUpgrade: boolean;
  /** After how many ms. @default 1000 */
  destroyUpgradeTimeout: number;
  /** Taken and not used: the hub is what an adapter would be. A warning says so. */
  adapter: unknown;
  /** Taken and not used: WebSockets are the hub's own. */
  wsEngine: unknown;
  /** Clients of Socket.IO 2 are not served: only false is taken. @default false */
  allowEIO3: boolean;
  /** The hub speaks Socket.IO's default format: any other is refused. */
  parser: unknown;

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

/** Refuses what would not be served as asked. */
export function checkOptions({ adapter, cors, parser, allowEIO3 }: Partial<ServerOptions>): void {
  if (typeof cors === "function") {
    throw new TypeError(
      "`cors` as a function of the request is not supported: give `cors.origin` a function of the origin.",
    );
  }
  if (adapter !== undefined) warnOfAdapter();
  if (parser !== undefined) {
    throw new TypeError(
      "`parser` is not supported: the hub speaks Socket.IO's default format. Leave it out on both sides.",
    );
  }
  if (allowEIO3 === true) {
    throw new TypeError(
      "`allowEIO3` is not supported: clients must be of Socket.IO 3 or 4. Leave it out, or set it to false.",
    );
  }
}

export function warnOfAdapter(): void {
  process.emitWarning("the adapter is not used: servers that share a Tideway hub need none", {
    code: "TIDEWAY_ADAPTER",
    detail: "Start the application's processes through Tideway (TIDEWAY_LINK), and leave the adapter out.",
  });
}
