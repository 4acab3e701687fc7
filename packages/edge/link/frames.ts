/**
 * The link's wire: frames over a byte stream. Pure: bytes in, values out; no socket, no clock, no state.
 *
 *   frame    u32 length of the rest, big endian │ u8 kind │ body
 *   hello    "TDWL" │ u16 version          first frame of both sides
 *   batch    message*                      applied whole or not at all
 *   beat     (empty)                       "I am alive"
 *
 *   message  u32 length │ head: JSON of the message without its payload
 *            and for messages that carry a payload:
 *            u32 length │ the payload's JSON text as it is, not encoded again
 *            u16 count  │ per attachment: u32 length │ raw bytes
 *
 * Invariant: a message's sections fill its batch exactly; anything left over or missing is a fault of the whole frame.
 */
import { isUtf8 } from "node:buffer";
import type { LinkMessage } from "./messages.ts";
import type { MessageShapes } from "./shapes.ts";

export const linkVersion = 1;
const magic = "TDWL";

export const FrameKind = { hello: 1, batch: 2, beat: 3 } as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/** Bytes before the body: length and kind. */
export const frameHeadBytes = 5;
const attachmentsMax = 0xffff;

export const FrameFault = {
  /** A length of zero, or over the limit. */
  length: "length",
  kind: "kind",
  /** Not a link's peer at all. */
  magic: "magic",
  /** A section that runs over its frame's end. */
  truncated: "truncated",
  /** A text that is not UTF-8, or a head that is not JSON. */
  text: "text",
  /** A head that is none of this direction's messages. */
  shape: "shape",
} as const;
export type FrameFault = (typeof FrameFault)[keyof typeof FrameFault];

export type Reading<T> =
  | { readonly state: "whole"; readonly value: T; readonly next: number }
  /** `needs` bytes in all, counted from where the reading began. */
  | { readonly state: "short"; readonly needs: number }
  | { readonly state: "fault"; readonly fault: FrameFault; readonly seen: string };

export interface Frame {
  readonly kind: FrameKind;
  /** A view into the bytes that were read. */
  readonly body: Buffer;
}

/** The frame that begins at `at`. */
export function readFrame(bytes: Buffer, at: number, frameBytesMax: number): Reading<Frame> {
  const available = bytes.length - at;
  if (available < frameHeadBytes) return { state: "short", needs: frameHeadBytes };
  const length = bytes.readUInt32BE(at);
  if (length < 1 || length > frameBytesMax) {
    return { state: "fault", fault: FrameFault.length, seen: `length ${length}, at most ${frameBytesMax}` };
  }
  const kind = bytes[at + 4] as FrameKind;
  if (kind !== FrameKind.hello && kind !== FrameKind.batch && kind !== FrameKind.beat) {
    return { state: "fault", fault: FrameFault.kind, seen: `kind ${kind}` };
  }
  const next = at + 4 + length;
  if (next > bytes.length) return { state: "short", needs: 4 + length };
  return { state: "whole", value: { kind, body: bytes.subarray(at + frameHeadBytes, next) }, next };
}

function frameHead(kind: FrameKind, bodyBytes: number): Buffer {
  const frame = Buffer.allocUnsafe(frameHeadBytes + bodyBytes);
  frame.writeUInt32BE(1 + bodyBytes, 0);
  frame[4] = kind;
  return frame;
}

export function encodeBeat(): Buffer {
  return frameHead(FrameKind.beat, 0);
}

export function encodeHello(version: number): Buffer {
  const frame = frameHead(FrameKind.hello, magic.length + 2);
  frame.write(magic, frameHeadBytes, "latin1");
  frame.writeUInt16BE(version, frameHeadBytes + magic.length);
  return frame;
}

/** The peer's version. */
export function decodeHello(body: Buffer): Reading<number> {
  if (body.length !== magic.length + 2 || body.toString("latin1", 0, magic.length) !== magic) {
    return { state: "fault", fault: FrameFault.magic, seen: body.toString("latin1", 0, 16) };
  }
  return { state: "whole", value: body.readUInt16BE(magic.length), next: body.length };
}

/** What a message counts for in a queue before it is encoded: never less than a quarter of its bytes on the wire. */
export function messageWeight(message: LinkMessage): number {
  let weight = 256;
  if ("payload" in message) {
    weight += message.payload.json.length;
    for (const attachment of message.payload.attachments) weight += 4 + attachment.length;
  }
  if ("data" in message) weight += message.data.length;
  if ("to" in message) {
    for (const room of message.to.rooms) weight += room.length + 3;
    for (const room of message.to.except) weight += room.length + 3;
  }
  return weight;
}

/** One frame with all of `messages`, in order. */
export function encodeBatch(messages: readonly LinkMessage[]): Buffer {
  const heads: string[] = [];
  let bytes = 0;
  for (const message of messages) {
    const carries = "payload" in message;
    const head = JSON.stringify(carries ? { ...message, payload: undefined } : message);
    heads.push(head);
    bytes += 4 + Buffer.byteLength(head);
    if (carries) {
      bytes += 4 + Buffer.byteLength(message.payload.json) + 2;
      for (const attachment of message.payload.attachments) bytes += 4 + attachment.length;
    }
  }
  const frame = frameHead(FrameKind.batch, bytes);
  let at = frameHeadBytes;
  for (const [index, message] of messages.entries()) {
    at = writeText(frame, heads[index]!, at);
    if (!("payload" in message)) continue;
    at = writeText(frame, message.payload.json, at);
    const { attachments } = message.payload;
    if (attachments.length > attachmentsMax) throw new RangeError(`more than ${attachmentsMax} attachments`);
    at = frame.writeUInt16BE(attachments.length, at);
    for (const attachment of attachments) {
      at = frame.writeUInt32BE(attachment.length, at);
      frame.set(attachment, at);
      at += attachment.length;
    }
  }
  return frame;
}

function writeText(frame: Buffer, value: string, at: number): number {
  const written = frame.write(value, at + 4, "utf8");
  frame.writeUInt32BE(written, at);
  return at + 4 + written;
}

/** All messages of a batch's body, or the fault that voids it. */
export function decodeBatch<M extends LinkMessage>(body: Buffer, shapes: MessageShapes<M>): Reading<M[]> {
  const messages: M[] = [];
  let at = 0;
  while (at < body.length) {
    const reading = decodeMessage(body, at, shapes);
    if (reading.state !== "whole") return reading;
    messages.push(reading.value);
    at = reading.next;
  }
  return { state: "whole", value: messages, next: at };
}

const truncated = { state: "fault", fault: FrameFault.truncated, seen: "a section over the frame's end" } as const;

function decodeMessage<M extends LinkMessage>(body: Buffer, at: number, shapes: MessageShapes<M>): Reading<M> {
  const headText = readText(body, at);
  if (headText.state !== "whole") return headText;
  let head: unknown;
  try {
    head = JSON.parse(headText.value);
  } catch {
    return { state: "fault", fault: FrameFault.text, seen: `head is not JSON: ${headText.value.slice(0, 80)}` };
  }
  const type = (head as { type?: unknown } | null)?.type;
  const shape = typeof type === "string" ? shapes.get(type) : undefined;
  if (shape === undefined || !shape.head(head)) {
    return { state: "fault", fault: FrameFault.shape, seen: headText.value.slice(0, 80) };
  }
  if (!shape.payload) return { state: "whole", value: head as M, next: headText.next };
  const json = readText(body, headText.next);
  if (json.state !== "whole") return json;
  const attachments = readAttachments(body, json.next);
  if (attachments.state !== "whole") return attachments;
  const value = head as { payload?: unknown };
  value.payload = { json: json.value, attachments: attachments.value };
  return { state: "whole", value: value as unknown as M, next: attachments.next };
}

function readText(body: Buffer, at: number): Reading<string> {
  if (at + 4 > body.length) return truncated;
  const end = at + 4 + body.readUInt32BE(at);
  if (end > body.length) return truncated;
  const bytes = body.subarray(at + 4, end);
  if (!isUtf8(bytes)) return { state: "fault", fault: FrameFault.text, seen: "a text that is not UTF-8" };
  return { state: "whole", value: bytes.toString("utf8"), next: end };
}

function readAttachments(body: Buffer, at: number): Reading<Uint8Array[]> {
  if (at + 2 > body.length) return truncated;
  const total = body.readUInt16BE(at);
  const attachments: Uint8Array[] = [];
  let next = at + 2;
  for (let index = 0; index < total; index++) {
    if (next + 4 > body.length) return truncated;
    const end = next + 4 + body.readUInt32BE(next);
    if (end > body.length) return truncated;
    // A copy, so that an attachment somebody keeps does not hold the whole frame in memory.
    attachments.push(new Uint8Array(body.subarray(next + 4, end)));
    next = end;
  }
  return { state: "whole", value: attachments, next };
}
