/**
 * Owns one request's way to an upstream and back: which connection, how often, and what the client is told when it
 * fails (RFC 9110 §9.2.2 for what may be repeated). Between two sockets it is only calls: each side's `false` pauses the
 * other side, and no byte of a body is copied. Refuses to choose instances.
 *
 * The exchange is done with after `end`, `abort`, `upgrade` or `onClose`; `#phase` says so, and every call after is nothing.
 */
import type { Socket } from "node:net";
import { type AnswerErrorCode, type Exchange, type ExchangeHandler, type FieldList, renderError } from "@tideway/base";
import { field } from "@tideway/wire/fields";
import type { ResponseHead } from "@tideway/wire/http1";
import {
  type Instance,
  LeaseFault,
  type LeaseHandler,
  type UpstreamConnection,
  type UpstreamFault,
  UpstreamFaultCode,
  type WhenDown,
} from "../upstream/index.ts";
import { finalFields, requestFraming, requestHead, responseFields } from "./heads.ts";
import type { ProxyContext, RouteContext } from "./proxy.ts";

const Phase = {
  /** No byte of the response was sent: a failure may be mended. */
  open: 0,
  /** The response's head was sent. */
  answering: 1,
  done: 2,
} as const;
type Phase = (typeof Phase)[keyof typeof Phase];

const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
const untried: readonly Instance[] = [];
const noFields: FieldList = [];

export class Forwarding implements ExchangeHandler, LeaseHandler {
  readonly #context: ProxyContext;
  readonly #exchange: Exchange;
  readonly #route: RouteContext;
  #phase: Phase = Phase.open;
  #connection: UpstreamConnection | null = null;
  #tried: readonly Instance[] = untried;
  #retries = 0;
  /** The body so far, while it is kept for a retry or waits for a connection; null once it is not whole any more. */
  #kept: Uint8Array[] | null = [];
  #keptBytes = 0;
  #bodyWhole: boolean;
  #trailers: FieldList = noFields;
  #bodyPaused = false;
  /** Only where the route wants Server-Timing: when the request came, and when its last attempt was sent. */
  #startedAt = 0;
  #sentAt = 0;

  constructor(context: ProxyContext, exchange: Exchange, route: RouteContext) {
    this.#context = context;
    this.#exchange = exchange;
    this.#route = route;
    this.#bodyWhole = exchange.head.bodyLength === 0;
  }

  start(): void {
    const exchange = this.#exchange;
    exchange.service = this.#context.service.name;
    this.#context.service.onRequest();
    if (this.#route.serverTiming) this.#startedAt = this.#context.clock.now();
    // First the body, as far as it is here already: it is kept, and leaves in one write with the head.
    exchange.accept(this);
    if (this.#phase === Phase.open) this.#lease(false);
  }

  get uploading(): boolean {
    return !this.#bodyWhole;
  }

  #lease(fresh: boolean): void {
    this.#context.service.lease(this, this.#exchange, this.#tried, fresh);
  }

  /* ---------------------------------------------------------------- towards the upstream */

  onLease(connection: UpstreamConnection): void {
    const exchange = this.#exchange;
    const { head } = exchange;
    this.#connection = connection;
    exchange.instance = connection.instance.id;
    // h2c (RFC 7540 §3.2) would carry requests past this proxy's eyes; a body would be cut in two by the switch.
    const upgrade = head.upgrade === "h2c" || head.bodyLength !== 0 ? "" : head.upgrade;
    const { instance } = connection;
    const text = requestHead(exchange, this.#route, this.#context.trace, instance, upgrade);
    if (this.#route.serverTiming) this.#sentAt = this.#context.clock.now();
    const kept = this.#kept;
    if (kept === null || kept.length === 0)
      connection.sendHead(this, text, head.method, requestFraming(head), upgrade !== "");
    else {
      connection.cork();
      connection.sendHead(this, text, head.method, requestFraming(head), upgrade !== "");
      for (const chunk of kept) connection.sendBody(chunk);
      connection.uncork();
    }
    if (this.#bodyWhole) {
      if (head.bodyLength !== 0) connection.sendEnd(this.#trailers);
    } else if (this.#bodyPaused) this.#resumeBody();
  }

  onBody(chunk: Uint8Array): void {
    if (this.#phase === Phase.done) return;
    this.#keep(chunk);
    if (this.#connection === null) {
      // Nowhere to send it yet: what arrived is kept, whatever its size; over the bound no more is read.
      if (this.#keptBytes > this.#context.replayBytesMax) this.#pauseBody();
    } else if (!this.#connection.sendBody(chunk)) this.#pauseBody();
  }

  #keep(chunk: Uint8Array): void {
    if (this.#kept === null) return;
    this.#keptBytes += chunk.length;
    if (this.#keptBytes > this.#context.replayBytesMax && this.#connection !== null) this.#kept = null;
    else this.#kept.push(chunk);
  }

  /** See the contract: nothing of the body is kept for a retry, or waits in the upstream's socket. */
  get flushed(): boolean {
    return this.#kept === null && this.#connection?.flushed === true;
  }

  onBodyEnd(trailers: FieldList): void {
    if (this.#bodyWhole || this.#phase === Phase.done) return;
    this.#bodyWhole = true;
    this.#trailers = trailers;
    if (this.#connection !== null) this.#connection.sendEnd(trailers);
    else this.#context.service.uploaded(this);
  }

  #pauseBody(): void {
    this.#bodyPaused = true;
    this.#exchange.pause();
  }

  #resumeBody(): void {
    this.#bodyPaused = false;
    this.#exchange.resume();
  }

  onUpstreamDrain(): void {
    if (this.#bodyPaused) this.#resumeBody();
  }

  /* ---------------------------------------------------------------- towards the client */

  onUpstreamInterim(status: number, fields: FieldList): void {
    // 100 answers an expectation that the listener has met already.
    if (status === 100 || this.#phase !== Phase.open) return;
    // A byte of the response: what comes after it is of the same attempt, or nothing.
    this.#kept = null;
    this.#exchange.inform(status, responseFields(fields));
  }

  onUpstreamHead(head: ResponseHead): void {
    this.#phase = Phase.answering;
    this.#kept = null;
    const bodiless = this.#exchange.head.method === "HEAD" || head.status === 304;
    this.#exchange.respond(head.status, this.#fieldsOf(head), bodiless ? head.contentLength : head.bodyLength);
  }

  /** What the client is sent of the fields, and what is added for it: its cookie of this instance, the shares of time. */
  #fieldsOf(head: ResponseHead): FieldList {
    const fields = finalFields(head);
    const instance = this.#connection?.instance;
    const cookie = instance === undefined ? "" : this.#context.service.stickyCookie(this.#exchange, instance);
    if (cookie === "" && !this.#route.serverTiming) return fields;
    const own = [...fields];
    if (cookie !== "") own.push("set-cookie", cookie);
    if (this.#route.serverTiming) this.#addTiming(own);
    return own;
  }

  /** To the head: the service has had it since the last attempt was sent; the rest, earlier attempts too, is ours. */
  #addTiming(fields: FieldList): void {
    const gatewayMs = this.#sentAt - this.#startedAt;
    const serviceMs = this.#context.clock.now() - this.#sentAt;
    fields.push("server-timing", `gateway;dur=${tenths(gatewayMs)}, service;dur=${tenths(serviceMs)}`);
  }

  onUpstreamBody(chunk: Buffer): void {
    const connection = this.#connection;
    const exchange = this.#exchange;
    if (connection === null) return;
    const { copiesBytesMax = 0 } = exchange;
    const copied = chunk.length <= copiesBytesMax;
    if (!exchange.write(copied ? chunk : connection.keep(chunk))) connection.pause();
    if (!copied) this.#recycle();
  }

  onDrain(): void {
    this.#recycle();
    this.#connection?.resume();
  }

  /** Memory that the client's socket has taken is read into again; left to the collector it piles up to some 64 MiB. */
  #recycle(): void {
    if (this.#exchange.flushed === true) this.#connection?.recycle();
  }

  onUpstreamEnd(trailers: FieldList): void {
    this.#connection = null;
    this.#phase = Phase.done;
    // An answer that overtook its request: what is left of the body is the listener's to drop.
    if (this.#bodyPaused) this.#resumeBody();
    if (trailers.length === 0) this.#exchange.end();
    else this.#exchange.end(trailers);
  }

  onUpstreamUpgrade(head: ResponseHead, socket: Socket, rest: Buffer): void {
    const exchange = this.#exchange;
    const protocol = field(head.fields, "upgrade") ?? "";
    if (protocol.toLowerCase() !== exchange.head.upgrade) {
      // RFC 9110 §7.8: a server switches to what it was asked for only, and says so.
      socket.destroy();
      this.onUpstreamFault({ code: UpstreamFaultCode.malformed, reached: true, detail: `101 to "${protocol}"` });
      return;
    }
    const fields = this.#fieldsOf(head);
    this.#connection = null;
    this.#phase = Phase.done;
    const client = exchange.upgrade([...fields, "upgrade", protocol]);
    this.#context.tunnels.open(client.stream, socket, { lateFromClient: client.head, lateFromUpstream: rest });
  }

  /* ---------------------------------------------------------------- when it fails */

  onClose(): void {
    if (this.#phase === Phase.done) return;
    this.#phase = Phase.done;
    this.#kept = null;
    if (this.#connection === null) this.#context.service.cancel(this);
    else this.#connection.abandon();
    this.#connection = null;
  }

  onUpstreamFault(fault: UpstreamFault): void {
    const connection = this.#connection;
    this.#connection = null;
    if (this.#phase === Phase.done) return;
    const again = this.#phase === Phase.open && this.#mayRetry(fault);
    const { logger, service } = this.#context;
    const instance = connection?.instance;
    const fields = {
      request: this.#exchange.id,
      service: service.name,
      instance: instance?.id,
      fault: fault.code,
      detail: fault.detail,
      retried: again,
    };
    logger.warn(fields, "upstream failed");
    if (again) {
      this.#retries++;
      if (instance !== undefined) this.#tried = [...this.#tried, instance];
      this.#lease(true);
      return;
    }
    this.#exchange.reason = fault.code;
    if (this.#phase === Phase.answering) {
      this.#phase = Phase.done;
      this.#exchange.abort();
    } else this.#answer(answerTo(fault));
  }

  /** http1-rules: nothing reached the upstream, or repeating does no harm; twice at most; within the budget; body at hand. */
  #mayRetry(fault: UpstreamFault): boolean {
    if (this.#retries >= this.#context.retriesMax || this.#kept === null) return false;
    // A peer that took the request and breaks HTTP, or thinks for a minute, would do the same again.
    if (fault.code === UpstreamFaultCode.malformed || fault.code === UpstreamFaultCode.timeout) return false;
    const { method, fields } = this.#exchange.head;
    const harmless = !fault.reached || idempotent.has(method) || field(fields, "idempotency-key") !== undefined;
    return harmless && this.#context.service.takeRetry();
  }

  onLeaseFailed(fault: LeaseFault): void {
    if (this.#phase === Phase.done) return;
    const { logger, service } = this.#context;
    logger.warn({ request: this.#exchange.id, service: service.name, fault }, "no instance to forward to");
    this.#exchange.reason = fault;
    const busy = fault === LeaseFault.crowded || fault === LeaseFault.deadline;
    if (!busy && service.whenDown !== undefined) this.#answerDown(service.whenDown);
    else this.#answer(busy ? "HTTP_BUSY" : "HTTP_UNAVAILABLE");
  }

  #answerDown({ status = 503, body, type = "text/plain; charset=utf-8", retryAfterSeconds = 2 }: WhenDown): void {
    if (body === undefined && status === 503) {
      this.#answer("HTTP_UNAVAILABLE", retryAfterSeconds);
      return;
    }
    const fields = ["cache-control", "no-store", "content-type", type];
    if (retryAfterSeconds > 0) fields.push("retry-after", String(retryAfterSeconds));
    this.#respond(status, fields, body ?? "");
  }

  #answer(code: AnswerErrorCode, retryAfter?: number): void {
    const exchange = this.#exchange;
    const accept = field(exchange.head.fields, "accept") ?? "";
    const detail = `service ${this.#context.service.name}`;
    const { status, fields, body } = renderError(code, accept, detail, exchange.id, retryAfter);
    this.#respond(status, fields, body);
  }

  /** An answer of our own. */
  #respond(status: number, fields: FieldList, body: string): void {
    this.#phase = Phase.done;
    this.#kept = null;
    const exchange = this.#exchange;
    const bytes = Buffer.from(body);
    exchange.respond(status, fields, bytes.length);
    if (exchange.head.method !== "HEAD") exchange.write(bytes);
    exchange.end();
  }
}

/** Milliseconds with one decimal, as short as they are. */
function tenths(ms: number): number {
  return Math.round(Math.max(0, ms) * 10) / 10;
}

function answerTo(fault: UpstreamFault): AnswerErrorCode {
  switch (fault.code) {
    case UpstreamFaultCode.refused:
      return "HTTP_UNAVAILABLE";
    case UpstreamFaultCode.connectTimeout:
    case UpstreamFaultCode.timeout:
      return "HTTP_UPSTREAM_TIMEOUT";
    default:
      return "HTTP_BAD_UPSTREAM";
  }
}
