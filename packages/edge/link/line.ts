/**
 * One live line between a hub and a server: the frames of `frames.ts` over a byte stream. Both sides use it.
 *
 * Owns: joining what is sent in one tick into one frame, reassembly, the version handshake, the heartbeat, the bound of
 * the out-queue. Refuses to know what the messages mean, and whether there will be another line after this one.
 *
 * The handshake: each side's first frame is `hello`; nothing else is sent or taken before the peer's has come and its
 * version is ours. The heartbeat: each side sends `beat` every `beatMs`; a peer from which nothing came for `deadMs` is
 * hung. The out-queue: more than `queueBytesMax` waiting to leave ends the line.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "@tideway/base";
import {
  decodeBatch,
  decodeHello,
  encodeBatch,
  encodeBeat,
  encodeHello,
  FrameKind,
  frameHeadBytes,
  linkVersion,
  messageWeight,
  readFrame,
} from "./frames.ts";
import type { LinkMessage } from "./messages.ts";
import type { MessageShapes } from "./shapes.ts";

export interface LinkLimits {
  /** Bytes that may wait to leave before the line is ended. */
  readonly queueBytesMax: number;
  /** Bytes of one frame; more than `queueBytesMax`, so that a tick's batch always fits. */
  readonly frameBytesMax: number;
  /** Bytes of one emit's payload; a larger one is refused by itself. */
  readonly payloadBytesMax: number;
  /** Bytes of emits that wait for a lost hub to come back. */
  readonly bufferBytesMax: number;
  /** Over this the application's side stops reading, until what it wrote has left. */
  readonly pauseBytes: number;
  readonly beatMs: number;
  readonly deadMs: number;
  readonly helloMs: number;
}

export const linkLimits: LinkLimits = Object.freeze({
  queueBytesMax: 64 * 1024 * 1024,
  frameBytesMax: 128 * 1024 * 1024,
  payloadBytesMax: 16 * 1024 * 1024,
  bufferBytesMax: 16 * 1024 * 1024,
  pauseBytes: 4 * 1024 * 1024,
  beatMs: 5_000,
  deadMs: 20_000,
  helloMs: 5_000,
});

export const LineEnd = {
  /** The peer closed, or the process behind it ended. */
  closed: "closed",
  /** Bytes that are not this protocol. */
  garbage: "garbage",
  version: "version",
  /** Nothing came for too long. */
  hung: "hung",
  /** The peer does not read. */
  full: "full",
  /** We closed. */
  own: "own",
} as const;
export type LineEnd = (typeof LineEnd)[keyof typeof LineEnd];

export interface LineEvents<In extends LinkMessage, Out extends LinkMessage> {
  /** The peer's hello has come: messages may be sent. */
  onOpen(): void;
  onBatch(messages: In[]): void;
  /** At most once. `unsent` never reached the wire. */
  onEnd(why: LineEnd, detail: string, unsent: Out[]): void;
}

/** How long a peer may take to read the last frame and close. */
const closeMs = 2_000;

const LineState = { greeting: "greeting", open: "open", ended: "ended" } as const;
type LineState = (typeof LineState)[keyof typeof LineState];

export class Line<In extends LinkMessage, Out extends LinkMessage> {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #limits: LinkLimits;
  readonly #shapes: MessageShapes<In>;
  readonly #events: LineEvents<In, Out>;
  /** Whether this side stops reading while its own writes are stuck. Only one side may, or both could wait for ever. */
  readonly #pauses: boolean;

  #state: LineState = LineState.greeting;
  #chunks: Buffer[] = [];
  #received = 0;
  #needs = frameHeadBytes;
  #batch: Out[] = [];
  #batchWeight = 0;
  #paused = false;
  #heardAt: number;
  #beat: Timer;
  #watch: Timer;

  constructor(
    socket: Socket,
    clock: Clock,
    limits: LinkLimits,
    shapes: MessageShapes<In>,
    pauses: boolean,
    events: LineEvents<In, Out>,
  ) {
    this.#socket = socket;
    this.#clock = clock;
    this.#limits = limits;
    this.#shapes = shapes;
    this.#pauses = pauses;
    this.#events = events;
    this.#heardAt = clock.now();
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error) => this.#end(LineEnd.closed, error.message));
    socket.on("close", () => this.#end(LineEnd.closed, "the peer closed"));
    socket.write(encodeHello(linkVersion));
    this.#beat = clock.after(limits.beatMs, () => this.#onBeat());
    this.#watch = clock.after(limits.helloMs, () => this.#end(LineEnd.hung, `no hello within ${limits.helloMs} ms`));
  }

  get open(): boolean {
    return this.#state === LineState.open;
  }

  /** Queues a message; it leaves at the end of this tick, in one frame with all others of the tick. */
  send(message: Out): void {
    if (this.#state !== LineState.open) return;
    if (this.#batch.length === 0) this.#clock.defer(() => this.#flush());
    this.#batch.push(message);
    this.#batchWeight += messageWeight(message);
    if (this.#batchWeight + this.#socket.writableLength > this.#limits.queueBytesMax) {
      this.#end(LineEnd.full, `more than ${this.#limits.queueBytesMax} bytes wait for the peer to read`);
    }
  }

  /** Sends what is queued, then closes; `done` is called once the peer has it, or takes too long. */
  close(done: () => void = () => {}): void {
    this.#flush();
    if (this.#isEnded()) {
      done();
      return;
    }
    const deadline = this.#clock.after(closeMs, () => this.#socket.destroy());
    this.#socket.once("close", () => {
      deadline.cancel();
      done();
    });
    this.#socket.end();
    this.#end(LineEnd.own, "closed by this side");
  }

  #flush(): void {
    if (this.#state !== LineState.open || this.#batch.length === 0) return;
    const frame = encodeBatch(this.#batch);
    // The weight is an estimate; the true size decides, so that the peer's limit is never met.
    if (frame.length > this.#limits.frameBytesMax) {
      this.#end(LineEnd.full, `a batch of ${frame.length} bytes`);
      return;
    }
    this.#batch = [];
    this.#batchWeight = 0;
    this.#socket.write(frame);
    if (this.#pauses && !this.#paused && this.#socket.writableLength > this.#limits.pauseBytes) {
      this.#paused = true;
      this.#heardAt = this.#clock.now();
      this.#socket.pause();
    }
  }

  #onDrain(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#heardAt = this.#clock.now();
    this.#socket.resume();
  }

  #onData(chunk: Buffer): void {
    if (this.#isEnded()) return;
    this.#heardAt = this.#clock.now();
    this.#chunks.push(chunk);
    this.#received += chunk.length;
    // Joined only once a whole frame is there: a frame of many chunks costs one copy.
    if (this.#received < this.#needs) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#received);
    let at = 0;
    for (;;) {
      const reading = readFrame(bytes, at, this.#limits.frameBytesMax);
      if (reading.state === "fault") {
        this.#end(LineEnd.garbage, `${reading.fault}: ${reading.seen}`);
        return;
      }
      if (reading.state === "short") {
        this.#needs = reading.needs;
        break;
      }
      at = reading.next;
      this.#onFrame(reading.value.kind, reading.value.body);
      if (this.#isEnded()) return;
    }
    this.#chunks = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#received = bytes.length - at;
  }

  #isEnded(): boolean {
    return this.#state === LineState.ended;
  }

  #onFrame(kind: FrameKind, body: Buffer): void {
    if (kind === FrameKind.hello) {
      this.#onHello(body);
      return;
    }
    if (this.#state === LineState.greeting) {
      this.#end(LineEnd.garbage, "a frame before hello");
      return;
    }
    if (kind === FrameKind.beat) {
      if (body.length > 0) this.#end(LineEnd.garbage, "a beat with a body");
      return;
    }
    const batch = decodeBatch(body, this.#shapes);
    if (batch.state === "whole") this.#events.onBatch(batch.value);
    else this.#end(LineEnd.garbage, batch.state === "fault" ? `${batch.fault}: ${batch.seen}` : "a batch cut short");
  }

  #onHello(body: Buffer): void {
    if (this.#state !== LineState.greeting) {
      this.#end(LineEnd.garbage, "a second hello");
      return;
    }
    const hello = decodeHello(body);
    if (hello.state !== "whole") {
      this.#end(LineEnd.garbage, hello.state === "fault" ? `${hello.fault}: ${hello.seen}` : "hello cut short");
      return;
    }
    if (hello.value !== linkVersion) {
      this.#end(LineEnd.version, `the peer speaks version ${hello.value} of the link, this side ${linkVersion}`);
      return;
    }
    this.#state = LineState.open;
    this.#watch.cancel();
    this.#watch = this.#clock.after(this.#limits.deadMs, () => this.#onWatch());
    this.#events.onOpen();
  }

  #onBeat(): void {
    if (this.#state === LineState.ended) return;
    if (this.#state === LineState.open) this.#socket.write(encodeBeat());
    this.#beat = this.#clock.after(this.#limits.beatMs, () => this.#onBeat());
  }

  #onWatch(): void {
    if (this.#isEnded()) return;
    const silentMs = this.#clock.now() - this.#heardAt;
    if (silentMs < this.#limits.deadMs) {
      this.#watch = this.#clock.after(this.#limits.deadMs - silentMs, () => this.#onWatch());
      return;
    }
    // A process that was itself stopped finds its timer due before it has read what waits: look once more after that.
    this.#clock.defer(() => {
      if (this.#isEnded()) return;
      if (this.#clock.now() - this.#heardAt < this.#limits.deadMs) this.#onWatch();
      else this.#end(LineEnd.hung, `nothing came for ${Math.round(silentMs)} ms`);
    });
  }

  #end(why: LineEnd, detail: string): void {
    if (this.#state === LineState.ended) return;
    this.#state = LineState.ended;
    this.#beat.cancel();
    this.#watch.cancel();
    const unsent = this.#batch;
    this.#batch = [];
    this.#chunks = [];
    if (why !== LineEnd.own) this.#socket.destroy();
    this.#events.onEnd(why, detail, unsent);
  }
}
