/**
 * A namespace of this server: Socket.IO's `Namespace`. Owns the sockets that this server holds in it and the middlewares
 * that decide who may come in. Sockets of other servers are reached through the hub.
 */
import { Adapter, type AdapterOwner, type BroadcastOptions } from "./adapter.ts";
import {
  type Audience,
  BroadcastOperator,
  type ManyAnswers,
  type RemoteSocket,
  type Room,
  type SocketId,
  withAnswers,
} from "./broadcast-operator.ts";
import type { Connection } from "./connection.ts";
import { type OpenedRooms, type RoomPattern, RoomPermissions, type RoomRules } from "./open-rooms.ts";
import type { Server } from "./server.ts";
import { emitToServers } from "./server-side.ts";
import type { ConnectMessage, HubSession, Published } from "./session.ts";
import { Socket } from "./socket.ts";
import {
  type AllButLast,
  type Any,
  type DecorateAcknowledgements,
  type DecorateAcknowledgementsWithTimeoutAndMultipleResponses,
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
import { callListeners, runMiddlewares } from "./user-code.ts";

/** An error of a middleware: `data` reaches the client with the message. */
export interface ExtendedError extends Error {
  data?: Any;
}

export interface NamespaceReservedEventsMap<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> {
  connect: (socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>) => void;
  connection: (socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>) => void;
}

export interface ServerReservedEventsMap<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> extends NamespaceReservedEventsMap<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
  new_namespace: (namespace: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>) => void;
}

export type NamespaceMiddleware<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> = (
  socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
  next: (err?: ExtendedError) => void,
) => unknown;

export class Namespace<
    ListenEvents extends EventsMap = DefaultEventsMap,
    EmitEvents extends EventsMap = ListenEvents,
    ServerSideEvents extends EventsMap = DefaultEventsMap,
    SocketData = Any,
  >
  extends StrictEventEmitter<
    ServerSideEvents,
    RemoveAcknowledgements<EmitEvents>,
    NamespaceReservedEventsMap<ListenEvents, EmitEvents, ServerSideEvents, SocketData>
  >
  implements Audience, AdapterOwner
{
  readonly name: string;
  readonly server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  /** Connected sockets that this server holds. */
  readonly sockets: Map<SocketId, Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>> = new Map();
  /** @internal */
  readonly session: HubSession;

  /** @internal */
  readonly _watchers: Set<Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>> = new Set();
  /** Made when rooms are opened. @internal */
  _rooms: RoomPermissions | null = null;
  /** Made when somebody asks for it. @internal */
  _view: Adapter | null = null;
  /** @internal */
  protected middlewares: NamespaceMiddleware<ListenEvents, EmitEvents, ServerSideEvents, SocketData>[] = [];
  /** Sockets whose middlewares have not decided yet. */
  readonly #arriving = new Map<SocketId, Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>>();

  /** @internal */
  constructor(
    server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
    session: HubSession,
    name: string,
  ) {
    super();
    this.server = server;
    this.session = session;
    this.name = name;
  }

  /** The rooms of this server's sockets, and their events. */
  get adapter(): Adapter {
    this._view ??= new Adapter(this as unknown as AdapterOwner);
    return this._view;
  }

  /** Looks at each client before it comes in; `next(error)` refuses it. */
  use(middleware: NamespaceMiddleware<ListenEvents, EmitEvents, ServerSideEvents, SocketData>): this {
    this.middlewares.push(middleware);
    return this;
  }

  /** Sends an event to everybody in the namespace. Always true. */
  override emit<Ev extends EventNames<RemoveAcknowledgements<EmitEvents>>>(
    ev: Ev,
    ...args: EventParams<RemoveAcknowledgements<EmitEvents>, Ev>
  ): boolean {
    return new BroadcastOperator<Any, SocketData>(this).emit(ev as string, ...(args as Any[]));
  }

  emitWithAck<Ev extends EventNamesWithAck<EmitEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<EmitEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<EmitEvents, Ev>>>[]> {
    return new BroadcastOperator<Any, SocketData>(this).emitWithAck(ev as string, ...(args as Any[]));
  }

  /** Sends an event to everybody and says when and where it is committed. */
  publish<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): Promise<Published> {
    return new BroadcastOperator<EmitEvents, SocketData>(this).publish(ev, ...args);
  }

  send(...args: EventParams<EmitEvents, "message">): this {
    new BroadcastOperator<Any, SocketData>(this).emit("message", ...(args as Any[]));
    return this;
  }

  write(...args: EventParams<EmitEvents, "message">): this {
    return this.send(...args);
  }

  to(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().to(room);
  }

  in(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().to(room);
  }

  except(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().except(room);
  }

  compress(compress: boolean): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().compress(compress);
  }

  get volatile(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().volatile;
  }

  get local(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().local;
  }

  timeout(timeout: number): BroadcastOperator<DecorateAcknowledgements<ManyAnswers<EmitEvents>>, SocketData> {
    return this.#all().timeout(timeout);
  }

  idempotencyKey(key: string): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.#all().idempotencyKey(key);
  }

  /** Says something to the other servers of the hub; with a function as last argument, asks each for an answer. */
  serverSideEmit<Ev extends EventNames<ServerSideEvents>>(
    ev: Ev,
    ...args: EventParams<DecorateAcknowledgementsWithTimeoutAndMultipleResponses<ServerSideEvents>, Ev>
  ): boolean {
    return emitToServers(this.session, this.name, ev, args);
  }

  /** {@link serverSideEmit} with an answer of each server; an error of its promise has those that came as `responses`. */
  serverSideEmitWithAck<Ev extends EventNamesWithAck<ServerSideEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<ServerSideEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<ServerSideEvents, Ev>>>[]> {
    return withAnswers((done) => emitToServers(this.session, this.name, ev, [...args, done]));
  }

  /**
   * Opens rooms to clients: over plain HTTP at `{path}/rooms/{room}/events`, and to sockets that ask by `tideway:join`. Every
   * process of the application opens the same: the hub asks any of them.
   */
  open(pattern: RoomPattern, rules: RoomRules): OpenedRooms {
    if (this._rooms === null) {
      this._rooms = new RoomPermissions(this.session, this.name, this.server._logger);
      this.session.openers.set(this.name, this._rooms);
    }
    return this._rooms.open(pattern, rules);
  }

  /**
   * Names the place in the stream behind all that this server emitted here before: `after=` for a page that was made from
   * what holds now. Rejects with a `PublishError` when there is no hub.
   */
  offset(): Promise<string> {
    return this.session.place(this.name);
  }

  fetchSockets(): Promise<RemoteSocket<EmitEvents, SocketData>[]> {
    return new BroadcastOperator<EmitEvents, SocketData>(this).fetchSockets();
  }

  /** @deprecated as in Socket.IO: see {@link fetchSockets}. */
  allSockets(): Promise<Set<SocketId>> {
    return this.#all().allSockets();
  }

  socketsJoin(room: Room | Room[]): void {
    this.#all().socketsJoin(room);
  }

  socketsLeave(room: Room | Room[]): void {
    this.#all().socketsLeave(room);
  }

  disconnectSockets(close = false): void {
    this.#all().disconnectSockets(close);
  }

  #all(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return new BroadcastOperator(this);
  }

  /** The hub gives this server a client: middlewares, then `connection`. @internal */
  _admit(
    conn: Connection,
    message: ConnectMessage,
    skipMiddlewares: boolean,
  ): Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    const socket = new Socket(this, conn, message);
    this.#arriving.set(socket.id, socket);
    const middlewares = skipMiddlewares ? [] : this.middlewares;
    const fault = () => new Error("Internal error");
    // Not before the caller has written the socket down: a middleware may answer at once.
    queueMicrotask(() =>
      runMiddlewares<ExtendedError, typeof socket>(middlewares, socket, fault, (error) => {
        if (!this.#arriving.has(socket.id)) return;
        if (error) this.#refuse(socket, error);
        else this.#welcome(socket);
      }),
    );
    return socket;
  }

  #refuse(socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>, error: ExtendedError): void {
    const data = error.data === undefined ? "" : JSON.stringify(error.data);
    this.session.tell({ type: "refuse", socket: socket.id, message: String(error.message), data });
    socket._ended("server namespace disconnect");
  }

  #welcome(socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>): void {
    this.#arriving.delete(socket.id);
    this.sockets.set(socket.id, socket);
    this.session.tell({ type: "accept", socket: socket.id });
    socket._accepted();
    callListeners(this, "connect", [socket]);
    callListeners(this, "connection", [socket]);
    socket.conn._settled();
  }

  /** @internal */
  *_members(): Iterable<Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>> {
    yield* this.sockets.values();
    yield* this.#arriving.values();
  }

  /** @internal */
  _member(id: SocketId): Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData> | undefined {
    return this.sockets.get(id) ?? this.#arriving.get(id);
  }

  /** @internal */
  _audience({ rooms, except, flags }: BroadcastOptions): BroadcastOperator<Any, Any> {
    const { timeout, ...others } = flags ?? {};
    return new BroadcastOperator(this, rooms, except, {
      ...others,
      ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    });
  }

  /** Another server of the hub says something. @internal */
  _onServerSideEmit([ev, ...args]: [string, ...Any[]]): void {
    callListeners(this, ev, args);
  }

  /** @internal */
  _forget(socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>): void {
    this.sockets.delete(socket.id);
    this.#arriving.delete(socket.id);
  }
}
