/**
 * The limits of time of one connection, as arithmetic: the listener's sweep brings the time and the counts. A body is
 * judged by progress, never by how long it takes; a response is stalled when its client does not read.
 */
import { HALF_CLOSED_MS, type ListenerLimits, RESPONSE_STALL_MS } from "./contract.ts";

export const Verdict = { fine: "fine", stalled: "stalled", gone: "gone" } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];

export class Watch {
  /** Who has the limits: they may change. */
  readonly #server: { readonly limits: ListenerLimits };
  /** When the present state began, or the body's last stretch of progress. */
  #since: number;
  #received = 0;
  #sent = 0;
  /** When bytes last left, or none were waiting to. */
  #flowingAt: number;
  /** When bytes last left. */
  #sentAt: number;
  #inputEndedAt = -1;

  constructor(server: { readonly limits: ListenerLimits }, now: number) {
    this.#server = server;
    this.#since = now;
    this.#flowingAt = now;
    this.#sentAt = now;
  }

  get since(): number {
    return this.#since;
  }

  age(now: number): number {
    return now - this.#since;
  }

  /** A new state, or a body of which `received` bytes are here goes on after a rest. */
  restart(now: number, received = 0): void {
    this.#since = now;
    this.#received = received;
  }

  inputEnded(now: number): void {
    this.#inputEndedAt = now;
  }

  /** The client reads: `sent` bytes have left so far, `waiting` have not. */
  judgeOutput(now: number, sent: number, waiting: number): Verdict {
    if (sent > this.#sent) {
      this.#sent = sent;
      this.#sentAt = now;
    }
    if (waiting === 0 || this.#sentAt === now) this.#flowingAt = now;
    if (now - this.#flowingAt >= (this.#server.limits.responseStallMs ?? RESPONSE_STALL_MS)) return Verdict.stalled;
    // A client that closed its sending side may be reading still; one that is gone looks the same until we write.
    const quiet = now - Math.max(this.#sentAt, this.#inputEndedAt);
    return this.#inputEndedAt !== -1 && quiet >= HALF_CLOSED_MS ? Verdict.gone : Verdict.fine;
  }

  /** The client sends its body: `received` bytes of it are here. */
  judgeInput(now: number, received: number): Verdict {
    const { bodyProgressBytes, bodyProgressMs } = this.#server.limits;
    if (received - this.#received >= bodyProgressBytes) this.restart(now, received);
    return now - this.#since >= bodyProgressMs ? Verdict.stalled : Verdict.fine;
  }
}
