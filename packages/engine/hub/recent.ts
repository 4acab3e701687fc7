/**
 * The last events of all streams, with their packets: a client that was away for a moment needs no disk, and thousands that
 * come back at once share one encoding. Bounded in bytes over all namespaces; the oldest go first.
 */
import type { Outgoing } from "./contract.ts";
import { payloadWeight } from "./outgoing.ts";
import { Queue } from "./queue.ts";
import type { RoomEvent } from "./room-contract.ts";

export interface RecentEvent {
  readonly seq: number;
  readonly rooms: readonly string[];
  readonly except: readonly string[];
  readonly packet: Outgoing;
  /** For those who read its rooms over plain HTTP; null where nobody may, and for events of no room. */
  readonly event: RoomEvent | null;
}

/** One stream's part: dense, the oldest first. */
export type RecentOfStream = Queue<RecentEvent>;

export class RecentEvents {
  readonly #bytesMax: number;
  #bytes = 0;
  /** In the order of their coming, over all streams. */
  readonly #order = new Queue<RecentOfStream>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  keep(stream: RecentOfStream, event: RecentEvent): void {
    stream.push(event);
    this.#order.push(stream);
    this.#bytes += weightOf(event);
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#order.shift()?.shift();
      if (oldest === null || oldest === undefined) return;
      this.#bytes -= weightOf(oldest);
    }
  }
}

/** The event with that sequence; null when it is not kept. */
export function recentEvent(stream: RecentOfStream, seq: number): RecentEvent | null {
  const { first } = stream;
  return first === null || seq < first.seq ? null : stream.at(seq - first.seq);
}

function weightOf(event: RecentEvent): number {
  return 256 + event.packet.bytes + (event.event === null ? 0 : payloadWeight(event.event.payload));
}
