/**
 * What can be set about the transports, with its defaults: the options of Socket.IO's engine under names with units,
 * and what goes beyond them. Parsed once, frozen; nothing here is read from a request.
 */
import { type Clock, type Logger, limits, type Random, silentLogger } from "@tideway/base";
import type {
  Connection,
  DisconnectReason,
  Handshake,
  RequestDoor,
  RoomsPort,
  TransportName,
} from "@tideway/engine/hub";
import { windowBitsMin } from "@tideway/wire/websocket";
import type { WatchableLine } from "./observer.ts";
import type { Refusal } from "./verify.ts";

/** A request as hooks see it: the handshake's view, also for later requests of a session. */
export interface TransportRequest extends Handshake {
  /** The exchange's id: who made the exchange can find its own request object by it. */
  readonly requestId: string;
  readonly method: string;
  readonly transport: TransportName;
  /** The session that the request names; null for a handshake. */
  readonly sid: string | null;
}

/** Origins in the forms that the npm package `cors` takes. */
export type OriginRule = boolean | string | RegExp | readonly (string | RegExp)[];

export interface CorsOptions {
  /** `*` unless given. A function decides for each request; an error or a falsy answer leaves CORS off for it. */
  readonly origin?:
    | OriginRule
    | ((origin: string | undefined, decide: (error: Error | null, allowed?: OriginRule) => void) => void);
  readonly methods?: string | readonly string[];
  readonly allowedHeaders?: string | readonly string[];
  readonly exposedHeaders?: string | readonly string[];
  readonly credentials?: boolean;
  readonly maxAge?: number;
}

/** Socket.IO's cookie options; those left out are `io`, `/`, HttpOnly and SameSite=Lax. */
export interface CookieOptions {
  readonly name?: string;
  readonly path?: string;
  readonly domain?: string;
  readonly httpOnly?: boolean;
  readonly secure?: boolean;
  readonly sameSite?: boolean | "lax" | "strict" | "none";
  /** Seconds. */
  readonly maxAge?: number;
  readonly expires?: Date;
}

/**
 * Compression of WebSocket messages: socket.io's `perMessageDeflate`. There is no context takeover in either direction,
 * whatever a client offers, so a broadcast is compressed once and an idle connection holds no compressor.
 */
export interface DeflateOptions {
  /** Bytes of a message from which on it is compressed: socket.io's `threshold`. @default 1024 */
  readonly thresholdBytes?: number;
  /** Bytes of a message beyond which it goes as it is, for compressing holds up everybody else. @default 1 MiB */
  readonly bytesMax?: number;
  /** zlib's: 1 (fast) to 9 (small). @default 3 */
  readonly level?: number;
  /** zlib's: 1 to 9. @default 8 */
  readonly memLevel?: number;
  /** The largest window to compress with, 9 to 15: socket.io's `serverMaxWindowBits`. @default 15 */
  readonly windowBitsMax?: number;
}

/** Compression of polling answers with gzip or deflate: socket.io's `httpCompression`. */
export interface HttpCompressionOptions {
  /** Bytes of an answer from which on it is compressed: socket.io's `threshold`. @default 1024 */
  readonly thresholdBytes?: number;
  /** Bytes of an answer beyond which it goes as it is. @default 1 MiB */
  readonly bytesMax?: number;
  /** zlib's: 1 to 9. @default 3 */
  readonly level?: number;
}

export type HeadersHook = (headers: Record<string, string | string[]>, request: TransportRequest) => void;

export interface TransportsOptions {
  /** Where the sessions live, with or without the slash at its end; `/socket.io` unless given. */
  readonly path?: string;
  readonly transports?: readonly TransportName[];
  readonly allowUpgrades?: boolean;
  readonly pingIntervalMs?: number;
  readonly pingTimeoutMs?: number;
  readonly upgradeTimeoutMs?: number;
  /** Bytes of one polling payload and of one WebSocket message: Socket.IO's `maxHttpBufferSize`. */
  readonly messageBytesMax?: number;
  /** Bytes queued for one client, those that the kernel has not taken included, before it counts as slow. */
  readonly outQueueBytesMax?: number;
  /**
   * Sessions at once; a further one is answered with 503. 100,000 unless given.
   */
  readonly sessionsMax?: number;
  /**
   * Sessions at once of one IPv4 address, or one /64 of IPv6; a further one is answered with 429. 1,024 unless given.
   * Loopback and private networks are not counted: most often a proxy stands there.
   */
  readonly sessionsPerAddressMax?: number;
  /**
   * Messages per second that one client may send, with a burst of one second's. Beyond it nothing is lost and nobody is
   * closed: the client is read (or its POST answered) later, so that its own TCP holds it back. 10,000 unless given.
   */
  readonly eventsPerSecondMax?: number;
  /** The same for bytes of messages, as they are after inflating. 32 MiB unless given. */
  readonly bytesPerSecondMax?: number;
  /** Rooms over plain HTTP below `path`, as the hub serves them; none unless given. */
  readonly rooms?: RoomsPort;
  /** Requests that read rooms at once, polls and streams; a further one is answered with 503. 100,000 unless given. */
  readonly roomReadersMax?: number;
  /** The same of one address as for sessions, answered with 429. 1,024 unless given. */
  readonly roomReadersPerAddressMax?: number;
  /** Events that one address may publish in rooms over plain HTTP in a second; 429 beyond it. 100 unless given. */
  readonly roomPublishesPerSecondMax?: number;
  /** Off unless given; `true` for the defaults. Not used with a client that does not offer it. */
  readonly perMessageDeflate?: DeflateOptions | boolean;
  /** On unless false, for answers that are large enough. */
  readonly httpCompression?: HttpCompressionOptions | boolean;
  readonly cors?: CorsOptions | false;
  readonly cookie?: CookieOptions | boolean;
  /**
   * Which browsers' pages may open a session: those of the same host (and what `cors` allows), any, or a list of origins.
   * A request without Origin is no browser's and passes.
   */
  readonly origins?: "any" | "same" | readonly string[];
  /** The application's word on each handshake; `message` is told to the client. Silence for 10 s is a no. */
  readonly allowRequest?: (
    request: TransportRequest,
    decide: (message: string | null | undefined, allowed: boolean) => void,
  ) => void;
  /** Shows every request to the application before it is verified, preflights excepted. */
  readonly door?: RequestDoor;
  /** Names of these options that are as they are, whatever the application behind the door wishes. */
  readonly fixed?: ReadonlySet<string>;
  /** May add fields to the first answer of a session. */
  readonly initialHeaders?: HeadersHook;
  /** May add fields to every answer of a session. */
  readonly headers?: HeadersHook;
  /** Told of each request that was refused, by its exchange's id. */
  readonly onRefused?: (requestId: string, refusal: Refusal) => void;
  /** Told when a session is over, after the hub was. */
  readonly onClosed?: (sessionId: string, reason: DisconnectReason) => void;
  /** Must be unguessable and unique. Unless given: this node's id, a dot and 15 random bytes. */
  readonly generateId?: (request: TransportRequest) => string | Promise<string>;
  /** This node's name in session ids, so that any edge can tell whose a session is. Random unless given. */
  readonly nodeId?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /**
   * The hub: called once for each new session; `requestId` is of the exchange that opened it, `question` the door's number
   * of it, or 0.
   */
  readonly open: (line: WatchableLine, handshake: Handshake, requestId: string, question: number) => Connection;
}

export type DeflateSettings = Required<DeflateOptions>;
export type HttpCompressionSettings = Required<HttpCompressionOptions>;

export interface Settings {
  /** Without the slash at its end. */
  readonly path: string;
  readonly transports: readonly TransportName[];
  readonly allowUpgrades: boolean;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly upgradeTimeoutMs: number;
  readonly messageBytesMax: number;
  readonly outQueueBytesMax: number;
  readonly sessionsMax: number;
  readonly sessionsPerAddressMax: number;
  readonly eventsPerSecondMax: number;
  readonly bytesPerSecondMax: number;
  readonly roomReadersMax: number;
  readonly roomReadersPerAddressMax: number;
  readonly roomPublishesPerSecondMax: number;
  readonly pollEventsMax: number;
  readonly pollBytesMax: number;
  readonly perMessageDeflate: DeflateSettings | null;
  readonly httpCompression: HttpCompressionSettings | null;
  readonly cors: CorsOptions | null;
  readonly cookie: CookieOptions | null;
  readonly origins: "any" | "same" | readonly string[];
  /** Whether `cors` allows nobody that `origins` does not. */
  readonly originsFixed: boolean;
  readonly nodeId: string;
}

/** The options with their defaults. */
export function settle(options: TransportsOptions): { settings: Settings; logger: Logger } {
  const cookie = options.cookie === true ? {} : options.cookie;
  const settings: Settings = Object.freeze({
    path: (options.path ?? "/socket.io").replace(/\/+$/, ""),
    transports: options.transports ?? (["polling", "websocket"] as const),
    allowUpgrades: options.allowUpgrades ?? true,
    pingIntervalMs: options.pingIntervalMs ?? 25_000,
    pingTimeoutMs: options.pingTimeoutMs ?? 20_000,
    upgradeTimeoutMs: options.upgradeTimeoutMs ?? 10_000,
    messageBytesMax: options.messageBytesMax ?? limits.messageBytesMax,
    outQueueBytesMax: options.outQueueBytesMax ?? limits.outQueueBytesMax,
    sessionsMax: options.sessionsMax ?? limits.sessionsMax,
    sessionsPerAddressMax: options.sessionsPerAddressMax ?? limits.sessionsPerAddressMax,
    eventsPerSecondMax: options.eventsPerSecondMax ?? limits.eventsPerSecondMax,
    bytesPerSecondMax: options.bytesPerSecondMax ?? limits.eventBytesPerSecondMax,
    roomReadersMax: options.roomReadersMax ?? limits.roomReadersMax,
    roomReadersPerAddressMax: options.roomReadersPerAddressMax ?? limits.roomReadersPerAddressMax,
    roomPublishesPerSecondMax: options.roomPublishesPerSecondMax ?? limits.roomPublishesPerSecondMax,
    pollEventsMax: limits.pollEventsMax,
    pollBytesMax: limits.pollBytesMax,
    perMessageDeflate: deflateSettings(options.perMessageDeflate ?? false),
    httpCompression: httpCompressionSettings(options.httpCompression ?? true),
    cors: options.cors || null,
    cookie: cookie || null,
    origins: options.origins ?? "same",
    originsFixed: options.fixed?.has("origins") === true,
    nodeId: options.nodeId ?? options.random.id(3),
  });
  return { settings, logger: options.logger ?? silentLogger };
}

const compressBytesMax = 1024 * 1024;
const compressLevel = 3;

function deflateSettings(given: DeflateOptions | boolean): DeflateSettings | null {
  if (given === false) return null;
  const { thresholdBytes, bytesMax, level, memLevel, windowBitsMax }: DeflateOptions = given === true ? {} : given;
  return Object.freeze({
    thresholdBytes: thresholdBytes ?? limits.compressBytesMin,
    bytesMax: bytesMax ?? compressBytesMax,
    level: level ?? compressLevel,
    memLevel: memLevel ?? 8,
    windowBitsMax: Math.max(windowBitsMax ?? 15, windowBitsMin),
  });
}

function httpCompressionSettings(given: HttpCompressionOptions | boolean): HttpCompressionSettings | null {
  if (given === false) return null;
  const { thresholdBytes, bytesMax, level }: HttpCompressionOptions = given === true ? {} : given;
  return Object.freeze({
    thresholdBytes: thresholdBytes ?? limits.compressBytesMin,
    bytesMax: bytesMax ?? compressBytesMax,
    level: level ?? compressLevel,
  });
}

/** How long a transport that was told to close may take to let its last bytes out, and an application to decide. */
export const closeTimeoutMs = 10_000;
export const decisionTimeoutMs = 10_000;
