/**
 * The bytes of packets, made once and shared: frames for WebSockets, text for polls. What a broadcast makes for the first
 * client serves all; what many clients have queued alike in one tick is joined once.
 */
import type { Outgoing } from "@tideway/engine/hub";
import { binaryForPolling, PacketType, payloadSeparator } from "@tideway/wire/engineio";
import { encodeBinary, encodeText } from "@tideway/wire/websocket";

/** What hangs on `Outgoing.wire`. */
class Wire {
  frames: Buffer | null = null;
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
  const text = encodeText(PacketType.message + packet.text);
  wire.frames =
    packet.attachments.length === 0 ? text : Buffer.concat([text, ...packet.attachments.map((a) => encodeBinary(a))]);
  return wire.frames;
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
  #list: readonly Outgoing[] = NONE;
  #joined = EMPTY;

  /** One buffer of all frames, in order. The list is kept: the caller must not change it afterwards. */
  join(list: readonly Outgoing[]): Buffer {
    if (list.length === 1) return framesOf(list[0]!);
    if (!this.#isLast(list)) {
      this.#joined = Buffer.concat(list.map(framesOf));
      this.#list = list;
    }
    return this.#joined;
  }

  /** At the end of a tick: holds nothing that nobody waits for. */
  forget(): void {
    this.#list = NONE;
    this.#joined = EMPTY;
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
