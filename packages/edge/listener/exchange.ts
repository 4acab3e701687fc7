/**
 * One request and its answer on an HTTP/1.1 connection: the contract of base's `exchange.ts`, bound to a connection until
 * the answer is whole or the connection is lost. It frames the response (RFC 9112 §6, §7) and keeps its promises: a body
 * of the announced length, none where none may be. It knows no sockets: bytes go out through its `Line`.
 */
import type {
  ByteStream,
  ClientInfo,
  Clock,
  ExchangeEnd,
  ExchangeHandler,
  FieldList,
  GuardedExchange,
  RequestHead,
} from "@tideway/base";
import { assert } from "@tideway/base";
import {
  chunkEnd,
  encodeChunkHead,
  encodeLastChunk,
  encodeResponseHead,
  Framing,
  latin1,
  type RequestMeta,
} from "@tideway/wire/http1";
import { DRAIN_BYTES_MAX, JOIN_BYTES_MAX } from "./contract.ts";
import { hasName, isDated, ownFieldsOnly } from "./fields.ts";
import { Guards } from "./guards.ts";
import { lostStream } from "./stream.ts";

/** What an exchange needs of its connection. */
export interface Line {
  readonly output: {
    /** Adds text to what is written at the end of this tick, or sooner. */
    text(text: string): void;
    /** Writes bytes, together with the text before them; `after` follows with what comes next. */
    data(chunk: Uint8Array, after: string): void;
    /** False while the socket holds more than it should. */
    readonly ready: boolean;
    /** True when nothing that was given to `data` is held any more. */
    readonly flushed: boolean;
  };
  readonly server: {
    readonly stopping: boolean;
    /** Records of requests are wanted. */
    readonly recording: boolean;
    readonly clock: Pick<Clock, "now">;
    /** The beginning of an answer's request id line, behind the date unless the answer has one. */
    idLine(dated: boolean): string;
  };
  /** The body may be delivered (again). */
  wake(): void;
  /** The body must not be delivered. */
  hold(): void;
  answered(exchange: HttpExchange): void;
  broken(exchange: HttpExchange, what: string): void;
  /** The target is at fault: a 500 when nothing was sent yet. */
  failed(exchange: HttpExchange, error: unknown): void;
  /** More of a body came, or was announced, than is allowed: 413 when nothing was sent yet. */
  tooLarge(exchange: HttpExchange): void;
  handOver(exchange: HttpExchange): { stream: ByteStream; head: Uint8Array };
}

export const Answer = { none: "none", streaming: "streaming", whole: "whole", cut: "cut" } as const;
export type Answer = (typeof Answer)[keyof typeof Answer];

export class HttpExchange implements GuardedExchange {
  readonly id: string;
  readonly head: RequestHead;
  readonly client: ClientInfo;
  readonly startedAt: number;
  service = "";
  instance = "";
  trace = "";
  route = "";
  reason = "";

  /** null once the exchange is over: then every call does nothing. */
  #line: Line | null;
  readonly #keepAlive: boolean;
  #handler: ExchangeHandler | null = null;
  #framing: number = Framing.none;
  /** Bytes of the response's body that were announced and not written yet; -1 when no length was announced. */
  #owed = -1;
  #bodiless = false;
  /** The handler was told to wait for `onDrain`. */
  #waiting = false;
  #guards: Guards | null = null;
  #isOver = false;
  /** Why it ended before its answer was whole, for a handler that comes too late. */
  #cutBy: ExchangeEnd | null = null;
  #bodyBytesMax = Number.POSITIVE_INFINITY;

  /** See base: what is joined into one write is copied. */
  readonly copiesBytesMax = JOIN_BYTES_MAX;
  answer: Answer = Answer.none;
  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  paused = false;
  /** The request's body has been delivered whole. */
  received = false;
  /** The client waits for 100 before it sends its body. */
  awaitsContinue: boolean;
  /** When the answer's head was given; -1 before, and when nobody wants to know. */
  headAt = -1;
  /** The connection closes after this answer. */
  closing = false;

  constructor(id: string, head: RequestHead, meta: RequestMeta, client: ClientInfo, line: Line, startedAt: number) {
    this.id = id;
    this.head = head;
    this.client = client;
    this.startedAt = startedAt;
    this.#line = line;
    this.#keepAlive = meta.keepAlive;
    this.awaitsContinue = meta.expectContinue;
  }

  /** The handler takes body bytes now. */
  get reading(): boolean {
    return this.#handler !== null && !this.paused;
  }

  /** The handler holds nothing of what was delivered. */
  get bodyFlushed(): boolean {
    return this.#handler?.flushed === true;
  }

  accept(handler: ExchangeHandler): void {
    assert(this.#handler === null, "an exchange is accepted once");
    // Refused before it was given to a target, as for a body over its limit: there is nothing to be done for it.
    if (this.#cutBy !== null) return void handler.onClose(this.#cutBy);
    this.#handler = handler;
    this.#line?.wake();
  }

  pause(): void {
    this.paused = true;
    if (!this.received) this.#line?.hold();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.#line?.wake();
  }

  append(name: string, value: string): void {
    this.#guards ??= new Guards();
    this.#guards.append(name, value);
  }

  rewrite(change: (status: number, fields: FieldList) => FieldList): void {
    this.#guards ??= new Guards();
    this.#guards.rewrite(change);
  }

  limitBody(bytesMax: number): void {
    this.#bodyBytesMax = Math.min(this.#bodyBytesMax, bytesMax);
    if (this.head.bodyLength > this.#bodyBytesMax) this.#line?.tooLarge(this);
  }

  whenOver(callback: () => void): void {
    if (this.#isOver) return void callback();
    this.#guards ??= new Guards();
    this.#guards.whenOver(callback);
  }

  inform(status: number, fields: FieldList): void {
    if (this.#line === null || this.answer !== Answer.none || this.head.version === 10) return;
    assert(status > 100 && status < 200 && status !== 101, "an interim response is 102 to 199");
    this.#sendHead(this.#line, status, ownFieldsOnly(fields), Framing.none, "", "");
  }

  respond(status: number, fields: FieldList, bodyLength: number): void {
    const line = this.#line;
    if (line === null) return;
    assert(this.answer === Answer.none, "an exchange is answered once");
    assert(status >= 200, "a final response is 200 or above");
    const noFraming = status === 204 || status === 304;
    const headOnly = this.head.method === "HEAD";
    const old = this.head.version === 10;
    this.#bodiless = noFraming || headOnly;
    if (noFraming || (bodyLength < 0 && (headOnly || old))) this.#framing = Framing.none;
    else this.#framing = bodyLength < 0 ? Framing.chunked : bodyLength;
    const untilClose = !this.#bodiless && this.#framing === Framing.none;
    if (
      !this.#keepAlive ||
      untilClose ||
      line.server.stopping ||
      (status >= 400 && (this.leavesMuch || this.head.upgrade === "websocket"))
    )
      this.closing = true;

    // A target that reads and answers at once, as an echo does, wants the body: a success alone would not bring it.
    if (this.awaitsContinue && this.reading && status < 300) this.sendContinue();

    const kept = this.#ownFields(line, status, fields);
    if (kept === null) return;
    const idLine = line.server.idLine(isDated(kept));
    let own = `${this.id}\r\n`;
    if (this.closing) own += "connection: close\r\n";
    else if (old) own += "connection: keep-alive\r\n";
    if (!this.#sendHead(line, status, kept, this.#framing, idLine, own)) return;
    this.answer = Answer.streaming;
    this.status = status;
    if (line.server.recording) this.headAt = line.server.clock.now();
    this.#owed = this.#bodiless || this.#framing < 0 ? -1 : this.#framing;
  }

  write(chunk: Uint8Array): boolean {
    const line = this.#line;
    if (line === null) return true;
    assert(this.answer === Answer.streaming, "a body follows its head");
    if (this.#bodiless || chunk.length === 0) return true;
    if (this.#owed !== -1) {
      if (chunk.length > this.#owed) {
        line.broken(this, "the response is longer than announced");
        return true;
      }
      this.#owed -= chunk.length;
    }
    this.bytesOut += chunk.length;
    const chunked = this.#framing === Framing.chunked;
    if (chunk.length <= JOIN_BYTES_MAX) {
      const text = latin1(chunk, 0, chunk.length);
      line.output.text(chunked ? encodeChunkHead(chunk.length) + text + chunkEnd : text);
    } else {
      if (chunked) line.output.text(encodeChunkHead(chunk.length));
      line.output.data(chunk, chunked ? chunkEnd : "");
    }
    if (line.output.ready) return true;
    this.#waiting = true;
    return false;
  }

  get flushed(): boolean {
    return this.#line?.output.flushed === true;
  }

  end(trailers?: FieldList): void {
    const line = this.#line;
    if (line === null) return;
    assert(this.answer === Answer.streaming, "an end follows a head");
    if (this.#owed > 0) {
      line.broken(this, "the response is shorter than announced");
      return;
    }
    if (this.#framing === Framing.chunked && !this.#bodiless) {
      try {
        line.output.text(encodeLastChunk(trailers));
      } catch (error) {
        line.failed(this, error);
        return;
      }
    }
    this.answer = Answer.whole;
    line.answered(this);
  }

  abort(): void {
    this.#line?.broken(this, "");
  }

  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array } {
    const line = this.#line;
    if (line === null) return { stream: lostStream(), head: new Uint8Array(0) };
    assert(this.answer === Answer.none, "an upgrade is the answer");
    if (fields !== null) {
      const kept = this.#ownFields(line, 101, fields);
      if (kept === null) return { stream: lostStream(), head: new Uint8Array(0) };
      const named = hasName(kept, "upgrade") ? "" : `upgrade: ${this.head.upgrade}\r\n`;
      line.output.text(
        encodeResponseHead(101, kept, Framing.none, `${named}connection: Upgrade\r\nx-request-id: ${this.id}\r\n`),
      );
    }
    this.answer = Answer.whole;
    this.status = 101;
    if (line.server.recording) this.headAt = line.server.clock.now();
    return line.handOver(this);
  }

  /* ------------------------------------------------------------------ the connection's side */

  /** Tells the client to send its body, unless it does so already (RFC 9110 §10.1.1). */
  sendContinue(): void {
    this.awaitsContinue = false;
    if (this.bytesIn === 0 && !this.received) this.#line?.output.text("HTTP/1.1 100 Continue\r\n\r\n");
  }

  /** Of an answer that the listener gives in the target's place: the route's changes hold for that, too. */
  refusalFields(status: number, fields: FieldList): FieldList {
    if (this.#guards === null) return fields;
    try {
      return ownFieldsOnly(this.#guards.fieldsOf(status, fields));
    } catch {
      // It may be why there is a refusal at all, and was logged then.
      return fields;
    }
  }

  /** It is over, in whatever way: who waits for that is told by those that this returns. */
  over(): Guards | null {
    this.#isOver = true;
    return this.#guards;
  }

  /** Body bytes from the client; dropped once the answer is whole. */
  deliver(chunk: Uint8Array): void {
    this.bytesIn += chunk.length;
    if (this.bytesIn > this.#bodyBytesMax && this.answer !== Answer.whole) {
      this.#line?.tooLarge(this);
      return;
    }
    if (this.answer === Answer.whole) return;
    const line = this.#line;
    try {
      this.#handler?.onBody(chunk);
    } catch (error) {
      line?.failed(this, error);
    }
  }

  deliverEnd(trailers: FieldList): void {
    this.received = true;
    if (this.answer === Answer.whole) return;
    const line = this.#line;
    try {
      this.#handler?.onBodyEnd(trailers);
    } catch (error) {
      line?.failed(this, error);
    }
  }

  drained(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    if (this.answer !== Answer.streaming) return;
    const line = this.#line;
    try {
      this.#handler?.onDrain();
    } catch (error) {
      line?.failed(this, error);
    }
  }

  /** Parts from the connection: the answer is whole, or nobody may be told any more. */
  detach(): void {
    this.#line = null;
    this.#handler = null;
  }

  /** The exchange ends early: parts from the connection, then tells the handler. */
  cut(why: ExchangeEnd): void {
    const handler = this.#handler;
    const open = this.answer !== Answer.whole;
    this.detach();
    if (!open) return;
    this.answer = Answer.cut;
    this.#cutBy = why;
    handler?.onClose(why);
  }

  /** The target's fields as the guards want them; null when one of those threw, which then was the end. */
  #ownFields(line: Line, status: number, fields: FieldList): FieldList | null {
    if (this.#guards === null) return ownFieldsOnly(fields);
    try {
      return ownFieldsOnly(this.#guards.fieldsOf(status, fields));
    } catch (error) {
      line.failed(this, error);
      return null;
    }
  }

  /**
   * False when the head holds what may not be sent. Thrown from here that might end in an event of the target's where
   * nobody catches it.
   */
  #sendHead(line: Line, status: number, fields: FieldList, framing: number, prepared: string, own: string): boolean {
    try {
      line.output.text(encodeResponseHead(status, fields, framing, prepared, own));
      return true;
    } catch (error) {
      line.failed(this, error);
      return false;
    }
  }

  /** More of the body is to come than is worth reading for the connection's sake. */
  get leavesMuch(): boolean {
    if (this.received) return false;
    const { bodyLength } = this.head;
    return this.awaitsContinue || bodyLength - this.bytesIn > DRAIN_BYTES_MAX;
  }
}
