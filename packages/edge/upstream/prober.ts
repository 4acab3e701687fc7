/**
 * Owns the rhythm of probing one instance: quickly while a good answer would bring it into service at once (it is new, or
 * has just gone down), ever calmer after, with jitter so that many instances are not asked in step. Refuses to judge.
 */
import type { Clock, Random, Timer } from "@tideway/base";
import { HealthState } from "@tideway/engine/balancing";
import type { Member } from "./member.ts";
import type { ProbeDone, ProbeMaker } from "./probe.ts";
import type { HealthOptions } from "./settings.ts";

/** The quick rhythm, and how long it is kept; after that the interval grows with the time gone, up to the calm one. */
const quickMs = 75;
const quickForMs = 10_000;
const growth = 0.1;

export class Prober {
  readonly #member: Member;
  /** As it is now: the pool may change it. */
  readonly #options: () => HealthOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #make: ProbeMaker;
  readonly #answer: ProbeDone;
  #timer: Timer | null = null;
  #dueAt = 0;
  #probe: { cancel(): void } | null = null;
  #stopped = false;

  constructor(
    member: Member,
    options: () => HealthOptions,
    clock: Clock,
    random: Random,
    make: ProbeMaker,
    answer: ProbeDone,
  ) {
    this.#member = member;
    this.#options = options;
    this.#clock = clock;
    this.#random = random;
    this.#make = make;
    this.#answer = answer;
    this.#ask();
  }

  #ask(): void {
    this.#timer = null;
    if (this.#stopped) return;
    this.#probe = this.#make(this.#member, (passed, why) => {
      this.#probe = null;
      this.#answer(passed, why);
      this.#plan(this.#interval());
    });
  }

  #plan(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const { jitter } = this.#options();
    const delay = delayMs * (1 - jitter + 2 * jitter * this.#random.fraction());
    this.#dueAt = this.#clock.now() + delay;
    this.#timer = this.#clock.after(delay, () => this.#ask());
  }

  #interval(): number {
    const { everyMs } = this.#options();
    const { state, since } = this.#member.health;
    if (state !== HealthState.checking && state !== HealthState.down) return everyMs;
    const gone = this.#clock.now() - since;
    return Math.min(everyMs, Math.max(quickMs, (gone - quickForMs) * growth));
  }

  /** Something speaks against the instance: do not sit out a calm interval. */
  hurry(): void {
    if (this.#probe === null && this.#dueAt - this.#clock.now() > quickMs) this.#plan(quickMs);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#probe?.cancel();
    this.#probe = null;
  }
}
