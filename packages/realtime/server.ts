/**
 * Socket.IO's `Server`: namespaces, and the way to a hub. With an http.Server or a port it holds its own hub; in a process
 * that Tideway started it joins the edge's through `TIDEWAY_LINK`. The user's code cannot tell the difference.
 */
import { createServer, type Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Logger } from "@tideway/base";
import { silentLogger } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import type { DisconnectReason } from "@tideway/engine/hub";
import { type Backend, joinHub } from "./backend.ts";
import type { BroadcastOperator, ManyAnswers, RemoteSocket, Room, SocketId } from "./broadcast-operator.ts";
import { Connection } from "./connection.ts";
import type { ExtendedError, Namespace, NamespaceReservedEventsMap } from "./namespace.ts";
import { NamespaceDirectory } from "./namespace-directory.ts";
import type { ServerOptions } from "./options.ts";
import { openOwnHub } from "./own-hub.ts";
import type { NamespaceMatcher } from "./parent-namespace.ts";
import { type ConnectMessage, HubSession, type Published } from "./session.ts";
import type { Socket } from "./socket.ts";
import {
  type AllButLast,
  type Any,
  type DecorateAcknowledgements,
  type DefaultEventsMap,
  type EventNames,
  type EventNamesWithAck,
  type EventParams,
  type EventsMap,
  type FirstNonErrorArg,
  type Last,
  type RemoveAcknowledgements,
  StrictEventEmitter,
} from "./typed-events.ts";

export type AnyHttpServer = HttpServer | HttpsServer;

export class Server<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
  ServerSideEvents extends EventsMap = DefaultEventsMap,
  SocketData = Any,
> extends StrictEventEmitter<
  ServerSideEvents,
  RemoveAcknowledgements<EmitEvents>,
  NamespaceReservedEventsMap<ListenEvents, EmitEvents, ServerSideEvents, SocketData>
> {
  /** The namespace `/`, to which all of this class's own sending goes. */
  readonly sockets: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  /** The one that was attached last. */
  httpServer: AnyHttpServer | undefined;
  /** @internal */
  readonly _logger: Logger;

  readonly #options: Partial<ServerOptions>;
  readonly #session: HubSession;
  readonly #directory: NamespaceDirectory<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  /** Sockets that this server holds, in all namespaces. */
  readonly #held = new Map<SocketId, Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>>();
  /** Sockets whose namespace is still being decided. */
  readonly #resolving = new Set<SocketId>();
  readonly #connections = new Map<string, Connection>();
  #backend: Backend | null = null;
  #closed: Promise<void> | null = null;

  constructor(options?: Partial<ServerOptions>);
  constructor(server?: AnyHttpServer | number, options?: Partial<ServerOptions>);
  constructor(server?: AnyHttpServer | number | Partial<ServerOptions>, options: Partial<ServerOptions> = {}) {
    super();
    const attachTo = typeof server === "number" || isHttpServer(server) ? server : undefined;
    this.#options =
      attachTo === undefined && typeof server === "object" ? { ...(server as Partial<ServerOptions>) } : { ...options };
    this._logger = this.#options.logger ?? silentLogger;
    this.#session = new HubSession(
      {
        onConnect: (message) => this.#onConnect(message),
        onEvent: (socket, args, ack) => this.#held.get(socket)?._onEvent(args, ack),
        onDisconnect: (socket, reason) => {
          this.#resolving.delete(socket);
          this.#held.get(socket)?._ended(reason);
        },
        onRooms: (socket, joined, left) => this.#held.get(socket)?._roomsChanged(joined, left),
        onUpgraded: (connection, transport) => this.#connections.get(connection)?._upgraded(transport),
        onFault: (socket) => this.#held.get(socket)?._closeLine(),
      },
      systemClock,
    );
    this.#directory = new NamespaceDirectory(this, this.#session, this.#options.cleanupEmptyChildNamespaces === true);
    this.sockets = this.#directory.main;
    if (attachTo !== undefined) this.attach(attachTo);
    // Not at once: `new Server()` may be followed by `attach`, which asks for an own hub.
    else process.nextTick(() => this.#closed ?? this.#start(null));
  }

  /** Where clients find it. With an argument, sets it, for servers attached afterwards. */
  path(): string;
  path(value: string): this;
  path(value?: string): string | this {
    if (value === undefined) return (this.#options.path ?? "/socket.io").replace(/\/$/, "");
    this.#options.path = value;
    return this;
  }

  serveClient(): boolean;
  serveClient(value: boolean): this;
  serveClient(value?: boolean): boolean | this {
    if (value === undefined) return this.#options.serveClient !== false;
    this.#options.serveClient = value;
    return this;
  }

  connectTimeout(): number;
  connectTimeout(value: number): this;
  connectTimeout(value?: number): number | this {
    if (value === undefined) return this.#options.connectTimeout ?? 45_000;
    this.#options.connectTimeout = value;
    return this;
  }

  /** Serves clients of this http.Server, or of a new one on this port. Its other requests stay its own. */
  attach(server: AnyHttpServer | number, options: Partial<ServerOptions> = {}): this {
    if (typeof server === "function") {
      throw new Error(
        "You are trying to attach Tideway to an express request handler function. Please pass a http.Server instance.",
      );
    }
    if (this.#closed !== null) throw new Error("this server is closed");
    const httpServer = isHttpServer(server) ? server : createServer(notFound).listen(Number(server));
    this.#start({ ...options, ...this.#options }).attach(httpServer);
    this.httpServer = httpServer;
    return this;
  }

  listen(server: AnyHttpServer | number, options: Partial<ServerOptions> = {}): this {
    return this.attach(server, options);
  }

  /** The namespace of that name, made when it is new; for a pattern or a function, the parent of those to come. */
  of(
    name: string | RegExp | NamespaceMatcher,
    listener?: (socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>) => void,
  ): Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    const namespace = typeof name === "string" ? this.#directory.named(name) : this.#directory.parent(name);
    if (listener !== undefined) namespace.on("connect", listener as Any);
    return namespace;
  }

  /**
   * Ends this server. With an own hub: every client, and the http.Server. On a link: the sockets go to other servers, or
   * wait for the next; their clients notice nothing.
   */
  close(done?: (err?: Error) => void): Promise<void> {
    this.#closed ??= this.#close();
    if (done !== undefined) this.#closed.then(() => done(), done);
    return this.#closed;
  }

  use(
    middleware: (
      socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
      next: (err?: ExtendedError) => void,
    ) => unknown,
  ): this {
    this.sockets.use(middleware);
    return this;
  }

  emitWithAck<Ev extends EventNamesWithAck<EmitEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<EmitEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<EmitEvents, Ev>>>[]> {
    return this.sockets.emitWithAck(ev, ...args);
  }

  publish<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): Promise<Published> {
    return this.sockets.publish(ev, ...args);
  }

  idempotencyKey(key: string): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.idempotencyKey(key);
  }

  send(...args: EventParams<EmitEvents, "message">): this {
    this.sockets.send(...args);
    return this;
  }

  write(...args: EventParams<EmitEvents, "message">): this {
    return this.send(...args);
  }

  to(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.to(room);
  }

  in(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.to(room);
  }

  except(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.except(room);
  }

  compress(compress: boolean): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.compress(compress);
  }

  get volatile(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.volatile;
  }

  get local(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.sockets.local;
  }

  timeout(timeout: number): BroadcastOperator<DecorateAcknowledgements<ManyAnswers<EmitEvents>>, SocketData> {
    return this.sockets.timeout(timeout);
  }

  fetchSockets(): Promise<RemoteSocket<EmitEvents, SocketData>[]> {
    return this.sockets.fetchSockets();
  }

  /** @deprecated as in Socket.IO: see {@link fetchSockets}. */
  allSockets(): Promise<Set<SocketId>> {
    return this.sockets.allSockets();
  }

  socketsJoin(room: Room | Room[]): void {
    this.sockets.socketsJoin(room);
  }

  socketsLeave(room: Room | Room[]): void {
    this.sockets.socketsLeave(room);
  }

  disconnectSockets(close = false): void {
    this.sockets.disconnectSockets(close);
  }

  /** Chooses the hub, once: the edge's when a link is known and nothing is attached, otherwise an own one. */
  #start(attachment: Partial<ServerOptions> | null): Backend {
    if (this.#backend !== null) return this.#backend;
    const address = this.#options.link ?? process.env["TIDEWAY_LINK"] ?? "";
    const backend =
      attachment === null && address !== ""
        ? joinHub(this.#session, address, this.#options, () => this.#onHubLost())
        : openOwnHub(this.#session, { ...attachment, ...this.#options, path: this.path() });
    this.#backend = backend;
    this.#session.start(backend.uplink);
    return backend;
  }

  #onConnect(message: ConnectMessage): void {
    this.#resolving.add(message.socket);
    this.#directory.resolve(message, (namespace) => {
      // Gone meanwhile, or decided twice.
      if (!this.#resolving.delete(message.socket)) return;
      if (namespace === null) {
        this.#session.tell({ type: "refuse", socket: message.socket, message: "Invalid namespace", data: "" });
        return;
      }
      const skip = message.recovered && this.#options.connectionStateRecovery?.skipMiddlewares !== false;
      const socket = namespace._admit(this.#connection(message), message, skip);
      this.#held.set(socket.id, socket);
    });
  }

  #connection(message: ConnectMessage): Connection {
    const known = this.#connections.get(message.connection);
    if (known !== undefined) return known;
    const connection = new Connection(message);
    this.#connections.set(connection.id, connection);
    return connection;
  }

  /** The hub died, or the line to it: our sockets are gone, or another server's by now. */
  #onHubLost(): void {
    this.#endAll("transport close");
    this.#session.lost("HUB_LOST");
  }

  #endAll(reason: DisconnectReason): void {
    this.#resolving.clear();
    for (const socket of [...this.#held.values()]) socket._ended(reason);
  }

  async #close(): Promise<void> {
    const backend = this.#start(null);
    backend.leaving();
    this.#endAll("server shutting down");
    await backend.close();
    this.#session.lost("CLOSED");
    const { httpServer } = this;
    if (httpServer === undefined) return;
    await new Promise<void>((resolve, reject) => {
      httpServer.close((error) => {
        const running = (error as NodeJS.ErrnoException | undefined)?.code !== "ERR_SERVER_NOT_RUNNING";
        if (error !== undefined && running) reject(error);
        else resolve();
      });
    });
  }

  /** @internal */
  _release(
    socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
    connection: Connection,
    reason: string,
  ): void {
    this.#held.delete(socket.id);
    if (connection._release(socket, reason)) this.#connections.delete(connection.id);
  }

  /** @internal */
  _removeNamespace(name: string): void {
    this.#directory.remove(name);
  }
}

/** As in Socket.IO, a server's events are those of its namespace `/`: `io.on("connection")` is `io.sockets.on(…)`. */
const forwarded = [
  "on",
  "once",
  "off",
  "addListener",
  "removeListener",
  "removeAllListeners",
  "prependListener",
  "prependOnceListener",
  "listeners",
  "rawListeners",
  "listenerCount",
  "eventNames",
  "setMaxListeners",
  "getMaxListeners",
  "emit",
] as const;
for (const name of forwarded) {
  Object.defineProperty(Server.prototype, name, {
    configurable: true,
    writable: true,
    value(this: Server, ...args: unknown[]) {
      const result: unknown = Reflect.apply(this.sockets[name] as (...args: unknown[]) => unknown, this.sockets, args);
      return result === this.sockets ? this : result;
    },
  });
}

function isHttpServer(value: unknown): value is AnyHttpServer {
  return typeof value === "object" && value !== null && "listen" in value;
}

function notFound(_request: unknown, response: { writeHead(status: number): unknown; end(): unknown }): void {
  response.writeHead(404);
  response.end();
}
