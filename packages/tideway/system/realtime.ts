/**
 * One realtime service of the configuration: a hub with its stream log, the transports that clients reach, and the link
 * that the application's processes join. Owns their putting together and the order in which they end.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Exchange, Target } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer, type LinkServer } from "@tideway/edge/link";
import { openStreamStore, type SqliteStreamStore } from "@tideway/edge/store";
import { type Counters, createTransports, type Transports } from "@tideway/edge/transports";
import { Hub, MemoryStore } from "@tideway/engine/hub";
import type { ServiceOf } from "../config/index.ts";
import { type RealtimeReport, socketPath } from "../console/index.ts";
import type { CountedHub } from "./hub-metrics.ts";
import type { Log } from "./logs.ts";

type Options = ServiceOf<"realtime">["realtime"];

interface Surroundings {
  readonly dataDirectory: string;
  readonly log: Log;
  /** Names of options that the configuration's file says; the others are the application's, if it says them. */
  readonly said: ReadonlySet<string>;
  readonly onFatal: (error: Error) => void;
}

interface Retention {
  readonly retentionMs: number;
  readonly retentionBytes?: number;
}

interface Parts {
  readonly store: SqliteStreamStore | null;
  readonly hub: Hub;
  readonly transports: Transports;
  readonly link: LinkServer;
}

export class RealtimeService {
  readonly name: string;
  /** The service whose processes join the hub. */
  readonly application: string;
  readonly target: Target;
  readonly #options: Options;
  readonly #parts: Parts;

  private constructor(name: string, options: Options, parts: Parts) {
    this.name = name;
    this.application = options.service;
    this.#options = options;
    this.#parts = parts;
    this.target = {
      handle(exchange: Exchange) {
        exchange.service = name;
        parts.transports.handle(exchange);
      },
    };
  }

  static async open(name: string, options: Options, surroundings: Surroundings): Promise<RealtimeService> {
    const { log, dataDirectory } = surroundings;
    const common = { clock: systemClock, random: systemRandom, logger: log };
    const store = options.durability === "disk" ? await openStore(name, options, surroundings) : null;
    const retention = retentionOf(options);
    const hub = new Hub({
      ...common,
      store: options.durability === "memory" ? new MemoryStore({ ...common, ...retention }) : store,
      durability: options.durability,
      handoverMs: options.handoverMs,
      limits: { connectionsMax: options.connectionsMax, roomsPerSocketMax: options.roomsPerSocketMax },
    });
    const transports = createTransports({
      ...common,
      path: options.path,
      origins: options.origins,
      pingIntervalMs: options.pingIntervalMs,
      pingTimeoutMs: options.pingTimeoutMs,
      messageBytesMax: options.messageBytesMax,
      outQueueBytesMax: options.outQueueBytesMax,
      perMessageDeflate: options.perMessageDeflate,
      httpCompression: options.httpCompression,
      sessionsMax: options.sessionsMax,
      sessionsPerAddressMax: options.sessionsPerAddressMax,
      eventsPerSecondMax: options.eventsPerSecondMax,
      bytesPerSecondMax: options.bytesPerSecondMax,
      rooms: hub.rooms,
      roomReadersMax: options.roomReadersMax,
      roomReadersPerAddressMax: options.roomReadersPerAddressMax,
      roomPublishesPerSecondMax: options.roomPublishesPerSecondMax,
      door: hub.door,
      fixed: surroundings.said,
      open: (line, handshake, _requestId, question) => hub.open(line, handshake, question),
    });
    const path = socketPath(dataDirectory, `link-${name}`);
    const link = await createLinkServer({
      path,
      attach: (server) => hub.attach(server),
      clock: systemClock,
      logger: log,
    });
    return new RealtimeService(name, options, { store, hub, transports, link });
  }

  /** What `TIDEWAY_LINK` says to the application's processes. */
  get linkAddress(): string {
    return this.#parts.link.address;
  }

  /** What its transports count. */
  get counters(): Readonly<Counters> {
    return this.#parts.transports.counters;
  }

  /** What its hub and its store count. */
  get counted(): CountedHub {
    const { hub, store } = this.#parts;
    return { name: this.name, hub: hub.status(), store: store?.status() ?? null };
  }

  report(): RealtimeReport {
    const { connections, sockets, servers, streams } = this.#parts.hub.status();
    const { path, durability } = this.#options;
    const now = systemClock.wall();
    return {
      name: this.name,
      path,
      durability,
      connections,
      sockets,
      servers,
      streams: streams.map(({ namespace, oldest, last, bytes, oldestAt }) => {
        return { namespace, first: oldest, last, bytes, ageMs: oldestAt === null ? -1 : Math.max(0, now - oldestAt) };
      }),
    };
  }

  /** Clients are let go (they will come back and recover); applications stay joined, and what they still emit is kept. */
  letGo(): void {
    this.#parts.transports.close();
  }

  /** Then everything that was asked of the store is committed. */
  async close(): Promise<void> {
    const { hub, link, store } = this.#parts;
    this.letGo();
    hub.close();
    await link.close();
    await store?.close();
  }
}

function retentionOf({ retentionMs, retentionBytes }: Options): Retention {
  return retentionBytes === undefined ? { retentionMs } : { retentionMs, retentionBytes };
}

function openStore(
  name: string,
  options: Options,
  { dataDirectory, log, onFatal }: Surroundings,
): Promise<SqliteStreamStore> {
  const directory = join(dataDirectory, "streams", name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return openStreamStore({ directory, clock: systemClock, logger: log, onFatal, ...retentionOf(options) });
}
