/**
 * The one scan over a head's bytes (RFC 9112 §3–§5): it finds where things are and refuses what may not be, and makes no
 * strings. Results stand in tables shared by all decoders, valid until the next scan: a decoder reads them at once.
 * It knows no meaning of any field but where the Transfer-Encoding had odd white space around it.
 */
import { COLON, CR, LF, latin1, SP, TAB, TargetByte, targetByte, tokenLower, valueStop } from "./bytes.ts";
import type { HeadLimits } from "./contract.ts";
import type { HttpFaultCode } from "./faults.ts";
import { findName, knownName, NameId } from "./names.ts";

export const Scan = { complete: 0, incomplete: 1, fault: 2 } as const;
export type Scan = (typeof Scan)[keyof typeof Scan];

export const METHOD_BYTES_MAX = 32;
export const FIELDS_CAP = 1024;

/** Fields of the last complete scan: names, what they mean, and where their values stand, white space trimmed. */
export const fieldNames: string[] = new Array<string>(FIELDS_CAP).fill("");
export const fieldIds = new Uint8Array(FIELDS_CAP);
export const valueStarts = new Int32Array(FIELDS_CAP);
export const valueEnds = new Int32Array(FIELDS_CAP);

/** What the last scan found. Positions are indexes into the bytes that were scanned. */
export const found = {
  /** After the last line that was whole. */
  next: 0,
  fault: "REQUEST_LINE" as HttpFaultCode,
  methodEnd: 0,
  targetEnd: 0,
  /** Index of the first `?` in the target, or -1. */
  query: -1,
  /** The path holds dots after slashes, or percent-encodings: it must be normalised. */
  unsettled: false,
  backslash: false,
  version: 11,
  status: 0,
  fieldCount: 0,
  /** A Transfer-Encoding stood behind other white space than nothing or one space. */
  oddEncoding: false,
};

function fail(code: HttpFaultCode): Scan {
  found.fault = code;
  return Scan.fault;
}

/** The fault of a byte that broke off a line's grammar; `otherwise` when it is no line end or control character. */
function breakCode(bytes: Uint8Array, at: number, otherwise: HttpFaultCode): HttpFaultCode {
  const byte = bytes[at]!;
  if (byte === LF) return "BARE_LF";
  return valueStop[byte] === 1 && byte !== CR ? "CONTROL_CHARACTER" : otherwise;
}

/** `method SP target SP HTTP/1.x CRLF`; sets `found` up to `version`, and `next`. */
export function scanRequestLine(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): Scan {
  let at = start;
  while (at < end && tokenLower[bytes[at]!] !== 0) at++;
  if (at - start > METHOD_BYTES_MAX) return fail("METHOD_TOO_LONG");
  if (at >= end) return Scan.incomplete;
  if (bytes[at] !== SP || at === start) return fail(breakCode(bytes, at, "REQUEST_LINE"));
  found.methodEnd = at;
  const target = ++at;
  let query = -1;
  let unsettled = false;
  found.backslash = false;
  for (; at < end; at++) {
    const kind = targetByte[bytes[at]!]!;
    if (kind === TargetByte.plain) continue;
    if (kind === TargetByte.stop) break;
    if (query !== -1) continue;
    if (kind === TargetByte.query) query = at;
    else if (kind === TargetByte.percent) unsettled = true;
    else if (kind === TargetByte.backslash) found.backslash = true;
    else if (bytes[at - 1] === 0x2f) unsettled = true;
  }
  if (at - target > limits.targetBytesMax) return fail("TARGET_TOO_LONG");
  if (at >= end) return Scan.incomplete;
  if (bytes[at] !== SP || at === target) {
    const printable = bytes[at]! > SP && bytes[at] !== 0x7f;
    return fail(printable ? "TARGET_CHARACTER" : breakCode(bytes, at, "REQUEST_LINE"));
  }
  found.targetEnd = at;
  found.query = query;
  found.unsettled = unsettled;
  at++;
  const version = scanVersion(bytes, at, end);
  if (version !== Scan.complete) return version;
  at += 8;
  if (at < end && bytes[at] !== CR) return fail(breakCode(bytes, at, "REQUEST_LINE"));
  if (at + 1 >= end) return Scan.incomplete;
  if (bytes[at + 1] !== LF) return fail("BARE_CR");
  found.next = at + 2;
  return Scan.complete;
}

const httpSlash = [0x48, 0x54, 0x54, 0x50, 0x2f];

/** `HTTP/d.d` (8 bytes), refused at the first byte that differs; sets `found.version`. */
function scanVersion(bytes: Uint8Array, start: number, end: number): Scan {
  for (let i = 0; i < 8; i++) {
    if (start + i >= end) return Scan.incomplete;
    const byte = bytes[start + i]!;
    const fits = i < 5 ? byte === httpSlash[i] : i === 6 ? byte === 0x2e : byte >= 0x30 && byte <= 0x39;
    if (!fits) return fail(breakCode(bytes, start + i, "VERSION"));
  }
  if (bytes[start + 5] !== 0x31) return fail("VERSION_MAJOR");
  found.version = bytes[start + 7] === 0x30 ? 10 : 11;
  return Scan.complete;
}

/** `HTTP/1.x SP 3DIGIT [SP reason] CRLF`; the reason is checked and dropped. Sets `version`, `status`, `next`. */
export function scanStatusLine(bytes: Uint8Array, start: number, end: number, limits: HeadLimits): Scan {
  const version = scanVersion(bytes, start, end);
  if (version !== Scan.complete) return version;
  let at = start + 8;
  let status = 0;
  for (let i = 0; i < 4; i++, at++) {
    if (at >= end) return Scan.incomplete;
    const byte = bytes[at]!;
    if (i === 0 ? byte !== SP : byte < 0x30 || byte > 0x39) return fail(breakCode(bytes, at, "STATUS_LINE"));
    if (i > 0) status = status * 10 + byte - 0x30;
  }
  if (status < 100 || status > 599) return fail("STATUS_LINE");
  if (at < end && bytes[at] === SP) at++;
  else if (at < end && bytes[at] !== CR) return fail(breakCode(bytes, at, "STATUS_LINE"));
  while (at < end && valueStop[bytes[at]!] === 0) at++;
  if (at - start > limits.fieldBytesMax) return fail("FIELD_TOO_LARGE");
  if (at >= end) return Scan.incomplete;
  if (bytes[at] !== CR) return fail(breakCode(bytes, at, "STATUS_LINE"));
  if (at + 1 >= end) return Scan.incomplete;
  if (bytes[at + 1] !== LF) return fail("BARE_CR");
  found.status = status;
  found.next = at + 2;
  return Scan.complete;
}

/**
 * Field lines up to and with the empty line. `count` fields of the head were scanned before, and `first` is where the
 * first of all began. When incomplete, `found.next` is the start of the line that is not whole.
 */
export function scanFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  first: number,
  count: number,
  limits: HeadLimits,
): Scan {
  let at = start;
  for (;;) {
    const line = at;
    found.next = line;
    found.fieldCount = count;
    if (at >= end) return Scan.incomplete;
    let hash = 0;
    for (; at < end; at++) {
      const lower = tokenLower[bytes[at]!]!;
      if (lower === 0) break;
      hash = (Math.imul(hash, 31) + lower) | 0;
    }
    if (at >= end) return pending(line, first, end, limits);
    if (bytes[at] !== COLON || at === line) {
      if (at !== line || bytes[at] !== CR) return fail(nameCode(bytes, line, at, count));
      if (at + 1 >= end) return Scan.incomplete;
      if (bytes[at + 1] !== LF) return fail("BARE_CR");
      found.next = at + 2;
      return Scan.complete;
    }
    const nameEnd = at++;
    while (at < end && (bytes[at] === SP || bytes[at] === TAB)) at++;
    const valueStart = at;
    while (at < end && valueStop[bytes[at]!] === 0) at++;
    if (at >= end) return pending(line, first, end, limits);
    if (bytes[at] !== CR) return fail(bytes[at] === LF ? "BARE_LF" : "CONTROL_CHARACTER");
    if (at + 1 >= end) return pending(line, first, end, limits);
    if (bytes[at + 1] !== LF) return fail("BARE_CR");
    let valueEnd = at;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SP || bytes[valueEnd - 1] === TAB)) valueEnd--;
    if (at - line > limits.fieldBytesMax) return fail("FIELD_TOO_LARGE");
    if (count >= limits.fieldsMax) return fail("FIELDS_TOO_MANY");
    const known = findName(bytes, line, nameEnd, hash);
    fieldNames[count] = known !== 0 ? knownName(known) : lowerName(bytes, line, nameEnd);
    fieldIds[count] = known > NameId.expect ? NameId.other : known;
    if (known === NameId.transferEncoding) noteEncoding(bytes, nameEnd + 1, valueStart, valueEnd, at);
    valueStarts[count] = valueStart;
    valueEnds[count] = valueEnd;
    count++;
    at += 2;
    if (at - first > limits.fieldsBytesMax) return fail("FIELDS_TOO_LARGE");
  }
}

function pending(line: number, first: number, end: number, limits: HeadLimits): Scan {
  if (end - line > limits.fieldBytesMax + 1) return fail("FIELD_TOO_LARGE");
  if (end - first > limits.fieldsBytesMax) return fail("FIELDS_TOO_LARGE");
  return Scan.incomplete;
}

function nameCode(bytes: Uint8Array, line: number, at: number, count: number): HttpFaultCode {
  const byte = bytes[at]!;
  if (byte === SP || byte === TAB) {
    if (at > line) return "SPACE_BEFORE_COLON";
    return count === 0 ? "SPACE_BEFORE_FIELDS" : "OBS_FOLD";
  }
  return breakCode(bytes, at, "FIELD_NAME");
}

function noteEncoding(bytes: Uint8Array, rawStart: number, start: number, end: number, rawEnd: number): void {
  const leading = start - rawStart;
  if (leading > 1 || (leading === 1 && bytes[rawStart] !== SP) || rawEnd !== end) found.oddEncoding = true;
}

function lowerName(bytes: Uint8Array, start: number, end: number): string {
  return latin1(bytes, start, end).toLowerCase();
}
