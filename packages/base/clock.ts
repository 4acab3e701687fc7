/**
 * Time and randomness as arguments. Code below `edge/` never reads the system's clock; it is handed one of these, so
 * that every decision can be replayed. The system's own are in `@tideway/edge/clock`, the fakes in `testing.ts`.
 */

/** A pending call that can be called off. Cancelling twice, or after it ran, does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds from an arbitrary start; never goes back, unmoved by changes of the system's date. */
  now(): number;
  /** Milliseconds since the Unix epoch, for records and logs only: it may jump. */
  wall(): number;
  /** Calls `run` once, `delayMs` from now. A pending timer does not keep the process alive. */
  after(delayMs: number, run: () => void): Timer;
  /** Calls `run` once, after the input that is already readable has been processed: the end of this tick. */
  defer(run: () => void): void;
}

export interface Random {
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1), for jitter and choices; not for secrets. */
  fraction(): number;
  /** An unguessable identifier of `bytes` random bytes (15 unless given), in URL-safe base64 without padding. */
  id(bytes?: number): string;
}
