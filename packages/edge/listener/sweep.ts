/**
 * The look at every connection's limits of time, about once a second. Thousands that are slow come together, and their time
 * is over together: they are ended a few a turn, so that whoever is not slow is served between them.
 */
import type { Clock, Timer } from "@tideway/base";
import { SWEEP_MS } from "./contract.ts";

/** Of one turn of the event loop. To end a connection costs as much as a request. */
const endedMax = 16;
const lookedAtMax = 2_000;

export interface Swept {
  /** Looks at its limits of time; true when it was ended for one. */
  sweep(now: number): boolean;
}

export class Sweep {
  readonly #clock: Clock;
  readonly #all: Iterable<Swept>;
  readonly #onEnd: (now: number) => void;
  #timer: Timer | undefined;
  #stopped = false;

  /** `onEnd` is called at the end of each round. */
  constructor(clock: Clock, all: Iterable<Swept>, onEnd: (now: number) => void) {
    this.#clock = clock;
    this.#all = all;
    this.#onEnd = onEnd;
  }

  start(): void {
    this.#timer = this.#clock.after(SWEEP_MS, () => this.#look(this.#all[Symbol.iterator]()));
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(left: Iterator<Swept>): void {
    if (this.#stopped) return;
    const now = this.#clock.now();
    let ended = 0;
    for (let looked = 0; looked < lookedAtMax && ended < endedMax; looked++) {
      const { done, value } = left.next();
      if (done) {
        this.#onEnd(now);
        this.start();
        return;
      }
      if (value.sweep(now)) ended++;
    }
    this.#clock.defer(() => this.#look(left));
  }
}
