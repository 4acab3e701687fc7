/**
 * Which sockets, and how: the chain `io.to("a").except("b").volatile` and what can be done at its end. Every step makes
 * a new operator, so that one can be kept and used again. And `RemoteSocket`: a socket of some server, seen from here.
 */
import type { Selector } from "@tideway/engine/hub";
import { reservedEvents } from "@tideway/wire/socketio";
import { type Handshake, readHandshake } from "./handshake.ts";
import type { AnswerCollector, FoundSockets, HubSession, Published } from "./session.ts";
import type {
  AllButLast,
  Any,
  DecorateAcknowledgements,
  DecorateAcknowledgementsWithMultipleResponses,
  DefaultEventsMap,
  EventNames,
  EventNamesWithAck,
  EventParams,
  EventsMap,
  FirstNonErrorArg,
  Last,
} from "./typed-events.ts";
import { callUser } from "./user-code.ts";

export type Room = string;
export type SocketId = string;

interface OwnSocket {
  readonly id: SocketId;
  readonly rooms: ReadonlySet<Room>;
  join(rooms: Room[]): unknown;
  leave(room: Room): unknown;
  disconnect(close: boolean): unknown;
  _outgoing(event: unknown[]): void;
}

/** What an operator needs of a namespace. */
export interface Audience {
  readonly name: string;
  readonly session: HubSession;
  /** Those that this server holds. */
  readonly sockets: ReadonlyMap<SocketId, OwnSocket>;
  /** Those of them that listen to what is sent to them. */
  readonly _watchers: ReadonlySet<OwnSocket>;
}

export interface BroadcastFlags {
  readonly volatile?: boolean;
  readonly compress?: boolean;
  readonly local?: boolean;
  readonly timeoutMs?: number;
  readonly single?: boolean;
  readonly key?: string;
}

const noRooms: ReadonlySet<Room> = new Set();
const noFlags: BroadcastFlags = {};

export class BroadcastOperator<EmitEvents extends EventsMap = DefaultEventsMap, SocketData = Any> {
  readonly #audience: Audience;
  readonly #rooms: ReadonlySet<Room>;
  readonly #except: ReadonlySet<Room>;
  readonly #flags: BroadcastFlags;

  constructor(
    audience: Audience,
    rooms: ReadonlySet<Room> = noRooms,
    except: ReadonlySet<Room> = noRooms,
    flags: BroadcastFlags = noFlags,
  ) {
    this.#audience = audience;
    this.#rooms = rooms;
    this.#except = except;
    this.#flags = flags;
  }

  /** Sockets in `room`, or in any of several; each further call adds more. */
  to(room: Room | Room[]): BroadcastOperator<EmitEvents, SocketData> {
    return new BroadcastOperator(this.#audience, plus(this.#rooms, room), this.#except, this.#flags);
  }

  in(room: Room | Room[]): BroadcastOperator<EmitEvents, SocketData> {
    return this.to(room);
  }

  /** But not those in `room`. */
  except(room: Room | Room[]): BroadcastOperator<EmitEvents, SocketData> {
    return new BroadcastOperator(this.#audience, this.#rooms, plus(this.#except, room), this.#flags);
  }

  /** False: the event's frames are not compressed, where the transports compress at all. */
  compress(compress: boolean): BroadcastOperator<EmitEvents, SocketData> {
    return this.#with({ compress });
  }

  /** May be dropped for a client that is slow, and is never stored. */
  get volatile(): BroadcastOperator<EmitEvents, SocketData> {
    return this.#with({ volatile: true });
  }

  /** Only sockets that this server holds. */
  get local(): BroadcastOperator<EmitEvents, SocketData> {
    return this.#with({ local: true });
  }

  /** How long acknowledgements may take, in ms; their callback then gets an error first. */
  timeout(timeout: number): BroadcastOperator<DecorateAcknowledgements<EmitEvents>, SocketData> {
    return this.#with({ timeoutMs: timeout }) as BroadcastOperator<Any, SocketData>;
  }

  /** For {@link publish}: a second publish with the same key publishes nothing, and gets the first one's answer. */
  idempotencyKey(key: string): BroadcastOperator<EmitEvents, SocketData> {
    return this.#with({ key });
  }

  /**
   * Sends an event to all that match. With a function as last argument, asks each client for an answer:
   * `(error, answers)`, the error when a client did not answer in time or went away.
   */
  emit<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): boolean {
    const data: unknown[] = [ev, ...args];
    checkName(ev);
    const last = data.at(-1);
    const collector =
      typeof last === "function" ? collectAnswers(last as AnyFunction, this.#flags.single === true) : null;
    if (collector !== null) data.pop();
    for (const socket of this.#audience._watchers) if (this.#matches(socket)) socket._outgoing(data);
    const to = this.#selector();
    if (to === null) {
      if (collector !== null) queueMicrotask(() => collector.onAnswered(0));
      return true;
    }
    const { volatile = false, compress = true, timeoutMs = 0 } = this.#flags;
    const flags = { volatile, compress, timeoutMs: Math.max(0, Math.round(timeoutMs)) };
    this.#audience.session.emit(to, data, flags, collector);
    return true;
  }

  /** {@link emit} with an acknowledgement, as a promise of all clients' answers. */
  emitWithAck<Ev extends EventNamesWithAck<EmitEvents>>(
    ev: Ev,
    ...args: AllButLast<EventParams<EmitEvents, Ev>>
  ): Promise<FirstNonErrorArg<Last<EventParams<EmitEvents, Ev>>>> {
    return withAnswers((done) => this.emit(ev, ...([...args, done] as unknown as EventParams<EmitEvents, Ev>)));
  }

  /**
   * Sends an event and says when it is committed to the stream, and where. Rejects with a `PublishError` whose `code`
   * says why; after `HUB_LOST` it is not known whether the event was published, and only a key makes "again" safe.
   */
  async publish<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): Promise<Published> {
    checkName(ev);
    if (this.#flags.volatile === true || this.#flags.local === true) {
      throw new TypeError("publish() stores the event for all servers: it cannot be volatile or local");
    }
    const to: Selector = { namespace: this.#audience.name, rooms: [...this.#rooms], except: [...this.#except] };
    return this.#audience.session.publish(to, [ev, ...args], this.#flags.key ?? null);
  }

  /** All sockets that match, on every server. */
  async fetchSockets(): Promise<RemoteSocket<EmitEvents, SocketData>[]> {
    const to = this.#selector();
    if (to === null) return [];
    const found = await this.#audience.session.find(to);
    return found.map((socket) => {
      const own = this.#audience.sockets.get(socket.id);
      if (own !== undefined) return own as unknown as RemoteSocket<EmitEvents, SocketData>;
      return new RemoteSocket<EmitEvents, SocketData>(this.#audience, socket);
    });
  }

  /** @deprecated as in Socket.IO: see {@link fetchSockets}. */
  async allSockets(): Promise<Set<SocketId>> {
    return new Set((await this.fetchSockets()).map((socket) => socket.id));
  }

  /** All that match join the room, or rooms. */
  socketsJoin(room: Room | Room[]): void {
    const rooms = [room].flat();
    const others = this.#eachOwn((socket) => socket.join(rooms));
    if (others !== null) this.#audience.session.tell({ type: "join", to: others, rooms });
  }

  socketsLeave(room: Room | Room[]): void {
    const rooms = [room].flat();
    const others = this.#eachOwn((socket) => {
      for (const left of rooms) socket.leave(left);
    });
    if (others !== null) this.#audience.session.tell({ type: "leave", to: others, rooms });
  }

  /** Ends all that match: their namespace, or with `close` their whole connection. */
  disconnectSockets(close = false): void {
    const to = this.#eachOwn((socket) => socket.disconnect(close));
    if (to !== null)
      this.#audience.session.tell(close ? { type: "expel", to } : { type: "close", to, connection: false });
  }

  #with(flags: BroadcastFlags): BroadcastOperator<EmitEvents, SocketData> {
    return new BroadcastOperator(this.#audience, this.#rooms, this.#except, { ...this.#flags, ...flags });
  }

  /** For the hub. `local` becomes a list of our own sockets, for no hub knows what is local to a server; null for none. */
  #selector(): Selector | null {
    const namespace = this.#audience.name;
    if (this.#flags.local !== true) return { namespace, rooms: [...this.#rooms], except: [...this.#except] };
    const rooms = this.#own().map((socket) => socket.id);
    return rooms.length === 0 ? null : { namespace, rooms, except: [] };
  }

  #own(): OwnSocket[] {
    return [...this.#audience.sockets.values()].filter((socket) => this.#matches(socket));
  }

  #matches({ rooms }: OwnSocket): boolean {
    return (this.#rooms.size === 0 || !this.#rooms.isDisjointFrom(rooms)) && this.#except.isDisjointFrom(rooms);
  }

  /**
   * Does it to our own sockets at once, one by one, so that what they say of themselves is true when this returns. What
   * is left for the hub to find: sockets of other servers, or null when there can be none.
   */
  #eachOwn(act: (socket: OwnSocket) => void): Selector | null {
    const own = this.#own();
    const ids = own.map((socket) => socket.id);
    for (const socket of own) act(socket);
    const onlyOwn = this.#rooms.size > 0 && [...this.#rooms].every((room) => ids.includes(room));
    if (this.#flags.local === true || onlyOwn) return null;
    return { namespace: this.#audience.name, rooms: [...this.#rooms], except: [...this.#except, ...ids] };
  }
}

/** A socket that another server may hold. */
export class RemoteSocket<EmitEvents extends EventsMap = DefaultEventsMap, SocketData = Any> {
  readonly id: SocketId;
  readonly handshake: Handshake;
  readonly rooms: Set<Room>;
  readonly data: SocketData;
  readonly #operator: BroadcastOperator<EmitEvents, SocketData>;

  constructor(audience: Audience, found: FoundSockets[number]) {
    this.id = found.id;
    this.handshake = readHandshake(found.handshake, found.auth);
    this.rooms = new Set(found.rooms);
    this.data = (found.data === "" ? {} : JSON.parse(found.data)) as SocketData;
    this.#operator = new BroadcastOperator(audience, new Set([this.id]), noRooms, { single: true });
  }

  timeout(timeout: number): BroadcastOperator<DecorateAcknowledgements<EmitEvents>, SocketData> {
    return this.#operator.timeout(timeout);
  }

  emit<Ev extends EventNames<EmitEvents>>(ev: Ev, ...args: EventParams<EmitEvents, Ev>): boolean {
    return this.#operator.emit(ev, ...args);
  }

  join(room: Room | Room[]): void {
    this.#operator.socketsJoin(room);
  }

  leave(room: Room): void {
    this.#operator.socketsLeave(room);
  }

  disconnect(close = false): this {
    this.#operator.disconnectSockets(close);
    return this;
  }
}

export type ManyAnswers<EmitEvents extends EventsMap> = DecorateAcknowledgementsWithMultipleResponses<EmitEvents>;
type AnyFunction = (...args: Any[]) => unknown;

/** An acknowledgement as a promise: an error has the answers that came before it as `responses`. */
export function withAnswers(ask: (done: AnyFunction) => void): Promise<Any> {
  return new Promise((resolve, reject) => {
    ask((error: (Error & { responses?: unknown }) | null, responses: Any) => {
      if (error === null) resolve(responses);
      else reject(Object.assign(error, { responses }));
    });
  });
}

export function checkName(name: string | symbol | number): void {
  if (typeof name === "string" && reservedEvents.has(name)) {
    throw new Error(`"${name}" is a reserved event name`);
  }
}

function collectAnswers(done: AnyFunction, single: boolean): AnswerCollector {
  const answers: unknown[] = [];
  return {
    onAnswer(args) {
      answers.push(args[0]);
      return false;
    },
    onAnswered(missing) {
      const error = missing > 0 ? new Error("operation has timed out") : null;
      const value = single ? (error === null ? answers[0] : null) : answers;
      callUser(undefined, done, [error, value]);
    },
  };
}

function plus(rooms: ReadonlySet<Room>, more: Room | Room[]): Set<Room> {
  const all = new Set(rooms);
  if (!Array.isArray(more)) return all.add(more);
  for (const room of more) all.add(room);
  return all;
}
