/**
 * Reads WebSocket frames (RFC 6455 §5) from spans of any size and hands whole messages to a sink.
 *
 * Layout: FIN RSV1–3 opcode | MASK length | length16 or length64 | key | payload. Invariant: between two calls either
 * nothing is kept, or the bytes of one incomplete head or control frame (`rest`), or a message in the making; a payload
 * that was announced takes no memory before it arrives. Knows no sockets: it returns a fault and its caller closes.
 */
import { isUtf8 } from "node:buffer";
import { type Fault, type FaultCode, fault, isSendableCloseCode } from "./faults.ts";
import { maskInPlace } from "./mask.ts";

export const Opcode = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** Where messages go. Binary data is the sink's to keep; a control frame's data only until it returns. */
export interface MessageSink {
  onText(data: string): void;
  onBinary(data: Buffer): void;
  onPing(data: Buffer): void;
  onPong(data: Buffer): void;
  /** The peer's close frame; {@link CloseCode.noStatus} when it held no code. Nothing comes after it. */
  onClose(code: number, reason: string): void;
}

const State = {
  /** At the start of a frame, or within a head. */
  head: 0,
  /** Within the payload of a data frame. */
  payload: 1,
  /** A close frame or a fault was seen: the rest is not read. */
  ended: 2,
} as const;
type State = (typeof State)[keyof typeof State];

const EMPTY = Buffer.alloc(0);
/** Room that a message in the making starts with. */
const ROOM_MIN = 256;

/** Inflates a whole message (RFC 7692 §7.2.2), to `bytesMax` at most; or says what is wrong with it. */
export type Inflate = (payload: Buffer, bytesMax: number) => Buffer | FaultCode;

const RSV1 = 0x40;

export class FrameDecoder {
  readonly #messageBytesMax: number;
  /** What cannot be compressed grows a little: a message of exactly the limit may come in this many bytes. */
  readonly #deflatedBytesMax: number;
  /** Null unless permessage-deflate was agreed upon. */
  readonly #inflate: Inflate | null;
  /** Whether frames must be masked: true on a server. */
  readonly #masked: boolean;
  #state: State = State.head;
  #rest: Buffer | null = null;

  /** The message in the making: its opcode (0 for none), and its bytes so far. */
  #opcode = 0;
  #message: Buffer | null = null;
  #length = 0;
  #deflated = false;

  /** The data frame whose payload is being read. */
  #fin = false;
  #left = 0;
  #key = 0;
  #phase = 0;

  /** `side` is the reader's own: a server wants masked frames, a client unmasked ones. */
  constructor(side: "server" | "client", messageBytesMax: number, inflate: Inflate | null = null) {
    this.#masked = side === "server";
    this.#messageBytesMax = messageBytesMax;
    this.#deflatedBytesMax = messageBytesMax + (messageBytesMax >>> 10) + 64;
    this.#inflate = inflate;
  }

  /** Whether it is between two messages and has seen no end: then it is as good as a new one, also for another connection. */
  get resting(): boolean {
    return this.#state === State.head && this.#rest === null && this.#opcode === 0;
  }

  /**
   * Reads `chunk`, calling `sink` for each whole message, and returns a fault at the first that is wrong. The chunk is
   * given away: it is unmasked in place and parts of it may live on in binary messages.
   */
  write(chunk: Buffer, sink: MessageSink): Fault | null {
    let bytes = chunk;
    if (this.#rest !== null) {
      bytes = Buffer.concat([this.#rest, chunk]);
      this.#rest = null;
    }
    let at = 0;
    while (at < bytes.length) {
      if (this.#state === State.ended) return null;
      if (this.#state === State.payload) {
        at = this.#takePayload(bytes, at);
        if (this.#left > 0) return null;
        this.#state = State.head;
        const wrong = this.#fin ? this.#endMessage(sink) : null;
        if (wrong !== null) return this.#fail(wrong);
        continue;
      }
      const next = this.#readFrame(bytes, at, sink);
      if (typeof next !== "number") return this.#fail(next.code);
      if (next < 0) {
        // A head or a small control frame in pieces: at most 139 bytes, copied so as not to hold the whole span.
        this.#rest = Buffer.from(bytes.subarray(at));
        return null;
      }
      at = next;
    }
    return null;
  }

  /** Index behind what was read of the frame at `at`; -1 when its head, or a control frame, is not whole yet. */
  #readFrame(bytes: Buffer, at: number, sink: MessageSink): number | Fault {
    const available = bytes.length - at;
    const first = bytes[at]!;
    // What the first byte alone tells is refused at once, before more is waited for.
    const opcode = first & 0x0f;
    const control = opcode >= 8;
    const odd = this.#checkFirst(first, opcode);
    if (odd !== null) return fault(odd);
    if (available < 2) return -1;

    const second = bytes[at + 1]!;
    if (this.#masked !== second >= 0x80) return fault(this.#masked ? "WS_UNMASKED" : "WS_MASKED");
    let length = second & 0x7f;
    if (control && length > 125) return fault("WS_CONTROL_LENGTH");
    let head = 2;
    if (length === 126) {
      if (available < 4) return -1;
      length = bytes.readUInt16BE(at + 2);
      if (length < 126) return fault("WS_LENGTH");
      head = 4;
    } else if (length === 127) {
      if (available < 10) return -1;
      const high = bytes.readUInt32BE(at + 2);
      if (high >= 0x80000000) return fault("WS_LENGTH");
      length = high * 0x100000000 + bytes.readUInt32BE(at + 6);
      if (length < 0x10000) return fault("WS_LENGTH");
      head = 10;
    }
    const deflated = opcode === 0 ? this.#deflated : (first & RSV1) !== 0;
    if (!control && this.#length + length > this.#limit(deflated)) return fault("WS_TOO_BIG");
    let key = 0;
    if (this.#masked) {
      if (available < head + 4) return -1;
      key = bytes.readInt32BE(at + head);
      head += 4;
    }

    const start = at + head;
    const end = start + length;
    if (control) {
      if (end > bytes.length) return -1;
      if (key !== 0) maskInPlace(bytes, start, end, key, 0);
      const wrong = this.#onControl(opcode, bytes.subarray(start, end), sink);
      return wrong === null ? end : fault(wrong);
    }
    const fin = first >= 0x80;
    if (fin && opcode !== 0 && end <= bytes.length) {
      const seen = maskInPlace(bytes, start, end, key, 0);
      const wrong = deflated
        ? this.#deliverInflated(opcode, bytes.subarray(start, end), sink)
        : this.#deliver(opcode, bytes, start, end, seen < 0x80, sink);
      return wrong === null ? end : fault(wrong);
    }
    if (opcode !== 0) {
      this.#opcode = opcode;
      this.#deflated = deflated;
    }
    this.#fin = fin;
    this.#left = length;
    this.#key = key;
    this.#phase = 0;
    this.#state = State.payload;
    // An empty payload has no byte that would bring the loop back here.
    if (length === 0) {
      this.#state = State.head;
      const wrong = fin ? this.#endMessage(sink) : null;
      if (wrong !== null) return fault(wrong);
    }
    return start;
  }

  #limit(deflated: boolean): number {
    return deflated ? this.#deflatedBytesMax : this.#messageBytesMax;
  }

  /** What the first byte of a frame alone tells. */
  #checkFirst(first: number, opcode: number): FaultCode | null {
    if ((first & 0x70) !== 0 && !this.#mayBeDeflated(first)) return "WS_RESERVED_BITS";
    if (opcode >= 8) {
      if (opcode > 10) return "WS_OPCODE";
      return first < 0x80 ? "WS_CONTROL_FRAGMENTED" : null;
    }
    if (opcode > 2) return "WS_OPCODE";
    if (opcode === 0) return this.#opcode === 0 ? "WS_CONTINUATION" : null;
    return this.#opcode === 0 ? null : "WS_INTERLEAVED";
  }

  #takePayload(bytes: Buffer, at: number): number {
    const take = Math.min(this.#left, bytes.length - at);
    const length = this.#length + take;
    let message = this.#message;
    if (message === null || message.length < length) {
      // Doubled, so that a message of many fragments is not copied for each; never beyond what may still come.
      const most = this.#fin ? this.#length + this.#left : this.#limit(this.#deflated);
      const room = Math.min(Math.max(ROOM_MIN, length * 2), most);
      const grown = Buffer.allocUnsafeSlow(room);
      if (message !== null) message.copy(grown, 0, 0, this.#length);
      message = grown;
      this.#message = grown;
    }
    bytes.copy(message, this.#length, at, at + take);
    maskInPlace(message, this.#length, length, this.#key, this.#phase);
    this.#phase = (this.#phase + take) & 3;
    this.#length = length;
    this.#left -= take;
    return at + take;
  }

  #endMessage(sink: MessageSink): FaultCode | null {
    const opcode = this.#opcode;
    const message = this.#message ?? EMPTY;
    const length = this.#length;
    this.#opcode = 0;
    this.#message = null;
    this.#length = 0;
    if (this.#deflated) return this.#deliverInflated(opcode, message.subarray(0, length), sink);
    return this.#deliver(opcode, message, 0, length, false, sink);
  }

  /** RSV1 says "compressed" on the first frame of a message, once that was agreed upon; nowhere else (RFC 7692 §6). */
  #mayBeDeflated(first: number): boolean {
    const opcode = first & 0x0f;
    return this.#inflate !== null && (first & 0x70) === RSV1 && (opcode === Opcode.text || opcode === Opcode.binary);
  }

  #deliverInflated(opcode: number, payload: Buffer, sink: MessageSink): FaultCode | null {
    const data = this.#inflate!(payload, this.#messageBytesMax);
    return typeof data === "string" ? data : this.#deliver(opcode, data, 0, data.length, false, sink);
  }

  #deliver(
    opcode: number,
    bytes: Buffer,
    start: number,
    end: number,
    ascii: boolean,
    sink: MessageSink,
  ): FaultCode | null {
    if (opcode === Opcode.text) {
      if (ascii) {
        sink.onText(bytes.toString("latin1", start, end));
        return null;
      }
      if (!isUtf8(bytes.subarray(start, end))) return "WS_UTF8";
      sink.onText(bytes.toString("utf8", start, end));
      return null;
    }
    const data = bytes.subarray(start, end);
    // A small message must not hold the large span that it came in.
    sink.onBinary(data.length * 2 < bytes.buffer.byteLength ? Buffer.from(data) : data);
    return null;
  }

  #onControl(opcode: number, data: Buffer, sink: MessageSink): FaultCode | null {
    if (opcode === Opcode.ping) {
      sink.onPing(data);
      return null;
    }
    if (opcode === Opcode.pong) {
      sink.onPong(data);
      return null;
    }
    if (data.length === 0) {
      this.#end();
      sink.onClose(1005, "");
      return null;
    }
    if (data.length === 1) return "WS_CLOSE_PAYLOAD";
    const code = data.readUInt16BE(0);
    if (!isSendableCloseCode(code)) return "WS_CLOSE_CODE";
    const reason = data.subarray(2);
    if (!isUtf8(reason)) return "WS_UTF8";
    this.#end();
    sink.onClose(code, reason.toString("utf8"));
    return null;
  }

  #fail(code: FaultCode): Fault {
    this.#end();
    return fault(code);
  }

  #end(): void {
    this.#state = State.ended;
    this.#rest = null;
    this.#message = null;
  }
}
