/**
 * Owns the count of what succeeded and what failed lately: a window that moves in ten steps, of a fixed size whatever
 * passes through. Refuses to judge.
 */

const steps = 10;

export class Outcomes {
  readonly #stepMs: number;
  readonly #succeeded = new Uint32Array(steps);
  readonly #failed = new Uint32Array(steps);
  /** Number of the newest step, counted from time 0. */
  #step = 0;

  constructor(windowMs: number) {
    this.#stepMs = windowMs / steps;
  }

  add(succeeded: boolean, now: number): void {
    this.#moveTo(now);
    const at = this.#step % steps;
    if (succeeded) this.#succeeded[at]!++;
    else this.#failed[at]!++;
  }

  /** From 0 to 1; 0 when there were fewer than `requestsMin`. */
  failureShare(now: number, requestsMin: number): number {
    this.#moveTo(now);
    let failed = 0;
    let all = 0;
    for (let i = 0; i < steps; i++) {
      failed += this.#failed[i]!;
      all += this.#failed[i]! + this.#succeeded[i]!;
    }
    return all < Math.max(1, requestsMin) ? 0 : failed / all;
  }

  clear(): void {
    this.#succeeded.fill(0);
    this.#failed.fill(0);
  }

  /** Steps that have passed out of the window are emptied. */
  #moveTo(now: number): void {
    const step = Math.floor(now / this.#stepMs);
    if (step <= this.#step) return;
    if (step - this.#step >= steps) this.clear();
    else {
      for (let gone = this.#step + 1; gone <= step; gone++) {
        this.#succeeded[gone % steps] = 0;
        this.#failed[gone % steps] = 0;
      }
    }
    this.#step = step;
  }
}
