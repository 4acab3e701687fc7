/**
 * The bytes of packets, made once and shared: frames for WebSockets, text for polls. What a broadcast makes for the first
 * client serves all; what many clients have queued alike in one tick is joined once.
 */
import type { Outgoing } from "@tideway/engine/hub";
import { binaryForPolling, PacketType, payloadSeparator } from "@tideway/wire/engineio";
import {
  encodeBinary,
  encodeDeflated,
  encodeFrame,
  encodeText,
  Opcode,
  textFrameBytes,
  writeText,
} from "@tideway/wire/websocket";
import { Deflater } from "./deflate.ts";
import type { DeflateSettings } from "./options.ts";

const message = PacketType.message.charCodeAt(0);

/** What hangs on `Outgoing.wire`. */
class Wire {
  frames: Buffer | null = null;
  /** By compressor: one for each window that clients agreed upon, most often the largest alone. */
  deflated: Map<Deflater, Buffer> | null = null;
  payload: string | null = null;
  payloadBytes = 0;
}

function wireOf(packet: Outgoing): Wire {
  const wire = packet.wire as Wire | null | undefined;
  if (wire) return wire;
  const made = new Wire();
  packet.wire = made;
  return made;
}

/** A packet of Engine.IO's own, such as a ping: queued like the others, encoded for good. */
export function controlPacket(text: string): Outgoing {
  const wire = new Wire();
  wire.frames = encodeText(text);
  wire.payload = text;
  wire.payloadBytes = Buffer.byteLength(text, "utf8");
  return { text, attachments: [], volatile: false, compress: false, bytes: wire.payloadBytes, wire };
}

/** The packet and its attachments as WebSocket frames. */
export function framesOf(packet: Outgoing): Buffer {
  const wire = wireOf(packet);
  if (wire.frames !== null) return wire.frames;
  if (packet.attachments.length === 0) {
    wire.frames = Buffer.allocUnsafe(textFrameBytes(packet.bytes));
    writeText(wire.frames, 0, message, packet.text, packet.bytes);
  } else {
    const text = encodeText(PacketType.message + packet.text);
    wire.frames = Buffer.concat([text, ...packet.attachments.map((a) => encodeBinary(a))]);
  }
  return wire.frames;
}

/**
 * Many answers to one client in one tick: their frames are nobody else's, and are written where they leave from. Null when
 * there is something else among them.
 */
function framesOfAnswers(packets: readonly Outgoing[]): Buffer<ArrayBuffer> | null {
  let bytes = 0;
  for (const packet of packets) {
    if (packet.personal !== true || packet.attachments.length > 0) return null;
    bytes += textFrameBytes(packet.bytes);
  }
  const frames = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const packet of packets) at = writeText(frames, at, message, packet.text, packet.bytes);
  return frames;
}

/** The same for clients that take compressed messages: made once for all of them. What is too small goes as it is. */
function deflatedFramesOf(packet: Outgoing, deflater: Deflater): Buffer {
  // A packet of our own, a ping say, is whole already, and `compress` is the server's word on its event.
  if (!packet.compress) return framesOf(packet);
  const wire = wireOf(packet);
  const known = wire.deflated?.get(deflater);
  if (known !== undefined) return known;
  const text = Buffer.from(PacketType.message + packet.text, "utf8");
  const frames = [deflatedFrame(deflater, Opcode.text, text)];
  for (const data of packet.attachments) frames.push(deflatedFrame(deflater, Opcode.binary, data));
  const whole = frames.every((frame) => frame === null) ? framesOf(packet) : joinFrames(packet, text, frames);
  wire.deflated ??= new Map();
  wire.deflated.set(deflater, whole);
  return whole;
}

function deflatedFrame(deflater: Deflater, opcode: Opcode, data: Uint8Array): Buffer | null {
  const deflated = deflater.deflate(data);
  return deflated === null ? null : encodeDeflated(opcode, deflated);
}

function joinFrames(packet: Outgoing, text: Buffer, frames: readonly (Buffer | null)[]): Buffer {
  return Buffer.concat(
    frames.map((frame, i) => {
      if (frame !== null) return frame;
      return i === 0 ? encodeFrame(Opcode.text, text) : encodeBinary(packet.attachments[i - 1]!);
    }),
  );
}

/** The packet and its attachments as they stand in a polling payload. */
function payloadOf(packet: Outgoing): Wire & { payload: string } {
  const wire = wireOf(packet);
  if (wire.payload === null) {
    wire.payload = PacketType.message + packet.text;
    for (const data of packet.attachments) wire.payload += payloadSeparator + binaryForPolling(data);
    wire.payloadBytes = Buffer.byteLength(wire.payload, "utf8");
  }
  return wire as Wire & { payload: string };
}

/** How many packets from the queue's head fit a payload of `bytesMax`, one at least, and their text. */
export function joinPayload(queue: readonly Outgoing[], bytesMax: number): { text: string; count: number } {
  const first = payloadOf(queue[0]!);
  let text = first.payload;
  let bytes = first.payloadBytes;
  let count = 1;
  for (; count < queue.length; count++) {
    const next = payloadOf(queue[count]!);
    bytes += 1 + next.payloadBytes;
    if (bytes > bytesMax) break;
    text += payloadSeparator + next.payload;
  }
  return { text, count };
}

const NONE: readonly Outgoing[] = [];
const EMPTY = Buffer.alloc(0);

/** Joins queues into one buffer each, and remembers the last: in a broadcast the next client's queue is the same. */
export class FrameJoiner {
  readonly #deflater: Deflater | null;
  #list: readonly Outgoing[] = NONE;
  #joined = EMPTY;

  /** Of all clients that take the same frames: plain ones, or compressed by `deflater`. */
  constructor(deflater: Deflater | null = null) {
    this.#deflater = deflater;
  }

  get deflates(): boolean {
    return this.#deflater !== null;
  }

  /** One buffer of all frames, in order. The list is kept: the caller must not change it afterwards. */
  join(list: readonly Outgoing[]): Buffer {
    if (!this.#isLast(list)) {
      const answers = this.#deflater === null ? framesOfAnswers(list) : null;
      this.#joined = answers ?? Buffer.concat(list.map((packet) => this.framesOf(packet)));
      this.#list = list;
    }
    return this.#joined;
  }

  /** At the end of a tick: holds nothing that nobody waits for. */
  forget(): void {
    this.#list = NONE;
    this.#joined = EMPTY;
  }

  /** The frames of one packet. */
  framesOf(packet: Outgoing): Buffer {
    return this.#deflater === null ? framesOf(packet) : deflatedFramesOf(packet, this.#deflater);
  }

  #isLast(list: readonly Outgoing[]): boolean {
    const last = this.#list;
    const length = list.length;
    if (last.length !== length) return false;
    // From the end: queues that differ at all differ in their newest packet most often.
    for (let i = length - 1; i >= 0; i--) if (last[i] !== list[i]) return false;
    return true;
  }
}

/** A joiner for each way to make frames: plain, and compressed with each window that clients agreed upon. */
export class Joiners {
  readonly #settings: DeflateSettings | null;
  readonly #plain = new FrameJoiner();
  readonly #deflating = new Map<number, FrameJoiner>();

  /** `settings` are those of compression; null without. */
  constructor(settings: DeflateSettings | null) {
    this.#settings = settings;
  }

  /** `deflateBits` is 0 for plain frames. */
  of(deflateBits: number): FrameJoiner {
    if (deflateBits === 0 || this.#settings === null) return this.#plain;
    let joiner = this.#deflating.get(deflateBits);
    if (joiner === undefined) {
      joiner = new FrameJoiner(new Deflater(this.#settings, deflateBits));
      this.#deflating.set(deflateBits, joiner);
    }
    return joiner;
  }

  /** At the end of a tick. */
  forget(): void {
    this.#plain.forget();
    for (const joiner of this.#deflating.values()) joiner.forget();
  }
}
