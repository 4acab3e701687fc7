/**
 * Answers that clients wait for and that this server's handlers have not given yet. Owns when a server that stops has
 * waited long enough for them: a handler may still be at its database, and nobody else will ever answer for it.
 */
import type { Clock, Timer } from "@tideway/base";

/** How long after its event an answer holds up the end. A handler that never answers holds it up no longer than this. */
const patienceMs = 5_000;

export class OwedAnswers {
  readonly #clock: Clock;
  /** By the hub's number: when the event came, the oldest first. Older ones than the patience are forgotten. */
  readonly #since = new Map<number, number>();
  /** When those that are too old were forgotten last. */
  #prunedAt = 0;
  #timer: Timer | null = null;
  #settled: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  owe(ack: number): void {
    const now = this.#clock.now();
    if (now - this.#prunedAt >= patienceMs) this.#prune(now);
    this.#since.set(ack, now);
  }

  #prune(now: number): void {
    this.#prunedAt = now;
    for (const [old, since] of this.#since) {
      if (now - since < patienceMs) return;
      this.#since.delete(old);
    }
  }

  given(ack: number): void {
    if (this.#since.delete(ack) && this.#since.size === 0) this.#end();
  }

  /** Nobody hears them any more. */
  clear(): void {
    this.#since.clear();
    this.#end();
  }

  /** Resolves when all are given, or have been waited for long enough, or nobody hears them any more. */
  settled(): Promise<void> {
    const newest = [...this.#since.values()].at(-1);
    const leftMs = newest === undefined ? 0 : newest + patienceMs - this.#clock.now();
    if (leftMs <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#settled = resolve;
      this.#timer = this.#clock.after(leftMs, () => this.#end());
    });
  }

  #end(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#settled?.();
    this.#settled = null;
  }
}
