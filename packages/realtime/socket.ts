/**
 * A client in one namespace, as the user's code sees it: Socket.IO's `Socket`. It turns calls into the hub's messages
 * and the hub's messages into events; who is in which room and what is delivered is decided by the hub.
 */
import type { IncomingMessage } from "node:http";
import type { DisconnectReason } from "@tideway/engine/hub";
import type { Adapter } from "./adapter.ts";
import {
  type BroadcastFlags,
  BroadcastOperator,
  checkName,
  type ManyAnswers,
  type Room,
  type SocketId,
} from "./broadcast-operator.ts";
import { collectAnswer } from "./client-answer.ts";
import type { Client, Connection } from "./connection.ts";
import { type Handshake, readHandshake } from "./handshake.ts";
import { listenToErrors } from "./listener-table.ts";
import type { Namespace } from "./namespace.ts";
import { hasRoom, noRooms, type RoomList, roomSet, withoutRoom, withRoom } from "./room-list.ts";
import type { Server } from "./server.ts";
import type { AnswerCollector, ConnectMessage } from "./session.ts";
import { KeptData } from "./socket-data.ts";
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
  StrictEventEmitter,
} from "./typed-events.ts";
import { callListeners, callUser, type Next, runMiddlewares } from "./user-code.ts";

export interface SocketReservedEventsMap {
  disconnect: (reason: DisconnectReason, description?: Any) => void;
  disconnecting: (reason: DisconnectReason, description?: Any) => void;
  error: (err: Error) => void;
}

/** An event in a socket's middleware: its name, then its arguments. */
export type Event = [event: string, ...args: Any[]];
type AnyListener = (...args: Any[]) => void;
type AnyFunction = (...args: Any[]) => unknown;
/** Shared by all sockets: most have none of what these stand for. */
const none: readonly never[] = Object.freeze([]);
const noFlags: BroadcastFlags = Object.freeze({});

export class Socket<
  ListenEvents extends EventsMap = DefaultEventsMap,
  EmitEvents extends EventsMap = ListenEvents,
  ServerSideEvents extends EventsMap = DefaultEventsMap,
  SocketData = Any,
> extends StrictEventEmitter<ListenEvents, EmitEvents, SocketReservedEventsMap> {
  readonly id: SocketId;
  readonly nsp: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  readonly server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  readonly conn: Connection;
  /** Whether the client came back and missed nothing, or the socket was taken over from another server. */
  readonly recovered: boolean;
  /** False in middlewares, and after the end. */
  connected = false;

  #rooms: RoomList = noRooms;
  readonly #data: KeptData;
  readonly #hubHandshake: ConnectMessage["handshake"];
  readonly #auth: string;
  /** Made when somebody looks. */
  #handshake: Handshake | null = null;
  #middlewares: readonly ((event: Event, next: Next<Error>) => unknown)[] = none;
  #anyListeners: readonly AnyListener[] = none;
  #anyOutgoing: readonly AnyListener[] = none;
  #flags: BroadcastFlags = noFlags;
  #ended = false;
  /** Ended because this server stops: the client does not know, and can still be answered. */
  #handedOver = false;

  /** @internal */
  constructor(
    nsp: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
    conn: Connection,
    message: ConnectMessage,
  ) {
    super();
    this.nsp = nsp;
    this.server = nsp.server;
    this.conn = conn;
    this.id = message.socket;
    this.recovered = message.recovered;
    this.#hubHandshake = message.handshake;
    this.#auth = message.auth;
    this.#data = new KeptData(message.data, this);
    // As in Socket.IO: a client's event named "error" without a listener must not end the process.
    listenToErrors(this, ignore);
    conn._hold();
    for (const room of message.rooms) this.#enter(room);
  }

  /** What the client said when it came. */
  get handshake(): Handshake {
    this.#handshake ??= readHandshake(this.#hubHandshake, this.#auth);
    return this.#handshake;
  }

  /** Whatever the application attaches: kept when the client reconnects or another process takes over. Must be JSON. */
  get data(): SocketData {
    return this.#data.get() as SocketData;
  }

  set data(value: SocketData) {
    this.#data.set(value);
  }

  get rooms(): Set<Room> {
    const rooms = roomSet(this.#rooms);
    this.#rooms = rooms;
    return rooms;
  }

  get adapter(): Adapter {
    return this.nsp.adapter;
  }

  get disconnected(): boolean {
    return !this.connected;
  }

  get client(): Client {
    return this.conn.client;
  }

  /** The request that opened the line: see `conn.request`. */
  get request(): IncomingMessage {
    return this.conn.request;
  }

  /** Sends an event to this client; with a function as last argument, asks for its answer. Always true. */
  override emit<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): boolean {
    checkName(ev);
    const data: unknown[] = [ev, ...args];
    const flags = this.#takeFlags();
    let collector: AnswerCollector | null = null;
    if (typeof data.at(-1) === "function") collector = collectAnswer(this, data.pop() as AnyFunction, flags.timeoutMs);
    this._outgoing(data);
    if (this.#ended) {
      if (collector !== null && flags.timeoutMs !== undefined) queueMicrotask(() => collector.onAnswered(1));
      return true;
    }
    const timeoutMs = Math.max(0, Math.round(flags.timeoutMs ?? 0));
    const { volatile = false, compress = true } = flags;
    this.nsp.session.emit(this.#self(), data, { volatile, compress, timeoutMs }, collector);
    return true;
  }

  /** {@link emit} with an acknowledgement, as a promise. Rejects when the client does not answer in time or goes away. */
  emitWithAck<Ev extends EventNamesWithAck<EmitEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<EmitEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<EmitEvents, Ev>>>> {
    // Without a time-out it waits as long as the client stays.
    if (this.#flags.timeoutMs === undefined) this.#flags = { ...this.#flags, timeoutMs: 0 };
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, value: Any) => (error === null ? resolve(value) : reject(error));
      this.emit(ev, ...([...args, done] as unknown as EventParams<EmitEvents, Ev>));
    });
  }

  send(...args: EventParams<EmitEvents, "message">): this {
    this.emit("message" as EventNames<EmitEvents>, ...args);
    return this;
  }

  write(...args: EventParams<EmitEvents, "message">): this {
    return this.send(...args);
  }

  /** Everybody in `room` but this client. */
  to(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.broadcast.to(room);
  }

  in(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.broadcast.to(room);
  }

  except(room: Room | Room[]): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.broadcast.except(room);
  }

  /** Everybody in the namespace but this client. */
  get broadcast(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return new BroadcastOperator(this.nsp, new Set(), new Set([this.id]), this.#takeFlags());
  }

  get local(): BroadcastOperator<ManyAnswers<EmitEvents>, SocketData> {
    return this.broadcast.local;
  }

  /** The next emit may be dropped when the client is slow. */
  get volatile(): this {
    this.#flags = { ...this.#flags, volatile: true };
    return this;
  }

  /** False: the next emit's frames are not compressed, where the transports compress at all. */
  compress(compress: boolean): this {
    this.#flags = { ...this.#flags, compress };
    return this;
  }

  /** The next emit's acknowledgement gets an error first, after `timeout` ms without an answer. */
  timeout(timeout: number): Socket<ListenEvents, DecorateAcknowledgements<EmitEvents>, ServerSideEvents, SocketData> {
    this.#flags = { ...this.#flags, timeoutMs: timeout };
    return this as unknown as Socket<ListenEvents, Any, ServerSideEvents, SocketData>;
  }

  join(rooms: Room | Room[]): Promise<void> | void {
    if (this.#ended) return;
    const joined = [rooms].flat();
    for (const room of joined) this.#enter(room);
    this.nsp.session.tell({ type: "join", to: this.#self(), rooms: joined });
  }

  leave(room: Room): Promise<void> | void {
    if (this.#ended) return;
    this.#exit(room);
    this.nsp.session.tell({ type: "leave", to: this.#self(), rooms: [room] });
  }

  /** Ends this socket; with `close` the client's whole line and all its sockets. The stock client does not come back. */
  disconnect(close = false): this {
    if (!this.connected) return this;
    const to = this.#self();
    this.nsp.session.tell(close ? { type: "expel", to } : { type: "close", to, connection: false });
    this._ended("server namespace disconnect");
    return this;
  }

  /** Looks at each event of the client before its listeners; `next(error)` drops it and emits "error" here. */
  use(middleware: (event: Event, next: (err?: Error) => void) => void): this {
    this.#middlewares = [...this.#middlewares, middleware];
    return this;
  }

  onAny(listener: AnyListener): this {
    this.#anyListeners = [...this.#anyListeners, listener];
    return this;
  }

  prependAny(listener: AnyListener): this {
    this.#anyListeners = [listener, ...this.#anyListeners];
    return this;
  }

  offAny(listener?: AnyListener): this {
    this.#anyListeners = without(this.#anyListeners, listener);
    return this;
  }

  listenersAny(): AnyListener[] {
    return [...this.#anyListeners];
  }

  onAnyOutgoing(listener: AnyListener): this {
    this.#anyOutgoing = [...this.#anyOutgoing, listener];
    this.#watchOutgoing();
    return this;
  }

  prependAnyOutgoing(listener: AnyListener): this {
    this.#anyOutgoing = [listener, ...this.#anyOutgoing];
    this.#watchOutgoing();
    return this;
  }

  offAnyOutgoing(listener?: AnyListener): this {
    this.#anyOutgoing = without(this.#anyOutgoing, listener);
    this.#watchOutgoing();
    return this;
  }

  listenersAnyOutgoing(): AnyListener[] {
    return [...this.#anyOutgoing];
  }

  /** Something is sent to this client, also among others. @internal */
  _outgoing(event: unknown[]): void {
    for (const listener of this.#anyOutgoing) callUser(this, listener, event as Event);
  }

  /** @internal */
  _dataChanged(data: string): void {
    this.nsp.session.tell({ type: "data", socket: this.id, data });
  }

  /** @internal */
  _dataFault(err: unknown): void {
    this.server._logger.warn({ err, socket: this.id }, "socket.data is not JSON; it is not kept");
  }

  /** Middlewares have passed. @internal */
  _accepted(): void {
    this.#enter(this.id);
    this.connected = true;
    this.#data.check();
  }

  /** An event of the client. @internal */
  _onEvent(args: unknown[], ack: number | null): void {
    if (ack !== null) args.push(this.#answerer(ack));
    const event = args as Event;
    for (const listener of this.#anyListeners) callUser(this, listener, event);
    const deliver = (error?: Error) => {
      if (error) callListeners(this, "error", [error]);
      else if (this.connected && this.nsp._rooms?.onEvent(this, event) !== true) {
        callListeners(this, event[0], event.slice(1));
      }
    };
    if (this.#middlewares.length === 0) deliver();
    else runMiddlewares(this.#middlewares, event, () => new Error("a middleware failed"), deliver);
  }

  /** Rooms changed by somebody else. @internal */
  _roomsChanged(joined: readonly Room[], left: readonly Room[]): void {
    for (const room of joined) this.#enter(room);
    for (const room of left) this.#exit(room);
  }

  /** Ends the line, and with it every socket on it: the client broke the rules, or somebody asked. @internal */
  _closeLine(): void {
    this.nsp.session.tell({ type: "close", to: this.#self(), connection: true });
  }

  /** This server holds the socket no longer. @internal */
  _ended(reason: DisconnectReason): void {
    if (this.#ended) return;
    this.#handedOver = reason === "server shutting down";
    const wasConnected = this.connected;
    if (wasConnected) callListeners(this, "disconnecting", [reason]);
    this.#ended = true;
    if (this.#rooms instanceof Set) this.#rooms.clear();
    this.#rooms = noRooms;
    this.nsp._view?._gone(this.id);
    this.connected = false;
    this.nsp._forget(this);
    this.nsp._watchers.delete(this);
    if (wasConnected) callListeners(this, "disconnect", [reason]);
    this.server._release(this, this.conn, reason);
  }

  #watchOutgoing(): void {
    if (this.#anyOutgoing.length > 0 && !this.#ended) this.nsp._watchers.add(this);
    else this.nsp._watchers.delete(this);
  }

  #enter(room: Room): void {
    if (hasRoom(this.#rooms, room)) return;
    this.#rooms = withRoom(this.#rooms, room);
    this.nsp._view?._joined(this.id, room);
  }

  #exit(room: Room): void {
    if (!hasRoom(this.#rooms, room)) return;
    this.#rooms = withoutRoom(this.#rooms, room);
    this.nsp._view?._left(this.id, room);
  }

  #self(): { namespace: string; rooms: string[]; except: string[] } {
    return { namespace: this.nsp.name, rooms: [this.id], except: [] };
  }

  #takeFlags(): BroadcastFlags {
    const flags = this.#flags;
    this.#flags = noFlags;
    return flags;
  }

  #answerer(ack: number): AnyFunction {
    let sent = false;
    this.nsp.session.owed.owe(ack);
    return (...args: unknown[]) => {
      if (sent || (this.#ended && !this.#handedOver)) return;
      sent = true;
      this.nsp.session.reply(this.id, ack, args);
    };
  }
}

function ignore(): void {}

function without(listeners: readonly AnyListener[], listener: AnyListener | undefined): readonly AnyListener[] {
  if (listener === undefined) return none;
  const index = listeners.indexOf(listener);
  return index < 0 ? listeners : listeners.toSpliced(index, 1);
}
