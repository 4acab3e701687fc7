/** What waits for one client, in order, and how much it is. Decides nothing about what is too much. */
import type { Outgoing } from "@tideway/engine/hub";
import type { Counters } from "./counters.ts";
import { type FrameJoiner, joinPayload } from "./encoding.ts";

export class OutQueue {
  readonly #counters: Counters;
  /** The only one: in a broadcast a list for each client is what a young collection has to copy. */
  #one: Outgoing | null = null;
  /** Two and more, all of them. */
  #several: Outgoing[] | null = null;
  #bytes = 0;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  get length(): number {
    return this.#several?.length ?? (this.#one === null ? 0 : 1);
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(packet: Outgoing): void {
    if (this.#several !== null) this.#several.push(packet);
    else if (this.#one === null) this.#one = packet;
    else {
      this.#several = [this.#one, packet];
      this.#one = null;
    }
    this.#bytes += packet.bytes;
    this.#counters.queuedPackets++;
    this.#counters.queuedBytes += packet.bytes;
  }

  /** Empties it into one buffer of frames. */
  takeFrames(joiner: FrameJoiner): Buffer {
    const one = this.#one;
    // The joiner keeps a list of several to compare the next client's with, so it is given away.
    const frames = one === null ? joiner.join(this.#several ?? []) : joiner.framesOf(one);
    this.clear();
    return frames;
  }

  /** As many from its head as fit a payload of `bytesMax`, one at least. */
  takePayload(bytesMax: number): { text: string; count: number } {
    const packets = this.#list();
    const payload = joinPayload(packets, bytesMax);
    this.#keep(packets.slice(payload.count));
    return payload;
  }

  /** Drops what may be dropped; returns how many that were. */
  dropVolatile(): number {
    const { length } = this;
    this.#keep(this.#list().filter((packet) => !packet.volatile));
    return length - this.length;
  }

  clear(): void {
    this.#counters.queuedPackets -= this.length;
    this.#counters.queuedBytes -= this.#bytes;
    this.#one = null;
    this.#several = null;
    this.#bytes = 0;
  }

  #list(): readonly Outgoing[] {
    return this.#several ?? (this.#one === null ? [] : [this.#one]);
  }

  #keep(packets: readonly Outgoing[]): void {
    this.clear();
    for (const packet of packets) this.push(packet);
  }
}
