/**
 * A hub of this server's own: the hub, its store and the transports on http.Servers, put together in this process.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Logger, limits, silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { openStreamStore, type SqliteStreamStore } from "@tideway/edge/store";
import { createTransports, type Transports, type TransportsOptions } from "@tideway/edge/transports";
import {
  type Connection,
  type DisconnectReason,
  type Handshake,
  Hub,
  MemoryStore,
  Packet,
  type ServerPort,
  type StreamStore,
  type ToServer,
} from "@tideway/engine/hub";
import { attachmentOf, attachTo, type RequestSource } from "./attach.ts";
import type { Backend } from "./backend.ts";
import type { Engine } from "./engine.ts";
import { type Answering, Intake } from "./intake.ts";
import { exposed, type LocalLine } from "./local-line.ts";
import { openingStore } from "./opening-store.ts";
import type { Durability, ServerOptions } from "./options.ts";
import { openRawSocket } from "./raw-socket.ts";
import type { HubSession, Uplink } from "./session.ts";
import { transportsOptions } from "./transport-options.ts";

const recoveryMsDefault = 2 * 60 * 1000;

/** What the server is told of lines that are in this process. */
export interface LineEvents {
  onLine(line: LocalLine, handshake: Handshake): void;
  /** After everything else about the line. */
  onLineClosed(id: string, reason: DisconnectReason): void;
}

export function openOwnHub(
  session: HubSession,
  options: Partial<ServerOptions> & { readonly path: string },
  engine: Engine,
  events: LineEvents,
): Backend {
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
  const lines = new LocalLines(hub, events);
  const { initialPacket } = options;
  const given: TransportsOptions = {
    ...transportsOptions(options, (id) => intake.find(id)?.request),
    clock: systemClock,
    random: systemRandom,
    logger,
    rooms: hub.rooms,
    open(line, handshake, requestId) {
      const looked = engine._touchesRequests || options.allowRequest !== undefined;
      if (initialPacket !== undefined) line.send(new Packet(initialPacket));
      return lines.open({ line, request: intake.find(requestId)?.request ?? null, looked }, handshake);
    },
    onClosed: (id, reason) => lines.closed(id, reason),
  };
  const transports = createTransports(withHooks(given, engine, (id) => intake.find(id)));
  const intake = new Intake(engine, transports);
  const uplink = sitDown(hub, session);
  uplink.send({ type: "hello", instance: options.instance ?? `pid ${process.pid}` });
  const attach = (server: RequestSource) => attachTo(server, attachmentOf(options, intake));
  engine._open({
    get clientsCount() {
      return transports.clientsCount;
    },
    attach,
    request: (request, response) => intake.request(request, response),
    upgrade: (request, stream, head) => intake.upgrade(request, stream, head),
    closeSessions() {
      for (const { line } of lines.all) line.close("forced close");
    },
  });
  return {
    uplink,
    attach,
    line: (id) => lines.find(id),
    openRaw: (socket) => openRawSocket(socket, lines),
    leaving() {},
    async close() {
      await closed(transports);
      hub.close();
      await closeStore();
    },
  };
}

/** The lines of this process's hub. */
class LocalLines {
  readonly #hub: Hub;
  readonly #events: LineEvents;
  readonly #byId = new Map<string, LocalLine>();

  constructor(hub: Hub, events: LineEvents) {
    this.#hub = hub;
    this.#events = events;
  }

  get all(): LocalLine[] {
    return [...this.#byId.values()];
  }

  find(id: string): LocalLine | null {
    return this.#byId.get(id) ?? null;
  }

  open(local: LocalLine, handshake: Handshake): Connection {
    this.#byId.set(local.line.id, local);
    const connection = this.#hub.open(local.line, handshake);
    this.#events.onLine(local, handshake);
    return connection;
  }

  closed(id: string, reason: DisconnectReason): void {
    this.#byId.delete(id);
    // Behind what the hub has said of the line's sockets.
    process.nextTick(() => this.#events.onLineClosed(id, reason));
  }
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

/** The engine's part in each request. Read anew for each, so that what nobody uses costs nothing. */
function withHooks(
  options: TransportsOptions,
  engine: Engine,
  find: (requestId: string) => Answering | undefined,
): TransportsOptions {
  const fields = (event: string) => (headers: Record<string, string | string[]>, request: { requestId: string }) => {
    const original = find(request.requestId)?.request;
    if (original !== undefined) engine.emit(event, headers, exposed(original));
  };
  const initialHeaders = fields("initial_headers");
  const headers: TransportsOptions["headers"] = (added, request) => {
    const answering = find(request.requestId);
    if (answering !== undefined && request.transport === "websocket" && engine._hasMiddlewares) {
      // Some middlewares (sessions) add their fields only now.
      answering.response.writeHead(101);
      Object.assign(added, answering.response.getHeaders());
    }
    fields("headers")(added, request);
  };
  const generateId: TransportsOptions["generateId"] = async ({ requestId }) => {
    const answering = find(requestId);
    try {
      return await engine.generateId(exposed(answering!.request));
    } catch (error) {
      if (answering !== undefined) answering.error = error;
      throw error;
    }
  };
  const hooks: Partial<TransportsOptions> = {
    onRefused(requestId, refusal) {
      const answering = find(requestId);
      if (answering !== undefined) engine._refused(answering.request, refusal, answering.error);
    },
    get generateId() {
      return engine._namesSessions ? generateId : undefined;
    },
    get initialHeaders() {
      return engine.listenerCount("initial_headers") > 0 ? initialHeaders : undefined;
    },
    get headers() {
      return engine._hasMiddlewares || engine.listenerCount("headers") > 0 ? headers : undefined;
    },
  } as Partial<TransportsOptions>;
  return Object.defineProperties(options, Object.getOwnPropertyDescriptors(hooks)) as TransportsOptions;
}

/** Ends all sessions; resolves when their connections' ends have been written. */
async function closed(transports: Transports): Promise<void> {
  transports.close();
  await new Promise<void>((resolve) => systemClock.defer(resolve));
}
