/**
 * Requests, bytes to values (RFC 9112), strictly: the rules are in README.md, each fault in `faults.ts`. Knows nothing of
 * sockets, time or what a field means beyond framing, Host and Upgrade.
 */
import type { FieldList, Memo, RequestHead } from "@tideway/base";
import { BodyReader } from "./body.ts";
import { CR, isToken, LF, latin1, ownBytes, standsAt } from "./bytes.ts";
import type { HeadLimits, RequestMeta, RequestSink } from "./contract.ts";
import { type HttpFaultCode, requestFaults } from "./faults.ts";
import { ConnectionBit, connectionBits, encodingFault, parseLength } from "./framing.ts";
import { HeadKind, HeadReader } from "./head.ts";
import { NameId } from "./names.ts";
import { fieldIds, fieldNames, found, Scan, scanRequestLine, valueEnds, valueStarts } from "./scan.ts";
import { type Authority, normalisePath, parseAbsolute, parseAuthority } from "./target.ts";

/** Where a decoder stands. */
export const Phase = {
  /** Nothing of the next message has come, or (for responses) none is expected. */
  idle: "idle",
  head: "head",
  body: "body",
  failed: "failed",
} as const;
export type Phase = (typeof Phase)[keyof typeof Phase];

/** Empty lines before a request line that are ignored: old clients sent one after a body (RFC 9112 §2.2). */
const EMPTY_LINES_MAX = 4;

const metas: readonly RequestMeta[] = [0, 1, 2, 3].map((bits) =>
  Object.freeze({ keepAlive: (bits & 1) !== 0, expectContinue: (bits & 2) !== 0 }),
);
const noAuthority: Authority = { host: "", authority: "" };
const methods = new Map("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT".split(" ").map((name) => [name, name]));

/** What a head's fields say about its framing; -1 and "" where a field is absent. Reused: one head is read at a time. */
const seen = {
  host: "",
  hostCount: 0,
  length: "",
  lengthCount: 0,
  encoding: "",
  encodingCount: 0,
  bits: 0,
  upgrade: "",
  expect: false,
};

/** What a head's field lines led to: everything but its first line. */
interface FieldFacts {
  readonly fields: FieldList;
  readonly bodyLength: number;
  readonly host: Authority;
  readonly upgrade: string;
  readonly meta: RequestMeta;
  readonly memo: Memo | undefined;
}

/**
 * A client that stays connected sends the same field lines again and again, and often the same first line. Lines that came
 * twice in a row are remembered with what they led to: when the bytes are the same, so is everything that they mean.
 */
interface Remembered {
  /** The field lines up to and with the empty line, of a head of HTTP/1.1. */
  readonly lines: Buffer;
  readonly facts: FieldFacts;
  /** The last head with them, and its first line. */
  firstLine: Buffer;
  head: RequestHead;
}

/** Longer field lines are not remembered: an idle connection holds little. */
const REMEMBERED_BYTES_MAX = 2 * 1024;

export class RequestDecoder {
  readonly #limits: HeadLimits;
  readonly #sink: RequestSink;
  readonly #heads: HeadReader;
  readonly #body: BodyReader;
  #phase: Phase = Phase.idle;
  #halted = false;
  #position = 0;
  #emptyLines = 0;
  /** The CR of an empty line before the request line was the last byte of a span. */
  #emptyLineOpen = false;
  /** The Host of the last request and what it parsed to: on one connection it rarely changes. */
  #hostText = "";
  #host: Authority = noAuthority;
  /** The field lines of the last head; empty when they are too long. */
  #lastLines = "";
  #remembered: Remembered | null = null;

  constructor(limits: HeadLimits, sink: RequestSink) {
    this.#limits = limits;
    this.#sink = sink;
    this.#heads = new HeadReader(limits);
    this.#body = new BodyReader(limits, this.#heads);
    this.#heads.begin(HeadKind.request);
  }

  /** idle: no byte of the next request has come; head: in the middle of one; body: its head was told, its end was not. */
  get phase(): Phase {
    return this.#phase;
  }

  /** From within a sink's call: `decode` returns as soon as that call does. Call it again with the rest to go on. */
  halt(): void {
    this.#halted = true;
  }

  /** Within `onHead` and `onEnd`: the offset of the first byte behind the head, or behind the request. */
  get position(): number {
    return this.#position;
  }

  /** Lets go of what is remembered of the last heads, to save memory; it changes nothing else. */
  forget(): void {
    this.#lastLines = "";
    this.#remembered = null;
  }

  /**
   * Consumes from `offset`; returns the offset of the first byte that was not. Stops after a request's end, after
   * `halt`, at the chunk's end, and for good after a fault. An empty rest is fine: it continues what was halted.
   */
  decode(chunk: Buffer, offset: number): number {
    this.#halted = false;
    let at = offset;
    if (this.#phase === Phase.idle || this.#phase === Phase.head) {
      at = this.#readHead(chunk, at);
      if (this.#halted) return at;
    }
    if (this.#phase !== Phase.body) return at;
    const body = this.#body;
    while (!body.done) {
      if (at >= chunk.length) return at;
      at = body.step(chunk, at);
      if (body.failed) return this.#fail(body.fault, at);
      if (body.dataEnd > body.dataStart) {
        this.#sink.onBody(chunk.subarray(body.dataStart, body.dataEnd));
        if (this.#halted) return at;
      }
    }
    this.#phase = Phase.idle;
    this.#position = at;
    this.#sink.onEnd(body.trailers);
    return at;
  }

  #readHead(chunk: Buffer, offset: number): number {
    let at = offset;
    if (this.#phase === Phase.idle) {
      at = this.#skipEmptyLines(chunk, at);
      if (at >= chunk.length || this.#halted) return at;
      if (this.#remembered !== null && this.#readRepeated(chunk, at, this.#remembered)) return this.#position;
      this.#heads.begin(HeadKind.request);
      this.#phase = Phase.head;
    }
    const heads = this.#heads;
    const result = heads.read(chunk, at);
    if (result === Scan.fault) return this.#fail(found.fault, at);
    if (result === Scan.complete) {
      this.#position = heads.next;
      this.#tellHead();
    }
    return heads.next;
  }

  #skipEmptyLines(chunk: Buffer, offset: number): number {
    let at = offset;
    while (at < chunk.length) {
      if (this.#emptyLineOpen) {
        if (chunk[at] !== LF) return this.#fail("BARE_CR", at);
        this.#emptyLineOpen = false;
        if (++this.#emptyLines > EMPTY_LINES_MAX) return this.#fail("EMPTY_LINES", at);
      } else if (chunk[at] === CR) this.#emptyLineOpen = true;
      else break;
      at++;
    }
    return at;
  }

  /** Makes the head's values out of what the scan found, tells them, and readies the body. */
  #tellHead(): void {
    const heads = this.#heads;
    const { start, fieldsStart } = heads;
    const firstLine = latin1(heads.bytes, start, fieldsStart);
    const lines = latin1(heads.bytes, fieldsStart, found.next);
    heads.release();
    const fields = readFields(lines, fieldsStart, this.#limits.underscores === true);
    const { version } = found;
    const length = requestLength(version);
    if (typeof length === "string") return void this.#fail(length, 0);
    const method = readMethod(firstLine, found.methodEnd - start);
    if (method === null) return void this.#fail("METHOD_REFUSED", 0);
    const hostFault = this.#readHost(version);
    if (hostFault !== null) return void this.#fail(hostFault, 0);

    const keepAlive = version === 11 ? (seen.bits & ConnectionBit.close) === 0 : seen.bits === ConnectionBit.keepAlive;
    const expectContinue = seen.expect && version === 11 && length !== 0;
    const repeats = version === 11 && lines === this.#lastLines;
    const facts: FieldFacts = {
      fields,
      bodyLength: length,
      host: this.#host,
      upgrade: version === 11 && length === 0 ? readUpgrade() : "",
      meta: metas[(keepAlive ? 1 : 0) + (expectContinue ? 2 : 0)]!,
      memo: repeats ? { by: null, made: null } : undefined,
    };
    const head = readTarget(firstLine, start, method, facts);
    if (typeof head === "string") return void this.#fail(head, 0);
    this.#remembered = repeats ? { lines: ownBytes(lines), facts, firstLine: ownBytes(firstLine), head } : null;
    this.#lastLines = lines.length <= REMEMBERED_BYTES_MAX ? lines : "";
    this.#tell(head, facts);
  }

  /** Tells a head whose field lines are those that are remembered; false when they are others, or not all here. */
  #readRepeated(chunk: Buffer, start: number, remembered: Remembered): boolean {
    if (scanRequestLine(chunk, start, chunk.length, this.#limits) !== Scan.complete || found.version !== 11)
      return false;
    const { next } = found;
    const { lines, facts } = remembered;
    if (!standsAt(lines, chunk, next)) return false;
    this.#position = next + lines.length;
    if (!standsAt(remembered.firstLine, chunk, start)) {
      const firstLine = latin1(chunk, start, next);
      const method = readMethod(firstLine, found.methodEnd - start);
      const head = method === null ? "METHOD_REFUSED" : readTarget(firstLine, start, method, facts);
      if (typeof head === "string") {
        this.#fail(head, start);
        return true;
      }
      remembered.firstLine = ownBytes(firstLine);
      remembered.head = head;
    }
    this.#tell(remembered.head, facts);
    return true;
  }

  #tell(head: RequestHead, facts: FieldFacts): void {
    this.#emptyLines = 0;
    this.#phase = Phase.body;
    this.#body.begin(facts.bodyLength);
    this.#sink.onHead(head, facts.meta);
  }

  /** Rule 4: exactly one valid Host; HTTP/1.0 may have none. */
  #readHost(version: number): HttpFaultCode | null {
    if (seen.hostCount > 1) return "HOST_REPEATED";
    if (seen.hostCount === 0) {
      this.#host = noAuthority;
      this.#hostText = "";
      return version === 10 ? null : "HOST_MISSING";
    }
    if (seen.host === this.#hostText && seen.host !== "") return null;
    const authority = parseAuthority(seen.host);
    if (authority === null) return "HOST_INVALID";
    this.#host = authority;
    this.#hostText = seen.host;
    return null;
  }

  #fail(code: HttpFaultCode, at: number): number {
    this.#phase = Phase.failed;
    this.#halted = true;
    this.#heads.release();
    this.#sink.onFault(requestFaults[code]);
    return at;
  }
}

/** null for a method that is refused. */
function readMethod(firstLine: string, end: number): string | null {
  const text = firstLine.slice(0, end);
  const method = methods.get(text) ?? text;
  return method === "CONNECT" || method === "TRACE" ? null : method;
}

/** The head, its path in normal form, or the fault of its target. */
function readTarget(firstLine: string, start: number, method: string, facts: FieldFacts): RequestHead | HttpFaultCode {
  const targetStart = method.length + 1;
  const targetEnd = found.targetEnd - start;
  const query = found.query === -1 ? targetEnd : found.query - start;
  let path = firstLine.slice(targetStart, query);
  let queryText = query === targetEnd ? "" : firstLine.slice(query, targetEnd);
  let { host, memo } = facts;
  if (path.charCodeAt(0) !== 0x2f) {
    const target = path + queryText;
    const absolute = target === "*" ? null : parseAbsolute(target);
    if (absolute !== null) {
      host = absolute.authority;
      memo = undefined;
      path = absolute.path === "" ? (method === "OPTIONS" && absolute.query === "" ? "*" : "/") : absolute.path;
      queryText = absolute.query;
    } else if (target !== "*" || method !== "OPTIONS") return "TARGET_FORM";
  }
  if (found.backslash) return "TARGET_CHARACTER";
  if (found.unsettled) {
    const normal = normalisePath(path);
    if (normal === null) return "PATH_ENCODING";
    path = normal;
  }
  return Object.freeze({
    method,
    path,
    query: queryText,
    host: host.host,
    authority: host.authority,
    version: found.version,
    fields: facts.fields,
    bodyLength: facts.bodyLength,
    upgrade: facts.upgrade,
    memo,
  });
}

/** The field list, and into `seen` what the framing rules look at. */
function readFields(text: string, start: number, underscores: boolean): FieldList {
  seen.hostCount = 0;
  seen.lengthCount = 0;
  seen.encodingCount = 0;
  seen.bits = 0;
  seen.upgrade = "";
  seen.expect = false;
  const fields: FieldList = [];
  for (let i = 0; i < found.fieldCount; i++) {
    const name = fieldNames[i]!;
    const value = text.slice(valueStarts[i]! - start, valueEnds[i]! - start);
    const id = fieldIds[i]!;
    if (id !== NameId.other) noteField(id, value);
    else if (!underscores && name.includes("_")) continue;
    fields.push(name, value);
  }
  return Object.freeze(fields) as FieldList;
}

function noteField(id: number, value: string): void {
  switch (id) {
    case NameId.host:
      seen.host = value;
      seen.hostCount++;
      break;
    case NameId.contentLength:
      seen.length = value;
      seen.lengthCount++;
      break;
    case NameId.transferEncoding:
      seen.encoding = seen.encodingCount === 0 ? value : `${seen.encoding},${value}`;
      seen.encodingCount++;
      break;
    case NameId.connection:
      seen.bits |= connectionBits(value);
      break;
    case NameId.upgrade:
      seen.upgrade = seen.upgrade === "" ? value : `${seen.upgrade},${value}`;
      break;
    default:
      if (value.toLowerCase() === "100-continue") seen.expect = true;
  }
}

/** Rules 9 to 11: the body's length, -1 when it is chunked, or the fault. */
function requestLength(version: number): number | HttpFaultCode {
  if (seen.encodingCount > 0) {
    if (seen.lengthCount > 0) return "LENGTH_WITH_ENCODING";
    if (version === 10) return "ENCODING_IN_HTTP_1_0";
    if (found.oddEncoding) return "ENCODING_INVALID";
    return encodingFault(seen.encoding) ?? -1;
  }
  if (seen.lengthCount === 0) return 0;
  const length = seen.lengthCount === 1 ? parseLength(seen.length) : -1;
  return length === -1 ? "LENGTH_INVALID" : length;
}

/** One protocol, named by Connection as well (RFC 9110 §7.8); otherwise the request is an ordinary one. */
function readUpgrade(): string {
  if (seen.upgrade === "" || (seen.bits & ConnectionBit.upgrade) === 0) return "";
  const protocol = seen.upgrade.toLowerCase();
  return protocol.split("/").every(isToken) ? protocol : "";
}
