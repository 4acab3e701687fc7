/**
 * The reading side of one connection: the one span that was read and not decoded yet, and whether the socket is read at
 * all. While a span waits the socket is paused, so what a client sends ahead is bounded by one read.
 */
import type { Socket } from "node:net";
import type { Phase, RequestDecoder } from "@tideway/wire/http1";

const nothing = Buffer.alloc(0);
const none: ArrayBuffer[] = [];
/** Memory of smaller spans is left to the collector. */
const SPENT_BYTES_MIN = 16 * 1024;

/** Whom the decoder tells of body bytes. */
interface Receiver {
  /** It holds nothing of what it was told. False also once it has parted from the connection: then nobody knows. */
  readonly bodyFlushed: boolean;
}

export class Intake {
  readonly #socket: Socket;
  readonly #decoder: RequestDecoder;
  #span: Buffer = nothing;
  #offset = 0;
  /** Bytes that were fed so far. */
  #fed = 0;
  /** Bytes that were decoded when decoding stopped for good; -1 before. */
  #decodedLast = -1;
  #decoding = false;
  /** The decoder stopped in the middle of an exchange and must be called again, even without new bytes. */
  #halted = false;
  #paused = false;
  /** Memory of decoded spans that their receiver may still hold. Bounded by back-pressure. */
  #spent: ArrayBuffer[] = none;
  #spentBy: Receiver | null = null;

  constructor(socket: Socket, decoder: RequestDecoder) {
    this.#socket = socket;
    this.#decoder = decoder;
  }

  get empty(): boolean {
    return this.#span.length === 0;
  }

  get paused(): boolean {
    return this.#paused;
  }

  get decoding(): boolean {
    return this.#decoding;
  }

  get phase(): Phase {
    return this.#decoder.phase;
  }

  /** Bytes up to the end of what was decoded last. */
  get bytesDecoded(): number {
    if (this.#decodedLast !== -1) return this.#decodedLast;
    return this.#fed - this.#span.length + (this.#decoding ? this.#decoder.position : this.#offset);
  }

  feed(chunk: Buffer): void {
    this.#fed += chunk.length;
    this.#span = this.#span.length === 0 ? chunk : Buffer.concat([this.#span.subarray(this.#offset), chunk]);
    this.#offset = 0;
  }

  /** Stops decoding for now; `decode` goes on from here, even without new bytes. */
  halt(): void {
    this.#halted = true;
    this.#decoder.halt();
  }

  /** `decode` is to be called even though no bytes are left: the end of a request may be due. */
  due(): void {
    this.#halted = true;
  }

  /** All that was read counts as decoded: bytes that are refused are not told apart from what came with them. */
  giveUp(): void {
    this.#decodedLast = this.#fed;
  }

  /** Stops decoding for good. */
  stop(): void {
    this.#decodedLast = this.bytesDecoded;
    this.#decoder.halt();
    this.#clear();
  }

  /** Decodes as long as something is left and `owner` allows it. */
  decode(owner: { readonly mayDecode: boolean }, receiver: Receiver | null): void {
    this.#decoding = true;
    while ((this.#offset < this.#span.length || this.#halted) && owner.mayDecode) {
      this.#halted = false;
      this.#offset = this.#decoder.decode(this.#span, this.#offset);
    }
    this.#decoding = false;
    if (this.#offset >= this.#span.length) {
      this.#spend(receiver);
      this.#span = nothing;
      this.#offset = 0;
    }
  }

  /**
   * Frees the memory of a body's large spans as soon as their receiver holds nothing of them: left to the collector, those
   * of one fast upload pile up to V8's limit for external memory, some 64 MiB. What is left when the receiver changes is
   * the collector's: the one before, who may hold it, is not asked any more.
   */
  #spend(receiver: Receiver | null): void {
    if (receiver !== this.#spentBy) {
      this.#spentBy = receiver;
      this.#spent = none;
    }
    if (receiver === null) return;
    const { buffer, byteLength } = this.#span;
    if (byteLength >= SPENT_BYTES_MIN && byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) {
      if (this.#spent === none) this.#spent = [];
      this.#spent.push(buffer);
    }
    if (this.#spent.length === 0 || !receiver.bodyFlushed) return;
    for (const memory of this.#spent) memory.transfer(0);
    this.#spent = none;
  }

  /** Reads from the socket, or not: not while a span waits, nor when told to hold. True when reading starts again. */
  steer(hold: boolean): boolean {
    const pause = hold || this.#span.length > 0;
    if (pause === this.#paused) return false;
    this.#paused = pause;
    if (pause) this.#socket.pause();
    else this.#socket.resume();
    return !pause;
  }

  /** What had arrived behind the request that is being told, or was told last. */
  takeRest(): Uint8Array {
    const rest = this.#span.subarray(this.#decoding ? this.#decoder.position : this.#offset);
    this.stop();
    return rest;
  }

  #clear(): void {
    this.#span = nothing;
    this.#offset = 0;
    this.#halted = false;
  }
}
