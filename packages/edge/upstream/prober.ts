/**
 * Owns the rhythm of probing one instance: quickly while a good answer would bring it into service at once (it is new, or
 * has just gone down), calmly otherwise, with jitter so that many instances are not asked in step. Refuses to judge.
 */
import type { Clock, Random, Timer } from "@tideway/base";
import { HealthState } from "@tideway/engine/balancing";
import type { Member } from "./member.ts";
import type { ProbeDone, ProbeMaker } from "./probe.ts";

export interface HealthOptions {
  /** What to GET; empty: it is enough that the port takes a connection. */
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
}

export const defaultHealth: HealthOptions = Object.freeze({ path: "", everyMs: 2_000, timeoutMs: 2_000 });

/** The quick rhythm, and how long one that was up is asked in it. */
const quickMs = 75;
const quickForMs = 10_000;
/** Share of the interval by which it varies either way. */
const jitter = 0.1;

export class Prober {
  readonly #member: Member;
  readonly #options: HealthOptions;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #make: ProbeMaker;
  readonly #answer: ProbeDone;
  #timer: Timer | null = null;
  #probe: { cancel(): void } | null = null;
  #stopped = false;

  constructor(
    member: Member,
    options: HealthOptions,
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
      this.#plan();
    });
  }

  #plan(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const every = this.#isQuick() ? Math.min(quickMs, this.#options.everyMs) : this.#options.everyMs;
    const delay = every * (1 - jitter + 2 * jitter * this.#random.fraction());
    this.#timer = this.#clock.after(delay, () => this.#ask());
  }

  #isQuick(): boolean {
    const { state, since } = this.#member.health;
    if (state === HealthState.checking) return true;
    return state === HealthState.down && this.#clock.now() - since < quickForMs;
  }

  /** The instance was ejected: do not sit out a calm interval. */
  hurry(): void {
    if (this.#probe === null) this.#plan();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#probe?.cancel();
    this.#probe = null;
  }
}
