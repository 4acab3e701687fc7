/**
 * What a server does in the name of its namespace `/`: sending, rooms, middlewares, listeners. Each goes to
 * `sockets` by the same name.
 */
import type { BroadcastOperator, ManyAnswers, RemoteSocket, Room, SocketId } from "./broadcast-operator.ts";
import type { ExtendedError, Namespace, ServerReservedEventsMap } from "./namespace.ts";
import type { OpenedRooms, RoomPattern, RoomRules } from "./open-rooms.ts";
import type { Published } from "./session.ts";
import type { Socket } from "./socket.ts";
import {
  type AllButLast,
  type Any,
  type DecorateAcknowledgements,
  type DecorateAcknowledgementsWithTimeoutAndMultipleResponses,
  type EventNames,
  type EventNamesWithAck,
  type EventParams,
  type EventsMap,
  type FirstNonErrorArg,
  type Last,
  type RemoveAcknowledgements,
  StrictEventEmitter,
} from "./typed-events.ts";

export abstract class ServerFront<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> extends StrictEventEmitter<
  ServerSideEvents,
  RemoveAcknowledgements<EmitEvents>,
  ServerReservedEventsMap<ListenEvents, EmitEvents, ServerSideEvents, SocketData>
> {
  /** The namespace `/`, to which all of this class's own sending goes. */
  abstract readonly sockets: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;

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

  serverSideEmit<Ev extends EventNames<ServerSideEvents>>(
    ev: Ev,
    ...args: EventParams<DecorateAcknowledgementsWithTimeoutAndMultipleResponses<ServerSideEvents>, Ev>
  ): boolean {
    return this.sockets.serverSideEmit(ev, ...args);
  }

  serverSideEmitWithAck<Ev extends EventNamesWithAck<ServerSideEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<ServerSideEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<ServerSideEvents, Ev>>>[]> {
    return this.sockets.serverSideEmitWithAck(ev, ...args);
  }

  /** Opens rooms to clients over plain HTTP, and to sockets that ask to join. */
  open(pattern: RoomPattern, rules: RoomRules): OpenedRooms {
    return this.sockets.open(pattern, rules);
  }

  /** Names the place in the stream behind all that this server emitted before. */
  offset(): Promise<string> {
    return this.sockets.offset();
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
}

type AnyFront = ServerFront<EventsMap, EventsMap, EventsMap, Any>;

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
  Object.defineProperty(ServerFront.prototype, name, {
    configurable: true,
    writable: true,
    value(this: AnyFront, ...args: unknown[]) {
      const result: unknown = Reflect.apply(this.sockets[name] as (...args: unknown[]) => unknown, this.sockets, args);
      return result === this.sockets ? this : result;
    },
  });
}
