/**
 * Owns consistent hashing with bounded load: rendezvous hashing (Thaler and Ravishankar, 1998), by weight, where an
 * instance that has more than its share of what is under way passes its keys on to the next by hash order (Mirrokni,
 * Thorup and Zadimoghaddam, 2018). When an instance leaves only its keys move; one that starts slowly takes its keys over little
 * by little.
 */
import { hashText, type Load } from "./load.ts";
import type { Policy } from "./policy.ts";

const loadDefault = 1.25;
/**
 * Under so many requests per instance nobody is over the bound: among two or three requests a share says nothing, and a
 * browser alone opens several connections.
 */
const boundMin = 4;

export class Hash implements Policy {
  readonly name = "hash";
  readonly #load: number;
  readonly #keyless: Policy;

  /** `load`: how many times its share of what is under way an instance may have. `keyless` chooses for requests without a key. */
  constructor(load = loadDefault, keyless: Policy) {
    this.#load = load;
    this.#keyless = keyless;
  }

  pick<T extends Load>(loads: readonly T[], now: number, key: string, tried: readonly Load[]): T | null {
    if (key === "") return this.#keyless.pick(loads, now, key, tried);
    const perWeight = this.#load === Number.POSITIVE_INFINITY ? this.#load : this.#boundPerWeight(loads, now, tried);
    let best: T | null = null;
    let bestScore = 0;
    let bestWithin = false;
    for (let i = 0; i < loads.length; i++) {
      const load = loads[i]!;
      if (!load.isOpen(now, tried)) continue;
      const weight = load.weightAt(now);
      const within = load.active < Math.max(boundMin, Math.ceil(perWeight * weight));
      if (bestWithin && !within) continue;
      const score = scoreOf(load.idHash, key, weight);
      if (best === null || score > bestScore || (within && !bestWithin)) {
        best = load;
        bestScore = score;
        bestWithin = within;
      }
    }
    return best;
  }

  /** What an instance of weight 1 may have under way, this request included. */
  #boundPerWeight(loads: readonly Load[], now: number, tried: readonly Load[]): number {
    let active = 1;
    let weight = 0;
    for (const load of loads) {
      if (!load.isOpen(now, tried)) continue;
      active += load.active;
      weight += load.weightAt(now);
    }
    return (this.#load * active) / weight;
  }
}

/** The higher, the nearer; of two instances each is nearer for a share of keys as its weight says. */
function scoreOf(idHash: number, key: string, weight: number): number {
  return weight / -Math.log((hashOf(idHash, key) + 0.5) / 4294967296);
}

/** FNV-1a over id and key, finished as in MurmurHash3, for FNV alone leaves the high bits of short keys alike. */
function hashOf(idHash: number, key: string): number {
  let h = hashText(Math.imul(idHash ^ 0x1f, 0x01000193), key);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
