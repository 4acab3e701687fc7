/**
 * What the connections of one listener do once per tick of the event loop, however many requests it brings: see whether the
 * second has changed, and write what gathered.
 */
import type { Clock } from "@tideway/base";
import { formatHttpDate } from "@tideway/wire/fields";
import type { Output } from "./output.ts";

export class Tick {
  readonly #clock: Clock;
  #running = false;
  #second = -1;
  #dateLine = "";
  #due: Output[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
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
