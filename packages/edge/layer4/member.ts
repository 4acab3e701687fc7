/**
 * Owns an instance of a TCP or UDP service as these see it: a pool's member that knows what is under way there, so that all
 * of it can be ended at the deadline of a drain. Refuses to choose and to judge.
 */
import type { Clock, Timer } from "@tideway/base";
import { Member, type MemberAddress, type MemberOwner } from "../upstream/index.ts";

/** A connection or session at an instance. */
export interface Line {
  /** Ends it now: a connection with a reset on both sides, a session without a word. */
  breakOff(): void;
}

export class Layer4Member extends Member {
  readonly #clock: Clock;
  readonly #drainMs: () => number;
  readonly #lines = new Set<Line>();
  #deadline: Timer | null = null;

  constructor(address: MemberAddress, owner: MemberOwner, clock: Clock, drainMs: () => number) {
    super(address, owner, clock.now());
    this.#clock = clock;
    this.#drainMs = drainMs;
  }

  /** Counted as under way from now on. */
  join(line: Line, now: number): void {
    this.#lines.add(line);
    this.begin(now);
  }

  leave(line: Line): void {
    if (!this.#lines.delete(line)) return;
    if (this.#lines.size === 0) this.reinstate();
    this.end();
  }

  /** It drains, or was removed: what is under way has its time to end. */
  override retire(): void {
    const drainMs = this.#drainMs();
    if (drainMs === 0 || this.#lines.size === 0) return;
    this.#deadline ??= this.#clock.after(drainMs, () => this.destroy());
  }

  override reinstate(): void {
    this.#deadline?.cancel();
    this.#deadline = null;
  }

  override destroy(): void {
    for (const line of [...this.#lines]) line.breakOff();
  }
}
