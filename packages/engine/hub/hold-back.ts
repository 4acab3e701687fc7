/** Where packets for a client wait until its CONNECT has been answered. Bounded in bytes; what may be dropped goes first. */
import type { Outgoing } from "./contract.ts";
import type { Sink } from "./socket.ts";

export class HoldBack implements Sink {
  readonly #bytesMax: number;
  readonly #onFirst: () => void;
  readonly #onFull: () => void;
  #packets: Outgoing[] = [];
  #bytes = 0;

  constructor(bytesMax: number, onFirst: () => void, onFull: () => void) {
    this.#bytesMax = bytesMax;
    this.#onFirst = onFirst;
    this.#onFull = onFull;
  }

  send(packet: Outgoing): void {
    if (this.#bytes + packet.bytes > this.#bytesMax) {
      if (packet.volatile) return;
      this.#packets = this.#packets.filter((held) => !held.volatile);
      this.#bytes = this.#packets.reduce((sum, held) => sum + held.bytes, 0);
      if (this.#packets.length > 0 && this.#bytes + packet.bytes > this.#bytesMax) {
        this.#packets = [];
        this.#bytes = 0;
        this.#onFull();
        return;
      }
    }
    if (this.#packets.push(packet) === 1) this.#onFirst();
    this.#bytes += packet.bytes;
  }

  release(to: Sink): void {
    for (const packet of this.#packets) to.send(packet);
    this.#packets = [];
    this.#bytes = 0;
  }
}
