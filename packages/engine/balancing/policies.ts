/**
 * Owns the choice of an instance: one small class per policy. A policy is given all instances of a service and skips
 * those that may not be used now or were tried already for this request. Weights are those of the moment: an instance that
 * starts slowly has less. Refuses to know why an instance is down.
 */
import type { Random } from "@tideway/base";
import { Hash } from "./hashing.ts";
import { type Load, latencyDecayMs } from "./load.ts";
import type { Balance, Policy } from "./policy.ts";

/** A policy with its own memory: one per service. */
export function createPolicy(balance: Balance, random: Random): Policy {
  if (typeof balance === "object") return new Hash(balance.load, new LeastBusy());
  switch (balance) {
    case "least-busy":
      return new LeastBusy();
    case "round-robin":
      return new RoundRobin();
    case "weighted":
      return new Weighted();
    case "power-of-two":
      return new PowerOfTwo(random);
    case "fastest":
      return new Fastest();
    case "hash":
      return new Hash(undefined, new LeastBusy());
  }
}

/** Each in turn, whatever its weight; one that starts slowly is passed over as often as it lacks weight. */
class RoundRobin implements Policy {
  readonly name = "round-robin";
  #next = 0;

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    const count = loads.length;
    let passedOver = -1;
    for (let i = 0; i < count; i++) {
      const at = (this.#next + i) % count;
      const load = loads[at]!;
      if (!load.isOpen(now, tried)) continue;
      if (now < load.rampUntil && !takesTurn(load, now)) {
        if (passedOver < 0) passedOver = at;
        continue;
      }
      this.#next = (at + 1) % count;
      return load;
    }
    // All that could be used start slowly: then nobody is spared by passing one over.
    if (passedOver < 0) return null;
    this.#next = (passedOver + 1) % count;
    return loads[passedOver]!;
  }
}

/** Saves up the share of a turn that it has now, until it is a whole one. */
function takesTurn(load: Load, now: number): boolean {
  load.credit += load.weightAt(now) / load.weight;
  if (load.credit < 1) return false;
  load.credit = 0;
  return true;
}

/** Each in turn, as often as its weight says, interleaved as evenly as can be (nginx's smooth weighted round-robin). */
class Weighted implements Policy {
  readonly name = "weighted";

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    return takeTurn(loads, now, tried, Number.POSITIVE_INFINITY);
  }
}

/** The smooth turn among those that are not busier than `busyMax`. */
function takeTurn<T extends Load>(loads: readonly T[], now: number, tried: readonly Load[], busyMax: number): T | null {
  let best: T | null = null;
  let total = 0;
  for (let i = 0; i < loads.length; i++) {
    const load = loads[i]!;
    const weight = load.weightAt(now);
    if (load.active / weight > busyMax || !load.isOpen(now, tried)) continue;
    load.credit += weight;
    total += weight;
    if (best === null || load.credit > best.credit) best = load;
  }
  if (best !== null) best.credit -= total;
  return best;
}

/** The fewest requests under way, relative to the weight; equals take turns by weight. */
class LeastBusy implements Policy {
  readonly name = "least-busy";

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    let best: T | null = null;
    let bestBusy = 0;
    let tied = false;
    for (let i = 0; i < loads.length; i++) {
      const load = loads[i]!;
      if (!load.isOpen(now, tried)) continue;
      const busy = load.active / load.weightAt(now);
      if (best === null || busy < bestBusy) {
        best = load;
        bestBusy = busy;
        tied = false;
      } else if (busy === bestBusy) tied = true;
    }
    return tied ? takeTurn(loads, now, tried, bestBusy) : best;
  }
}

/**
 * The less busy of two that chance names, each as likely as its weight says. Several gateways that each see only their own
 * requests do not all run to the same instance, as they do with `least-busy` (Mitzenmacher, 2001).
 */
class PowerOfTwo implements Policy {
  readonly name = "power-of-two";
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    const one = this.#draw(loads, now, tried, null);
    if (one === null) return null;
    const other = this.#draw(loads, now, tried, one);
    if (other === null) return one;
    return other.active / other.weightAt(now) < one.active / one.weightAt(now) ? other : one;
  }

  #draw<T extends Load>(loads: readonly T[], now: number, tried: readonly Load[], besides: T | null): T | null {
    let total = 0;
    for (const load of loads) if (load !== besides && load.isOpen(now, tried)) total += load.weightAt(now);
    let left = this.#random.fraction() * total;
    let last: T | null = null;
    for (const load of loads) {
      if (load === besides || !load.isOpen(now, tried)) continue;
      last = load;
      left -= load.weightAt(now);
      if (left < 0) return load;
    }
    return last;
  }
}

/**
 * The least expected wait: average latency × (requests under way + 1) / weight. An average decays while it is not
 * renewed, so that one that was slow once is asked again. One that was never measured is asked once, first; until it has
 * answered nothing speaks for sending it more.
 */
class Fastest implements Policy {
  readonly name = "fastest";
  #next = 0;

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    let best: T | null = null;
    let bestCost = 0;
    const count = loads.length;
    for (let i = 0; i < count; i++) {
      const load = loads[(this.#next + i) % count]!;
      if (!load.isOpen(now, tried)) continue;
      const cost = this.#cost(load, now);
      if (best === null || cost < bestCost) {
        best = load;
        bestCost = cost;
      }
    }
    if (best !== null) this.#next = (this.#next + 1) % count;
    return best;
  }

  #cost(load: Load, now: number): number {
    // Never measured: before all others when it is idle, behind them when a first request is on its way there.
    if (load.latencyMs < 0) return load.active === 0 ? -1 : (1e9 * (load.active + 1)) / load.weightAt(now);
    const idle = load.active === 0 ? Math.exp((load.latencyAt - now) / latencyDecayMs) : 1;
    return ((load.latencyMs * idle + 1e-3) * (load.active + 1)) / load.weightAt(now);
  }
}
