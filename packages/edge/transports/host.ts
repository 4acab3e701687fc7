/** What stands around a session: the whole of the transports, as one of their sessions sees it. */
import type { Clock } from "@tideway/base";
import type { Counters } from "./counters.ts";
import type { PayloadCompressor } from "./deflate.ts";
import type { Heartbeats } from "./heartbeat.ts";
import type { Settings } from "./options.ts";
import type { Session } from "./session.ts";

/** What a session needs of the whole. */
export interface SessionHost {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly heartbeats: Heartbeats;
  /** Of polling answers; null when they are not compressed. */
  readonly compressor: PayloadCompressor | null;
  /** Calls `flush` at the end of this tick; perhaps earlier, when the queue begins with an `answer` that no poll waits for. */
  flushLater(session: Session, answer: boolean): void;
  /** The session takes nothing in any more: tells its hub's side at the end of this tick. */
  ended(session: Session): void;
  /** Requests that name the session find it no more. */
  forget(session: Session): void;
}
