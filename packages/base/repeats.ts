/**
 * Log lines that a flood would repeat without end: the first of a kind is written at once, then one every ten seconds at
 * most, with how many it stands for. Kinds are few and ours, never a peer's.
 */
import type { Clock } from "./clock.ts";

export const REPEATS_MS = 10_000;

interface Kind {
  writtenAt: number;
  /** Since the last line. */
  times: number;
  write: (times: number) => void;
}

export class Repeats {
  readonly #clock: Clock;
  readonly #kinds = new Map<string, Kind>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `write` is called with 1 now, or later with how many calls its line stands for; of those the last one's is. */
  note(kind: string, write: (times: number) => void): void {
    const now = this.#clock.now();
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      this.#kinds.set(kind, { writtenAt: now, times: 0, write });
      write(1);
      return;
    }
    known.times++;
    known.write = write;
    this.#settle(known, now);
  }

  /** Writes what is due; about once a second. */
  sweep(now: number): void {
    for (const [kind, known] of this.#kinds) {
      if (now - known.writtenAt < REPEATS_MS) continue;
      if (known.times === 0) this.#kinds.delete(kind);
      else this.#settle(known, now);
    }
  }

  #settle(known: Kind, now: number): void {
    if (now - known.writtenAt < REPEATS_MS) return;
    const { times, write } = known;
    known.writtenAt = now;
    known.times = 0;
    write(times);
  }
}
