/**
 * How fast one client is read: a bucket of messages and one of bytes, each filled by a second's worth per second and no
 * larger than that. What has come is never refused: over the bound the client is read later, and its own TCP holds it back.
 */
import type { Clock, Timer } from "@tideway/base";

export interface IntakeRates {
  readonly eventsPerSecondMax: number;
  readonly bytesPerSecondMax: number;
}

/** Who reads the client. */
export interface IntakeOwner {
  /** Too much has come: read nothing more until `onRead`. */
  onPaused(): void;
  onResumed(): void;
}

export class Intake {
  readonly #rates: IntakeRates;
  readonly #clock: Clock;
  readonly #owner: IntakeOwner;
  #events: number;
  #bytes: number;
  #filledAt: number;
  #timer: Timer | null = null;

  constructor(rates: IntakeRates, clock: Clock, owner: IntakeOwner) {
    this.#rates = rates;
    this.#clock = clock;
    this.#owner = owner;
    this.#events = rates.eventsPerSecondMax;
    this.#bytes = rates.bytesPerSecondMax;
    this.#filledAt = clock.now();
  }

  /** True while the client is not to be read. */
  get paused(): boolean {
    return this.#timer !== null;
  }

  /** A message of so many bytes has come. The clock is looked at only when a bucket is empty. */
  take(bytes: number): void {
    this.#events--;
    this.#bytes -= bytes;
    if ((this.#events < 0 || this.#bytes < 0) && this.#timer === null) this.#pause();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #pause(): void {
    const waitMs = this.#fill();
    if (waitMs === 0) return;
    this.#owner.onPaused();
    this.#wait(waitMs);
  }

  #wait(delayMs: number): void {
    this.#timer = this.#clock.after(delayMs, () => {
      // More may have come out of what had been read already.
      const waitMs = this.#fill();
      if (waitMs > 0) {
        this.#wait(waitMs);
        return;
      }
      this.#timer = null;
      this.#owner.onResumed();
    });
  }

  /** Fills the buckets; returns the ms until neither owes anything. */
  #fill(): number {
    const { eventsPerSecondMax, bytesPerSecondMax } = this.#rates;
    const now = this.#clock.now();
    const seconds = (now - this.#filledAt) / 1000;
    this.#filledAt = now;
    this.#events = Math.min(this.#events + seconds * eventsPerSecondMax, eventsPerSecondMax);
    this.#bytes = Math.min(this.#bytes + seconds * bytesPerSecondMax, bytesPerSecondMax);
    const owed = Math.max(-this.#events / eventsPerSecondMax, -this.#bytes / bytesPerSecondMax, 0);
    return Math.ceil(owed * 1000);
  }
}
