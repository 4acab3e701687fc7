/**
 * Where a message ends (RFC 9112 §6): one reading of Content-Length, Transfer-Encoding and Connection for requests and
 * responses. Any doubt is a fault.
 */
import { isToken } from "./bytes.ts";
import type { HttpFaultCode } from "./faults.ts";

/** How a body is delimited: a length, or one of these. Also what the encoders take. */
export const Framing = {
  /** `transfer-encoding: chunked`. */
  chunked: -1,
  /** No framing field at all: no body, or one that ends when the connection closes. */
  none: -2,
} as const;

/** The largest length that is accepted: exact in a double, and short enough that no peer reads it otherwise. */
const LENGTH_DIGITS_MAX = 15;

/** `1*DIGIT` without leading zeros, which some read as octal; -1 when it is anything else. */
export function parseLength(text: string): number {
  if (text.length === 0 || text.length > LENGTH_DIGITS_MAX) return -1;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return text.charCodeAt(0) === 0x30 && text.length > 1 ? -1 : value;
}

/** null when the coding is exactly one `chunked`; otherwise the fault. */
export function encodingFault(value: string): HttpFaultCode | null {
  if (value === "chunked") return null;
  const codings = value.toLowerCase().split(",");
  if (codings.length === 1 && codings[0] === "chunked") return null;
  for (const [index, raw] of codings.entries()) {
    const coding = raw.trim();
    if (!isToken(coding) || coding === "identity") return "ENCODING_INVALID";
    const last = index === codings.length - 1;
    if (coding.includes("chunked") && (coding !== "chunked" || !last || index === 0)) return "ENCODING_INVALID";
  }
  return "ENCODING_UNKNOWN";
}

/** What `Connection` says, as bits. */
export const ConnectionBit = { close: 1, keepAlive: 2, upgrade: 4 } as const;

export function connectionBits(value: string): number {
  if (value === "keep-alive") return ConnectionBit.keepAlive;
  if (value === "close") return ConnectionBit.close;
  let bits = 0;
  for (const raw of value.toLowerCase().split(",")) {
    const option = raw.trim();
    if (option === "close") bits |= ConnectionBit.close;
    else if (option === "keep-alive") bits |= ConnectionBit.keepAlive;
    else if (option === "upgrade") bits |= ConnectionBit.upgrade;
  }
  return bits;
}

/**
 * Fields that must not stand in trailers: framing, routing, connection control, what was decided upon before the body
 * came, and what says how to read it (RFC 9110 §6.5.1).
 */
const refusedTrailers: ReadonlySet<string> = new Set([
  ..."content-length transfer-encoding host connection keep-alive proxy-connection te trailer upgrade expect".split(
    " ",
  ),
  ..."max-forwards forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-real-ip".split(" "),
  ..."authorization proxy-authorization cookie set-cookie www-authenticate proxy-authenticate location".split(" "),
  ..."content-encoding content-type content-range cache-control range if-match if-none-match if-range".split(" "),
]);

export function isRefusedTrailer(name: string): boolean {
  return refusedTrailers.has(name);
}
