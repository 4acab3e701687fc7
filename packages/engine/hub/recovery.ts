/**
 * Takes up a session where its client was. In this order, and each step for a reason:
 *
 * 1. A socket with the same private id that is thought alive is a ghost: its line is closed, quietly.
 * 2. The session's record is loaded; from that moment the socket is in its rooms, and what is live is held back.
 * 3. What came between the client's offset and that moment is read from the stream, and kept if it was the client's.
 * 4. Only when nothing can be missing (epoch, retention, bounds) is the session taken up. Otherwise it is a new one.
 *
 * What was read goes out before CONNECT, what was held back after it (`arrivals.ts`).
 */
import type { ClientConnection } from "./connection.ts";
import type { Outgoing, SessionRecord, StoredEvent, StreamState } from "./contract.ts";
import type { Departures } from "./departures.ts";
import type { Namespace } from "./namespace.ts";
import { decodeOffset } from "./offsets.ts";
import { type RecentEvent, recentEvent, storedPacket } from "./recent.ts";
import type { Registry } from "./registry.ts";
import type { Seating } from "./seating.ts";
import { concerns, firstSeq, SessionMemory } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { HubSocket, Sink } from "./socket.ts";

/** The socket is in its rooms; this is what is still to be found out. */
interface Gap {
  readonly socket: HubSocket;
  readonly namespace: Namespace;
  readonly record: SessionRecord;
  /** Rooms that it is or was in, its own among them: most of what others got was for none of these. */
  readonly rooms: ReadonlySet<string>;
  /** Events after this are still to be read. */
  after: number;
  /** Events after this are live. */
  readonly until: number;
  readonly missed: Outgoing[];
  bytes: number;
  looked: number;
  fault: Unrecovered;
  readonly done: (recovered: boolean) => void;
}

/** Why a session could not be taken up: the counter's name. */
type Unrecovered = "unrecoveredSession" | "unrecoveredOffset" | "unrecoveredTrimmed" | "unrecoveredTooMuch";

export class Recovery {
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #departures: Departures;
  readonly #seating: Seating;

  constructor(registry: Registry, sessions: Sessions, departures: Departures, seating: Seating) {
    this.#registry = registry;
    this.#sessions = sessions;
    this.#departures = departures;
    this.#seating = seating;
  }

  /**
   * Tries to take up the session `pid`. `holdBack` makes the place for what is live. `done` is called with false when
   * the session must be a new one: the socket is then as it was before.
   */
  begin(
    socket: HubSocket,
    pid: string,
    offset: unknown,
    holdBack: (socket: HubSocket) => Sink,
    done: (recovered: boolean) => void,
  ): void {
    const { outbox } = this.#registry.surroundings;
    this.#evictGhost(pid, socket.namespace);
    const claims = !this.#registry.sessions.has(pid);
    if (claims) {
      socket.pid = pid;
      this.#registry.sessions.set(pid, socket);
    }
    this.#sessions.load(socket.namespace, pid, (record) => {
      outbox.run(() => {
        // Another attempt of the same client may have ended this one.
        if (socket.gone) return;
        if (!claims || record === null) {
          this.#fail(socket, null, "unrecoveredSession", done);
          return;
        }
        const namespace = this.#registry.stream(socket.namespace);
        namespace.pipeline.run(() => {
          if (!socket.gone) this.#subscribe(socket, namespace, record, offset, holdBack, done);
        });
      });
    });
  }

  /** Knowing the private id is proof enough that it is the same client, and that the old line is dead. */
  #evictGhost(pid: string, namespace: string): void {
    const ghost = this.#registry.sessions.get(pid);
    if (ghost === undefined || ghost.namespace !== namespace) return;
    this.#registry.counters.ghosts++;
    this.#departures.closeLine(ghost.connection as ClientConnection, "transport close");
  }

  #subscribe(
    socket: HubSocket,
    namespace: Namespace,
    record: SessionRecord,
    offset: unknown,
    holdBack: (socket: HubSocket) => Sink,
    done: (recovered: boolean) => void,
  ): void {
    const after = startOf(namespace, record, offset);
    if (after === null || this.#registry.sockets.has(record.socket)) {
      this.#fail(socket, record, "unrecoveredOffset", done);
      return;
    }
    socket.id = record.socket;
    socket.data = record.data;
    socket.session = new SessionMemory(0, this.#registry.surroundings.limits.pastMembershipsMax, record);
    socket.sink = holdBack(socket);
    this.#registry.sockets.set(socket.id, socket);
    namespace.sockets.set(socket.id, socket);
    namespace.members.add(socket);
    for (const room of socket.session.rooms) namespace.join(socket, room);
    const until = namespace.lastSeq;
    this.#read({
      socket,
      namespace,
      record,
      rooms: new Set([record.socket, ...record.rooms.map(({ room }) => room)]),
      after,
      until,
      missed: [],
      bytes: 0,
      looked: 0,
      fault: "unrecoveredTooMuch",
      done,
    });
  }

  #read(gap: Gap): void {
    if (!this.#takeRecent(gap)) {
      this.#fail(gap.socket, gap.record, gap.fault, gap.done);
      return;
    }
    if (gap.after >= gap.until) {
      this.#succeed(gap);
      return;
    }
    const { limits, store, outbox } = this.#registry.surroundings;
    // Up to where it is at hand again.
    const end = Math.min(gap.until, (gap.namespace.recent.first?.seq ?? Number.POSITIVE_INFINITY) - 1);
    const count = Math.min(limits.recoveryReadEvents, end - gap.after);
    store?.read(gap.namespace.name, gap.after, count, (events, state) => {
      if (gap.socket.gone) return;
      outbox.run(() => {
        if (this.#takeStored(gap, events, state)) this.#read(gap);
        else this.#fail(gap.socket, gap.record, gap.fault, gap.done);
      });
    });
  }

  /** Takes what is at hand. False when it is too much. */
  #takeRecent(gap: Gap): boolean {
    const { recent } = gap.namespace;
    while (gap.after < gap.until) {
      const event = recentEvent(recent, gap.after + 1);
      if (event === null) return true;
      if (!this.#takeOne(gap, event)) return false;
    }
    return true;
  }

  /** False when the gap cannot be filled. */
  #takeStored(gap: Gap, events: readonly StoredEvent[], state: StreamState): boolean {
    const { epoch } = gap.namespace;
    const trimmed = () => {
      gap.fault = "unrecoveredTrimmed";
      return false;
    };
    if (state.epoch !== epoch || events.length === 0) return trimmed();
    for (const event of events) {
      if (gap.after >= gap.until) return true;
      // Dense: anything else means that retention has taken some of them, perhaps all up to beyond the gap.
      if (event.seq !== gap.after + 1) return trimmed();
      if (!this.#takeOne(gap, event)) return false;
    }
    return true;
  }

  /** The next event of the gap. False when that is one, or some bytes, too many. */
  #takeOne(gap: Gap, event: RecentEvent | StoredEvent): boolean {
    const { limits } = this.#registry.surroundings;
    gap.after = event.seq;
    if (++gap.looked > limits.recoveryEventsMax) return false;
    // Thousands that come back at once each look at what was for each of the others: before all else, a look at the name.
    if (event.rooms.length === 1 && !gap.rooms.has(event.rooms[0]!)) return true;
    if (!concerns(gap.record, event)) return true;
    const { name, epoch } = gap.namespace;
    const packet = "packet" in event ? event.packet : storedPacket(name, epoch, event);
    gap.missed.push(packet);
    gap.bytes += packet.bytes;
    return gap.bytes <= limits.recoveryBytesMax;
  }

  #succeed(gap: Gap): void {
    const { socket } = gap;
    socket.recovered = true;
    socket.missed = gap.missed;
    this.#seating.adopt(socket);
    this.#registry.counters.recovered++;
    this.#registry.counters.recoveredEvents += gap.missed.length;
    gap.done(true);
  }

  /** Undoes what was begun: the session becomes a new one. */
  #fail(socket: HubSocket, record: SessionRecord | null, why: Unrecovered, done: (recovered: boolean) => void): void {
    const { sessions, sockets, namespaces, surroundings, counters } = this.#registry;
    if (record !== null) this.#sessions.dropPid(record.pid);
    if (sessions.get(socket.pid) === socket) sessions.delete(socket.pid);
    if (sockets.get(socket.id) === socket) sockets.delete(socket.id);
    namespaces.get(socket.namespace)?.remove(socket);
    socket.pid = "";
    socket.id = surroundings.random.id();
    socket.data = "";
    socket.session = null;
    counters.unrecovered++;
    counters[why]++;
    done(false);
  }
}

/** The sequence after which the client has to be served; null when that cannot be known, or not be done. */
function startOf(namespace: Namespace, record: SessionRecord, offset: unknown): number | null {
  const first = firstSeq(record);
  if (offset === undefined || offset === null) return first < record.floor ? null : first;
  const at = decodeOffset(offset);
  if (at === null || at.epoch !== namespace.epoch || at.seq > namespace.lastSeq || at.seq < record.floor) return null;
  return Math.max(at.seq, first);
}
