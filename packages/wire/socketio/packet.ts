/**
 * The heads of Socket.IO packets: `<type>[<attachments>-][/namespace,][id][json]`.
 *
 * Specification: Socket.IO protocol 5 (https://socket.io/docs/v4/socket-io-protocol/), with socket.io-parser 4.2 as the
 * reference for what is valid. A decoder here looks at no JSON beyond its first character: arguments are checked where
 * they are parsed (`arguments.ts`). Knows no sockets, no rooms, no acknowledgement table.
 *
 * Invariant: what an encoder here makes, `decodePacket` reads back to the same head.
 */
import { type Fault, faults } from "./faults.ts";

export const PacketType = {
  connect: 0,
  disconnect: 1,
  event: 2,
  ack: 3,
  connectError: 4,
  binaryEvent: 5,
  binaryAck: 6,
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** A packet as it stands in one text message. */
export interface Packet {
  readonly type: PacketType;
  /** Binary messages that follow and belong to it; 0 unless the type is a binary one. */
  readonly attachments: number;
  /** Begins with `/`. */
  readonly namespace: string;
  /** The acknowledgement's number; null when there is none. */
  readonly id: number | null;
  /** The data as JSON text, not yet parsed; empty when there is none. */
  readonly json: string;
}

export interface PacketLimits {
  /** Attachments of one packet. */
  readonly attachmentsMax: number;
  /** UTF-16 units of a namespace's name. */
  readonly namespaceLengthMax: number;
}

export const defaultPacketLimits: PacketLimits = Object.freeze({ attachmentsMax: 10, namespaceLengthMax: 512 });

export type DecodedPacket =
  | { readonly ok: true; readonly packet: Packet }
  | { readonly ok: false; readonly fault: Fault };

const DIGIT_0 = 48;
const DIGIT_9 = 57;
const SLASH = 47;
const COMMA = 44;
const DASH = 45;
const QUOTE = 34;
const BRACKET = 91;
const BRACE = 123;

/** Reads the head of a packet; the data stays text. */
export function decodePacket(text: string, limits: PacketLimits = defaultPacketLimits): DecodedPacket {
  const type = text.charCodeAt(0) - DIGIT_0;
  if (!(type >= PacketType.connect && type <= PacketType.binaryAck)) return faults.type;
  let at = 1;

  let attachments = 0;
  if (type === PacketType.binaryEvent || type === PacketType.binaryAck) {
    const end = endOfDigits(text, at);
    // No leading zero, so a count of 0 is refused too: a binary packet without binaries would never end.
    if (end === at || text.charCodeAt(at) === DIGIT_0 || text.charCodeAt(end) !== DASH) return faults.attachments;
    attachments = Number(text.slice(at, end));
    if (attachments > limits.attachmentsMax) return faults.attachmentsMany;
    at = end + 1;
  }

  let namespace = "/";
  if (text.charCodeAt(at) === SLASH) {
    const end = endOfNamespace(text, at, limits.namespaceLengthMax);
    if (end < 0) return faults.namespace;
    namespace = text.slice(at, end);
    at = text.charCodeAt(end) === COMMA ? end + 1 : end;
  }

  let id: number | null = null;
  const idEnd = endOfDigits(text, at);
  if (idEnd > at) {
    id = Number(text.slice(at, idEnd));
    if (!Number.isSafeInteger(id)) return faults.id;
    at = idEnd;
  }

  const json = text.slice(at);
  if (!isDataPlausible(type as PacketType, json)) return faults.data;
  if (id === null && (type === PacketType.ack || type === PacketType.binaryAck)) return faults.id;
  return { ok: true, packet: { type: type as PacketType, attachments, namespace, id, json } };
}

/** `0[/namespace,][json]`: the answer to a CONNECT, or a client's. `json` may be empty. */
export function encodeConnect(namespace: string, json: string): string {
  return `${PacketType.connect}${prefix(namespace)}${json}`;
}

/** `1[/namespace,]`. The stock client stops for good after this one. */
export function encodeDisconnect(namespace: string): string {
  return `${PacketType.disconnect}${prefix(namespace)}`;
}

/** `4[/namespace,]json`: `{ message, data? }`. */
export function encodeConnectError(namespace: string, json: string): string {
  return `${PacketType.connectError}${prefix(namespace)}${json}`;
}

/** An event's text, binary or not by `attachments`; `id` when an answer is wanted. */
export function encodeEvent(namespace: string, id: number | null, json: string, attachments: number): string {
  const type = attachments === 0 ? `${PacketType.event}` : `${PacketType.binaryEvent}${attachments}-`;
  return `${type}${prefix(namespace)}${id === null ? "" : id}${json}`;
}

/** The text of an answer to the event with that `id`. */
export function encodeAck(namespace: string, id: number, json: string, attachments: number): string {
  const type = attachments === 0 ? `${PacketType.ack}` : `${PacketType.binaryAck}${attachments}-`;
  return `${type}${prefix(namespace)}${id}${json}`;
}

/** The JSON text of an event's arguments with one more at its end: where a recovering client reads its offset. */
export function appendOffset(json: string, offset: string): string {
  return `${json.slice(0, -1)},${JSON.stringify(offset)}]`;
}

function prefix(namespace: string): string {
  return namespace === "/" ? "" : `${namespace},`;
}

function endOfDigits(text: string, from: number): number {
  let at = from;
  for (;;) {
    const c = text.charCodeAt(at);
    if (!(c >= DIGIT_0 && c <= DIGIT_9)) return at;
    at++;
  }
}

/** Index behind the name, at its comma or the text's end; -1 when it is too long or holds a control character. */
function endOfNamespace(text: string, from: number, lengthMax: number): number {
  const last = Math.min(text.length, from + lengthMax);
  let at = from;
  for (; at < last; at++) {
    const c = text.charCodeAt(at);
    if (c === COMMA) return at;
    // A namespace comes back in answers, and \x1e would end a packet there.
    if (c < 32) return -1;
  }
  return at === text.length || text.charCodeAt(at) === COMMA ? at : -1;
}

/** Whether the data can be what this type carries, by its first character alone. */
function isDataPlausible(type: PacketType, json: string): boolean {
  const first = json.charCodeAt(0);
  switch (type) {
    case PacketType.connect:
      return json === "" || first === BRACE;
    case PacketType.disconnect:
      return json === "";
    case PacketType.connectError:
      return first === BRACE || first === QUOTE;
    default:
      // The reference lets an event without data through and dispatches nothing; it is refused here.
      return first === BRACKET;
  }
}
