/**
 * Gathers one head, or one trailer section, from spans of any size. A head that arrives whole is scanned where it lies;
 * otherwise its bytes are held, in a buffer bounded by the limits, and each line is checked as soon as it is whole, and
 * each byte for line ends and control characters as soon as it comes. Every byte is looked at a fixed number of times.
 *
 * Invariant: `#held` bytes are a prefix of the head, of which `[0, #line)` are whole lines that passed.
 */
import { assert } from "@tideway/base";
import { CR, valueStop } from "./bytes.ts";
import type { HeadLimits } from "./contract.ts";
import { FIELDS_CAP, found, METHOD_BYTES_MAX, Scan, scanFields, scanRequestLine, scanStatusLine } from "./scan.ts";

/** What the lines to gather begin with. */
export const HeadKind = { request: 0, response: 1, trailers: 2 } as const;
export type HeadKind = (typeof HeadKind)[keyof typeof HeadKind];

const HELD_BYTES_MIN = 1024;
const nothing = Buffer.alloc(0);

export class HeadReader {
  readonly #limits: HeadLimits;
  readonly #lineBytesMax: number;
  #kind: HeadKind = HeadKind.request;
  #buffer: Buffer = nothing;
  #held = 0;
  /** Start of the line that is not whole yet. */
  #line = 0;
  /** Start of the first field line; -1 while the first line is not whole. */
  #first = -1;
  #count = 0;

  /** After `complete`: the bytes to which the positions in `found` and the tables belong; where the head and its fields start. */
  bytes: Buffer = nothing;
  start = 0;
  fieldsStart = 0;
  /** After `read`: the offset of the first byte that was not consumed. */
  next = 0;

  constructor(limits: HeadLimits) {
    assert(limits.fieldsMax <= FIELDS_CAP, `fieldsMax is at most ${FIELDS_CAP}`);
    this.#limits = limits;
    this.#lineBytesMax = Math.max(limits.fieldBytesMax + 1, limits.targetBytesMax + METHOD_BYTES_MAX + 16);
  }

  /** True when the head's first bytes are held here. */
  get begun(): boolean {
    return this.#held > 0;
  }

  begin(kind: HeadKind): void {
    this.#kind = kind;
    this.#reset();
  }

  /** Reads from `offset`; sets `next`. After `complete` the strings must be made before anything else is read. */
  read(chunk: Buffer, offset: number): Scan {
    if (this.#held > 0) return this.#readHeld(chunk, offset);
    const result = this.#scan(chunk, offset, chunk.length);
    if (result === Scan.complete) {
      this.bytes = chunk;
      this.start = offset;
      this.fieldsStart = this.#first;
      this.next = found.next;
      this.#reset();
    } else if (result === Scan.incomplete) {
      if (this.#first !== -1) this.#first -= offset;
      this.#line = Math.max(0, this.#line - offset);
      this.#hold(chunk, offset, chunk.length);
      this.next = chunk.length;
    }
    return result;
  }

  /** Lets go of the bytes that the last complete head stood in. */
  release(): void {
    this.bytes = nothing;
  }

  /** Scans on from the first line that is not whole; `from` is the head's start when nothing is held. */
  #scan(bytes: Buffer, from: number, end: number): Scan {
    let at = this.#held > 0 ? this.#line : from;
    if (this.#first === -1) {
      found.oddEncoding = false;
      if (this.#kind !== HeadKind.trailers) {
        const scanFirst = this.#kind === HeadKind.request ? scanRequestLine : scanStatusLine;
        const result = scanFirst(bytes, at, end, this.#limits);
        if (result !== Scan.complete) return result;
        at = found.next;
      }
      this.#first = at;
    }
    const result = scanFields(bytes, at, end, this.#first, this.#count, this.#limits);
    this.#line = found.next;
    this.#count = found.fieldCount;
    return result;
  }

  #readHeld(chunk: Buffer, offset: number): Scan {
    let at = offset;
    while (at < chunk.length) {
      const lineEnd = this.#findLineEnd(chunk, at);
      const heldBefore = this.#held;
      this.#hold(chunk, at, lineEnd.next);
      at = lineEnd.next;
      if (!lineEnd.look && !this.#overlong(heldBefore)) continue;
      const result = this.#scan(this.#buffer, 0, this.#held);
      if (result === Scan.fault) return result;
      if (result === Scan.complete) return this.#finishHeld(at);
    }
    this.next = at;
    return Scan.incomplete;
  }

  /** Where to look again: after the next LF or the next byte that no line may hold, or at the chunk's end. */
  #findLineEnd(chunk: Buffer, from: number): { next: number; look: boolean } {
    let previous = this.#buffer[this.#held - 1]!;
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (previous === CR || (valueStop[byte] === 1 && byte !== CR)) return { next: at + 1, look: true };
      previous = byte;
    }
    return { next: chunk.length, look: false };
  }

  /** A limit is passed, so that a scan will say which. A method's is looked at once, when it may have been passed. */
  #overlong(heldBefore: number): boolean {
    if (this.#first === -1 && heldBefore <= METHOD_BYTES_MAX && this.#held > METHOD_BYTES_MAX) return true;
    if (this.#held - this.#line > this.#lineBytesMax) return true;
    return this.#first !== -1 && this.#held - this.#first > this.#limits.fieldsBytesMax;
  }

  /** The head is whole: scans all of it once more, so that the tables hold all of its fields. */
  #finishHeld(next: number): Scan {
    const buffer = this.#buffer;
    const length = this.#held;
    this.#reset();
    const result = this.#scan(buffer, 0, length);
    assert(result === Scan.complete && found.next === length, "a head that passed line by line passes as a whole");
    this.fieldsStart = this.#first;
    this.#reset();
    this.bytes = buffer;
    this.start = 0;
    this.next = next;
    return Scan.complete;
  }

  #hold(chunk: Buffer, start: number, end: number): void {
    const needed = this.#held + end - start;
    if (needed > this.#buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(HELD_BYTES_MIN, needed, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#held);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#held, start, end);
    this.#held = needed;
  }

  #reset(): void {
    this.#buffer = nothing;
    this.#held = 0;
    this.#line = 0;
    this.#first = -1;
    this.#count = 0;
  }
}
