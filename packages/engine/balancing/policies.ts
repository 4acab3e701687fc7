/**
 * Owns the choice of an instance: one small class per policy. A policy is given all instances of a service and skips
 * those that may not be used now or were tried already for this request. Refuses to know why an instance is down.
 */
import { isUsable } from "./health.ts";
import { type Load, latencyDecayMs } from "./load.ts";

export const balanceNames = ["least-busy", "round-robin", "weighted", "fastest", "hash"] as const;
export type BalanceName = (typeof balanceNames)[number];

export interface Policy {
  readonly name: BalanceName;
  /**
   * One of `loads`, or null when none can be used. `key` is what `hash` goes by, for example the client's address.
   * `tried` are left out.
   */
  pick<T extends Load>(loads: readonly T[], now: number, key: string, tried: readonly Load[]): T | null;
}

function isOpen(load: Load, now: number, tried: readonly Load[]): boolean {
  return isUsable(load.health, now) && (tried.length === 0 || !tried.includes(load));
}

/** Each in turn. */
class RoundRobin implements Policy {
  readonly name = "round-robin";
  #next = 0;

  pick<T extends Load>(loads: readonly T[], now: number, _key: string, tried: readonly Load[]): T | null {
    const count = loads.length;
    for (let i = 0; i < count; i++) {
      const at = (this.#next + i) % count;
      const load = loads[at]!;
      if (!isOpen(load, now, tried)) continue;
      this.#next = (at + 1) % count;
      return load;
    }
    return null;
  }
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
    if (load.active / load.weight > busyMax || !isOpen(load, now, tried)) continue;
    load.credit += load.weight;
    total += load.weight;
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
      if (!isOpen(load, now, tried)) continue;
      const busy = load.active / load.weight;
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
 * The least expected wait: average latency × (requests under way + 1) / weight. An average decays while it is not
 * renewed, so that one that was slow once is asked again; one that was never measured goes first.
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
      if (!isOpen(load, now, tried)) continue;
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
    // Never measured: less than any measured one, and more with each request that is already on its way there.
    if (load.latencyMs < 0) return (load.active / load.weight) * 1e-6;
    const idle = load.active === 0 ? Math.exp((load.latencyAt - now) / latencyDecayMs) : 1;
    return ((load.latencyMs * idle + 1e-3) * (load.active + 1)) / load.weight;
  }
}

/** The same key, the same instance; when one leaves, only its keys move (rendezvous hashing, weighted). */
class Hash implements Policy {
  readonly name = "hash";

  pick<T extends Load>(loads: readonly T[], now: number, key: string, tried: readonly Load[]): T | null {
    let best: T | null = null;
    let bestScore = 0;
    for (let i = 0; i < loads.length; i++) {
      const load = loads[i]!;
      if (!isOpen(load, now, tried)) continue;
      const score = load.weight / -Math.log((hashOf(load.id, key) + 0.5) / 4294967296);
      if (best === null || score > bestScore) {
        best = load;
        bestScore = score;
      }
    }
    return best;
  }
}

/** FNV-1a over both, finished as in MurmurHash3, for FNV alone leaves the high bits of short keys alike. */
function hashOf(id: string, key: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ 0x1f, 0x01000193);
  for (let i = 0; i < key.length; i++) h = Math.imul(h ^ key.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** A policy with its own memory: one per service. */
export function createPolicy(name: BalanceName): Policy {
  switch (name) {
    case "least-busy":
      return new LeastBusy();
    case "round-robin":
      return new RoundRobin();
    case "weighted":
      return new Weighted();
    case "fastest":
      return new Fastest();
    case "hash":
      return new Hash();
  }
}
