/** Collects a request's body of bounded size in one buffer that doubles, so that many tiny pieces cost no more than few. */
export class BodyBuffer {
  readonly #bytesMax: number;
  #bytes: Buffer | null = null;
  #length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** False when the body is larger than allowed: nothing of it is kept then. */
  append(chunk: Uint8Array): boolean {
    const length = this.#length + chunk.length;
    if (length > this.#bytesMax) {
      this.#bytes = null;
      this.#length = this.#bytesMax;
      return false;
    }
    let bytes = this.#bytes;
    if (bytes === null || bytes.length < length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(Math.max(256, length * 2), this.#bytesMax));
      if (bytes !== null) bytes.copy(grown, 0, 0, this.#length);
      bytes = grown;
      this.#bytes = grown;
    }
    bytes.set(chunk, this.#length);
    this.#length = length;
    return true;
  }

  /** What came; the buffer is empty afterwards. */
  take(): Buffer {
    const bytes = this.#bytes === null ? Buffer.alloc(0) : this.#bytes.subarray(0, this.#length);
    this.#bytes = null;
    this.#length = 0;
    return bytes;
  }
}
