/**
 * Owns one connection to an instance and the HTTP/1.1 exchange on it (RFC 9112 §9): one request at a time, never
 * pipelined. It returns itself to its instance only when request and response are both whole, the server allows another
 * request, and not one byte followed; after any doubt it is destroyed. Refuses to know of clients and retries.
 *
 * Timers: none of its own. `sweep` is called a few times a second and compares times.
 */
import { connect, type Socket } from "node:net";
import type { ClientInfo, Clock, FieldList } from "@tideway/base";
import {
  chunkEnd,
  encodeChunkHead,
  encodeLastChunk,
  Framing,
  type HttpFault,
  ResponseDecoder,
  type ResponseHead,
  type ResponseSink,
} from "@tideway/wire/http1";
import { onread, ReadBuffer, TextWriter } from "../sockets/index.ts";
import { type UpstreamFault, UpstreamFaultCode, type UpstreamHandler, type UpstreamLimits } from "./contract.ts";
import { isOwnFault } from "./faults.ts";
import type { Instance } from "./instance.ts";
import { idleLimit } from "./keepalive.ts";

const State = {
  /** Waits in its instance's stack. */
  idle: "idle",
  /** Leased; `#handler` is told what happens. */
  busy: "busy",
  /** Upgraded: the socket belongs to the handler. */
  upgraded: "upgraded",
  closed: "closed",
} as const;
type State = (typeof State)[keyof typeof State];

/** What has come of the response. */
const Answer = { none: 0, head: 1, whole: 2 } as const;
type Answer = (typeof Answer)[keyof typeof Answer];

/** So much of a body is held back tick by tick: who refuses it does so early, and a long upload should not pay for it. */
const heldBytesMax = 1024 * 1024;
const noFields: FieldList = [];

export class UpstreamConnection implements ResponseSink {
  readonly instance: Instance;
  /** Whose requests it carries, where a PROXY header has said so; null: anybody's. */
  readonly client: ClientInfo | null;
  /** Its request counts among those whose body has not come whole: the instance's to say. */
  uploading = false;
  readonly #socket: Socket;
  readonly #decoder: ResponseDecoder;
  readonly #read = new ReadBuffer();
  readonly #writer: TextWriter;
  readonly #clock: Clock;
  readonly #limits: UpstreamLimits;
  #state: State = State.busy;
  #handler: UpstreamHandler | null = null;
  #connected = false;
  /** Requests before this one. */
  #served = 0;
  #sentWhole = false;
  #chunked = false;
  #heldBytes = 0;
  #release: (() => void) | null = null;
  /** The socket's buffer is full. */
  #blocked = false;
  #answer: Answer = Answer.none;
  #head: ResponseHead | null = null;
  #trailers: FieldList = noFields;
  #fault: UpstreamFault | null = null;
  /** Something of the body came since the last sweep. */
  #moved = false;
  /** When the request began; then, when it last made progress. */
  #startedAt: number;
  #progressAt: number;
  #idleSince = 0;
  /** -1 until the first response said something, or nothing, about it. */
  #idleMs = -1;

  constructor(instance: Instance, clock: Clock, limits: UpstreamLimits, now: number, client: ClientInfo | null) {
    this.instance = instance;
    this.client = client;
    this.#clock = clock;
    this.#limits = limits;
    this.#startedAt = now;
    this.#progressAt = now;
    this.#decoder = new ResponseDecoder(limits, this);
    // Half-open, so that an upgraded protocol may close one side; HTTP itself is closed by us at the other's FIN.
    const socket = connect({
      host: instance.host,
      port: instance.port,
      noDelay: true,
      allowHalfOpen: true,
      onread: onread(this.#read, (bytesRead) => this.#onRead(bytesRead)),
    });
    this.#socket = socket;
    this.#writer = new TextWriter(socket, instance.tickEnd);
    socket.on("connect", () => {
      this.#connected = true;
      this.#progressAt = this.#clock.now();
    });
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#onFin());
    socket.on("error", (error: NodeJS.ErrnoException) => this.#onBroken(error.code ?? error.message));
    socket.on("close", () => this.#onBroken("closed"));
    if (client !== null) socket.write(instance.proxyHeader(client));
  }

  get isUpgraded(): boolean {
    return this.#state === State.upgraded;
  }

  /** Takes an idle connection out of its stack for a new request. */
  reuse(now: number): void {
    this.#state = State.busy;
    this.#startedAt = now;
    this.#progressAt = now;
    this.#served++;
  }

  /* ---------------------------------------------------------------- towards the upstream */

  /**
   * Sends a serialised head. `framing` as in the codec: a length, `Framing.chunked` or `Framing.none`. With 0 or none the request is whole.
   */
  sendHead(handler: UpstreamHandler, head: string, method: string, framing: number, upgradeAsked: boolean): void {
    this.#handler = handler;
    this.#answer = Answer.none;
    this.#head = null;
    this.#fault = null;
    this.#blocked = false;
    this.#heldBytes = 0;
    this.#chunked = framing === Framing.chunked;
    this.#sentWhole = framing === 0 || framing === Framing.none;
    this.#decoder.begin(method, upgradeAsked);
    this.#writer.gather(head);
    if (!this.#sentWhole) this.#writer.flush();
  }

  /** Holds back what is sent until `uncork`, so that a head and a body that is already here leave in one write. */
  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  /**
   * A piece of the body leaves at the end of its tick. An answer that overtakes the body, as 413 does, is followed by a
   * reset: written before that answer is read, a piece would fail, and take the answer with it.
   */
  #hold(bytes: number): void {
    if (this.#socket.writableCorked > 0 || this.#answer !== Answer.none) return;
    this.#heldBytes += bytes;
    if (this.#heldBytes > heldBytesMax) return;
    this.cork();
    this.#release ??= () => this.uncork();
    this.#clock.defer(this.#release);
  }

  /** False when the sender should wait for `onUpstreamDrain`. */
  sendBody(chunk: Uint8Array): boolean {
    const socket = this.#socket;
    this.#hold(chunk.length);
    let more: boolean;
    if (this.#chunked) {
      socket.cork();
      socket.write(encodeChunkHead(chunk.length), "latin1");
      socket.write(chunk);
      more = socket.write(chunkEnd, "latin1");
      socket.uncork();
    } else more = socket.write(chunk);
    this.#progressAt = this.#clock.now();
    this.#blocked = !more;
    return more;
  }

  sendEnd(trailers: FieldList): void {
    if (this.#chunked) this.#socket.write(encodeLastChunk(trailers), "latin1");
    this.#sentWhole = true;
    this.#progressAt = this.#clock.now();
    this.instance.uploaded(this);
  }

  /** Stops and continues the delivery of the response's body. */
  pause(): void {
    if (this.#state === State.busy) this.#socket.pause();
  }

  resume(): void {
    if (this.#state === State.busy) this.#socket.resume();
  }

  /** Everything that was sent has left: nothing of it is held here. */
  get flushed(): boolean {
    return this.#writer.waiting === 0;
  }

  /** A piece of what `onUpstreamBody` is given, within that call, as bytes that last: a copy when it is small. */
  keep(piece: Buffer): Buffer {
    return this.#read.keep(piece);
  }

  /** What was kept is not held any more: its memory is used for the next read. */
  recycle(): void {
    this.#read.recycle();
  }

  /** The sender has lost interest: nothing more is told, the connection is destroyed. */
  abandon(): void {
    if (this.#state !== State.busy) return;
    this.#handler = null;
    this.#close();
  }

  /* ---------------------------------------------------------------- from the upstream */

  #onRead(bytesRead: number): void {
    const chunk = this.#read.view(bytesRead);
    // With `onread` a socket emits no data; whoever took over an upgraded one expects the event.
    if (this.#state === State.upgraded) this.#socket.emit("data", this.#read.give(chunk));
    else this.#onData(chunk);
  }

  #onData(chunk: Buffer): void {
    if (this.#writer.gathered > 0) return void this.#onBroken("an answer before its request");
    if (this.#state !== State.busy || this.#handler === null || this.#answer === Answer.whole) {
      // Bytes that nobody asked for: whatever they are, the next response could not be trusted (rule 15).
      this.#close();
      return;
    }
    this.#moved = true;
    const next = this.#decoder.decode(chunk, 0);
    this.#settle(chunk, next);
  }

  /** Acts on what the decoder told, after it has returned: only then is it known whether bytes followed the end. */
  #settle(chunk: Buffer, next: number): void {
    if (this.#state !== State.busy) return;
    if (this.#fault !== null) this.#fail(this.#fault);
    else if (this.#head?.upgrade === true) this.#upgrade(this.#head, Buffer.from(chunk.subarray(next)));
    else if (this.#answer === Answer.whole) this.#finish(next === chunk.length);
  }

  onInterim(status: number, fields: FieldList): void {
    this.#progressAt = this.#clock.now();
    this.#handler?.onUpstreamInterim(status, fields);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    this.#answer = Answer.head;
    const now = this.#clock.now();
    this.instance.answered(now - this.#startedAt, now, head.status);
    if (this.#idleMs < 0) this.#idleMs = idleLimit(head.fields, this.#limits.upstreamIdleMs);
    if (!head.upgrade) this.#handler?.onUpstreamHead(head);
  }

  onBody(chunk: Buffer): void {
    if (this.#handler === null) this.#decoder.halt();
    else this.#handler.onUpstreamBody(chunk);
  }

  onEnd(trailers: FieldList): void {
    this.#trailers = trailers;
    this.#answer = Answer.whole;
  }

  onFault(fault: HttpFault): void {
    const code = fault.code === "TRUNCATED" ? UpstreamFaultCode.broken : UpstreamFaultCode.malformed;
    this.#fault = { code, reached: this.#writer.gathered === 0, detail: `${fault.code}: ${fault.message}` };
  }

  #finish(clean: boolean): void {
    const handler = this.#handler;
    const trailers = this.#trailers;
    this.#handler = null;
    this.#read.forget();
    // A response that overtook its request (413 in the middle of an upload) leaves the framing in doubt: never reused.
    const whole = this.#sentWhole && this.#writer.waiting === 0;
    if (clean && whole && this.#head?.keepAlive === true && this.#idleMs > 0 && !this.#socket.readableEnded) {
      this.#head = null;
      this.#state = State.idle;
      this.#idleSince = this.#clock.now();
      if (this.#socket.isPaused()) this.#socket.resume();
      this.instance.release(this);
    } else this.#close();
    handler?.onUpstreamEnd(trailers);
  }

  #upgrade(head: ResponseHead, rest: Buffer): void {
    const handler = this.#handler!;
    const socket = this.#socket;
    this.#handler = null;
    this.#state = State.upgraded;
    for (const event of ["connect", "drain", "end", "error", "close"]) socket.removeAllListeners(event);
    socket.once("close", () => this.instance.left(this));
    // Between here and the handler's own listeners nothing may run; an error without a listener would end the process.
    socket.on("error", () => socket.destroy());
    handler.onUpstreamUpgrade(head, socket, rest);
    this.instance.onUpgraded();
  }

  #onDrain(): void {
    this.#blocked = false;
    this.#progressAt = this.#clock.now();
    if (this.#state === State.busy) this.#handler?.onUpstreamDrain();
  }

  /** The server's FIN: the end of a body without a length, and a fault anywhere else in a response. */
  #onFin(): void {
    if (this.#state === State.busy && this.#handler !== null) {
      this.#decoder.eof();
      this.#settle(empty, 0);
    }
    this.#close();
  }

  #onBroken(reason: string): void {
    if (this.#state !== State.busy) {
      this.#close();
      return;
    }
    const code = this.#connected ? UpstreamFaultCode.broken : UpstreamFaultCode.refused;
    this.#fail({ code, reached: this.#connected && this.#writer.gathered === 0, detail: reason });
  }

  #fail(fault: UpstreamFault): void {
    const handler = this.#handler;
    this.#handler = null;
    if (this.#answer !== Answer.none) this.instance.brokeOff(this.#startedAt);
    else if (this.#counts(fault))
      this.instance.failed(`${fault.code} ${fault.detail}`, !this.#connected, this.#startedAt);
    this.#close();
    handler?.onUpstreamFault(fault);
  }

  /** Whether a fault says something about the instance. */
  #counts({ code, detail }: UpstreamFault): boolean {
    // A connection that waited may have been closed by the server just then.
    if (code === UpstreamFaultCode.broken && this.#served > 0) return false;
    return this.#connected || !isOwnFault(detail);
  }

  #close(): void {
    if (this.#state === State.closed || this.#state === State.upgraded) return;
    const wasIdle = this.#state === State.idle;
    this.#state = State.closed;
    this.#decoder.halt();
    this.#socket.destroy();
    if (wasIdle) this.instance.lostIdle(this);
    else this.instance.left(this);
  }

  /** Called a few times a second: closes what idled or waited too long. */
  sweep(now: number): void {
    if (this.#state === State.idle) {
      if (now - this.#idleSince >= this.#idleMs) this.#close();
    } else if (this.#state === State.busy) {
      this.#sweepBusy(now);
    }
  }

  #sweepBusy(now: number): void {
    const { upstreamConnectMs, upstreamFirstByteMs, upstreamBodyIdleMs } = this.#limits;
    // A body that its reader holds up is not the server's fault.
    if (this.#answer === Answer.head && (this.#moved || this.#socket.isPaused())) this.#progressAt = now;
    this.#moved = false;
    const waited = now - this.#progressAt;
    const ms = Math.round(waited);
    if (!this.#connected) {
      if (waited < upstreamConnectMs) return;
      const detail = `no connection in ${ms} ms`;
      this.#fail({ code: UpstreamFaultCode.connectTimeout, reached: false, detail });
    } else if (waited >= upstreamFirstByteMs && (this.#blocked || (this.#sentWhole && this.#answer === Answer.none))) {
      const detail = `no ${this.#blocked ? "progress" : "answer"} in ${ms} ms`;
      this.#fail({ code: UpstreamFaultCode.timeout, reached: true, detail });
    } else if (this.#answer === Answer.head && upstreamBodyIdleMs > 0 && waited >= upstreamBodyIdleMs)
      this.#fail({ code: UpstreamFaultCode.timeout, reached: true, detail: `nothing of the body in ${ms} ms` });
  }

  /** Ends an idle connection; one that is in use goes on and is not reused. */
  retire(): void {
    if (this.#state === State.idle) this.#close();
  }

  /** Ends it whatever it does, upgraded ones too. */
  destroy(): void {
    if (this.#state === State.upgraded) this.#socket.destroy();
    else if (this.#state === State.busy && this.#handler !== null)
      this.#fail({ code: UpstreamFaultCode.broken, reached: this.#connected, detail: "the service was closed" });
    else this.#close();
  }
}

const empty = Buffer.alloc(0);
