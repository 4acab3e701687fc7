/** What waits for one client, in order, and how much it is. Decides nothing about what is too much. */
import type { Outgoing } from "@tideway/engine/hub";
import type { Counters } from "./counters.ts";
import { type FrameJoiner, joinPayload } from "./encoding.ts";

/** In place of an empty list: most queues are empty most of the time. */
const none: Outgoing[] = [];

export class OutQueue {
  readonly #counters: Counters;
  #packets: Outgoing[] = none;
  #bytes = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  get length(): number {
    return this.#packets.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(packet: Outgoing): void {
    // Not `none.push`; and a list of one has room for one, not for the 17 that an empty array grows to.
    if (this.#packets === none) this.#packets = [packet];
    else this.#packets.push(packet);
    this.#bytes += packet.bytes;
    this.#counters.queuedPackets++;
    this.#counters.queuedBytes += packet.bytes;
  }

  /** Empties it into one buffer of frames. */
  takeFrames(joiner: FrameJoiner): Buffer {
    const packets = this.#packets;
    const frames = joiner.join(packets);
    const { length } = packets;
    // The joiner keeps a list of several to compare the next client's with, so it is given away.
    this.#packets = none;
    this.#left(length, this.#bytes);
    return frames;
  }

  /** As many from its head as fit a payload of `bytesMax`, one at least. */
  takePayload(bytesMax: number): { text: string; count: number } {
    const payload = joinPayload(this.#packets, bytesMax);
    let bytes = 0;
    for (const packet of this.#packets.splice(0, payload.count)) bytes += packet.bytes;
    if (this.#packets.length === 0) this.#packets = none;
    this.#left(payload.count, bytes);
    return payload;
  }

  /** Drops what may be dropped; returns how many that were. */
  dropVolatile(): number {
    const kept = this.#packets.filter((packet) => !packet.volatile);
    const dropped = this.#packets.length - kept.length;
    const bytes = kept.reduce((sum, packet) => sum + packet.bytes, 0);
    this.#packets = kept.length === 0 ? none : kept;
    this.#left(dropped, this.#bytes - bytes);
    return dropped;
  }

  clear(): void {
    const { length } = this.#packets;
    this.#packets = none;
    this.#left(length, this.#bytes);
  }

  #left(packets: number, bytes: number): void {
    this.#bytes -= bytes;
    this.#counters.queuedPackets -= packets;
    this.#counters.queuedBytes -= bytes;
  }
}
