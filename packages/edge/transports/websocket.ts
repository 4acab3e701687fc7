/**
 * One WebSocket over an upgraded connection: bytes to messages, frames to bytes, the closing handshake (RFC 6455 §7).
 * Knows nothing of Engine.IO: its owner reads the messages and says what to write.
 */
import type { ByteStream, Clock, Timer } from "@tideway/base";
import { takesDirectly } from "@tideway/edge/sockets";
import type { DisconnectReason } from "@tideway/engine/hub";
import { CloseCode, closePayload, encodeFrame, FrameDecoder, type MessageSink, Opcode } from "@tideway/wire/websocket";
import { inflateMessage } from "./deflate.ts";
import type { FrameJoiner } from "./encoding.ts";
import { closeTimeoutMs } from "./options.ts";

/** Who reads a WebSocket. After `onGone` no call comes. */
export interface WebSocketOwner {
  onText(from: WebSocketTransport, data: string): void;
  onBinary(from: WebSocketTransport, data: Buffer): void;
  /** So many bytes have come, before anything is made of them. */
  onBytes(count: number): void;
  /** What was written has left. */
  onDrain(from: WebSocketTransport): void;
  /** The connection is about to be closed by what the peer sent: what is queued for it can go before the close frame. */
  onClosing(from: WebSocketTransport): void;
  /** The peer closed, broke the rules or went away. Not called when the owner closed it. */
  onGone(from: WebSocketTransport, reason: DisconnectReason): void;
}

/** What WebSockets have in common that take the same frames. */
class Framing {
  readonly clock: Clock;
  /** Makes the frames that these clients take: plain ones, or compressed as was agreed. */
  readonly joiner: FrameJoiner;
  readonly #messageBytesMax: number;
  /** Mostly one: a connection keeps a decoder of its own only while a message of its is not whole. */
  readonly #resting: FrameDecoder[] = [];

  constructor(clock: Clock, joiner: FrameJoiner, messageBytesMax: number) {
    this.clock = clock;
    this.joiner = joiner;
    this.#messageBytesMax = messageBytesMax;
  }

  lend(): FrameDecoder {
    const inflate = this.joiner.deflates ? inflateMessage : null;
    return this.#resting.pop() ?? new FrameDecoder("server", this.#messageBytesMax, inflate);
  }

  /** Null when it was taken back; a decoder with something on its mind stays with its connection. */
  takeBack(decoder: FrameDecoder): FrameDecoder | null {
    if (!decoder.resting) return decoder;
    if (this.#resting.length < restingMax) this.#resting.push(decoder);
    return null;
  }
}

const restingMax = 16;

/** One for each way to make frames. */
export class Framings {
  readonly #clock: Clock;
  readonly #messageBytesMax: number;
  readonly #byJoiner = new Map<FrameJoiner, Framing>();

  constructor(clock: Clock, messageBytesMax: number) {
    this.#clock = clock;
    this.#messageBytesMax = messageBytesMax;
  }

  of(joiner: FrameJoiner): Framing {
    let framing = this.#byJoiner.get(joiner);
    if (framing === undefined) {
      framing = new Framing(this.#clock, joiner, this.#messageBytesMax);
      this.#byJoiner.set(joiner, framing);
    }
    return framing;
  }
}

const EMPTY = Buffer.alloc(0);
const CLOSE_WITHOUT_CODE = encodeFrame(Opcode.close, EMPTY);

const reader = Symbol("reader");
type ReadStream = ByteStream & { [reader]?: WebSocketTransport };

// The same functions for all streams: closures of each connection are a tenth of what an idle one keeps in memory.
function onData(this: ReadStream, chunk: Buffer): void {
  this[reader]?.onData(chunk);
}
function onDrain(this: ReadStream): void {
  this[reader]?.onDrain();
}
function onEnd(this: ReadStream): void {
  this[reader]?.onEnd();
}
function onClose(this: ReadStream): void {
  this[reader]?.onStreamClose();
}
// It stays for good: a late error on a closed stream must not end the process.
function onError(this: ReadStream): void {
  this[reader]?.onStreamError();
}

function listen(stream: ByteStream, by: WebSocketTransport): void {
  (stream as ReadStream)[reader] = by;
  stream.on("drain", onDrain);
  stream.on("end", onEnd);
  stream.on("close", onClose);
  stream.on("error", onError);
  stream.on("data", onData);
}

export class WebSocketTransport implements MessageSink {
  readonly #framing: Framing;
  readonly #stream: ByteStream;
  /** Null between messages. */
  #decoder: FrameDecoder | null = null;
  /** Null once it is closing: what still arrives is read and dropped. */
  #owner: WebSocketOwner | null;
  /** The deadline of the upgrade, then of the close. */
  #timer: Timer | null = null;
  #blocked = false;
  /** Bytes that passed the stream's queue and that the kernel has not taken whole. */
  #inFlight = 0;
  /** The newest ping that has not been answered (§5.5.3 allows to skip older ones). */
  #ping: Buffer | null = null;

  constructor(stream: ByteStream, owner: WebSocketOwner, framing: Framing) {
    this.#stream = stream;
    this.#owner = owner;
    this.#framing = framing;
  }

  get joiner(): FrameJoiner {
    return this.#framing.joiner;
  }

  /** Begins to read. `head` holds what came behind the request: it is given away. */
  start(head: Uint8Array): void {
    const stream = this.#stream;
    listen(stream, this);
    if (head.length > 0) this.onData(Buffer.from(head.buffer, head.byteOffset, head.byteLength));
    stream.resume();
  }

  /** True while the stream holds more than it wants to: keep what there is to say until `onDrain`. */
  get blocked(): boolean {
    return this.#blocked;
  }

  /** Bytes that the kernel has not taken. */
  get unsentBytes(): number {
    return this.#stream.writableLength + this.#inFlight;
  }

  /** Reads nothing more until `resume`. Once it is closing, what comes is read and dropped. */
  pause(): void {
    if (this.#owner !== null) this.#stream.pause();
  }

  resume(): void {
    if (this.#owner !== null) this.#stream.resume();
  }

  /** Writes whole frames. */
  write(frames: Buffer): void {
    if (this.#owner === null) return;
    const stream = this.#stream;
    if (this.#inFlight > 0 || !takesDirectly(stream)) {
      if (!stream.write(frames)) this.#blocked = true;
      return;
    }
    this.#inFlight = frames.length;
    stream._write(frames, "buffer" as BufferEncoding, (error) => {
      this.#inFlight = 0;
      if (error) stream.destroy(error);
      else if (this.#blocked) this.onDrain();
    });
    if (this.#inFlight > 0) this.#blocked = true;
  }

  /** Calls the owner's `expired` unless {@link settled} is called in time. */
  expireAfter(delayMs: number, expired: () => void): void {
    this.#timer = this.#framing.clock.after(delayMs, expired);
  }

  settled(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Sends a close frame behind what was written, and breaks the connection when the peer takes too long. */
  close(code: number): void {
    if (this.#owner === null) return;
    this.#owner = null;
    this.#ping = null;
    this.settled();
    if (this.#stream.destroyed) return;
    this.#stream.resume();
    this.#stream.write(
      code === CloseCode.noStatus ? CLOSE_WITHOUT_CODE : encodeFrame(Opcode.close, closePayload(code)),
    );
    this.#stream.end();
    this.#timer = this.#framing.clock.after(closeTimeoutMs, () => this.#stream.destroy());
  }

  /** Breaks the connection at once: for a client that does not read. */
  destroy(): void {
    this.#owner = null;
    this.settled();
    this.#stream.destroy();
  }

  onText(data: string): void {
    this.#owner?.onText(this, data);
  }

  onBinary(data: Buffer): void {
    this.#owner?.onBinary(this, data);
  }

  onPing(data: Buffer): void {
    if (this.#owner === null) return;
    if (this.#blocked) this.#ping = Buffer.from(data);
    else this.write(encodeFrame(Opcode.pong, data));
  }

  onPong(): void {}

  onClose(code: number): void {
    this.#owner?.onClosing(this);
    const owner = this.#owner;
    if (owner === null) return;
    this.close(code);
    owner.onGone(this, "transport close");
  }

  onData(chunk: Buffer): void {
    if (this.#owner === null) return;
    this.#owner.onBytes(chunk.length);
    const decoder = this.#decoder ?? this.#framing.lend();
    this.#decoder = decoder;
    const wrong = decoder.write(chunk, this);
    this.#decoder = this.#framing.takeBack(decoder);
    if (wrong === null) return;
    this.#owner?.onClosing(this);
    const owner = this.#owner;
    if (owner === null) return;
    this.close(wrong.closeCode);
    owner.onGone(this, "transport error");
  }

  onDrain(): void {
    if (this.#owner === null) return;
    this.#blocked = false;
    const ping = this.#ping;
    this.#ping = null;
    if (ping !== null) this.write(encodeFrame(Opcode.pong, ping));
    this.#owner.onDrain(this);
  }

  onEnd(): void {
    // The client said its last byte without a close frame, or answered ours: nothing is left to wait for.
    this.#stream.end();
    this.#gone("transport close");
  }

  onStreamClose(): void {
    this.settled();
    this.#gone("transport close");
  }

  onStreamError(): void {
    this.#gone("transport error");
  }

  #gone(reason: DisconnectReason): void {
    const owner = this.#owner;
    if (owner === null) return;
    this.destroy();
    owner.onGone(this, reason);
  }
}

/** Reads a WebSocket that nobody wants. */
export const unheard: WebSocketOwner = {
  onText() {},
  onBinary() {},
  onBytes() {},
  onDrain() {},
  onClosing() {},
  onGone() {},
};

/** What an upgraded connection is made of. */
export interface Switched {
  readonly stream: ByteStream;
  readonly head: Uint8Array;
  /** 0 when nothing is compressed. */
  readonly deflateBits: number;
}
