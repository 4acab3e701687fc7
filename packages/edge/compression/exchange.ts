/**
 * Owns one exchange whose answer may be compressed: it stands between the target and the exchange of the listener, and is
 * the exchange to the one and the handler to the other. Refuses to decide by itself what is worth it (`decision.ts`).
 *
 * The source decides when bytes leave. What it wrote in a tick is one burst, compressed and flushed as a whole; a burst is
 * over when a whole tick brings nothing more, or at 32 KiB, or after 8 ticks. So an event of a slow source leaves at once, and a fast
 * one does not pay for a flush per piece. The head waits for the end of the tick: a small body that is whole by then is
 * compressed in one go and keeps a length.
 */
import {
  assert,
  type ByteStream,
  type ClientInfo,
  type Clock,
  type Exchange,
  ExchangeEnd,
  type ExchangeHandler,
  type FieldList,
  type Logger,
  type RequestHead,
} from "@tideway/base";
import { joinedField } from "@tideway/wire/fields";
import { type Coding, codedFields, confirmedFields, isWorthCompressing, variedFields } from "./decision.ts";
import { type Codings, Encoder, type EncoderOwner } from "./encoder.ts";

/** What one exchange needs of its room. */
export interface Surroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly codings: Codings;
  readonly bytesMin: number;
  /** False when there are as many compressors as there may be; otherwise one more. */
  take(): boolean;
  /** A compressor is gone. */
  release(): void;
  readonly counters: { whole: number; streamed: number; bytesIn: number; bytesOut: number };
}

const State = {
  /** Not answered yet. */
  open: 0,
  /** Answered as it is: every call goes through. */
  plain: 1,
  /** Answered by the target; the head waits for the end of this tick. */
  held: 2,
  streaming: 3,
  over: 4,
} as const;
type State = (typeof State)[keyof typeof State];

/** A body that is whole within a tick and no longer than this is compressed at once, on this thread: about 0.1 ms. */
const WHOLE_BYTES_MAX = 8 * 1024;
/** A burst of this size is not waited for any longer. */
const BURST_BYTES = 32 * 1024;
const BURST_TICKS_MAX = 8;
/** Bytes that wait for the compressor before the source is told to. */
const PENDING_BYTES_MAX = 64 * 1024;

export class CompressedExchange implements Exchange, ExchangeHandler, EncoderOwner {
  readonly #inner: Exchange;
  readonly #surroundings: Surroundings;
  /** What the client wants; null for nothing. */
  readonly #coding: Coding | null;
  #handler: ExchangeHandler | null = null;
  #state: State = State.open;
  #status = 0;
  #fields: FieldList = [];
  /** Bytes of the body that the target still owes; -1 when it announced no length. */
  #owed = -1;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  /** The end of the tick will be looked at. */
  #due = false;
  /** Ticks that the pending burst has lasted; and whether this one brought something. */
  #ticks = 0;
  #fed = false;
  #encoder: Encoder | null = null;
  /** The target's `end` was called; its trailers. */
  #ended = false;
  #trailers: FieldList | undefined;
  /** The client does not take more for now. */
  #blocked = false;
  /** The target was told to wait. */
  #waiting = false;

  constructor(inner: Exchange, surroundings: Surroundings, coding: Coding | null) {
    this.#inner = inner;
    this.#surroundings = surroundings;
    this.#coding = coding;
  }

  /* ---------------------------------------------------------------- towards the listener */

  get id(): string {
    return this.#inner.id;
  }
  get head(): RequestHead {
    return this.#inner.head;
  }
  get client(): ClientInfo {
    return this.#inner.client;
  }
  get service(): string {
    return this.#inner.service;
  }
  set service(name: string) {
    this.#inner.service = name;
  }
  get instance(): string {
    return this.#inner.instance;
  }
  set instance(id: string) {
    this.#inner.instance = id;
  }
  get trace(): string {
    return this.#inner.trace ?? "";
  }
  set trace(id: string) {
    this.#inner.trace = id;
  }
  get reason(): string {
    return this.#inner.reason ?? "";
  }
  set reason(why: string) {
    this.#inner.reason = why;
  }

  accept(handler: ExchangeHandler): void {
    this.#handler = handler;
    this.#inner.accept(this);
  }

  pause(): void {
    this.#inner.pause();
  }

  resume(): void {
    this.#inner.resume();
  }

  inform(status: number, fields: FieldList): void {
    this.#inner.inform(status, fields);
  }

  respond(status: number, fields: FieldList, bodyLength: number): void {
    if (this.#state === State.over) return;
    assert(this.#state === State.open, "an exchange is answered once");
    this.#state = State.plain;
    const inner = this.#inner;
    const coding = this.#coding;
    if (status === 304 && coding !== null) {
      inner.respond(status, confirmedFields(fields, joinedField(inner.head.fields, "if-none-match")), bodyLength);
    } else if (!isWorthCompressing(status, fields, bodyLength, this.#surroundings.bytesMin)) {
      inner.respond(status, fields, bodyLength);
    } else if (coding === null) inner.respond(status, variedFields(fields), bodyLength);
    else if (inner.head.method === "HEAD") inner.respond(status, codedFields(fields, coding), -1);
    else {
      this.#state = State.held;
      this.#status = status;
      this.#fields = fields;
      this.#owed = bodyLength;
      this.#lookLater();
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#state === State.plain) return this.#inner.write(chunk);
    if (this.#state === State.over || this.#ended || chunk.length === 0) return true;
    if (this.#owed >= 0) {
      this.#owed -= chunk.length;
      if (this.#owed < 0) return this.#break("the response is longer than announced");
    }
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    this.#fed = true;
    if (this.#state === State.held && this.#pendingBytes > WHOLE_BYTES_MAX) this.#stream();
    this.#feed();
    if (!this.#blocked && this.#pendingBytes <= PENDING_BYTES_MAX) return true;
    this.#waiting = true;
    return false;
  }

  get flushed(): boolean {
    if (this.#state === State.plain) return this.#inner.flushed === true;
    if (this.#state === State.over) return false;
    return this.#pendingBytes === 0 && this.#encoder?.busy !== true;
  }

  end(trailers?: FieldList): void {
    if (this.#state === State.plain) this.#inner.end(trailers);
    if (this.#state !== State.held && this.#state !== State.streaming) return;
    if (this.#owed > 0) {
      this.#break("the response is shorter than announced");
      return;
    }
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#state === State.held) this.#whole();
    else this.#finish();
  }

  abort(): void {
    this.#leave();
    this.#inner.abort();
  }

  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array } {
    return this.#inner.upgrade(fields);
  }

  /* ---------------------------------------------------------------- a body that is whole */

  #whole(): void {
    const { counters } = this.#surroundings;
    const body = this.#takePending();
    const coded = this.#coded(body);
    this.#state = State.over;
    // What does not shrink goes as it is: the client may have it so.
    const smaller = coded.length < body.length;
    const sent = smaller ? coded : body;
    const fields = smaller ? codedFields(this.#fields, this.#coding!) : variedFields(this.#fields);
    const chunked = this.#trailers !== undefined && this.#trailers.length > 0;
    this.#inner.respond(this.#status, fields, chunked ? -1 : sent.length);
    if (sent.length > 0) this.#inner.write(sent);
    this.#inner.end(this.#trailers);
    counters.whole++;
    counters.bytesIn += body.length;
    counters.bytesOut += sent.length;
  }

  #coded(body: Uint8Array): Uint8Array {
    const { codings, logger } = this.#surroundings;
    try {
      return codings.whole(this.#coding!, body);
    } catch (error) {
      logger.error({ request: this.id, coding: this.#coding, err: error }, "compression failed");
      return body;
    }
  }

  #takePending(): Uint8Array {
    const pending = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#ticks = 0;
    return pending.length === 1 ? pending[0]! : Buffer.concat(pending);
  }

  /* ---------------------------------------------------------------- a body that streams */

  /** Sends the head, and opens a compressor; without a free one the answer goes on as it is. */
  #stream(): void {
    const { codings, counters } = this.#surroundings;
    if (!this.#surroundings.take()) {
      this.#state = State.plain;
      this.#inner.respond(
        this.#status,
        variedFields(this.#fields),
        this.#owed < 0 ? -1 : this.#owed + this.#pendingBytes,
      );
      if (this.#pendingBytes > 0) this.#blocked = !this.#inner.write(this.#takePending());
      return;
    }
    this.#state = State.streaming;
    counters.streamed++;
    this.#encoder = new Encoder(codings.open(this.#coding!), this, () => this.#surroundings.release());
    this.#inner.respond(this.#status, codedFields(this.#fields, this.#coding!), -1);
  }

  /** Something came: a large burst goes at once, a small one when it is over. */
  #feed(): void {
    if (this.#encoder === null) return;
    if (this.#pendingBytes >= BURST_BYTES) this.#burst();
    else this.#lookLater();
  }

  #lookLater(): void {
    if (this.#due) return;
    this.#due = true;
    this.#surroundings.clock.defer(this.#tickEnded);
  }

  readonly #tickEnded = (): void => {
    this.#due = false;
    if (this.#state === State.held) this.#stream();
    if (this.#state !== State.streaming || this.#pendingBytes === 0) return;
    const quiet = !this.#fed;
    this.#fed = false;
    if (quiet || ++this.#ticks >= BURST_TICKS_MAX) this.#burst();
    else this.#lookLater();
  };

  /** Gives the compressor what has gathered; while it is busy more gathers. */
  #burst(): void {
    const encoder = this.#encoder!;
    if (encoder.busy || this.#blocked || this.#pendingBytes === 0) return;
    const burst = this.#takePending();
    this.#surroundings.counters.bytesIn += burst.length;
    encoder.take(burst);
  }

  onTaken(): void {
    if (this.#ended) {
      this.#finish();
      return;
    }
    if (this.#pendingBytes > 0) this.#feed();
    this.#release();
  }

  /** The target may go on, if it was told to wait. */
  #release(): void {
    if (!this.#waiting || this.#blocked || this.#ended || this.#pendingBytes > PENDING_BYTES_MAX) return;
    this.#waiting = false;
    this.#handler?.onDrain();
  }

  /** The target is done: what is pending goes, then the compressor's own end. */
  #finish(): void {
    const encoder = this.#encoder!;
    if (encoder.busy || this.#blocked) return;
    this.#burst();
    encoder.end();
  }

  onEncoded(chunk: Buffer): void {
    this.#surroundings.counters.bytesOut += chunk.length;
    if (this.#inner.write(chunk)) return;
    this.#blocked = true;
    this.#encoder?.pause();
  }

  onEncodedWhole(): void {
    this.#state = State.over;
    this.#encoder = null;
    this.#inner.end(this.#trailers);
  }

  onFailed(error: Error): void {
    this.#surroundings.logger.error({ request: this.id, coding: this.#coding, err: error }, "compression failed");
    this.#break("");
  }

  /** The answer cannot become whole: the client's connection is broken, so that it never looks so. */
  #break(what: string): true {
    if (what !== "") this.#surroundings.logger.error({ request: this.id, service: this.service }, what);
    const told = this.#ended;
    this.abort();
    if (!told) this.#handler?.onClose(ExchangeEnd.gone);
    return true;
  }

  #leave(): void {
    this.#state = State.over;
    this.#pending = [];
    this.#pendingBytes = 0;
    this.#encoder?.close();
    this.#encoder = null;
  }

  /* ---------------------------------------------------------------- towards the target */

  onBody(chunk: Uint8Array): void {
    this.#handler?.onBody(chunk);
  }

  onBodyEnd(trailers: FieldList): void {
    this.#handler?.onBodyEnd(trailers);
  }

  onDrain(): void {
    this.#blocked = false;
    if (this.#state === State.plain) {
      if (!this.#ended) this.#handler?.onDrain();
    } else if (this.#state === State.streaming) {
      this.#encoder?.resume();
      if (this.#ended) this.#finish();
      else {
        if (this.#pendingBytes > 0) this.#feed();
        this.#release();
      }
    }
  }

  onClose(why: ExchangeEnd): void {
    const told = this.#ended;
    this.#leave();
    if (!told) this.#handler?.onClose(why);
  }
}
