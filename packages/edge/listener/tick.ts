/**
 * What the connections of one listener do once per tick of the event loop, however many requests it brings: look at the
 * clocks, and write what gathered. A look at the clock costs as much as reading a head.
 */
import type { Clock } from "@tideway/base";
import { formatHttpDate } from "@tideway/wire/fields";
import type { Output } from "./output.ts";

export class Tick {
  readonly #clock: Clock;
  #running = false;
  #now = 0;
  #second = -1;
  #dateLine = "";
  #due: Output[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The clock's time when somebody first asked in this tick: good for limits of time, not for measuring. */
  now(): number {
    if (!this.#running) this.#begin();
    return this.#now;
  }

  /** The current second's `date: …` line. */
  dateLine(): string {
    if (!this.#running) this.#begin();
    return this.#dateLine;
  }

  /** `output` is told when the tick ends. */
  add(output: Output): void {
    if (!this.#running) this.#begin();
    this.#due.push(output);
  }

  #begin(): void {
    this.#running = true;
    this.#now = this.#clock.now();
    const wall = this.#clock.wall();
    const second = Math.floor(wall / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#dateLine = `date: ${formatHttpDate(wall)}\r\n`;
    }
    this.#clock.defer(this.#end);
  }

  readonly #end = (): void => {
    this.#running = false;
    const due = this.#due;
    this.#due = [];
    for (const output of due) output.tickEnded();
  };
}
