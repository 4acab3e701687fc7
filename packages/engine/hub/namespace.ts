/**
 * One namespace: who is in it and in its rooms, its pipeline, and where its stream stands. Owns the fan-out, which is the
 * hot path: one call per client and nothing else, no allocation per emit.
 *
 * Invariant: a room is in `rooms` while it has members; a socket is in a room's set exactly when the room is in its own.
 */
import { assert } from "@tideway/base";
import type { Outgoing, Selector, SessionRecord, StreamState } from "./contract.ts";
import { encodeOffset } from "./offsets.ts";
import type { Outbox } from "./outbox.ts";
import { Pipeline } from "./pipeline.ts";
import type { WatchedRooms } from "./presence.ts";
import { Queue } from "./queue.ts";
import type { Readers } from "./readers.ts";
import type { RecentOfStream } from "./recent.ts";
import type { HubSocket } from "./socket.ts";

export const StreamPhase = {
  closed: 0,
  opening: 1,
  open: 2,
} as const;
export type StreamPhase = (typeof StreamPhase)[keyof typeof StreamPhase];

export class Namespace {
  readonly name: string;
  readonly pipeline: Pipeline;
  /** All that can be named by id, by id: those that are still arriving, too. */
  readonly sockets = new Map<string, HubSocket>();
  /** Those that an emit to everybody reaches. */
  readonly members = new Set<HubSocket>();
  readonly rooms = new Map<string, Set<HubSocket>>();
  phase: StreamPhase = StreamPhase.closed;
  epoch = "";
  /** Sequence of the last event that took effect. */
  lastSeq = 0;
  /** Its last events, up to `lastSeq`; empty unless sessions can be taken up, or rooms were opened. */
  readonly recent: RecentOfStream = new Queue();
  /** Weight of emits that wait for the store. */
  pendingWeight = 0;
  /** Records of sessions that the store had no room for, by private id: written again before the next event is. */
  readonly unsaved = new Map<string, SessionRecord>();
  /** Rooms whose presence is watched; null where none ever was. */
  watched: WatchedRooms | null = null;
  /** Who reads its rooms over plain HTTP; null where no room was ever opened. */
  readers: Readers | null = null;
  #marks = 0;

  constructor(name: string, outbox: Outbox) {
    this.name = name;
    this.pipeline = new Pipeline(outbox);
  }

  opened(state: StreamState): void {
    // A store without room cannot make a new stream: it is asked again the next time.
    this.phase = state.epoch === "" ? StreamPhase.closed : StreamPhase.open;
    this.epoch = state.epoch;
    this.lastSeq = state.last;
  }

  /** Names the place behind the last event that took effect. */
  get offset(): string {
    return encodeOffset(this.epoch, this.lastSeq);
  }

  /** Nothing would be lost if it were forgotten. */
  get isDisposable(): boolean {
    return this.phase === StreamPhase.closed && this.sockets.size === 0 && this.pipeline.idle;
  }

  /* ---------------------------------------------------------------- rooms */

  join(socket: HubSocket, room: string): boolean {
    if (room === socket.id) return false;
    socket.rooms ??= new Set();
    if (socket.rooms.has(room)) return false;
    socket.rooms.add(room);
    const members = this.rooms.get(room);
    if (members === undefined) this.rooms.set(room, new Set([socket]));
    else members.add(socket);
    this.watched?.joined(socket, room);
    return true;
  }

  leave(socket: HubSocket, room: string): boolean {
    if (!this.#leave(socket, room)) return false;
    this.watched?.left(socket, room);
    return true;
  }

  #leave(socket: HubSocket, room: string): boolean {
    if (socket.rooms?.delete(room) !== true) return false;
    const members = this.rooms.get(room);
    members?.delete(socket);
    if (members?.size === 0) this.rooms.delete(room);
    return true;
  }

  remove(socket: HubSocket): void {
    // Those that said so have left already: see `departures.ts`.
    this.watched?.lost(socket);
    if (socket.rooms !== null) for (const room of [...socket.rooms]) this.#leave(socket, room);
    this.members.delete(socket);
    if (this.sockets.get(socket.id) === socket) this.sockets.delete(socket.id);
  }

  /* ---------------------------------------------------------------- fan-out */

  /** Sends to all that match; each gets it once. To how many. */
  send(to: Selector, packet: Outgoing): number {
    const { rooms, except } = to;
    if (except.length === 0 && rooms.length <= 1) return this.#sendToOne(rooms[0], packet);
    const mark = this.#marked(except);
    let sent = 0;
    if (rooms.length === 0) {
      for (const socket of this.members) sent += sendOnce(socket, packet, mark);
      return sent;
    }
    for (const room of rooms) {
      const members = this.rooms.get(room);
      if (members !== undefined) for (const socket of members) sent += sendOnce(socket, packet, mark);
      const named = this.sockets.get(room);
      if (named !== undefined) sent += sendOnce(named, packet, mark);
    }
    return sent;
  }

  #sendToOne(room: string | undefined, packet: Outgoing): number {
    if (room === undefined) {
      for (const socket of this.members) socket.sink.send(packet);
      return this.members.size;
    }
    const members = this.rooms.get(room);
    if (members !== undefined) for (const socket of members) socket.sink.send(packet);
    const sent = members?.size ?? 0;
    const named = this.sockets.get(room);
    if (named === undefined || members?.has(named) === true) return sent;
    named.sink.send(packet);
    return sent + 1;
  }

  /** All that match, each once. */
  select(to: Selector): HubSocket[] {
    const mark = this.#marked(to.except);
    const found: HubSocket[] = [];
    const add = (socket: HubSocket) => {
      if (socket.mark === mark) return;
      socket.mark = mark;
      found.push(socket);
    };
    if (to.rooms.length === 0) for (const socket of this.members) add(socket);
    for (const room of to.rooms) {
      for (const socket of this.rooms.get(room) ?? []) add(socket);
      const named = this.sockets.get(room);
      if (named !== undefined) add(named);
    }
    return found;
  }

  /** A new mark, put on those that are excepted. */
  #marked(except: readonly string[]): number {
    const mark = ++this.#marks;
    for (const room of except) {
      const members = this.rooms.get(room);
      if (members !== undefined) for (const socket of members) socket.mark = mark;
      const named = this.sockets.get(room);
      if (named !== undefined) named.mark = mark;
    }
    return mark;
  }

  /** Throws when sockets and rooms disagree. For tests, after each transition. */
  assertInvariants(): void {
    for (const [room, members] of this.rooms) {
      assert(members.size > 0, `room ${room} has members`);
      for (const socket of members) {
        assert(socket.rooms?.has(room) === true, `${socket.id} knows that it is in ${room}`);
        assert(this.sockets.get(socket.id) === socket, `${socket.id} in ${room} is in the namespace`);
      }
    }
    for (const [id, socket] of this.sockets) {
      assert(socket.id === id && socket.namespace === this.name && !socket.gone, `${id} belongs here`);
      for (const room of socket.rooms ?? []) assert(this.rooms.get(room)?.has(socket) === true, `${room} knows ${id}`);
    }
    for (const socket of this.members) assert(this.sockets.get(socket.id) === socket, `${socket.id} is known`);
    const { first, length } = this.recent;
    if (first !== null) assert(first.seq + length - 1 === this.lastSeq, "the recent events are dense up to the last");
    if (this.pipeline.idle) assert(this.pendingWeight === 0, "nothing pends when the pipeline is idle");
  }
}

function sendOnce(socket: HubSocket, packet: Outgoing, mark: number): 0 | 1 {
  if (socket.mark === mark) return 0;
  socket.mark = mark;
  socket.sink.send(packet);
  return 1;
}
