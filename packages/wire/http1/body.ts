/**
 * A message's body (RFC 9112 §6–§7): of a length, chunked, or until the connection closes. One `step` consumes one
 * stretch of framing or hands out one stretch of data, as a range of the span that was fed; nothing is copied.
 * Chunk extensions are checked, bounded and dropped. Trailers are gathered like a head's fields, and never merged.
 */
import type { FieldList } from "@tideway/base";
import { CR, hexDigit, LF, latin1, tokenLower, valueStop } from "./bytes.ts";
import type { HeadLimits } from "./contract.ts";
import type { HttpFaultCode } from "./faults.ts";
import { isRefusedTrailer } from "./framing.ts";
import { HeadKind, type HeadReader } from "./head.ts";
import { fieldNames, found, Scan, valueEnds, valueStarts } from "./scan.ts";

const State = {
  done: 0,
  data: 1,
  untilClose: 2,
  chunkSize: 3,
  chunkExtension: 4,
  chunkLineEnd: 5,
  chunkData: 6,
  chunkDataCr: 7,
  chunkDataLf: 8,
  trailers: 9,
  failed: 10,
} as const;
type State = (typeof State)[keyof typeof State];

/** Where in `;name=value` the scan of extensions is (RFC 9112 §7.1.1). */
const Extension = { nameStart: 0, name: 1, valueStart: 2, token: 3, quoted: 4, escaped: 5, quotedEnd: 6 } as const;
type Extension = (typeof Extension)[keyof typeof Extension];

/** 2^52 is above any length that can be counted here; a size with more digits than this is refused. */
const SIZE_DIGITS_MAX = 13;
/** Extensions of a whole message: they carry nothing that is used, so many small ones are an attack. */
const EXTENSION_BYTES_MAX = 16 * 1024;

/** The body's length is not known: it ends when the connection does. */
export const UNTIL_CLOSE = -2;

export const noTrailers: FieldList = Object.freeze([] as string[]) as string[];

export class BodyReader {
  readonly #limits: HeadLimits;
  readonly #heads: HeadReader;
  #state: State = State.done;
  /** Bytes of data that follow before the next framing. */
  #remaining = 0;
  #digits = 0;
  #lineBytes = 0;
  #extensionBytes = 0;
  #extension: Extension = Extension.nameStart;

  /** After `step`: the range of data in the span; empty when start equals end. */
  dataStart = 0;
  dataEnd = 0;
  trailers: FieldList = noTrailers;
  fault: HttpFaultCode = "CHUNK_SIZE";

  constructor(limits: HeadLimits, heads: HeadReader) {
    this.#limits = limits;
    this.#heads = heads;
  }

  get done(): boolean {
    return this.#state === State.done;
  }

  get failed(): boolean {
    return this.#state === State.failed;
  }

  get untilClose(): boolean {
    return this.#state === State.untilClose;
  }

  /** `length` as in a head: a length, -1 for chunked, or UNTIL_CLOSE. */
  begin(length: number): void {
    this.trailers = noTrailers;
    this.#extensionBytes = 0;
    if (length === 0) this.#state = State.done;
    else if (length > 0) {
      this.#state = State.data;
      this.#remaining = length;
    } else if (length === UNTIL_CLOSE) this.#state = State.untilClose;
    else this.#beginChunk();
  }

  /** The connection closed: ends a body that lasts until then. */
  close(): void {
    this.#state = State.done;
  }

  /** Consumes from `offset`, which is before the end; returns the next one, sets the range of data and the state. */
  step(chunk: Buffer, offset: number): number {
    this.dataStart = offset;
    this.dataEnd = offset;
    switch (this.#state) {
      case State.data:
      case State.chunkData:
        return this.#data(chunk, offset);
      case State.untilClose:
        this.dataEnd = chunk.length;
        return chunk.length;
      case State.chunkSize:
        return this.#chunkSize(chunk, offset);
      case State.chunkExtension:
        return this.#chunkExtension(chunk, offset);
      case State.chunkLineEnd:
        if (chunk[offset] !== LF) return this.#fail("BARE_CR", offset);
        return this.#endChunkLine(offset + 1);
      case State.chunkDataCr:
        if (chunk[offset] !== CR) return this.#fail(chunk[offset] === LF ? "BARE_LF" : "CHUNK_END", offset);
        this.#state = State.chunkDataLf;
        return offset + 1;
      case State.chunkDataLf:
        if (chunk[offset] !== LF) return this.#fail("CHUNK_END", offset);
        this.#beginChunk();
        return offset + 1;
      case State.trailers:
        return this.#trailers(chunk, offset);
      default:
        return offset;
    }
  }

  #data(chunk: Buffer, offset: number): number {
    const end = Math.min(chunk.length, offset + this.#remaining);
    this.#remaining -= end - offset;
    this.dataEnd = end;
    if (this.#remaining === 0) this.#state = this.#state === State.data ? State.done : State.chunkDataCr;
    return end;
  }

  #beginChunk(): void {
    this.#state = State.chunkSize;
    this.#remaining = 0;
    this.#digits = 0;
    this.#lineBytes = 0;
  }

  #chunkSize(chunk: Buffer, offset: number): number {
    for (let at = offset; at < chunk.length; at++) {
      const digit = hexDigit[chunk[at]!]!;
      if (digit === 0) return this.#endSize(chunk[at]!, at);
      if (++this.#digits > SIZE_DIGITS_MAX) return this.#fail("CHUNK_SIZE", at);
      this.#remaining = this.#remaining * 16 + digit - 1;
    }
    return chunk.length;
  }

  #endSize(byte: number, at: number): number {
    if (byte === LF) return this.#fail("BARE_LF", at);
    if (this.#digits === 0) return this.#fail("CHUNK_SIZE", at);
    if (byte === CR) this.#state = State.chunkLineEnd;
    else if (byte === 0x3b) {
      this.#state = State.chunkExtension;
      this.#extension = Extension.nameStart;
    } else return this.#fail("CHUNK_SIZE", at);
    this.#lineBytes = this.#digits + 1;
    return at + 1;
  }

  #endChunkLine(next: number): number {
    if (this.#remaining > 0) this.#state = State.chunkData;
    else {
      this.#state = State.trailers;
      this.#heads.begin(HeadKind.trailers);
    }
    return next;
  }

  #chunkExtension(chunk: Buffer, offset: number): number {
    for (let at = offset; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (byte === LF) return this.#fail("BARE_LF", at);
      if (byte === CR) {
        const whole =
          this.#extension === Extension.name ||
          this.#extension === Extension.token ||
          this.#extension === Extension.quotedEnd;
        if (!whole) return this.#fail("CHUNK_EXTENSION", at);
        this.#state = State.chunkLineEnd;
        return at + 1;
      }
      const next = nextExtension(this.#extension, byte);
      if (next === -1) return this.#fail("CHUNK_EXTENSION", at);
      this.#extension = next;
      this.#lineBytes++;
      this.#extensionBytes++;
      const bounded = this.#lineBytes <= this.#limits.chunkLineBytesMax && this.#extensionBytes <= EXTENSION_BYTES_MAX;
      if (!bounded) return this.#fail("CHUNK_EXTENSION", at);
    }
    return chunk.length;
  }

  #trailers(chunk: Buffer, offset: number): number {
    const heads = this.#heads;
    const result = heads.read(chunk, offset);
    if (result === Scan.fault) return this.#fail(found.fault, offset);
    if (result === Scan.incomplete) return heads.next;
    if (found.fieldCount > 0) {
      const trailers: FieldList = [];
      for (let i = 0; i < found.fieldCount; i++) {
        const name = fieldNames[i]!;
        if (isRefusedTrailer(name)) return this.#fail("TRAILER_REFUSED", offset);
        trailers.push(name, latin1(heads.bytes, valueStarts[i]!, valueEnds[i]!));
      }
      this.trailers = trailers;
    }
    heads.release();
    this.#state = State.done;
    return heads.next;
  }

  #fail(code: HttpFaultCode, at: number): number {
    this.fault = code;
    this.#state = State.failed;
    return at;
  }
}

/** The place in an extension after `byte`; -1 when it may not stand there. White space is refused: nobody sends it. */
function nextExtension(place: Extension, byte: number): Extension | -1 {
  const token = tokenLower[byte] !== 0;
  switch (place) {
    case Extension.nameStart:
      return token ? Extension.name : -1;
    case Extension.name:
      if (token) return Extension.name;
      return byte === 0x3b ? Extension.nameStart : byte === 0x3d ? Extension.valueStart : -1;
    case Extension.valueStart:
      return token ? Extension.token : byte === 0x22 ? Extension.quoted : -1;
    case Extension.token:
      if (token) return Extension.token;
      return byte === 0x3b ? Extension.nameStart : -1;
    case Extension.quoted:
      if (valueStop[byte] === 1) return -1;
      return byte === 0x22 ? Extension.quotedEnd : byte === 0x5c ? Extension.escaped : Extension.quoted;
    case Extension.escaped:
      return valueStop[byte] === 1 ? -1 : Extension.quoted;
    default:
      return byte === 0x3b ? Extension.nameStart : -1;
  }
}
