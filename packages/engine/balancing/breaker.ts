/**
 * Owns the circuit breaker of a whole service. Ejection takes single instances out, and never the last ones; when what all
 * of them depend on is down, requests would still pile up in front of them. The breaker then refuses at once, and lets a few
 * through after a while to see. Refuses to know instances.
 *
 *   closed ──too large a share failed──► open ──its time is over──► half-open ──all trials succeed──► closed
 *                                          ▲──────a trial fails──────┘
 */
import { Outcomes } from "./outcomes.ts";

export const BreakerState = { closed: "closed", open: "open", halfOpen: "half-open" } as const;
export type BreakerState = (typeof BreakerState)[keyof typeof BreakerState];

export interface BreakerRules {
  /** Opens when this share of the requests of the last `windowMs` failed, of `requestsMin` at least. */
  readonly failureShare: number;
  readonly windowMs: number;
  readonly requestsMin: number;
  /** How long it refuses before it lets trials through. */
  readonly openMs: number;
  /** So many trials are let through, and must all succeed. */
  readonly trialsMax: number;
}

export const defaultBreakerRules: BreakerRules = Object.freeze({
  failureShare: 0.5,
  windowMs: 10_000,
  requestsMin: 20,
  openMs: 5_000,
  trialsMax: 3,
});

export class Breaker {
  readonly rules: BreakerRules;
  #state: BreakerState = BreakerState.closed;
  #since = 0;
  #outcomes: Outcomes;
  /** While half-open: let through, and of those succeeded. */
  #trials = 0;
  #successes = 0;
  /** Times that it opened. */
  openings = 0;

  constructor(rules: BreakerRules) {
    this.rules = rules;
    this.#outcomes = new Outcomes(rules.windowMs);
  }

  /** As of `now`: an open one whose time is over is half-open. */
  stateAt(now: number): BreakerState {
    return this.#state === BreakerState.open && now - this.#since >= this.rules.openMs
      ? BreakerState.halfOpen
      : this.#state;
  }

  /** True when a request may go on. While half-open each that may is a trial. */
  admits(now: number): boolean {
    if (this.#state === BreakerState.closed) return true;
    const isOver = now - this.#since >= this.rules.openMs;
    // Trials whose outcome never came (their clients left) must not close the door for good: they get the same time.
    if (isOver) this.#enter(BreakerState.halfOpen, now);
    if (this.#state === BreakerState.open || this.#trials >= this.rules.trialsMax) return false;
    this.#trials++;
    return true;
  }

  /** The outcome of a request that began at `startedAt`. */
  record(succeeded: boolean, startedAt: number, now: number): void {
    if (this.#state === BreakerState.closed) this.#count(succeeded, now);
    // What began before the trials says nothing about now.
    else if (this.#state === BreakerState.open || startedAt < this.#since) return;
    else if (!succeeded) this.#open(now);
    else if (++this.#successes >= this.rules.trialsMax) this.#enter(BreakerState.closed, now);
  }

  #count(succeeded: boolean, now: number): void {
    const outcomes = this.#outcomes;
    outcomes.add(succeeded, now);
    const { failureShare, requestsMin } = this.rules;
    if (!succeeded && outcomes.failureShare(now, requestsMin) >= failureShare) this.#open(now);
  }

  #open(now: number): void {
    this.openings++;
    this.#enter(BreakerState.open, now);
  }

  #enter(state: BreakerState, now: number): void {
    this.#state = state;
    this.#since = now;
    this.#trials = 0;
    this.#successes = 0;
    this.#outcomes.clear();
  }
}
