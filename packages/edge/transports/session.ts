/**
 * One Engine.IO session: a client's line over whatever transport it uses now. Owns its state, its out-queue and the
 * upgrade from polling to WebSocket. Engine.IO protocol 4; `engine.io` 6 is the reference.
 *
 * Invariant: the hub hears `closed` once, at the end of a tick, after the last packet it is given; never from within a
 * call that it made itself.
 */
import type { Exchange, FieldList, Timer } from "@tideway/base";
import type { Connection, DisconnectReason, Outgoing, TransportName } from "@tideway/engine/hub";
import { decodePacket, type EnginePacket, PacketType } from "@tideway/wire/engineio";
import { CloseCode } from "@tideway/wire/websocket";
import { Meter } from "./counters.ts";
import { controlPacket, framesOf } from "./encoding.ts";
import type { Heartbeat, HeartbeatOwner } from "./heartbeat.ts";
import type { SessionHost } from "./host.ts";
import { Intake, type IntakeOwner } from "./intake.ts";
import type { LineObserver, WatchableLine } from "./observer.ts";
import { closeTimeoutMs } from "./options.ts";
import { OutQueue } from "./out-queue.ts";
import { type PollingOwner, PollingTransport } from "./polling.ts";
import type { WebSocketOwner, WebSocketTransport } from "./websocket.ts";

export const SessionState = {
  open: 0,
  /** Told to close: the queue goes out, nothing is taken in. */
  closing: 1,
  closed: 2,
} as const;
type SessionState = (typeof SessionState)[keyof typeof SessionState];

const PING = controlPacket(PacketType.ping);
const PROBE_ANSWER = framesOf(controlPacket(`${PacketType.pong}probe`));

export class Session implements WatchableLine, HeartbeatOwner, IntakeOwner, PollingOwner, WebSocketOwner {
  readonly id: string;
  readonly address: string;
  readonly openedAt: number;
  reason: DisconnectReason = "transport close";
  /** It began with polling and moved to a WebSocket. */
  moved = false;
  readonly meter: Meter;
  /** The hub's side; known only after the hub has seen this line. */
  connection: Connection | null = null;
  readonly #host: SessionHost;
  #state: SessionState = SessionState.open;
  #polling: PollingTransport | null = null;
  #socket: WebSocketTransport | null = null;
  /** A WebSocket that may become the session's transport. */
  #candidate: WebSocketTransport | null = null;
  /** The candidate has been answered: polls are released until the client moves. */
  #probed = false;
  readonly #queue: OutQueue;
  #flushing = false;
  readonly #heartbeat: Heartbeat;
  /** Most lines have none. */
  #observer: LineObserver | null = null;
  readonly #intake: Intake;
  /** Runs while it is closing. */
  #deadline: Timer | null = null;

  constructor(id: string, address: string, host: SessionHost) {
    this.id = id;
    this.address = address;
    this.#host = host;
    this.openedAt = host.clock.now();
    this.meter = new Meter(host.counters);
    this.#queue = new OutQueue(host.counters);
    this.#heartbeat = host.heartbeats.begin(this);
    this.#intake = new Intake(host.settings, host.clock, this);
  }

  get transport(): TransportName {
    return this.#socket === null ? "polling" : "websocket";
  }

  watch(observer: LineObserver | null): void {
    this.#observer = observer;
  }

  /* ---------------------------------------------------------------- Line: what the hub calls */

  send(packet: Outgoing): void {
    if (this.#state !== SessionState.open) return;
    const unsent = this.#socket?.blocked ? this.#socket.unsentBytes : 0;
    const held = this.#queue.bytes + unsent;
    // One packet larger than the bound still goes when nothing is held.
    if (held > 0 && held + packet.bytes > this.#host.settings.outQueueBytesMax && !this.#makeRoom(packet)) return;
    this.#observer?.onQueued(packet);
    this.#enqueue(packet);
  }

  close(reason: DisconnectReason): void {
    if (this.#state !== SessionState.open) return;
    this.#state = SessionState.closing;
    this.reason = reason;
    this.#heartbeat.stop();
    this.#deadline = this.#host.clock.after(closeTimeoutMs, () => {
      this.#socket?.destroy();
      this.#end(reason);
    });
    if (!this.#probed) this.#dropCandidate();
    this.#host.ended(this);
    this.#later();
  }

  /* ---------------------------------------------------------------- what requests bring */

  /** Makes polling the transport. */
  startPolling(opening: string): void {
    this.#host.counters.polling++;
    this.#polling = new PollingTransport(this, this.#host.settings.messageBytesMax, this.#host.compressor);
    this.#enqueue(controlPacket(opening));
  }

  /** Makes a WebSocket the transport; its opening packet has been sent. */
  startWebSocket(socket: WebSocketTransport): void {
    this.#host.counters.webSockets++;
    this.#socket = socket;
  }

  poll(exchange: Exchange, fields: FieldList): void {
    this.#polling?.poll(exchange, fields);
  }

  post(exchange: Exchange, fields: FieldList): void {
    this.#polling?.post(exchange, fields);
  }

  /** Whether a WebSocket may try to take over. */
  get upgradable(): boolean {
    return this.#state === SessionState.open && this.#polling !== null && this.#candidate === null;
  }

  tryUpgrade(socket: WebSocketTransport): void {
    this.#candidate = socket;
    socket.expireAfter(this.#host.settings.upgradeTimeoutMs, () => this.#dropCandidate());
  }

  /** Ends the session at once, for the server stops. */
  stop(): void {
    this.#end("server shutting down", CloseCode.goingAway);
  }

  /* ---------------------------------------------------------------- PollingOwner */

  onPoll(): void {
    if (this.#queue.length > 0 || this.#state === SessionState.closing) this.flush();
    else if (this.#probed) this.#polling?.answer(PacketType.noop);
  }

  onPollingFault(reason: DisconnectReason): void {
    this.#end(reason);
  }

  onPacket(packet: EnginePacket): boolean {
    if (this.#state !== SessionState.open) return true;
    this.#took(packet.binary === null ? packet.text.length : packet.binary.length);
    this.#observer?.onReceived(packet);
    switch (packet.type) {
      case PacketType.message:
        if (packet.binary === null) this.connection?.text(packet.text);
        else this.connection?.binary(packet.binary);
        return true;
      case PacketType.pong:
        this.#heartbeat.answered();
        return true;
      case PacketType.ping:
        // In Engine.IO 4 the server asks and the client answers.
        this.#end("transport error");
        return false;
      case PacketType.close:
        this.#end("transport close", CloseCode.noStatus, PacketType.noop);
        return true;
      default:
        return true;
    }
  }

  /* ---------------------------------------------------------------- WebSocketOwner */

  onText(from: WebSocketTransport, data: string): void {
    if (from === this.#candidate) {
      this.#onProbe(data);
      return;
    }
    if (from !== this.#socket || this.#state !== SessionState.open) return;
    // The one case that is hot, without a packet object.
    if (data.charCodeAt(0) === 52) {
      this.#took(data.length);
      const text = data.slice(1);
      this.#observer?.onReceived({ type: PacketType.message, text, binary: null });
      this.connection?.text(text);
      return;
    }
    const decoded = decodePacket(data);
    if (decoded.ok) this.onPacket(decoded.packet);
    else this.#end("parse error", CloseCode.protocolError);
  }

  onBinary(from: WebSocketTransport, data: Buffer): void {
    if (from === this.#candidate) {
      this.#dropCandidate();
      return;
    }
    if (from !== this.#socket || this.#state !== SessionState.open) return;
    this.#took(data.length);
    this.#observer?.onReceived({ type: PacketType.message, text: "", binary: data });
    this.connection?.binary(data);
  }

  onDrain(from: WebSocketTransport): void {
    if (from === this.#socket) this.#later();
  }

  onClosing(from: WebSocketTransport): void {
    if (from === this.#socket) this.flush();
  }

  onGone(from: WebSocketTransport, reason: DisconnectReason): void {
    if (from === this.#candidate) {
      this.#candidate = null;
      this.#probed = false;
    } else if (from === this.#socket) {
      this.#end(reason);
    }
  }

  onBytes(count: number): void {
    this.meter.came(count);
  }

  /** A packet has come. A text counts by its UTF-16 units. */
  #took(bytes: number): void {
    this.meter.tookPacket();
    this.#heartbeat.alive();
    this.#intake.take(bytes);
  }

  onPaused(): void {
    this.#host.counters.throttled++;
    this.#socket?.pause();
  }

  onResumed(): void {
    this.#socket?.resume();
    this.#polling?.resume();
  }

  get paused(): boolean {
    return this.#intake.paused;
  }

  /* ---------------------------------------------------------------- the queue */

  /** Lets out what is queued, as far as the transport takes it. */
  flush(): void {
    this.#flushing = false;
    if (this.#state === SessionState.closed) return;
    if (this.#socket !== null) this.#flushFrames(this.#socket);
    else if (this.#polling?.waiting) this.#flushPayload(this.#polling);
  }

  #flushFrames(socket: WebSocketTransport): void {
    if (socket.blocked) return;
    const queue = this.#queue;
    if (queue.length > 0) {
      const count = queue.length;
      const frames = queue.takeFrames(socket.joiner);
      this.meter.gave(count, frames.length);
      socket.write(frames);
      this.#observer?.onFlushed();
    }
    if (this.#state === SessionState.closing) this.#end(this.reason, CloseCode.noStatus);
  }

  #flushPayload(polling: PollingTransport): void {
    if (this.#queue.length === 0) {
      if (this.#state === SessionState.closing) this.#end(this.reason);
      return;
    }
    const { text, count } = this.#queue.takePayload(this.#host.settings.messageBytesMax);
    // The end waits for the next poll: the stock client acts upon a close at once and upon packets a moment later, so that
    // in one answer the close would swallow them.
    this.meter.gave(count, polling.answer(text));
    this.#observer?.onFlushed();
  }

  #enqueue(packet: Outgoing): void {
    this.#queue.push(packet);
    this.#later(packet.personal === true && this.#socket !== null);
  }

  #later(answer = false): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#host.flushLater(this, answer);
  }

  /** The bound is reached: tries the transport, then drops volatile packets, then gives up. False: not to be queued. */
  #makeRoom(packet: Outgoing): boolean {
    const { outQueueBytesMax } = this.#host.settings;
    // A burst within one tick is no sign of a slow client: the kernel has not been asked yet.
    const later = this.#flushing;
    this.flush();
    this.#flushing = later;
    if (this.#fits(packet, outQueueBytesMax)) return true;
    const counters = this.#host.counters;
    counters.volatileDropped += this.#queue.dropVolatile();
    if (this.#fits(packet, outQueueBytesMax)) return true;
    if (packet.volatile) {
      counters.volatileDropped++;
      return false;
    }
    counters.slowConsumers++;
    this.#socket?.destroy();
    this.#end("slow consumer");
    return false;
  }

  #fits(packet: Outgoing, bytesMax: number): boolean {
    const held = this.#queue.bytes + (this.#socket?.unsentBytes ?? 0);
    return held === 0 || held + packet.bytes <= bytesMax;
  }

  /* ---------------------------------------------------------------- HeartbeatOwner */

  onBeat(): void {
    this.#observer?.onBeat();
    this.#enqueue(PING);
  }

  onSilence(): void {
    this.#end("ping timeout");
  }

  /* ---------------------------------------------------------------- the upgrade */

  #onProbe(data: string): void {
    const socket = this.#candidate;
    if (socket === null) return;
    if (data === `${PacketType.ping}probe`) {
      socket.write(PROBE_ANSWER);
      this.#probed = true;
      this.#observer?.onUpgrading();
      // The client moves when its poll has come back; waiting for the next packet could take a heartbeat (25 s).
      if (this.#polling?.waiting) this.onPoll();
    } else if (data === PacketType.upgrade) {
      this.#moveTo(socket);
    } else {
      this.#dropCandidate();
    }
  }

  #moveTo(socket: WebSocketTransport): void {
    const polling = this.#polling;
    socket.settled();
    this.#socket = socket;
    this.moved = true;
    if (this.#intake.paused) socket.pause();
    this.#candidate = null;
    this.#probed = false;
    this.#polling = null;
    polling?.answer(PacketType.noop);
    const { counters } = this.#host;
    counters.upgraded++;
    counters.polling--;
    counters.webSockets++;
    if (this.#state === SessionState.open) this.connection?.upgraded("websocket");
    this.#later();
  }

  #dropCandidate(): void {
    this.#candidate?.close(CloseCode.noStatus);
    this.#candidate = null;
    this.#probed = false;
  }

  /* ---------------------------------------------------------------- the end */

  /** Ends the session with what its transport still needs: a poll is answered, a WebSocket closed. */
  #end(reason: DisconnectReason, closeCode: number = CloseCode.noStatus, lastPoll: string = PacketType.close): void {
    if (this.#state === SessionState.closed) return;
    const told = this.#state === SessionState.closing;
    this.#state = SessionState.closed;
    this.#heartbeat.stop();
    this.#deadline?.cancel();
    this.#deadline = null;
    this.#intake.stop();
    this.#queue.clear();
    this.#dropCandidate();
    this.#polling?.answer(lastPoll);
    this.#polling?.abandon();
    this.#socket?.close(closeCode);
    if (this.#socket === null) this.#host.counters.polling--;
    else this.#host.counters.webSockets--;
    if (!told) this.reason = reason;
    this.#host.forget(this);
    if (!told) this.#host.ended(this);
  }
}
