/**
 * Owns what health means: how answers of probes and the fate of requests move an instance between its states. Values in,
 * value out; the same value when nothing changed, so that the common case allocates nothing. Refuses to know how
 * a probe is made, and whether others can be spared (`ejection.ts`).
 *
 *   checking ──probe passes──► up ◄──probe passes, or a trial succeeds── down
 *                              └──probes fail, or it is ejected────────────►┘      any ──drain──► draining ──undrain──► checking
 *
 * An ejection is the circuit breaker of one instance: up is closed, down until its trial is open, a trial under way is
 * half-open.
 */

export const HealthState = {
  /** New: not one answer yet. Never used. */
  checking: "checking",
  up: "up",
  /** Not used, but for one trial request each time its backoff is over. */
  down: "down",
  /** Finishes what it has and gets nothing new. */
  draining: "draining",
} as const;
export type HealthState = (typeof HealthState)[keyof typeof HealthState];

/** What took an instance down. */
export const DownCause = {
  /** Its probes failed, or no connection to it came about: it is known not to be there. */
  gone: "gone",
  /** Requests in a row got no answer. */
  unanswered: "unanswered",
  /** It answers, but badly: by its statuses, or too often not at all. */
  failing: "failing",
  /** It answers much slower than the others. */
  slow: "slow",
} as const;
export type DownCause = (typeof DownCause)[keyof typeof DownCause];

export interface Health {
  readonly state: HealthState;
  /** When the state was entered; with trials and backoff in between it stays. */
  readonly since: number;
  /** Probes in a row that passed (while not up) or failed (while up). */
  readonly probes: number;
  /** Requests in a row that failed. */
  readonly failures: number;
  /** Ejections lately: each doubles the backoff. Forgotten when it stays up for as long as the longest backoff. */
  readonly ejections: number;
  /** When down: from when on a trial is allowed; Infinity when only a probe can bring it back. */
  readonly trialAt: number;
  /** When down: why. A passing probe brings back those that did not answer; those that answered badly it says nothing about. */
  readonly cause: DownCause | null;
}

export interface HealthRules {
  /** Probes in a row that must pass before an instance is used. */
  readonly riseProbes: number;
  /** Probes in a row that must fail before an instance that is up is down. */
  readonly fallProbes: number;
  /** Requests in a row that must fail before an instance is ejected; 0: none are too many. */
  readonly failuresMax: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

export const defaultHealthRules: HealthRules = Object.freeze({
  riseProbes: 1,
  fallProbes: 2,
  failuresMax: 2,
  backoffMs: 1_000,
  backoffMaxMs: 30_000,
});

export function newHealth(now: number): Health {
  return enter(HealthState.checking, now, 0);
}

function enter(state: HealthState, now: number, ejections: number): Health {
  return { state, since: now, probes: 0, failures: 0, ejections, trialAt: Number.POSITIVE_INFINITY, cause: null };
}

/** True when a request may be given to it now. */
export function isUsable(health: Health, now: number): boolean {
  return health.state === HealthState.up || (health.state === HealthState.down && now >= health.trialAt);
}

/** True when it may be usable soon, so that a request with nowhere else to go had better wait than fail. */
export function isPromising(health: Health, now: number, patienceMs: number): boolean {
  if (health.state === HealthState.up) return true;
  return health.state !== HealthState.draining && now - health.since < patienceMs;
}

/** A probe was answered as it should (`passed`), or not. */
export function onProbe(health: Health, passed: boolean, now: number, rules: HealthRules): Health {
  switch (health.state) {
    case HealthState.draining:
      return health;
    case HealthState.up:
      if (passed) return health.probes === 0 ? health : { ...health, probes: 0 };
      if (health.probes + 1 < rules.fallProbes) return { ...health, probes: health.probes + 1 };
      return { ...enter(HealthState.down, now, health.ejections), cause: DownCause.gone };
    case HealthState.checking:
      if (!passed) return health.probes === 0 ? health : { ...health, probes: 0 };
      return risen(health, now, rules);
    default:
      // While its probes fail, a trial would cost a client's time for what is known already.
      if (!passed) return { ...health, probes: 0, trialAt: Number.POSITIVE_INFINITY, cause: DownCause.gone };
      // That it answers a probe does not mean that it answers well, or fast: it sits out its time.
      if (health.cause === DownCause.failing || health.cause === DownCause.slow) return health;
      return risen(health, now, rules);
  }
}

function risen(health: Health, now: number, rules: HealthRules): Health {
  if (health.probes + 1 < rules.riseProbes) return { ...health, probes: health.probes + 1 };
  return enter(HealthState.up, now, health.ejections);
}

/**
 * A request failed: it got no answer, or one whose status counts as none. `cause` is what it is down for when that was
 * one too many. The answer to a request never counts twice: a trial that fails has its longer backoff already.
 */
export function onRequestFailed(health: Health, now: number, rules: HealthRules, cause: DownCause): Health {
  if (health.state !== HealthState.up || rules.failuresMax === 0) return health;
  const failures = health.failures + 1;
  return failures < rules.failuresMax ? { ...health, failures } : onEjected(health, now, rules, cause);
}

/** It is taken out for what requests saw, for a time that doubles with each ejection. */
export function onEjected(health: Health, now: number, rules: HealthRules, cause: DownCause): Health {
  if (health.state !== HealthState.up) return health;
  const ejections = health.ejections + 1;
  return { ...enter(HealthState.down, now, ejections), trialAt: now + backoff(ejections, rules), cause };
}

/** It would have been ejected, but the others need it: the count begins anew. */
export function onSpared(health: Health): Health {
  return health.failures === 0 ? health : { ...health, failures: 0 };
}

/** A request that began at `startedAt` was answered well. */
export function onRequestAnswered(health: Health, startedAt: number, now: number, rules: HealthRules): Health {
  switch (health.state) {
    case HealthState.up: {
      const { failures, ejections } = health;
      if (failures === 0 && (ejections === 0 || now - health.since < rules.backoffMaxMs)) return health;
      return { ...health, failures: 0, ejections: now - health.since < rules.backoffMaxMs ? ejections : 0 };
    }
    case HealthState.down:
      // What was under way before says nothing about now; and while its probes fail there was no trial.
      if (startedAt < health.since || health.trialAt === Number.POSITIVE_INFINITY) return health;
      return enter(HealthState.up, now, health.ejections);
    default:
      return health;
  }
}

/** A trial begins: the next one is not allowed before another backoff, so that one request at a time takes the risk. */
export function onTrial(health: Health, now: number, rules: HealthRules): Health {
  if (health.state !== HealthState.down || now < health.trialAt) return health;
  return { ...health, ejections: health.ejections + 1, trialAt: now + backoff(health.ejections + 1, rules) };
}

export function onDrain(health: Health, now: number): Health {
  return health.state === HealthState.draining ? health : enter(HealthState.draining, now, 0);
}

/** It may have new requests again, once a probe has passed. */
export function onUndrain(health: Health, now: number): Health {
  return health.state === HealthState.draining ? newHealth(now) : health;
}

function backoff(ejections: number, rules: HealthRules): number {
  return Math.min(rules.backoffMaxMs, rules.backoffMs * 2 ** Math.min(ejections - 1, 20));
}
