/**
 * Whoever gathers within a tick is told of its end: one deferred call, however many they are, so that their writes follow one
 * another. A reader that was woken by the first is still awake for the next ones.
 */
import type { Clock } from "@tideway/base";

export interface Gatherer {
  tickEnded(): void;
}

export class TickEnd {
  readonly #clock: Pick<Clock, "defer">;
  #due: Gatherer[] = [];

  constructor(clock: Pick<Clock, "defer">) {
    this.#clock = clock;
  }

  /** `gatherer` is told once, when this tick ends. */
  add(gatherer: Gatherer): void {
    if (this.#due.length === 0) this.#clock.defer(this.#end);
    this.#due.push(gatherer);
  }

  readonly #end = (): void => {
    const due = this.#due;
    this.#due = [];
    for (const gatherer of due) gatherer.tickEnded();
  };
}
