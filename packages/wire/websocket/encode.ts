/**
 * Writes WebSocket frames (RFC 6455 §5): head and payload in one Buffer, for one write. A server's frames are unmasked and
 * may be shared between connections; a client's are masked with a key of the caller's choosing.
 */
import { Opcode } from "./decode.ts";
import { maskInPlace } from "./mask.ts";

const FIN = 0x80;
const RSV1 = 0x40;
const MASKED = 0x80;

/** A whole text message as a server's frame. */
export function encodeText(text: string): Buffer {
  const length = Buffer.byteLength(text, "utf8");
  const head = headLength(length);
  const frame = Buffer.allocUnsafe(head + length);
  writeHead(frame, FIN | Opcode.text, 0, length);
  // A text of ASCII alone is copied without looking at each character.
  if (length === text.length) frame.write(text, head, "latin1");
  else frame.write(text, head, "utf8");
  return frame;
}

/** Bytes of the frame that {@link writeText} writes. */
export function textFrameBytes(textBytes: number): number {
  return headLength(1 + textBytes) + 1 + textBytes;
}

/**
 * Writes a whole text message as a server's frame into `frames`, at `at`; returns where it ends. The message is `first`, a
 * code of ASCII, and behind it `text`, which has `textBytes` bytes as UTF-8: it is neither joined nor measured for this.
 */
export function writeText(frames: Buffer, at: number, first: number, text: string, textBytes: number): number {
  const head = headLength(1 + textBytes);
  writeHead(frames, FIN | Opcode.text, 0, 1 + textBytes, at);
  frames[at + head] = first;
  const from = at + head + 1;
  if (textBytes === text.length) frames.write(text, from, "latin1");
  else frames.write(text, from, "utf8");
  return from + textBytes;
}

/** A whole binary message as a server's frame. */
export function encodeBinary(data: Uint8Array): Buffer {
  return encodeFrame(Opcode.binary, data);
}

/** A frame of any kind; `fin` false leaves the message open for continuations. */
export function encodeFrame(opcode: Opcode, payload: Uint8Array, fin = true): Buffer {
  const head = headLength(payload.length);
  const frame = Buffer.allocUnsafe(head + payload.length);
  writeHead(frame, (fin ? FIN : 0) | opcode, 0, payload.length);
  frame.set(payload, head);
  return frame;
}

/** A whole message that was compressed (RFC 7692 §7.2.1) as a server's frame. */
export function encodeDeflated(opcode: Opcode, payload: Uint8Array): Buffer {
  const frame = encodeFrame(opcode, payload);
  frame[0] = frame[0]! | RSV1;
  return frame;
}

/** A client's frame, masked with `key` (four bytes as a number); the payload is left as it is. */
export function encodeMaskedFrame(opcode: Opcode, payload: Uint8Array, key: number, fin = true): Buffer {
  const head = headLength(payload.length);
  const frame = Buffer.allocUnsafe(head + 4 + payload.length);
  writeHead(frame, (fin ? FIN : 0) | opcode, MASKED, payload.length);
  frame.writeInt32BE(key | 0, head);
  frame.set(payload, head + 4);
  maskInPlace(frame, head + 4, frame.length, key | 0, 0);
  return frame;
}

/** The payload of a close frame. The reason is cut to what a control frame holds, between characters. */
export function closePayload(code: number, reason = ""): Buffer {
  let text = Buffer.from(reason, "utf8");
  if (text.length > 123) {
    let end = 123;
    while ((text[end]! & 0xc0) === 0x80) end--;
    text = text.subarray(0, end);
  }
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  payload.set(text, 2);
  return payload;
}

function headLength(length: number): number {
  return length < 126 ? 2 : length < 0x10000 ? 4 : 10;
}

function writeHead(frame: Buffer, first: number, maskBit: number, length: number, at = 0): void {
  frame[at] = first;
  if (length < 126) {
    frame[at + 1] = maskBit | length;
  } else if (length < 0x10000) {
    frame[at + 1] = maskBit | 126;
    frame.writeUInt16BE(length, at + 2);
  } else {
    frame[at + 1] = maskBit | 127;
    frame.writeUInt32BE(Math.floor(length / 0x100000000), at + 2);
    frame.writeUInt32BE(length % 0x100000000, at + 6);
  }
}
