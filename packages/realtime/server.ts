/**
 * Socket.IO's `Server`: namespaces, and the way to a hub. It holds a hub of its own on an http.Server or a port; in a process
 * that Tideway started it joins the edge's through `TIDEWAY_LINK` instead. The user's code cannot tell the difference.
 */
import { createServer, type Server as HttpServer } from "node:http";
import type { Server as HttpsServer } from "node:https";
import type { Logger } from "@tideway/base";
import { silentLogger } from "@tideway/base";
import { loopClock } from "@tideway/edge/clock";
import type { DisconnectReason } from "@tideway/engine/hub";
import { type Backend, joinHub } from "./backend.ts";
import type { SocketId } from "./broadcast-operator.ts";
import { Connection } from "./connection.ts";
import { Engine } from "./engine.ts";
import type { EngineRequest, LocalLine } from "./local-line.ts";
import type { Namespace } from "./namespace.ts";
import { NamespaceDirectory } from "./namespace-directory.ts";
import { checkOptions, type ServerOptions, warnOfAdapter } from "./options.ts";
import { openOwnHub } from "./own-hub.ts";
import type { NamespaceMatcher } from "./parent-namespace.ts";
import type { RawEngine, RawSocket } from "./raw-socket.ts";
import { RemoteRequests } from "./remote-requests.ts";
import { ServerFront } from "./server-front.ts";
import { answerable } from "./server-side.ts";
import { type ConnectMessage, HubSession } from "./session.ts";
import type { Socket } from "./socket.ts";
import type { Any, DefaultEventsMap, EventsMap } from "./typed-events.ts";
import { callListeners } from "./user-code.ts";

export type AnyHttpServer = HttpServer | HttpsServer;

export class Server<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
  ServerSideEvents extends EventsMap = DefaultEventsMap,
  SocketData = Any,
> extends ServerFront<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
  override readonly sockets: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  /** The one that was attached last. */
  httpServer: AnyHttpServer | undefined;
  /** Engine.IO's server: its events, middlewares and the naming of sessions. */
  readonly engine: Engine;
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
  /** Clients' requests, when they come in at the edge. */
  #requests: RemoteRequests | null = null;
  #closed: Promise<void> | null = null;

  constructor(options?: Partial<ServerOptions>);
  constructor(server?: AnyHttpServer | number, options?: Partial<ServerOptions>);
  constructor(server?: AnyHttpServer | number | Partial<ServerOptions>, options: Partial<ServerOptions> = {}) {
    super();
    const attachTo = typeof server === "number" || isHttpServer(server) ? server : undefined;
    this.#options =
      attachTo === undefined && typeof server === "object" ? { ...(server as Partial<ServerOptions>) } : { ...options };
    this._logger = this.#options.logger ?? silentLogger;
    checkOptions(this.#options);
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
        onLineClosed: (connection, reason) => {
          if (this.#requests !== null) this.#lineOver(connection, reason);
        },
        onRequest: (message) => this.#requests?.on(message),
        onFault: (socket) => this.#held.get(socket)?._closeLine(),
        onServerEvent: (name, args, ask) => {
          this._nsps.get(name)?._onServerSideEmit(answerable(this.#session, args, ask));
        },
      },
      loopClock,
    );
    this.#directory = new NamespaceDirectory(this, this.#session, this.#options.cleanupEmptyChildNamespaces === true);
    this.sockets = this.#directory.main;
    this.engine = new Engine(this.#options, () => this.#connections.size);
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

  /** uWebSockets.js parses requests by itself and is not supported: its application would have to be in front of us. */
  attachApp(_app: unknown, _options: Partial<ServerOptions> = {}): never {
    throw new Error(
      "attachApp() is not supported: give an http.Server or a port to attach() instead of a uWebSockets.js app",
    );
  }

  /** Serves the clients of another Engine.IO server too. */
  bind(engine: RawEngine): this {
    engine.on("connection", (socket) => this.onconnection(socket));
    return this;
  }

  /** Takes one socket of another Engine.IO server. */
  onconnection(socket: RawSocket): this {
    this.#start({}).openRaw(socket);
    return this;
  }

  /** The adapter that was set. It is not used: what it does between servers the hub does, and a warning says so. */
  adapter(): unknown;
  adapter(value: unknown): this;
  adapter(...given: unknown[]): unknown {
    if (given.length === 0) return this.#options.adapter;
    this.#options.adapter = given[0];
    warnOfAdapter();
    return this;
  }

  /** The namespaces that are there, by name. */
  get _nsps(): Map<string, Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>> {
    return this.#directory.all;
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

  /** Chooses the hub, once: the edge's when a link is known, otherwise an own one. */
  #start(attachment: Partial<ServerOptions> | null): Backend {
    if (this.#backend !== null) return this.#backend;
    const address = this.#options.link ?? process.env["TIDEWAY_LINK"] ?? "";
    const options = { ...attachment, ...this.#options, path: this.path() };
    const backend =
      address !== ""
        ? this.#join(address, options)
        : openOwnHub(this.#session, options, this.engine, {
            onLine: (line, handshake) => this.#onLine(line, handshake),
            onLineClosed: (id, reason) => {
              this.#connections.get(id)?._closed(reason);
              this.#connections.delete(id);
            },
          });
    this.#backend = backend;
    this.#session.start(backend.uplink);
    return backend;
  }

  #join(address: string, options: Partial<ServerOptions> & { readonly path: string }): Backend {
    const requests = new RemoteRequests(this.engine, options, (message) => this.#session.tell(message));
    this.#requests = requests;
    this.engine._openElsewhere({
      onWishes: () => requests.wishesChanged(),
      closeLines: () => {
        for (const connection of this.#connections.values()) connection.close();
      },
    });
    return joinHub(this.#session, address, options, {
      onJoined: () => requests.joined(),
      onLost: () => this.#onHubLost(),
    });
  }

  #onConnect(message: ConnectMessage): void {
    this.#resolving.add(message.socket);
    // A line that is known has its request.
    if (this.#requests === null || this.#connections.has(message.connection)) this.#admit(message, null);
    else this.#requests.recall(message.connection, message.handshake, (request) => this.#admit(message, request));
  }

  /** `request` is what opened the line, where that is not here. */
  #admit(message: ConnectMessage, request: EngineRequest | null): void {
    this.#directory.resolve(message, (namespace) => {
      // Gone meanwhile, or decided twice.
      if (!this.#resolving.delete(message.socket)) return;
      if (namespace === null) {
        this.#session.tell({ type: "refuse", socket: message.socket, message: "Invalid namespace", data: "" });
        return;
      }
      const skip = message.recovered && this.#options.connectionStateRecovery?.skipMiddlewares !== false;
      const socket = namespace._admit(this.#connection(message, request), message, skip);
      this.#held.set(socket.id, socket);
    });
  }

  #connection(source: ConstructorParameters<typeof Connection>[0], request: EngineRequest | null = null): Connection {
    const known = this.#connections.get(source.connection);
    if (known !== undefined) return known;
    const id = source.connection;
    const line = this.#backend?.line(id) ?? {
      request,
      close: () => this.#session.tell({ type: "close-line", connection: id }),
    };
    const connection = new Connection(source, line);
    this.#connections.set(id, connection);
    if (this.#requests !== null) {
      this.#requests.forget(id);
      callListeners(this.engine, "connection", [connection]);
    }
    return connection;
  }

  /** A client has opened a line here. Who wants to see it sees it now; otherwise it is shown with its first socket. */
  #onLine({ line }: LocalLine, handshake: ConnectMessage["handshake"]): void {
    if (this.engine.listenerCount("connection") === 0) return;
    callListeners(this.engine, "connection", [
      this.#connection({ connection: line.id, transport: line.transport, handshake }),
    ]);
  }

  /** The hub died, or the line to it: our sockets are gone, or another server's by now. */
  #onHubLost(): void {
    this.#endAll("transport close");
    this.#session.lost("HUB_LOST");
  }

  #endAll(reason: DisconnectReason): void {
    this.#resolving.clear();
    for (const socket of [...this.#held.values()]) socket._ended(reason);
    if (this.#requests !== null) for (const id of [...this.#connections.keys()]) this.#lineOver(id, reason);
  }

  /** A line that is elsewhere has ended, or is no longer this server's. */
  #lineOver(id: string, reason: DisconnectReason): void {
    this.#requests?.forget(id);
    this.#connections.get(id)?._closed(reason);
    this.#connections.delete(id);
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
    reason: DisconnectReason,
  ): void {
    this.#held.delete(socket.id);
    if (connection._release(reason)) this.#lineOver(connection.id, reason);
  }

  /** @internal */
  _removeNamespace(name: string): void {
    this.#directory.remove(name);
  }
}

function isHttpServer(value: unknown): value is AnyHttpServer {
  return typeof value === "object" && value !== null && "listen" in value;
}

function notFound(_request: unknown, response: { writeHead(status: number): unknown; end(): unknown }): void {
  response.writeHead(404);
  response.end();
}
