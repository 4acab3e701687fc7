/**
 * Responses, bytes to values (RFC 9112): as strict as with requests, for an upstream may be broken or hostile too, and
 * its connection is shared. Every fault says 502. Knows nothing of sockets or time.
 */
import type { FieldList } from "@tideway/base";
import { BodyReader, UNTIL_CLOSE } from "./body.ts";
import { latin1, ownBytes, standsAt } from "./bytes.ts";
import type { HeadLimits, ResponseHead, ResponseSink } from "./contract.ts";
import { type HttpFaultCode, responseFaults } from "./faults.ts";
import { ConnectionBit, connectionBits, encodingFault, parseLength } from "./framing.ts";
import { HeadKind, HeadReader } from "./head.ts";
import { NameId } from "./names.ts";
import { Phase } from "./request.ts";
import { fieldIds, fieldNames, found, Scan, valueEnds, valueStarts } from "./scan.ts";

/** Interim responses to one request; more are a fault. */
const INTERIM_MAX = 32;

/** Longer heads are not remembered: an idle connection holds little. */
const REMEMBERED_BYTES_MAX = 2 * 1024;

/**
 * A service sends the same head again and again, for a second at least, until its date changes. One that came twice in a
 * row is remembered with what it led to: when the bytes are the same, so is everything that they mean.
 */
interface Remembered {
  readonly bytes: Buffer;
  /** Whether the request was HEAD: it says whether a body follows. */
  readonly headOnly: boolean;
  readonly framing: number;
  readonly head: ResponseHead;
}

const seen = { length: "", lengthCount: 0, encoding: "", encodingCount: 0, bits: 0 };

export class ResponseDecoder {
  readonly #sink: ResponseSink;
  readonly #heads: HeadReader;
  readonly #body: BodyReader;
  #phase: Phase = Phase.idle;
  #halted = false;
  #headOnly = false;
  #upgradeAsked = false;
  #interims = 0;
  /** The last head; empty when it is too long. */
  #lastText = "";
  #remembered: Remembered | null = null;

  constructor(limits: HeadLimits, sink: ResponseSink) {
    this.#sink = sink;
    this.#heads = new HeadReader(limits);
    this.#body = new BodyReader(limits, this.#heads);
  }

  /** idle: nothing was begun, or the response is complete. head: also while its first byte is awaited. */
  get phase(): Phase {
    return this.#phase;
  }

  /** Before each response: HEAD has no body, and 101 is a fault unless an upgrade was asked for. */
  begin(requestMethod: string, upgradeAsked = false): void {
    if (this.#phase === Phase.failed) return;
    this.#headOnly = requestMethod === "HEAD";
    this.#upgradeAsked = upgradeAsked;
    this.#interims = 0;
    this.#phase = Phase.head;
    this.#heads.begin(HeadKind.response);
  }

  /** From within a sink's call: `decode` returns as soon as that call does. Call it again with the rest to go on. */
  halt(): void {
    this.#halted = true;
  }

  /**
   * Consumes from `offset`; returns the offset of the first byte that was not. Consumes nothing when no response was
   * begun: bytes that are left then came unasked, and the connection is not to be used again.
   */
  decode(chunk: Buffer, offset: number): number {
    this.#halted = false;
    let at = offset;
    while (this.#phase === Phase.head) {
      if (at >= chunk.length) return at;
      const known = this.#heads.begun ? null : this.#remembered;
      if (known !== null && known.headOnly === this.#headOnly && standsAt(known.bytes, chunk, at)) {
        at += known.bytes.length;
        this.#tell(known.head, known.framing);
        if (this.#halted) return at;
        break;
      }
      const result = this.#heads.read(chunk, at);
      if (result === Scan.fault) return this.#fail(found.fault, at);
      at = this.#heads.next;
      if (result === Scan.complete) this.#tellHead();
      if (this.#halted) return at;
    }
    if (this.#phase !== Phase.body) return at;
    const body = this.#body;
    while (!body.done) {
      if (at >= chunk.length) return at;
      at = body.step(chunk, at);
      if (body.failed) return this.#fail(body.fault, at);
      if (body.dataEnd > body.dataStart) {
        const whole = body.dataStart === 0 && body.dataEnd === chunk.length;
        this.#sink.onBody(whole ? chunk : chunk.subarray(body.dataStart, body.dataEnd));
        if (this.#halted) return at;
      }
    }
    this.#phase = Phase.idle;
    this.#sink.onEnd(body.trailers);
    return at;
  }

  /** The peer closed its side: ends a body that lasts until then; anywhere else within a response it is a fault. */
  eof(): void {
    if (this.#phase === Phase.idle || this.#phase === Phase.failed) return;
    if (this.#phase === Phase.head || !(this.#body.untilClose || this.#body.done)) {
      this.#fail("TRUNCATED", 0);
      return;
    }
    this.#body.close();
    this.#phase = Phase.idle;
    this.#sink.onEnd(this.#body.trailers);
  }

  #tellHead(): void {
    const heads = this.#heads;
    const text = latin1(heads.bytes, heads.start, found.next);
    const { status, version } = found;
    const fields = readFields(text, heads.start);
    heads.release();
    if (status < 200 && status !== 101) {
      this.#tellInterim(status, fields);
      return;
    }
    if (status === 101 && !this.#upgradeAsked) return void this.#fail("UPGRADE_UNASKED", 0);

    const length = responseLength(version);
    if (typeof length === "string") return void this.#fail(length, 0);
    const bodiless = this.#headOnly || status === 204 || status === 304 || status === 101;
    const persistent = version === 11 ? (seen.bits & ConnectionBit.close) === 0 : seen.bits === ConnectionBit.keepAlive;
    // A 204 or 304 that announces chunks may yet send some: such a connection is not used again.
    const doubtful = bodiless && !this.#headOnly && seen.encodingCount > 0;
    const framing = bodiless ? 0 : length;
    const repeats = text === this.#lastText && status !== 101;
    const head: ResponseHead = Object.freeze({
      status,
      fields,
      memo: repeats ? { by: null, made: null } : undefined,
      bodyLength: framing < 0 ? -1 : framing,
      contentLength: seen.lengthCount === 0 ? -1 : length,
      keepAlive: persistent && !doubtful && framing !== UNTIL_CLOSE && status !== 101,
      version,
      upgrade: status === 101,
    });
    this.#remembered = repeats ? { bytes: ownBytes(text), headOnly: this.#headOnly, framing, head } : null;
    this.#lastText = text.length <= REMEMBERED_BYTES_MAX ? text : "";
    this.#tell(head, framing);
  }

  #tell(head: ResponseHead, framing: number): void {
    this.#body.begin(framing);
    this.#phase = head.upgrade ? Phase.idle : Phase.body;
    this.#sink.onHead(head);
  }

  #tellInterim(status: number, fields: FieldList): void {
    if (++this.#interims > INTERIM_MAX) return void this.#fail("INTERIM_FLOOD", 0);
    this.#heads.begin(HeadKind.response);
    this.#sink.onInterim(status, fields);
  }

  #fail(code: HttpFaultCode, at: number): number {
    this.#phase = Phase.failed;
    this.#halted = true;
    this.#heads.release();
    this.#sink.onFault(responseFaults[code]);
    return at;
  }
}

/** The field list, and into `seen` what the framing rules look at. */
function readFields(text: string, start: number): FieldList {
  seen.lengthCount = 0;
  seen.encodingCount = 0;
  seen.bits = 0;
  const fields: FieldList = [];
  for (let i = 0; i < found.fieldCount; i++) {
    const value = text.slice(valueStarts[i]! - start, valueEnds[i]! - start);
    fields.push(fieldNames[i]!, value);
    const id = fieldIds[i]!;
    if (id === NameId.contentLength) {
      seen.length = value;
      seen.lengthCount++;
    } else if (id === NameId.transferEncoding) {
      seen.encoding = seen.encodingCount === 0 ? value : `${seen.encoding},${value}`;
      seen.encodingCount++;
    } else if (id === NameId.connection) seen.bits |= connectionBits(value);
  }
  return Object.freeze(fields) as FieldList;
}

/** Rules 9 to 11 and 15: the body's length, -1 when chunked, UNTIL_CLOSE, or the fault. */
function responseLength(version: number): number | HttpFaultCode {
  if (seen.encodingCount > 0) {
    if (seen.lengthCount > 0) return "LENGTH_WITH_ENCODING";
    if (version === 10) return "ENCODING_IN_HTTP_1_0";
    if (found.oddEncoding) return "ENCODING_INVALID";
    return encodingFault(seen.encoding) ?? -1;
  }
  if (seen.lengthCount === 0) return UNTIL_CLOSE;
  const length = seen.lengthCount === 1 ? parseLength(seen.length) : -1;
  return length === -1 ? "LENGTH_INVALID" : length;
}
