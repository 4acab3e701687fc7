/**
 * A place in a namespace's stream, moved forward through one room: first by pages, from the events at hand or from the store,
 * then by following (`room-contract.ts` has the idea). Owns what a gap is; knows nothing of permissions.
 *
 * Invariant: every event of the room behind the place, up to the namespace's last, is either given later or said to be
 * missing by a gap.
 */
import { assert } from "@tideway/base";
import type { StoredEvent, StreamState } from "./contract.ts";
import type { Namespace } from "./namespace.ts";
import { decodeOffset, encodeOffset } from "./offsets.ts";
import { payloadWeight } from "./outgoing.ts";
import { type Follower, isForRoom, roomEvent } from "./readers.ts";
import { recentEvent } from "./recent.ts";
import type { Registry } from "./registry.ts";
import type { RoomEvent, RoomFollower, RoomPage, RoomReading } from "./room-contract.ts";

/** A page that is being filled. */
interface Filling {
  readonly events: RoomEvent[];
  readonly eventsMax: number;
  readonly bytesMax: number;
  bytes: number;
  looked: number;
  gap: boolean;
}

/** How many reads of the store run at once, for all readers together: the others wait their turn. */
export class StoreTurns {
  readonly #max: number;
  readonly #waiting: ((leave: () => void) => void)[] = [];
  #running = 0;

  constructor(max: number) {
    this.#max = max;
  }

  take(run: (leave: () => void) => void): void {
    if (this.#running >= this.#max) {
      this.#waiting.push(run);
      return;
    }
    this.#running++;
    run(() => {
      this.#running--;
      const next = this.#waiting.shift();
      if (next !== undefined) this.take(next);
    });
  }
}

export class Reading implements RoomReading {
  readonly #registry: Registry;
  readonly #turns: StoreTurns;
  readonly #namespace: Namespace;
  readonly #room: string;
  #seq: number;
  /** It begins with the oldest event that is kept: what is older is not missed. */
  #fromOldest: boolean;
  #gap: boolean;
  #following: Follower | null = null;
  #reading = false;
  #closed = false;

  constructor(registry: Registry, turns: StoreTurns, namespace: Namespace, room: string, after: string | null) {
    this.#registry = registry;
    this.#turns = turns;
    this.#namespace = namespace;
    this.#room = room;
    const start = startOf(namespace, after);
    this.#seq = start ?? 0;
    this.#fromOldest = start === null || after === "0";
    this.#gap = start === null;
  }

  get offset(): string {
    const { epoch, lastSeq } = this.#namespace;
    return encodeOffset(epoch, this.#following === null ? this.#seq : lastSeq);
  }

  read(eventsMax: number, bytesMax: number, done: (page: RoomPage) => void): void {
    assert(this.#following === null && !this.#reading, "a reading reads one page at a time, and none while it follows");
    const filling: Filling = { events: [], eventsMax, bytesMax, bytes: 0, looked: 0, gap: this.#gap };
    this.#gap = false;
    if (this.#takeRecent(filling)) {
      done(this.#page(filling));
      return;
    }
    this.#reading = true;
    this.#turns.take((leave) => this.#readStore(filling, leave, done));
  }

  follow(follower: RoomFollower): boolean {
    const { readers, lastSeq } = this.#namespace;
    if (this.#closed || readers === null || this.#seq < lastSeq) return false;
    this.#following = { follower, seq: lastSeq };
    readers.add(this.#room, this.#following);
    return true;
  }

  unfollow(): void {
    const { readers, lastSeq } = this.#namespace;
    const following = this.#following;
    if (following === null || readers === null) return;
    this.#following = null;
    readers.delete(this.#room, following);
    // In the middle of a fan-out its own part may be still to come.
    this.#seq = readers.delivering > 0 ? Math.max(following.seq, readers.delivering - 1) : lastSeq;
  }

  close(): void {
    this.unfollow();
    this.#closed = true;
  }

  #page({ events, gap }: Filling): RoomPage {
    return { events, gap, last: this.#seq >= this.#namespace.lastSeq };
  }

  /** Takes what is at hand. False when the next event is not. */
  #takeRecent(filling: Filling): boolean {
    const { recent, readers, lastSeq } = this.#namespace;
    while (this.#seq < lastSeq) {
      if (isFull(filling)) return true;
      const next = this.#seq + 1;
      const found = next > (readers?.openedSeq ?? 0) ? recentEvent(recent, next) : null;
      if (found === null) {
        if (this.#registry.surroundings.store !== null) return false;
        this.#jump(filling, this.#atHand - 1);
        continue;
      }
      this.#seq = next;
      filling.looked++;
      this.#fromOldest = false;
      if (found.event !== null && isForRoom(this.#room, found)) take(filling, found.event);
    }
    return true;
  }

  /** The first sequence from which on all is at hand in the form for readers. */
  get #atHand(): number {
    const { recent, readers, lastSeq } = this.#namespace;
    return Math.max(recent.first?.seq ?? lastSeq + 1, (readers?.openedSeq ?? 0) + 1);
  }

  #readStore(filling: Filling, leave: () => void, done: (page: RoomPage) => void): void {
    const { limits, store, outbox } = this.#registry.surroundings;
    const { name, lastSeq } = this.#namespace;
    const end = Math.min(lastSeq, this.#atHand - 1);
    if (this.#closed || store === null || end <= this.#seq) {
      // Gone meanwhile, or close enough by now: after `leave`, for it lets others go first.
      leave();
      this.#reading = false;
      if (!this.#closed) this.#again(filling, done);
      return;
    }
    const count = Math.min(limits.roomReadEvents, end - this.#seq);
    store.read(name, this.#seq, count, (events, state) => {
      leave();
      this.#reading = false;
      if (this.#closed) return;
      outbox.run(() => {
        this.#takeStored(filling, events, state, end);
        this.#again(filling, done);
      });
    });
  }

  /** What is behind it may be at hand. A page asks the store once. */
  #again(filling: Filling, done: (page: RoomPage) => void): void {
    this.#takeRecent(filling);
    done(this.#page(filling));
  }

  #takeStored(filling: Filling, events: readonly StoredEvent[], state: StreamState, end: number): void {
    const { epoch } = this.#namespace;
    if (events.length === 0) {
      this.#jump(filling, Math.min(end, Math.max(state.oldest - 1, this.#seq + 1)));
      return;
    }
    for (const stored of events) {
      if (stored.seq > end || isFull(filling)) return;
      // Dense: anything else means that retention has taken some.
      if (stored.seq !== this.#seq + 1) {
        // What is behind a gap is another page's: a page says of its beginning alone that something is missing.
        if (filling.events.length > 0) return;
        this.#jump(filling, stored.seq - 1);
      }
      this.#seq = stored.seq;
      this.#fromOldest = false;
      filling.looked++;
      if (!isForRoom(this.#room, stored)) continue;
      take(filling, roomEvent(encodeOffset(epoch, stored.seq), stored.at, stored.payload));
    }
  }

  /** What is between the place and `seq` is not kept. */
  #jump(filling: Filling, seq: number): void {
    if (!this.#fromOldest) filling.gap = true;
    this.#fromOldest = false;
    this.#seq = Math.max(this.#seq, seq);
  }
}

const lookedMax = 10_000;

function isFull({ events, eventsMax, bytes, bytesMax, looked }: Filling): boolean {
  return events.length >= eventsMax || bytes >= bytesMax || looked >= lookedMax;
}

function take(filling: Filling, event: RoomEvent): void {
  filling.events.push(event);
  filling.bytes += payloadWeight(event.payload);
}

/** The sequence behind which it begins; null for a place that is none of this stream's. */
function startOf(namespace: Namespace, after: string | null): number | null {
  if (after === null) return namespace.lastSeq;
  if (after === "0") return 0;
  const at = decodeOffset(after);
  return at === null || at.epoch !== namespace.epoch || at.seq > namespace.lastSeq ? null : at.seq;
}
