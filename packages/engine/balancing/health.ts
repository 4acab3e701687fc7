/**
 * Owns what health means: how answers of probes and the fate of requests move an instance between its states. Values in,
 * a new value out; the same value when nothing changed, so that the common case allocates nothing. Refuses to know how
 * a probe is made.
 *
 *   checking ──probe passes──► up ◄──probe passes, or a trial succeeds── down
 *                              └──probes fail, or requests fail in a row──►┘          any ──drain──► draining
 */

export const HealthState = {
  /** New: not one answer yet. Never used. */
  checking: "checking",
  up: "up",
  /** Not used, but for one trial request each time its backoff is over. */
  down: "down",
  /** Finishes what it has and gets nothing new. For good. */
  draining: "draining",
} as const;
export type HealthState = (typeof HealthState)[keyof typeof HealthState];

export interface Health {
  readonly state: HealthState;
  /** When the state was entered; with trials and backoff in between it stays. */
  readonly since: number;
  /** Probes in a row that passed (while not up) or failed (while up). */
  readonly probes: number;
  /** Requests in a row that failed. */
  readonly failures: number;
  /** Ejections since the last success: each doubles the backoff. */
  readonly ejections: number;
  /** When down: from when on a trial is allowed; Infinity when only a probe can bring it back. */
  readonly trialAt: number;
}

export interface HealthRules {
  /** Probes in a row that must pass before an instance is used. */
  readonly riseProbes: number;
  /** Probes in a row that must fail before an instance that is up is down. */
  readonly fallProbes: number;
  /** Requests in a row that must fail, without any answer, before an instance is ejected. */
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
  return {
    state: HealthState.checking,
    since: now,
    probes: 0,
    failures: 0,
    ejections: 0,
    trialAt: Number.POSITIVE_INFINITY,
  };
}

/** True when a request may be given to it now. */
export function isUsable(health: Health, now: number): boolean {
  return health.state === HealthState.up || (health.state === HealthState.down && now >= health.trialAt);
}

/** True when it may be usable soon, so that a request with nowhere else to go had better wait than fail. */
export function isPromising(health: Health, now: number, patienceMs: number): boolean {
  if (health.state === HealthState.checking) return true;
  return health.state === HealthState.down && now - health.since < patienceMs;
}

/** A probe was answered as it should (`passed`), or not. */
export function onProbe(health: Health, passed: boolean, now: number, rules: HealthRules): Health {
  switch (health.state) {
    case HealthState.draining:
      return health;
    case HealthState.up:
      if (passed) return health.probes === 0 ? health : { ...health, probes: 0 };
      if (health.probes + 1 < rules.fallProbes) return { ...health, probes: health.probes + 1 };
      return { ...health, state: HealthState.down, since: now, probes: 0, trialAt: Number.POSITIVE_INFINITY };
    default:
      // While its probes fail, a trial would cost a client's time for what is known already.
      if (!passed)
        return health.state === HealthState.checking && health.probes === 0
          ? health
          : { ...health, probes: 0, trialAt: Number.POSITIVE_INFINITY };
      if (health.probes + 1 < rules.riseProbes) return { ...health, probes: health.probes + 1 };
      return {
        ...health,
        state: HealthState.up,
        since: now,
        probes: 0,
        failures: 0,
        trialAt: Number.POSITIVE_INFINITY,
      };
  }
}

/** A request got no answer: refused, reset, timed out, or not HTTP. An answer with any status is not a failure. */
export function onRequestFailed(health: Health, now: number, rules: HealthRules): Health {
  switch (health.state) {
    case HealthState.up: {
      const failures = health.failures + 1;
      if (failures < rules.failuresMax) return { ...health, failures };
      const ejections = health.ejections + 1;
      const trialAt = now + backoff(ejections, rules);
      return { state: HealthState.down, since: now, probes: 0, failures: 0, ejections, trialAt };
    }
    case HealthState.down: {
      // Requests that were under way at the ejection fail too; only a trial's failure lengthens the backoff.
      if (now < health.trialAt) return health;
      const ejections = health.ejections + 1;
      return { ...health, ejections, trialAt: now + backoff(ejections, rules) };
    }
    default:
      return health;
  }
}

/** A request was answered. */
export function onRequestAnswered(health: Health, now: number): Health {
  switch (health.state) {
    case HealthState.up:
      return health.failures === 0 && health.ejections === 0 ? health : { ...health, failures: 0, ejections: 0 };
    case HealthState.down:
      if (health.trialAt === Number.POSITIVE_INFINITY) return health;
      return {
        state: HealthState.up,
        since: now,
        probes: 0,
        failures: 0,
        ejections: 0,
        trialAt: Number.POSITIVE_INFINITY,
      };
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
  if (health.state === HealthState.draining) return health;
  return { ...health, state: HealthState.draining, since: now, trialAt: Number.POSITIVE_INFINITY };
}

function backoff(ejections: number, rules: HealthRules): number {
  return Math.min(rules.backoffMaxMs, rules.backoffMs * 2 ** Math.min(ejections - 1, 20));
}
