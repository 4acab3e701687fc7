/**
 * One client connection speaking HTTP/1.1 (RFC 9112): bytes to requests, one exchange at a time, answers in order.
 *
 * - The next request is decoded only when the last answer is whole; what arrives meanwhile stays in one span and the
 *   socket is paused, so a pipelining client is bounded by one read.
 * - After any doubt about framing the connection closes, and lingers so that the client can read why.
 * - Limits of time are looked at by the listener's sweep; there are no timers here.
 */
import type { Socket } from "node:net";
import { type ByteStream, ExchangeEnd, type FieldList, type RequestHead } from "@tideway/base";
import { type HttpFault, Phase, RequestDecoder, type RequestMeta, type RequestSink } from "@tideway/wire/http1";
import type { ReadBuffer } from "../sockets/index.ts";
import type { Peer } from "./client.ts";
import { DRAIN_BYTES_MAX, FORGET_MS, LINGER_BYTES_MAX, LINGER_MS, LINGER_STOPPING_MS } from "./contract.ts";
import { Answer, HttpExchange, type Line } from "./exchange.ts";
import { Intake } from "./intake.ts";
import { Journal } from "./journal.ts";
import { Output } from "./output.ts";
import { Limit, type Refused, refusal } from "./refusal.ts";
import type { Shared } from "./shared.ts";
import { disown, type Incoming, own, type Reader, type SocketOwner, untouched } from "./stream.ts";
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
  /** Closed, or handed over: then what comes is for who took the socket. */
  over: "over",
} as const;
type State = (typeof State)[keyof typeof State];

export class Connection implements RequestSink, SocketOwner, Line, Reader {
  readonly #socket: Socket;
  readonly #reads: ReadBuffer;
  readonly server: Shared;
  readonly peer: Peer;
  readonly #intake: Intake;
  readonly output: Output;
  readonly #watch: Watch;
  readonly #journal: Journal;
  #state: State = State.ready;
  #exchange: HttpExchange | null = null;

  /** The client closed its sending side. */
  #inputEnded = false;
  /** Some of a head has come, and its time runs. */
  #withinHead = false;
  /** Bytes that were thrown away in the present state. */
  #dropped = 0;

  constructor(incoming: Incoming, shared: Shared, peer: Peer) {
    const { socket, reads } = incoming;
    incoming.reader = this;
    this.#reads = reads;
    this.#socket = socket;
    this.server = shared;
    this.#watch = new Watch(shared, shared.clock.now());
    this.output = new Output(socket, shared.tickEnd);
    this.peer = peer;
    this.#intake = new Intake(socket, reads, new RequestDecoder(shared.limits, this));
    this.#journal = new Journal(shared, peer, this.#intake, this.output);
    own(socket, this);
  }

  /** Since when it has been between requests with nothing of the next one read, so that closing does no harm; or -1. */
  get idleSince(): number {
    const idle = this.#state === State.ready && this.#intake.phase === Phase.idle && this.#intake.empty;
    return idle ? this.#watch.since : -1;
  }

  /** `view` is overwritten by the next read. */
  onRead(view: Buffer): void {
    if (this.#state === State.over) this.#socket.emit("data", this.#reads.give(view));
    else if (this.#state === State.lingering) {
      this.#dropped += view.length;
      if (this.#dropped > LINGER_BYTES_MAX) this.#socket.destroy();
    } else {
      this.#intake.feed(view);
      this.#pump();
      this.#intake.settle();
    }
  }

  onSocketDrain(): void {
    if (this.#exchange === null) this.#pump();
    else this.#exchange.drained();
  }

  onSocketEnd(): void {
    this.#inputEnded = true;
    this.#watch.inputEnded(this.server.clock.now());
    const exchange = this.#exchange;
    if (exchange?.received === true) return;
    if (exchange === null) {
      if (this.#intake.empty) this.#finish();
    } else if (exchange.answer === Answer.whole) {
      this.#complete(exchange);
      this.#finish();
    } else {
      // The body is cut off: nobody can tell what it would have said.
      this.#lose(ExchangeEnd.gone);
      this.#socket.destroy();
    }
  }

  onSocketError(error: Error): void {
    this.#journal.lineFailed(error);
  }

  onSocketClose(): void {
    this.#lose(ExchangeEnd.gone);
    this.#leave();
  }

  /** Decodes as far as the exchanges allow, writes what is due, then reads on or pauses the socket. */
  #pump(): void {
    if (this.#intake.decoding) return;
    this.#intake.decode(this, this.#exchange);
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#noteHead();
      if (this.#inputEnded && this.#intake.empty) this.#finish();
    } else if (exchange.answer === Answer.whole) {
      if (exchange.closing) this.#complete(exchange);
    } else if (exchange.awaitsContinue && exchange.reading && exchange.answer === Answer.none) {
      exchange.sendContinue();
    }
    this.#steerReading();
  }

  get mayDecode(): boolean {
    if (this.#state === State.over || this.#state === State.lingering) return false;
    const exchange = this.#exchange;
    // No further request is begun for a client that does not read its answers.
    if (exchange === null) return this.output.ready;
    return exchange.answer === Answer.whole || (!exchange.received && exchange.reading);
  }

  /** A head that is not whole is given time from its first byte on. */
  #noteHead(): void {
    const within = this.#intake.phase === Phase.head;
    if (within && !this.#withinHead) this.#watch.restart(this.server.clock.now());
    this.#withinHead = within;
  }

  /** Reads from the socket unless the handler wants nothing now. */
  #steerReading(): void {
    if (this.#state === State.over) return;
    const exchange = this.#exchange;
    const wanted =
      exchange === null ? this.output.ready || this.#state !== State.ready : exchange.received || this.mayDecode;
    if (this.#intake.steer(!wanted) && exchange !== null)
      this.#watch.restart(this.server.clock.now(), exchange.bytesIn);
  }

  onHead(head: RequestHead, meta: RequestMeta): void {
    const { server } = this;
    const now = server.clock.now();
    this.#journal.requests++;
    server.counters.requests++;
    this.#state = State.busy;
    this.#withinHead = false;
    this.#watch.restart(now);
    const id = this.peer.requestId(head.fields) || server.nextId();
    const exchange = new HttpExchange(id, head, meta, this.peer.clientOf(head.fields), this, now);
    this.#exchange = exchange;
    try {
      server.onExchange(exchange);
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
    exchange.deliver(this.#intake.keep(chunk));
    this.#haltUnlessReading();
  }

  onEnd(trailers: FieldList): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    exchange.deliverEnd(trailers);
    if (this.#exchange === exchange && exchange.answer === Answer.whole) this.#complete(exchange);
  }

  onFault(fault: HttpFault): void {
    this.#refuse(fault, ExchangeEnd.malformed);
  }

  #haltUnlessReading(): void {
    const exchange = this.#exchange;
    if (exchange !== null && (exchange.answer === Answer.whole || exchange.reading)) return;
    if (exchange === null) this.#intake.stop();
    else this.#intake.halt();
  }

  wake(): void {
    this.#pump();
  }

  hold(): void {
    this.#intake.halt();
    if (!this.#intake.decoding) this.#steerReading();
  }

  answered(exchange: HttpExchange): void {
    if (exchange.received) this.#complete(exchange);
    else {
      // The answer came before its request's body was read. A little is read, so that the connection can go on.
      this.#state = State.draining;
      this.#watch.restart(this.server.clock.now());
      this.#dropped = 0;
      this.#intake.due();
      if (exchange.leavesMuch) exchange.closing = true;
    }
    this.#pump();
  }

  broken(exchange: HttpExchange, what: string): void {
    if (what !== "") this.#journal.targetBroke(exchange, what);
    this.#part(exchange);
    this.#reset();
  }

  failed(exchange: HttpExchange, error: unknown): void {
    this.#journal.targetFailed(exchange, error);
    if (this.#exchange !== exchange) return;
    if (exchange.answer === Answer.none) this.#refuse(null, null);
    else if (exchange.answer === Answer.streaming) this.broken(exchange, "");
  }

  tooLarge(exchange: HttpExchange): void {
    if (this.#exchange === exchange) this.#refuse(Limit.bodyBytes, ExchangeEnd.malformed);
  }

  handOver(exchange: HttpExchange): { stream: ByteStream; head: Uint8Array } {
    this.output.flush();
    const head = this.#intake.takeRest();
    exchange.detach();
    this.#exchange = null;
    const socket = this.#socket;
    disown(socket);
    this.#journal.handedOver(exchange, socket);
    this.#leave("connection handed over");
    return { stream: untouched(socket), head };
  }

  #part(exchange: HttpExchange): void {
    exchange.detach();
    this.#exchange = null;
    this.#journal.record(exchange, exchange.id, exchange.status);
    this.#journal.over(exchange);
  }

  /** The answer is whole, and its request is read or given up: on to the next, or close. */
  #complete(exchange: HttpExchange): void {
    this.#part(exchange);
    this.#state = State.ready;
    this.#watch.restart(this.server.clock.now());
    if (exchange.closing || this.server.stopping) this.#finish();
  }

  /**
   * A small answer of our own and the end of the connection; the exchange, if there is one, is told why. Null when the
   * target is at fault.
   */
  #refuse(refused: Refused | null, why: ExchangeEnd | null): void {
    const exchange = this.#exchange;
    const id = exchange?.id ?? this.server.nextId();
    const begun = exchange !== null && exchange.answer !== Answer.none;
    this.#exchange = null;
    const status = refused?.status ?? 500;
    if (refused !== null) {
      this.server.counters.refused++;
      this.#journal.refused(id, refused);
    }
    if (exchange !== null && why !== null) this.#journal.cut(exchange, why);
    exchange?.detach();
    this.#intake.giveUp();
    this.#journal.record(exchange, id, begun ? exchange.status : status, refused?.code);
    if (exchange !== null) this.#journal.over(exchange);
    if (begun && exchange.answer !== Answer.whole) {
      this.#reset();
      return;
    }
    const detail = refused?.message ?? "";
    if (!begun) this.output.text(refusal(status, exchange, id, detail, this.server.dateLine()));
    this.#finish();
  }

  /** Closes our side once all is written, and lingers for the client's. */
  #finish(): void {
    if (this.#state === State.over || this.#state === State.lingering) return;
    this.output.flush();
    this.#state = State.lingering;
    this.#watch.restart(this.server.clock.now());
    this.#dropped = 0;
    this.#intake.stop();
    this.#socket.end();
    this.#intake.steer(false);
  }

  /** Breaks the connection so that nothing sent so far can be taken for a whole answer. */
  #reset(): void {
    if (this.#state === State.over) return;
    this.#state = State.over;
    this.#intake.stop();
    this.#socket.resetAndDestroy();
  }

  /** The connection is lost: tells the exchange, if one is open. */
  #lose(why: ExchangeEnd): void {
    const exchange = this.#exchange;
    if (exchange === null) return;
    this.#exchange = null;
    const { status } = exchange;
    this.#journal.cut(exchange, why);
    this.#journal.record(exchange, exchange.id, status !== 0 ? status : why === ExchangeEnd.gone ? 499 : 0);
    this.#journal.over(exchange);
  }

  #leave(how = "connection closed"): void {
    this.#state = State.over;
    if (!this.server.forget(this)) return;
    this.#journal.left(how, this.#socket.bytesRead, this.output.bytes);
    if (!this.server.upgraded.has(this.#socket)) this.server.closed(this.#socket, this.peer.seat);
  }

  /* ------------------------------------------------------------------ the listener's side */

  /** The server stops: an idle connection closes now, others after their answer. */
  stop(): void {
    if (this.idleSince >= 0) this.#finish();
  }

  /** The server's patience is over. */
  breakOff(): void {
    this.#lose(ExchangeEnd.stopping);
    this.#socket.destroy();
  }

  /** Closes an idle connection to make room. */
  shed(): void {
    this.#socket.destroy();
    this.#leave();
  }

  /** Looks at the limits of time. Called about once a second; true when it was ended for one of them. */
  sweep(now: number): boolean {
    const age = this.#watch.age(now);
    if (this.#state === State.ready) {
      const { headTimeoutMs, idleTimeoutMs } = this.server.limits;
      if (this.#intake.phase !== Phase.head) {
        if (age >= FORGET_MS) this.#intake.forget();
        if (age < idleTimeoutMs) return false;
        this.#finish();
        return true;
      }
      if (age < headTimeoutMs) return false;
      this.#refuse(Limit.headTime, null);
      return true;
    }
    let verdict = this.#watch.judgeOutput(now, this.output.sent, this.output.waiting);
    const exchange = this.#exchange;
    if (this.#state !== State.busy || exchange === null) {
      const lingerMs = this.server.stopping ? LINGER_STOPPING_MS : LINGER_MS;
      if (verdict === Verdict.fine && (age < lingerMs || !this.output.flushed)) return false;
      this.#socket.destroy();
      return true;
    }
    if (exchange.received || this.#intake.paused || exchange.awaitsContinue) this.#watch.restart(now, exchange.bytesIn);
    else if (verdict === Verdict.fine) verdict = this.#watch.judgeInput(now, exchange.bytesIn);
    if (verdict === Verdict.stalled) this.#refuse(Limit.progress, ExchangeEnd.stalled);
    else if (verdict === Verdict.gone) {
      this.#lose(ExchangeEnd.gone);
      this.#socket.destroy();
    }
    return verdict !== Verdict.fine;
  }
}
