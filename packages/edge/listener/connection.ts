/**
 * One client connection speaking HTTP/1.1 (RFC 9112): bytes to requests, one exchange at a time, answers in order.
 *
 * - The next request is decoded only when the last answer is whole; what arrives meanwhile stays in one span and the
 *   socket is paused, so a pipelining client is bounded by one read.
 * - After any doubt about framing the connection closes, and lingers so that the client can read why.
 * - Limits of time are looked at by the listener's sweep; there are no timers here.
 */
import type { Socket } from "node:net";
import { type ByteStream, type ClientInfo, ExchangeEnd, type FieldList, type RequestHead } from "@tideway/base";
import { type HttpFault, Phase, RequestDecoder, type RequestMeta, type RequestSink } from "@tideway/wire/http1";
import { DRAIN_BYTES_MAX, LINGER_BYTES_MAX, LINGER_MS } from "./contract.ts";
import { Answer, HttpExchange, type Line } from "./exchange.ts";
import { Output } from "./output.ts";
import { refusal } from "./refusal.ts";
import type { Shared } from "./shared.ts";
import { untouched } from "./stream.ts";
import { Verdict, Watch } from "./watch.ts";

const State = {
  /** Between requests, or within a head. */
  ready: "ready",
  /** A request is being read, answered, or both. */
  busy: "busy",
  /** The answer is whole; the rest of its request's body is thrown away, so that the next request can be found. */
  draining: "draining",
  /** Our side is closed; what the client still sends is thrown away for a while. */
  lingering: "lingering",
  /** Closed, or handed over. */
  over: "over",
} as const;
type State = (typeof State)[keyof typeof State];

const nothing = Buffer.alloc(0);

export class Connection implements RequestSink, Line {
  readonly #socket: Socket;
  readonly #shared: Shared;
  readonly #client: ClientInfo;
  readonly #decoder: RequestDecoder;
  readonly #output: Output;
  readonly #watch: Watch;
  readonly #openedAt: number;
  #state: State = State.ready;
  #exchange: HttpExchange | null = null;

  /** Bytes that were read and not decoded yet. */
  #span: Buffer = nothing;
  #offset = 0;
  #pumping = false;
  /** The decoder stopped in the middle of an exchange and must be called again, even without new bytes. */
  #halted = false;
  #socketPaused = false;
  /** The client closed its sending side. */
  #inputEnded = false;
  /** Some of a head has come, and its time runs. */
  #withinHead = false;
  /** Bytes that were thrown away in the present state. */
  #dropped = 0;
  #requests = 0;

  constructor(socket: Socket, shared: Shared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#openedAt = shared.clock.now();
    this.#watch = new Watch(shared.limits, this.#openedAt);
    this.#output = new Output(socket, shared.flushLater);
    this.#client = {
      address: plainAddress(socket.remoteAddress ?? ""),
      port: socket.remotePort ?? 0,
      localPort: socket.localPort ?? 0,
      secure: "encrypted" in socket,
    };
    this.#decoder = new RequestDecoder(shared.limits, this);
    socket.on("data", this.#onData);
    socket.on("drain", this.#onDrain);
    socket.on("end", this.#onEnd);
    socket.on("error", this.#onError);
    socket.on("close", this.#onClose);
  }

  /** Between requests, with nothing of the next one read: it may be closed without harm. */
  get idle(): boolean {
    return this.#state === State.ready && this.#decoder.phase === Phase.idle && this.#span.length === 0;
  }

  get idleSince(): number {
    return this.#watch.since;
  }

  /* ------------------------------------------------------------------ socket events */

  readonly #onData = (chunk: Buffer): void => {
    if (this.#state === State.lingering) {
      this.#dropped += chunk.length;
      if (this.#dropped > LINGER_BYTES_MAX) this.#socket.destroy();
      return;
    }
    this.#span = this.#span.length === 0 ? chunk : Buffer.concat([this.#span.subarray(this.#offset), chunk]);
    this.#offset = 0;
    this.#pump();
  };

  readonly #onDrain = (): void => {
    const exchange = this.#exchange;
    if (exchange === null) return;
    try {
      exchange.drained();
    } catch (error) {
      this.failed(exchange, error);
    }
  };

  readonly #onEnd = (): void => {
    this.#inputEnded = true;
    this.#watch.inputEnded(this.#shared.clock.now());
    const exchange = this.#exchange;
    if (exchange?.received === true) return;
    if (exchange === null) {
      if (this.#span.length === 0) this.#finish();
    } else if (exchange.answer === Answer.whole) {
      this.#complete(exchange);
      this.#finish();
    } else {
      // The body is cut off: nobody can tell what it would have said.
      this.#lose(ExchangeEnd.gone);
      this.#socket.destroy();
    }
  };

  readonly #onError = (error: Error): void => {
    this.#shared.logger.debug({ address: this.#client.address, reason: error.message }, "connection failed");
  };

  readonly #onClose = (): void => {
    this.#lose(ExchangeEnd.gone);
    this.#leave();
  };

  /* ------------------------------------------------------------------ decoding */

  /** Decodes as far as the exchanges allow, writes what is due, then reads on or pauses the socket. */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#mayDecode()) {
      this.#halted = false;
      this.#offset = this.#decoder.decode(this.#span, this.#offset);
      if (this.#offset >= this.#span.length && !this.#halted) break;
    }
    this.#pumping = false;
    if (this.#offset >= this.#span.length) {
      this.#span = nothing;
      this.#offset = 0;
    }
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#output.flush();
      this.#noteHead();
      if (this.#inputEnded && this.#span.length === 0) this.#finish();
    } else if (exchange.answer === Answer.whole) {
      this.#output.flush();
      if (exchange.closing) this.#complete(exchange);
    } else if (exchange.awaitsContinue && exchange.reading && exchange.answer === Answer.none) {
      exchange.sendContinue();
      this.#output.flush();
    }
    this.#steerReading();
  }

  #mayDecode(): boolean {
    const left = this.#offset < this.#span.length || this.#halted;
    if (!left || this.#state === State.over || this.#state === State.lingering) return false;
    const exchange = this.#exchange;
    if (exchange === null || exchange.answer === Answer.whole) return true;
    return !exchange.received && exchange.reading;
  }

  /** A head that is not whole is given time from its first byte on. */
  #noteHead(): void {
    const within = this.#decoder.phase === Phase.head;
    if (within && !this.#withinHead) this.#watch.restart(this.#shared.clock.now());
    this.#withinHead = within;
  }

  /** Reads from the socket unless bytes wait, or the handler wants none. */
  #steerReading(): void {
    if (this.#state === State.over) return;
    const exchange = this.#exchange;
    const held = exchange !== null && !exchange.received && exchange.answer !== Answer.whole && !exchange.reading;
    const pause = held || this.#span.length > 0;
    if (pause === this.#socketPaused) return;
    this.#socketPaused = pause;
    if (pause) this.#socket.pause();
    else {
      if (exchange !== null) this.#watch.restart(this.#shared.clock.now(), exchange.bytesIn);
      this.#socket.resume();
    }
  }

  onHead(head: RequestHead, meta: RequestMeta): void {
    const shared = this.#shared;
    const now = shared.clock.now();
    this.#requests++;
    shared.counters.requests++;
    this.#state = State.busy;
    this.#withinHead = false;
    this.#watch.restart(now);
    const exchange = new HttpExchange(shared.nextId(), head, meta, this.#client, this, now);
    this.#exchange = exchange;
    try {
      shared.onExchange(exchange);
    } catch (error) {
      this.failed(exchange, error);
    }
    this.#haltUnlessReading();
  }

  onBody(chunk: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    if (exchange.answer === Answer.whole) {
      exchange.bytesIn += chunk.length;
      this.#dropped += chunk.length;
      if (this.#dropped > DRAIN_BYTES_MAX) exchange.closing = true;
      return;
    }
    try {
      exchange.deliver(chunk);
    } catch (error) {
      this.failed(exchange, error);
    }
    this.#haltUnlessReading();
  }

  onEnd(trailers: FieldList): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    try {
      exchange.deliverEnd(trailers);
    } catch (error) {
      this.failed(exchange, error);
    }
    if (this.#exchange === exchange && exchange.answer === Answer.whole) this.#complete(exchange);
  }

  onFault(fault: HttpFault): void {
    this.#refuse(fault.status, fault.code, fault, ExchangeEnd.malformed);
  }

  #haltUnlessReading(): void {
    const exchange = this.#exchange;
    if (exchange !== null && (exchange.answer === Answer.whole || exchange.reading)) return;
    this.#halted = exchange !== null;
    this.#decoder.halt();
  }

  /* ------------------------------------------------------------------ the exchange's line */

  get stopping(): boolean {
    return this.#shared.stopping;
  }

  get ready(): boolean {
    return this.#output.ready;
  }

  get flushed(): boolean {
    return this.#output.waiting === 0;
  }

  dateLine(): string {
    return this.#shared.dateLine();
  }

  text(text: string): void {
    this.#output.text(text);
  }

  bytes(chunk: Uint8Array, after: string): void {
    this.#output.data(chunk, after);
  }

  wake(): void {
    this.#pump();
  }

  hold(): void {
    this.#halted = true;
    if (this.#pumping) this.#decoder.halt();
    else this.#steerReading();
  }

  answered(exchange: HttpExchange): void {
    if (exchange.received) this.#complete(exchange);
    else {
      // The answer came before its request's body was read. A little is read, so that the connection can go on.
      this.#state = State.draining;
      this.#watch.restart(this.#shared.clock.now());
      this.#dropped = 0;
      this.#halted = true;
      if (exchange.leavesMuch) exchange.closing = true;
    }
    this.#pump();
  }

  broken(exchange: HttpExchange, what: string): void {
    if (what !== "") this.#shared.logger.error({ id: exchange.id, service: exchange.service }, what);
    exchange.detach();
    this.#exchange = null;
    this.#record(exchange, exchange.id, exchange.status, "");
    this.#reset();
  }

  failed(exchange: HttpExchange, error: unknown): void {
    this.#shared.logger.error({ id: exchange.id, service: exchange.service, err: error }, "a target failed");
    if (this.#exchange !== exchange) return;
    if (exchange.answer === Answer.none) this.#refuse(500, "", null, null);
    else if (exchange.answer === Answer.streaming) this.broken(exchange, "");
  }

  handOver(exchange: HttpExchange): { stream: ByteStream; head: Uint8Array } {
    this.#output.flush();
    const head = this.#span.subarray(this.#pumping ? this.#decoder.position : this.#offset);
    this.#span = nothing;
    this.#offset = 0;
    this.#decoder.halt();
    exchange.detach();
    this.#exchange = null;
    this.#record(exchange, exchange.id, exchange.status, "");
    const socket = this.#socket;
    socket.off("data", this.#onData).off("drain", this.#onDrain).off("end", this.#onEnd);
    socket.off("error", this.#onError).off("close", this.#onClose);
    this.#leave("connection handed over");
    return { stream: untouched(socket), head };
  }

  /* ------------------------------------------------------------------ ends */

  /** The answer is whole, and its request is read or given up: on to the next, or close. */
  #complete(exchange: HttpExchange): void {
    exchange.detach();
    this.#exchange = null;
    this.#record(exchange, exchange.id, exchange.status, "");
    this.#state = State.ready;
    this.#watch.restart(this.#shared.clock.now());
    if (exchange.closing || this.#shared.stopping) this.#finish();
  }

  /** A small answer of our own and the end of the connection; the exchange, if there is one, is told why. */
  #refuse(status: number, code: string, fault: HttpFault | null, why: ExchangeEnd | null): void {
    const shared = this.#shared;
    const exchange = this.#exchange;
    const id = exchange?.id ?? shared.nextId();
    const begun = exchange !== null && exchange.answer !== Answer.none;
    this.#exchange = null;
    if (code !== "") {
      shared.counters.refused++;
      const { address } = this.#client;
      const rule = fault === null ? {} : { rule: fault.rule, section: fault.section };
      shared.logger.info({ id, address, code, ...rule }, `request refused: ${fault?.message ?? "no progress"}`);
    }
    if (exchange !== null && why !== null) this.#cut(exchange, why);
    exchange?.detach();
    this.#record(exchange, id, begun ? exchange.status : status, code);
    if (begun && exchange.answer !== Answer.whole) {
      this.#reset();
      return;
    }
    if (!begun) this.#output.text(refusal(status, exchange?.head ?? null, id, fault?.message ?? "", this.dateLine()));
    this.#finish();
  }

  /** Closes our side once all is written, and lingers for the client's. */
  #finish(): void {
    if (this.#state === State.over || this.#state === State.lingering) return;
    this.#output.flush();
    this.#state = State.lingering;
    this.#watch.restart(this.#shared.clock.now());
    this.#dropped = 0;
    this.#span = nothing;
    this.#offset = 0;
    this.#halted = false;
    this.#socket.end();
    if (this.#socketPaused) {
      this.#socketPaused = false;
      this.#socket.resume();
    }
  }

  /** Breaks the connection so that nothing sent so far can be taken for a whole answer. */
  #reset(): void {
    if (this.#state === State.over) return;
    this.#state = State.over;
    this.#decoder.halt();
    this.#socket.resetAndDestroy();
  }

  /** The connection is lost: tells the exchange, if one is open. */
  #lose(why: ExchangeEnd): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    const { status } = exchange;
    this.#cut(exchange, why);
    this.#record(exchange, exchange.id, status !== 0 ? status : why === ExchangeEnd.gone ? 499 : 0, "");
  }

  #cut(exchange: HttpExchange, why: ExchangeEnd): void {
    try {
      exchange.cut(why);
    } catch (error) {
      this.#shared.logger.error({ id: exchange.id, service: exchange.service, err: error }, "a target failed");
    }
  }

  #record(exchange: HttpExchange | null, id: string, status: number, fault: string): void {
    this.#shared.record(exchange, id, status, fault, this.#client.address);
  }

  #leave(how = "connection closed"): void {
    this.#state = State.over;
    if (!this.#shared.forget(this)) return;
    const { address, port } = this.#client;
    const { bytesRead } = this.#socket;
    const durationMs = Math.round(this.#shared.clock.now() - this.#openedAt);
    const counts = { requests: this.#requests, bytesIn: bytesRead, bytesOut: this.#output.bytes, durationMs };
    this.#shared.logger.info({ address, port, ...counts }, how);
  }

  /* ------------------------------------------------------------------ the listener's side */

  /** The server stops: an idle connection closes now, others after their answer. */
  stop(): void {
    if (this.idle) this.#finish();
  }

  /** The server's patience is over. */
  breakOff(): void {
    this.#lose(ExchangeEnd.stopping);
    this.#socket.destroy();
  }

  /** Closes an idle connection to make room. */
  shed(): void {
    this.#finish();
    this.#socket.destroy();
    this.#leave();
  }

  /** Looks at the limits of time. Called about once a second. */
  sweep(now: number): void {
    const { limits } = this.#shared;
    const age = this.#watch.age(now);
    if (this.#state === State.ready) {
      if (this.#decoder.phase === Phase.head) {
        if (age >= limits.headTimeoutMs) this.#refuse(408, "HEAD_TIMEOUT", null, null);
      } else if (age >= limits.idleTimeoutMs) this.#finish();
      return;
    }
    const output = this.#watch.judgeOutput(now, this.#output.sent, this.#output.waiting);
    if (this.#state === State.busy) this.#sweepExchange(now, output);
    else if (output !== Verdict.fine || (age >= LINGER_MS && this.#output.waiting === 0)) this.#socket.destroy();
  }

  #sweepExchange(now: number, output: Verdict): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    if (output === Verdict.gone) {
      this.#lose(ExchangeEnd.gone);
      this.#socket.destroy();
      return;
    }
    let verdict: Verdict = output;
    if (exchange.received || this.#socketPaused || exchange.awaitsContinue) this.#watch.restart(now, exchange.bytesIn);
    else if (verdict === Verdict.fine) verdict = this.#watch.judgeInput(now, exchange.bytesIn);
    if (verdict === Verdict.stalled) this.#refuse(408, "STALLED", null, ExchangeEnd.stalled);
  }
}

/** An IPv4 client of a socket that listens on both families is shown as what it is. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
