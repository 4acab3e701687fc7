/**
 * Packets of Engine.IO protocol 4 (https://github.com/socketio/engine.io-protocol): a digit and its data as text, or
 * binary. A WebSocket message holds one packet; a polling payload holds several, joined by U+001E, binary in base64.
 * Knows no HTTP, no frames, no sessions.
 */

export const PacketType = {
  open: "0",
  close: "1",
  ping: "2",
  pong: "3",
  message: "4",
  upgrade: "5",
  noop: "6",
} as const;
export type PacketType = (typeof PacketType)[keyof typeof PacketType];

/** Between the packets of a polling payload. JSON never holds it bare. */
export const payloadSeparator = "\x1e";

/** Text packets carry `text`; a binary message has type `message` and carries `binary`. */
export interface EnginePacket {
  readonly type: PacketType;
  readonly text: string;
  readonly binary: Uint8Array | null;
}

export type DecodedPacket =
  | { readonly ok: true; readonly packet: EnginePacket }
  | { readonly ok: false; readonly fault: "ENGINEIO_TYPE" | "ENGINEIO_BASE64" };

/** One packet of a payload, and where the next begins: -1 when it was the last. */
export interface PayloadStep {
  readonly decoded: DecodedPacket;
  readonly next: number;
}

const UNKNOWN_TYPE: DecodedPacket = Object.freeze({ ok: false, fault: "ENGINEIO_TYPE" });
const BAD_BASE64: DecodedPacket = Object.freeze({ ok: false, fault: "ENGINEIO_BASE64" });

/** Reads a packet from a WebSocket's text message. */
export function decodePacket(text: string): DecodedPacket {
  const code = text.charCodeAt(0);
  if (!(code >= 48 && code <= 54)) return UNKNOWN_TYPE;
  return { ok: true, packet: { type: text[0] as PacketType, text: text.slice(1), binary: null } };
}

/** Reads the packet of a polling payload that begins at `from`. */
export function decodePayloadPacket(payload: string, from: number): PayloadStep {
  const separator = payload.indexOf(payloadSeparator, from);
  const end = separator < 0 ? payload.length : separator;
  const next = separator < 0 ? -1 : separator + 1;
  if (payload[from] !== "b" || end === from) return { decoded: decodePacket(payload.slice(from, end)), next };
  const encoded = payload.slice(from + 1, end);
  const binary = Buffer.from(encoded, "base64");
  // Buffer skips what is not base64; the length that the text promises shows whether it did.
  const padding = encoded.endsWith("==") ? 2 : encoded.endsWith("=") ? 1 : 0;
  if (binary.length !== Math.floor(((encoded.length - padding) * 3) / 4)) return { decoded: BAD_BASE64, next };
  return { decoded: { ok: true, packet: { type: PacketType.message, text: "", binary } }, next };
}

/** A binary message as a packet of a polling payload. */
export function binaryForPolling(data: Uint8Array): string {
  return `b${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`;
}

/** What the first packet tells the client. */
export interface Opening {
  readonly sid: string;
  readonly upgrades: readonly string[];
  readonly pingInterval: number;
  readonly pingTimeout: number;
  readonly maxPayload: number;
}

/** The packet that opens a session: exactly these keys, in this order. */
export function encodeOpen(opening: Opening): string {
  const { sid, upgrades, pingInterval, pingTimeout, maxPayload } = opening;
  return PacketType.open + JSON.stringify({ sid, upgrades, pingInterval, pingTimeout, maxPayload });
}
