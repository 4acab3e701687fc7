/**
 * What each byte may be in HTTP/1.1, as tables, so that a scan is one load per byte (RFC 9110 §5.5, §5.6.2; RFC 3986 §2).
 */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

const tokenExtras = "!#$%&'*+-.^_`|~";

/** For a token's byte its lower case; 0 for every other byte. */
export const tokenLower = new Uint8Array(256);
/** 1 for a byte that ends or breaks a field value: every control character but TAB. */
export const valueStop = new Uint8Array(256);
/** The value of a hexadecimal digit plus 1; 0 for every other byte. */
export const hexDigit = new Uint8Array(256);

/** What a byte means to the scan of a target. Anything that may not stand in one at all is `stop`. */
export const TargetByte = { plain: 0, stop: 1, query: 2, percent: 3, dot: 4, backslash: 5 } as const;
export const targetByte = new Uint8Array(256);

for (let b = 0; b < 256; b++) {
  const char = String.fromCharCode(b);
  if (/[0-9A-Za-z]/.test(char) || tokenExtras.includes(char)) tokenLower[b] = char.toLowerCase().charCodeAt(0);
  if ((b < 0x20 && b !== TAB) || b === 0x7f) valueStop[b] = 1;
  if (/[0-9A-Fa-f]/.test(char)) hexDigit[b] = Number.parseInt(char, 16) + 1;
  if (b <= SP || b >= 0x7f || char === "#") targetByte[b] = TargetByte.stop;
  else if (char === "?") targetByte[b] = TargetByte.query;
  else if (char === "%") targetByte[b] = TargetByte.percent;
  else if (char === ".") targetByte[b] = TargetByte.dot;
  else if (char === "\\") targetByte[b] = TargetByte.backslash;
}

interface Latin1Bytes extends Buffer {
  latin1Slice(start: number, end: number): string;
}

/** Bytes as latin1 text. Not `toString`: the same, less than half the cost, and missing from the type declarations. */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  const buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (buffer as Latin1Bytes).latin1Slice(start, end);
}

/** Latin1 text as bytes that are nobody else's. */
export function ownBytes(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** The same latin1 text in one piece: what was joined is kept as a tree, which is walked each time that it is written. */
export function inOnePiece(text: string): string {
  return latin1(ownBytes(text), 0, text.length);
}

/** Up to this many bytes are compared here: calling the runtime for them would take longer. */
const SHORT_BYTES_MAX = 160;
/** What differs does so in these, mostly. */
const FIRST_BYTES = 32;

/** True when exactly `known` stands in `bytes` at `start`. */
export function standsAt(known: Buffer, bytes: Buffer, start: number): boolean {
  const { length } = known;
  if (start + length > bytes.length) return false;
  const looped = length <= SHORT_BYTES_MAX ? length : FIRST_BYTES;
  for (let i = 0; i < looped; i++) if (bytes[start + i] !== known[i]) return false;
  return looped === length || bytes.compare(known, looped, length, start + looped, start + length) === 0;
}

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export function isToken(text: string): boolean {
  return tokenPattern.test(text);
}
