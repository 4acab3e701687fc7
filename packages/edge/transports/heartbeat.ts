/**
 * The heartbeats of all sessions: the server asks, the client answers, silence ends a session at exactly interval + timeout.
 *
 * All wait for the same times, so whoever began to wait first is due first: two lists and a timer for the first of each do
 * for any number of sessions, to the moment. A timer of its own took a fifth of what an idle session kept in memory.
 */
import type { Clock, Timer } from "@tideway/base";
import type { Settings } from "./options.ts";

const Heart = {
  stopped: 0,
  /** The next ping is due when its time comes. */
  resting: 1,
  /** A ping is out: without a sign of life the session is dead when its time comes. */
  waiting: 2,
  /** The same, and something else than a pong has come since, which bought time once. */
  extended: 3,
} as const;
type Heart = (typeof Heart)[keyof typeof Heart];

/** Who has the heartbeat. */
export interface HeartbeatOwner {
  /** A ping is due. */
  onBeat(): void;
  /** The ping was not answered in time. */
  onSilence(): void;
}

/** One session's; a link of the list that it waits in. */
export class Heartbeat {
  readonly owner: HeartbeatOwner;
  heart: Heart = Heart.stopped;
  /** Whole milliseconds of the clock, never early: a fraction would be an object of its own. */
  due = 0;
  previous: Heartbeat | null = null;
  next: Heartbeat | null = null;
  readonly #all: Heartbeats;

  constructor(owner: HeartbeatOwner, all: Heartbeats) {
    this.owner = owner;
    this.#all = all;
  }

  /** A pong came: the next ping is due one interval from now. */
  answered(): void {
    this.#all.move(this, Heart.resting);
  }

  /** Any packet came. While a ping is out it buys the pong its timeout once more: it may stand behind a long upload. */
  alive(): void {
    if (this.heart === Heart.waiting) this.#all.move(this, Heart.extended);
  }

  stop(): void {
    this.#all.move(this, Heart.stopped);
  }
}

export class Heartbeats {
  readonly #resting: DueList;
  readonly #waiting: DueList;

  constructor(clock: Clock, { pingIntervalMs, pingTimeoutMs }: Settings) {
    this.#resting = new DueList(clock, pingIntervalMs, (beat) => {
      this.#enter(beat, Heart.waiting);
      beat.owner.onBeat();
    });
    this.#waiting = new DueList(clock, pingTimeoutMs, (beat) => beat.owner.onSilence());
  }

  /** The first ping is due one interval from now. */
  begin(owner: HeartbeatOwner): Heartbeat {
    const beat = new Heartbeat(owner, this);
    this.#enter(beat, Heart.resting);
    return beat;
  }

  move(beat: Heartbeat, heart: Heart): void {
    this.#listOf(beat.heart)?.remove(beat);
    this.#enter(beat, heart);
  }

  #enter(beat: Heartbeat, heart: Heart): void {
    beat.heart = heart;
    this.#listOf(heart)?.add(beat);
  }

  #listOf(heart: Heart): DueList | null {
    if (heart === Heart.stopped) return null;
    return heart === Heart.resting ? this.#resting : this.#waiting;
  }
}

/** Heartbeats in the order in which they came, which is that of their times. A timer runs while there are any. */
class DueList {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #onDue: (beat: Heartbeat) => void;
  #first: Heartbeat | null = null;
  #last: Heartbeat | null = null;
  #timer: Timer | null = null;

  /** `onDue` is told of one that is in no list any more. */
  constructor(clock: Clock, delayMs: number, onDue: (beat: Heartbeat) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#onDue = onDue;
  }

  add(beat: Heartbeat): void {
    beat.due = Math.ceil(this.#clock.now() + this.#delayMs);
    beat.previous = this.#last;
    if (this.#last === null) this.#first = beat;
    else this.#last.next = beat;
    this.#last = beat;
    this.#timer ??= this.#clock.after(this.#delayMs, () => this.#look());
  }

  remove(beat: Heartbeat): void {
    const { previous, next } = beat;
    // It is in no list: its time has just come.
    if (previous === null && this.#first !== beat) return;
    if (previous === null) this.#first = next;
    else previous.next = next;
    if (next === null) this.#last = previous;
    else next.previous = previous;
    beat.previous = null;
    beat.next = null;
    if (this.#first !== null) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #look(): void {
    const now = this.#clock.now();
    try {
      for (let beat = this.#first; beat !== null && beat.due <= now; beat = this.#first) {
        this.remove(beat);
        this.#onDue(beat);
      }
    } finally {
      // Also when somebody's listener threw: the others' heartbeats go on.
      this.#timer?.cancel();
      this.#timer = this.#first === null ? null : this.#clock.after(this.#first.due - now, () => this.#look());
    }
  }
}
