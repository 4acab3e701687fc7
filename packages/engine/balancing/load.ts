/**
 * Owns what a balancing policy knows of an instance: its weight, its health, how busy and how fast it is. Mutable, one
 * object per instance, for it is touched with every request. Refuses to know addresses and connections.
 */
import { type Health, newHealth } from "./health.ts";

/** A measurement this old counts for 1/e of a new one. */
export const latencyDecayMs = 10_000;

export class Load {
  readonly id: string;
  /** Share of the traffic relative to the others; above 0. */
  readonly weight: number;
  health: Health;
  /** Requests under way. */
  active = 0;
  /** Smooth weighted turn: belongs to `Turns`. */
  credit = 0;
  /** Decaying average of the time to the response's head; -1 before the first. */
  latencyMs = -1;
  latencyAt = 0;

  constructor(id: string, weight: number, now: number) {
    this.id = id;
    this.weight = weight;
    this.health = newHealth(now);
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
  }
}
