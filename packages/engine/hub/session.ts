/**
 * What makes a client's session recoverable: which rooms it was in, from which sequence to which. Kept as the server
 * wants it (ahead of what is in effect, while emits wait for the store) and stored at every change.
 */
import type { Membership, SessionRecord } from "./contract.ts";

/** In a record: the stream's last sequence when the record is committed. */
export const atCommit = -1;

interface Span {
  readonly id: number;
  readonly room: string;
  from: number;
  until: number | null;
}

/** One session's memberships. Sequences that are not known yet are `atCommit` until the change is in effect. */
export class SessionMemory {
  startSeq: number;
  #floor: number;
  #ids: number;
  readonly #current = new Map<string, Span>();
  #past: Span[] = [];
  readonly #pastMax: number;

  constructor(startSeq: number, pastMax: number, record: SessionRecord | null = null) {
    this.startSeq = record === null ? startSeq : record.startSeq;
    this.#floor = record === null ? 0 : record.floor;
    this.#pastMax = pastMax;
    this.#ids = 0;
    if (record === null) return;
    for (const membership of record.rooms) {
      this.#ids = Math.max(this.#ids, membership.id);
      if (membership.until === null) this.#current.set(membership.room, { ...membership });
      else this.#past.push({ ...membership });
    }
  }

  has(room: string): boolean {
    return this.#current.has(room);
  }

  /** Rooms that it is in. */
  get size(): number {
    return this.#current.size;
  }

  get rooms(): Iterable<string> {
    return this.#current.keys();
  }

  /** Opens a membership; what is returned sets its sequence when that is known. */
  join(room: string, from: number): (from: number) => void {
    const span: Span = { id: ++this.#ids, room, from, until: null };
    this.#current.set(room, span);
    return (known) => {
      span.from = known;
    };
  }

  /** Ends a membership; what is returned sets its sequence when that is known. Null when there is none. */
  leave(room: string, until: number): ((until: number) => void) | null {
    const span = this.#current.get(room);
    if (span === undefined) return null;
    this.#current.delete(room);
    span.until = until;
    this.#past.push(span);
    this.#prune();
    return (known) => {
      span.until = known;
    };
  }

  record(pid: string, socket: string, namespace: string, data: string): SessionRecord {
    const rooms: Membership[] = [];
    for (const span of this.#past) rooms.push({ ...span });
    for (const span of this.#current.values()) rooms.push({ ...span });
    return { pid, socket, namespace, rooms, data, startSeq: this.startSeq, floor: this.#floor };
  }

  /** Forgets the oldest endings. A client that has not got beyond them cannot be taken up any more. */
  #prune(): void {
    while (this.#past.length > this.#pastMax) {
      const oldest = this.#past[0]!;
      // Not known yet: it will be soon, and then the next change forgets it.
      if (oldest.until === null || oldest.until === atCommit) return;
      this.#floor = Math.max(this.#floor, oldest.until);
      this.#past.shift();
    }
  }
}

/** Puts sequences in the places of `atCommit`: those of the earlier record where it has them, otherwise `last`. */
export function resolveRecord(record: SessionRecord, earlier: SessionRecord | null, last: number): SessionRecord {
  const known = new Map(earlier?.rooms.map((membership) => [membership.id, membership]));
  const resolve = (seq: number, before: number | null | undefined) => (seq === atCommit ? (before ?? last) : seq);
  return {
    ...record,
    startSeq: resolve(record.startSeq, earlier?.startSeq),
    rooms: record.rooms.map((membership) => {
      const before = known.get(membership.id);
      const { until } = membership;
      return {
        ...membership,
        from: resolve(membership.from, before?.from),
        until: until === null ? null : resolve(until, before?.until),
      };
    }),
  };
}

/** From where a client that has received nothing is to be served: before that, no event can have been its own. */
export function firstSeq(record: SessionRecord): number {
  let first = record.startSeq;
  for (const membership of record.rooms) first = Math.min(first, membership.from);
  return first;
}

/** Whether an event was for the session's client. */
export function concerns(
  record: SessionRecord,
  event: { readonly seq: number; readonly rooms: readonly string[]; readonly except: readonly string[] },
): boolean {
  const { seq, rooms, except } = event;
  if (rooms.length === 0 ? seq <= record.startSeq : !rooms.some((room) => wasIn(record, room, seq))) return false;
  return !except.some((room) => wasIn(record, room, seq));
}

function wasIn(record: SessionRecord, room: string, seq: number): boolean {
  // A socket's id is a room of its own from its first moment, and nobody else ever had it.
  if (room === record.socket) return true;
  for (const membership of record.rooms) {
    if (membership.room !== room || seq <= membership.from) continue;
    if (membership.until === null || seq <= membership.until) return true;
  }
  return false;
}
