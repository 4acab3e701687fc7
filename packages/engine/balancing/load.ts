/**
 * Owns what a balancing policy knows of an instance: its weight, its health, how busy and how fast it is. Mutable, one
 * object per instance, for it is touched with every request. Refuses to know addresses and connections.
 */
import { type Health, isUsable, newHealth } from "./health.ts";

/** A measurement this old counts for 1/e of a new one. */
export const latencyDecayMs = 10_000;

/** The least share of its weight that an instance has while it starts slowly: with nothing it would not warm up at all. */
const rampShareMin = 0.1;

/** FNV-1a, going on from `hash`. */
export function hashText(hash: number, text: string): number {
  let h = hash;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h;
}

export class Load {
  readonly id: string;
  /** Of the id: where hashing goes on from. */
  readonly idHash: number;
  /** Share of the traffic relative to the others; above 0. */
  weight: number;
  health: Health;
  /** Requests under way. */
  active = 0;
  /** Those of them that `activeMax` does not count: upgraded connections. */
  upgraded = 0;
  /** Over so many, upgraded ones not counted, it gets nothing new. */
  activeMax = Number.POSITIVE_INFINITY;
  /** Smooth weighted turn: belongs to the policies. */
  credit = 0;
  /** Decaying average of the time to the response's head; -1 before the first. */
  latencyMs = -1;
  latencyAt = 0;
  /** Measurements since it came up. */
  samples = 0;
  /** Its weight grows from `rampFrom` until `rampUntil`. */
  rampFrom = 0;
  rampUntil = 0;

  constructor(id: string, weight: number, now: number) {
    this.id = id;
    this.idHash = hashText(0x811c9dc5, id);
    this.weight = weight;
    this.health = newHealth(now);
  }

  /** True when it may be given one more request. */
  isOpen(now: number, tried: readonly Load[]): boolean {
    return (
      isUsable(this.health, now) &&
      this.active - this.upgraded < this.activeMax &&
      (tried.length === 0 || !tried.includes(this))
    );
  }

  /** The weight that counts now: less than its own while it starts slowly. */
  weightAt(now: number): number {
    if (now >= this.rampUntil) return this.weight;
    const grown = (now - this.rampFrom) / (this.rampUntil - this.rampFrom);
    return this.weight * Math.max(rampShareMin, grown);
  }

  /** It comes up: its weight grows over `slowStartMs`, and what was measured before is forgotten. */
  cameUp(now: number, slowStartMs: number): void {
    this.credit = 0;
    this.latencyMs = -1;
    this.samples = 0;
    this.rampFrom = now;
    this.rampUntil = now + slowStartMs;
  }

  /** A response's head came `ms` after its request. The longer ago the last one was, the more the new one counts. */
  measured(ms: number, now: number): void {
    if (this.latencyMs < 0) this.latencyMs = ms;
    else {
      // At least a tenth, so that a burst in one millisecond still moves the average.
      const keep = Math.min(0.9, Math.exp((this.latencyAt - now) / latencyDecayMs));
      this.latencyMs = this.latencyMs * keep + ms * (1 - keep);
    }
    this.latencyAt = now;
    this.samples++;
  }
}
