/**
 * Fakes for tests: a clock that moves only when told, and randomness that repeats. Never imported by running code.
 */
import type { Clock, Random, Timer } from "./clock.ts";

interface Pending {
  at: number;
  order: number;
  run: () => void;
}

export class FakeClock implements Clock {
  #now = 0;
  #order = 0;
  #pending: Pending[] = [];
  #deferred: (() => void)[] = [];
  readonly #epoch: number;

  /** `epoch` is what `wall()` says at the start: 2026-01-01 unless given. */
  constructor(epoch = Date.UTC(2026, 0, 1)) {
    this.#epoch = epoch;
  }

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#epoch + this.#now;
  }

  after(delayMs: number, run: () => void): Timer {
    const entry: Pending = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    this.#pending.push(entry);
    return {
      cancel: () => {
        const index = this.#pending.indexOf(entry);
        if (index >= 0) this.#pending.splice(index, 1);
      },
    };
  }

  defer(run: () => void): void {
    this.#deferred.push(run);
  }

  /** Ends the tick: runs what was deferred, and what that defers, until nothing is left. */
  settle(): void {
    for (let next = this.#deferred.shift(); next !== undefined; next = this.#deferred.shift()) next();
  }

  /** Moves time forward by `ms`, running timers in order of their time, each followed by the end of its tick. */
  advance(ms: number): void {
    const end = this.#now + ms;
    this.settle();
    for (;;) {
      let next: Pending | undefined;
      for (const p of this.#pending) {
        if (p.at <= end && (next === undefined || p.at < next.at || (p.at === next.at && p.order < next.order)))
          next = p;
      }
      if (next === undefined) break;
      this.#pending.splice(this.#pending.indexOf(next), 1);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      this.settle();
    }
    this.#now = end;
  }

  /** Timers that have not run: zero after a clean shutdown. */
  get pendingCount(): number {
    return this.#pending.length;
  }
}

/** A repeatable source (mulberry32): the same seed gives the same run. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  bytes(length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = Math.floor(this.fraction() * 256);
    return out;
  }

  id(bytes = 15): string {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let out = "";
    for (let i = 0; i < Math.ceil((bytes * 4) / 3); i++) out += alphabet[Math.floor(this.fraction() * 64)];
    return out;
  }
}
