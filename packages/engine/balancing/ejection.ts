/**
 * Owns passive ejection beyond failures in a row: which statuses count as failures, who is too slow beside the others,
 * and how many may be out at once. Refuses to eject: it answers questions.
 */
import { DownCause, HealthState } from "./health.ts";
import type { Load } from "./load.ts";

/** Single statuses and ranges, both ends included: `[429, [500, 599]]`. */
export type Statuses = readonly (number | readonly [from: number, to: number])[];

export function includesStatus(statuses: Statuses, status: number): boolean {
  for (const each of statuses) {
    if (typeof each === "number" ? status === each : status >= each[0] && status <= each[1]) return true;
  }
  return false;
}

export interface EjectionRules {
  /** Answers with these count as failures. */
  readonly statuses: Statuses;
  /** Ejected when this share of the requests of the last `windowMs` failed, of `requestsMin` at least; 0: never. */
  readonly failureShare: number;
  readonly windowMs: number;
  readonly requestsMin: number;
  /** Ejected when its average latency is this many times the median of the others'; 0: never. */
  readonly latencyFactor: number;
  /** Faster than this is never too slow. */
  readonly latencyMinMs: number;
  /** So many answers must have been measured, of it and of those that it is compared with. */
  readonly samplesMin: number;
  /** At most this share of the instances is out at once for what requests saw, rounded; never the last one that is up. */
  readonly shareMax: number;
}

export const defaultEjectionRules: EjectionRules = Object.freeze({
  statuses: [],
  failureShare: 0,
  windowMs: 10_000,
  requestsMin: 20,
  latencyFactor: 0,
  latencyMinMs: 50,
  samplesMin: 20,
  shareMax: 0.5,
});

/** True when the others can do without `load`. An instance whose probes fail is not ejected: it is gone, and counts neither way. */
export function maySpare(loads: readonly Load[], load: Load, rules: EjectionRules): boolean {
  let up = 0;
  let ejected = 0;
  for (const { health } of loads) {
    if (health.state === HealthState.up) up++;
    else if (health.state === HealthState.down && health.cause !== DownCause.gone) ejected++;
  }
  if (load.health.state !== HealthState.up || up < 2) return false;
  return ejected + 1 <= Math.round((up + ejected) * rules.shareMax);
}

/** The slowest of those that are too slow beside the others; null when none is. */
export function slowest(loads: readonly Load[], rules: EjectionRules): Load | null {
  if (rules.latencyFactor <= 0) return null;
  const measured = loads.filter(
    ({ health, samples }) => health.state === HealthState.up && samples >= rules.samplesMin,
  );
  if (measured.length < 2) return null;
  const worst = measured.reduce((a, b) => (b.latencyMs > a.latencyMs ? b : a));
  const others = measured.flatMap((load) => (load === worst ? [] : [load.latencyMs])).sort((a, b) => a - b);
  const middle = others.length >> 1;
  const median = others.length % 2 === 1 ? others[middle]! : (others[middle - 1]! + others[middle]!) / 2;
  const limit = Math.max(rules.latencyMinMs, median * rules.latencyFactor);
  return worst.latencyMs > limit ? worst : null;
}
