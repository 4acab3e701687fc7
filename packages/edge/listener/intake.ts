/**
 * The reading side of one connection: the one span that was read and not decoded yet, and whether the socket is read at
 * all. While a span waits the socket is paused, so what a client sends ahead is bounded by one read.
 *
 * Invariant: between two reads `#span` is memory of its own, never a view of what the next read overwrites.
 */
import type { Socket } from "node:net";
import type { Phase, RequestDecoder } from "@tideway/wire/http1";
import type { ReadBuffer } from "../sockets/index.ts";

const nothing = Buffer.alloc(0);

/** Whom the decoder tells of body bytes. */
interface Receiver {
  /** It holds nothing of what it was told. False also once it has parted from the connection: then nobody knows. */
  readonly bodyFlushed: boolean;
}

export class Intake {
  readonly #socket: Socket;
  readonly #reads: ReadBuffer;
  readonly #decoder: RequestDecoder;
  #span: Buffer = nothing;
  #offset = 0;
  /** Bytes that were fed so far. */
  #fed = 0;
  /** Bytes that were decoded when decoding stopped for good; -1 before. */
  #decodedLast = -1;
  /** `#span` is a view of the read that is being looked at. */
  #fresh = false;
  #decoding = false;
  /** The decoder stopped in the middle of an exchange and must be called again, even without new bytes. */
  #halted = false;
  #paused = false;
  /** Who may still hold what was kept of the reads so far. */
  #receiver: Receiver | null = null;

  constructor(socket: Socket, reads: ReadBuffer, decoder: RequestDecoder) {
    this.#socket = socket;
    this.#reads = reads;
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

  /** Takes in a read, `view`; `settle` follows before the next one. */
  feed(view: Buffer): void {
    this.#fed += view.length;
    this.#fresh = this.#span.length === 0;
    this.#span = this.#fresh ? view : Buffer.concat([this.#span.subarray(this.#offset), view]);
    this.#offset = 0;
  }

  /** The next read may land where this one did: what is left of it is kept. */
  settle(): void {
    if (!this.#fresh) return;
    this.#fresh = false;
    if (this.#span.length === 0) return;
    this.#span = this.#reads.keep(this.#span.subarray(this.#offset));
    this.#offset = 0;
  }

  /** A piece of the span that is being decoded, as something that may be kept. */
  keep(piece: Buffer): Buffer {
    return this.#fresh ? this.#reads.keep(piece) : piece;
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

  /** Nothing comes for a while: what is remembered of the last heads is let go. */
  forget(): void {
    this.#decoder.forget();
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
   * Reads land again where a body's large spans were as soon as their receiver holds nothing of them: left to the collector,
   * those of one fast upload pile up to V8's limit for external memory, some 64 MiB. What is left when the receiver changes
   * is the collector's: the one before, who may hold it, is not asked any more.
   */
  #spend(receiver: Receiver | null): void {
    if (receiver !== this.#receiver) {
      this.#receiver = receiver;
      this.#reads.forget();
    } else if (receiver?.bodyFlushed === true) this.#reads.recycle();
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
    const kept = this.#fresh && rest.length > 0 ? this.#reads.give(rest) : rest;
    this.stop();
    return kept;
  }

  #clear(): void {
    this.#span = nothing;
    this.#offset = 0;
    this.#halted = false;
  }
}
