/**
 * Owns the memory of what passes through a tunnel: it is used again, or freed, as soon as the other side's socket has taken
 * the bytes. Left to the garbage collector, the 64 KiB of each read pile up to tens of MiB behind one fast stream.
 */
import type { ReadBuffer } from "../sockets/index.ts";

/** Told by the tunnel what becomes of the chunks of one side. */
export interface ChunkMemory {
  /** The other side's socket has not taken all of it: it stays as it is until `taken`. */
  held(chunk: Uint8Array): void;
  /** Nothing that came before is held any more, nor `chunk`. */
  taken(chunk: Uint8Array | null): void;
}

const none: ArrayBuffer[] = [];
/** Smaller spans are left to the collector: they are not worth the call. */
const freedBytesMin = 16 * 1024;

/** For sockets that read into Node's own buffers: frees them. */
export class FreedChunks implements ChunkMemory {
  #held = none;

  held(chunk: Uint8Array): void {
    const memory = wholeMemoryOf(chunk);
    if (memory === null) return;
    if (this.#held === none) this.#held = [];
    this.#held.push(memory);
  }

  taken(chunk: Uint8Array | null): void {
    if (chunk !== null) wholeMemoryOf(chunk)?.transfer(0);
    if (this.#held === none) return;
    for (const memory of this.#held) memory.transfer(0);
    this.#held = none;
  }
}

/** Null when others may have a share in it. */
function wholeMemoryOf(chunk: Uint8Array): ArrayBuffer | null {
  const { buffer, byteLength } = chunk;
  const whole = byteLength >= freedBytesMin && byteLength === buffer.byteLength;
  return whole && buffer instanceof ArrayBuffer ? buffer : null;
}

/** For streams of somebody else's, whose chunks may be known elsewhere: leaves all to the collector. */
export const collected: ChunkMemory = { held() {}, taken() {} };

/** For sockets that read into a `ReadBuffer`: the buffers of large spans take the next reads. */
export class ReusedReads implements ChunkMemory {
  readonly #reads: ReadBuffer;

  constructor(reads: ReadBuffer) {
    this.#reads = reads;
  }

  /** The buffer knows what it has handed on. */
  held(): void {}

  taken(): void {
    this.#reads.recycle();
  }
}
