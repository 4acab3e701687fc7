/**
 * A hub of this server's own: the hub, its store and the transports on http.Servers, put together in this process.
 */
import { mkdirSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { type Logger, limits, silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { openStreamStore, type SqliteStreamStore } from "@tideway/edge/store";
import { createTransports, type Transports, type TransportsOptions } from "@tideway/edge/transports";
import { Hub, MemoryStore, type ServerPort, type StreamStore, type ToServer } from "@tideway/engine/hub";
import { attachTo } from "./attach.ts";
import type { Backend } from "./backend.ts";
import { openingStore } from "./opening-store.ts";
import type { Durability, ServerOptions } from "./options.ts";
import type { HubSession, Uplink } from "./session.ts";

const recoveryMsDefault = 2 * 60 * 1000;

export function openOwnHub(session: HubSession, options: Partial<ServerOptions> & { readonly path: string }): Backend {
  const logger = options.logger ?? silentLogger;
  const { connectionStateRecovery: recovery } = options;
  const durability: Durability = options.durability ?? (recovery === undefined ? "none" : "memory");
  const { store, closeStore } = openStore(durability, options, logger);
  const hub = new Hub({
    clock: systemClock,
    random: systemRandom,
    logger,
    store,
    durability,
    recovery: store !== null,
    ...(options.connectTimeout === undefined ? {} : { connectTimeoutMs: options.connectTimeout }),
  });
  const requests = new Map<string, IncomingMessage>();
  const transports = createTransports({
    ...transportsOptions(options, requests),
    clock: systemClock,
    random: systemRandom,
    logger,
    open: (line, handshake) => hub.open(line, handshake),
  });
  const uplink = sitDown(hub, session);
  uplink.send({ type: "hello", instance: options.instance ?? `pid ${process.pid}` });
  return {
    uplink,
    attach: (server) =>
      attachTo(server, {
        path: options.path,
        trailingSlash: options.addTrailingSlash !== false,
        servesClient: options.serveClient !== false,
        requests: options.allowRequest === undefined ? null : requests,
        target: transports,
      }),
    leaving() {},
    async close() {
      await closed(transports);
      hub.close();
      await closeStore();
    },
  };
}

/**
 * The server's seat at a hub in the same process. What the hub says in one turn is one batch, handled after the turn, as
 * over a link: the hub is never called back in the middle of its work, and `done` follows the batch's effects.
 */
function sitDown(hub: Hub, session: HubSession): Uplink {
  let batch: ToServer[] = [];
  const deliver = () => {
    const messages = batch;
    batch = [];
    let last = -1;
    for (const message of messages) {
      session.send(message);
      if (message.type === "event") last = message.seq;
    }
    if (last >= 0) seat.send({ type: "done", seq: last });
  };
  const port: ServerPort = {
    send(message) {
      if (batch.push(message) === 1) process.nextTick(deliver);
    },
  };
  const seat = hub.attach(port);
  return { open: true, send: (message) => seat.send(message) };
}

function openStore(
  durability: Durability,
  options: Partial<ServerOptions>,
  logger: Logger,
): { store: StreamStore | null; closeStore(): Promise<void> } {
  const { connectionStateRecovery: recovery } = options;
  const retentionMs =
    recovery === undefined ? limits.retentionMs : (recovery.maxDisconnectionDuration ?? recoveryMsDefault);
  if (durability === "memory") {
    const store = new MemoryStore({ clock: systemClock, random: systemRandom, retentionMs });
    return { store, async closeStore() {} };
  }
  if (durability === "none") return { store: null, async closeStore() {} };
  const directory = join(options.data ?? "./data", "streams");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const opening: Promise<SqliteStreamStore> = openStreamStore({
    directory,
    clock: systemClock,
    logger,
    // Nothing that this process says from now on can be relied upon: it ends, as of any uncaught exception.
    onFatal: (error) => throwLater(error),
  });
  opening.catch(throwLater);
  return { store: openingStore(opening), closeStore: async () => (await opening).close() };
}

function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

function transportsOptions(
  options: Partial<ServerOptions> & { readonly path: string },
  requests: ReadonlyMap<string, IncomingMessage>,
): Omit<TransportsOptions, "clock" | "random" | "open"> {
  const { allowRequest } = options;
  return defined<Omit<TransportsOptions, "clock" | "random" | "open">>({
    path: options.path,
    transports: options.transports,
    allowUpgrades: options.allowUpgrades,
    pingIntervalMs: options.pingInterval,
    pingTimeoutMs: options.pingTimeout,
    upgradeTimeoutMs: options.upgradeTimeout,
    messageBytesMax: options.maxHttpBufferSize,
    cors: options.cors,
    cookie: options.cookie,
    origins: options.origins,
    allowRequest:
      allowRequest === undefined
        ? undefined
        : (request, decide) => {
            const original = requests.get(request.requestId);
            if (original === undefined) decide("the request is gone", false);
            else allowRequest(original, decide);
          },
  });
}

/** Without the properties that are undefined: for the transports an option is given or it is not there. */
function defined<T extends object>(options: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/** Ends all sessions; resolves when their connections' ends have been written. */
async function closed(transports: Transports): Promise<void> {
  transports.close();
  await new Promise<void>((resolve) => systemClock.defer(resolve));
}
