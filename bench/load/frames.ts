/**
 * Reads a server's WebSocket frames (RFC 6455 §5.2) for a load generator: by their lengths alone, unless the payloads are
 * asked for. It trusts its server, and must cost less than it: nothing is copied or allocated while counting, and texts that
 * came whole are told of once per read.
 */

export interface FrameHandler {
  /** A frame; `payload` is null while they are only counted. */
  onFrame(opcode: number, payload: Buffer | null, length: number): void;
  /** While they are only counted: so many texts of more than a byte came whole in one read. */
  onTexts(count: number): void;
}

/** The first byte of a text that is one frame. */
const wholeText = 0x81;

const headBytesMax = 10;
const empty = Buffer.alloc(0);

export class FrameReader {
  /** Whether payloads are kept and passed on. */
  collects = true;
  readonly #handler: FrameHandler;
  readonly #head = Buffer.alloc(headBytesMax);
  #headBytes = 0;
  #inPayload = false;
  #opcode = 0;
  #length = 0;
  #left = 0;
  #pieces: Buffer[] = [];

  constructor(handler: FrameHandler) {
    this.#handler = handler;
  }

  feed(chunk: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (!this.collects && !this.#inPayload && this.#headBytes === 0) {
        at = this.#countTexts(chunk, at, to);
        if (at === to) return;
      }
      if (this.#inPayload) {
        const step = Math.min(this.#left, to - at);
        if (this.collects && step > 0) this.#pieces.push(Buffer.from(chunk.subarray(at, at + step)));
        this.#left -= step;
        at += step;
      } else {
        at = this.#readHead(chunk, at, to);
      }
      if (this.#inPayload && this.#left === 0) this.#finish();
    }
  }

  /** Passes over texts that are whole; returns where something else begins, or one that is not whole. */
  #countTexts(chunk: Buffer, from: number, to: number): number {
    let at = from;
    let count = 0;
    // Those of two bytes of head or four: the longest head that is looked at is there.
    while (at + 4 <= to && chunk[at] === wholeText) {
      const short = chunk[at + 1]!;
      if (short < 2 || short > 126) break;
      const end = short < 126 ? at + 2 + short : at + 4 + ((chunk[at + 2]! << 8) | chunk[at + 3]!);
      if (end > to) break;
      count++;
      at = end;
    }
    if (count > 0) this.#handler.onTexts(count);
    return at;
  }

  #finish(): void {
    this.#inPayload = false;
    let payload: Buffer | null = null;
    if (this.collects) {
      payload = this.#pieces.length === 0 ? empty : Buffer.concat(this.#pieces);
      this.#pieces = [];
    }
    this.#handler.onFrame(this.#opcode, payload, this.#length);
  }

  /** Returns where it stopped: after the head, or at `to` with the head's beginning kept. */
  #readHead(chunk: Buffer, at: number, to: number): number {
    const first = this.#headBytes > 0 ? this.#head[0]! : chunk[at]!;
    if (this.#headBytes === 0 && to - at >= 4) {
      const short = chunk[at + 1]!;
      if (short <= 126) {
        this.#begin(first, short < 126 ? short : chunk.readUInt16BE(at + 2));
        return at + (short < 126 ? 2 : 4);
      }
    }
    this.#head[this.#headBytes++] = chunk[at]!;
    const short = this.#headBytes > 1 ? this.#head[1]! : 0;
    if (this.#headBytes === 2 && short < 126) this.#begin(first, short);
    else if (this.#headBytes === 4 && short === 126) this.#begin(first, this.#head.readUInt16BE(2));
    else if (this.#headBytes === 10) this.#begin(first, Number(this.#head.readBigUInt64BE(2)));
    return at + 1;
  }

  #begin(first: number, length: number): void {
    this.#headBytes = 0;
    this.#opcode = first & 0x0f;
    this.#length = length;
    this.#left = length;
    this.#inPayload = true;
  }
}

/** A client's frame of up to 65,535 bytes. The masking key is zero, so the payload stands as it is. */
export function clientFrame(opcode: number, payload: string): Buffer {
  const body = Buffer.from(payload);
  const head =
    body.length < 126
      ? [0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0]
      : [0x80 | opcode, 0x80 | 126, body.length >> 8, body.length & 0xff, 0, 0, 0, 0];
  return Buffer.concat([Buffer.from(head), body]);
}
