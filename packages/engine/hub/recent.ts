/**
 * The last events of all streams, with their packets: a client that was away for a moment needs no disk, and thousands that
 * come back at once share one encoding. Bounded in bytes over all namespaces; the oldest go first.
 */
import { appendOffset, encodeEvent } from "@tideway/wire/socketio";
import type { Outgoing, StoredEvent, StreamState, StreamStore } from "./contract.ts";
import { encodeOffset } from "./offsets.ts";
import { Packet, payloadWeight } from "./outgoing.ts";
import { Queue } from "./queue.ts";
import type { RoomEvent } from "./room-contract.ts";

export class RecentEvent {
  readonly seq: number;
  readonly rooms: readonly string[];
  readonly except: readonly string[];
  /** For those who read its rooms over plain HTTP; null where nobody may or could, and for events of no room. */
  readonly event: RoomEvent | null;
  readonly bytes: number;
  readonly #text: string;
  readonly #attachments: readonly Uint8Array[];
  readonly #compress: boolean;
  #packet: Outgoing | null = null;

  constructor(
    { seq, rooms, except }: Pick<StoredEvent, "seq" | "rooms" | "except">,
    { text, attachments, bytes, compress }: Outgoing,
    event: RoomEvent | null,
  ) {
    this.seq = seq;
    this.rooms = rooms;
    this.except = except;
    this.event = event;
    this.bytes = bytes;
    this.#text = text;
    this.#attachments = attachments;
    this.#compress = compress;
  }

  /**
   * For those who come back, one for all. Not the packet that went out: its frames and all that belongs to them would stay
   * too, and be copied by collection after collection, although most events are asked for by nobody.
   */
  get packet(): Outgoing {
    this.#packet ??= new Packet(this.#text, this.#attachments, false, this.#compress);
    return this.#packet;
  }
}

/** One stream's part: dense, the oldest first. */
export type RecentOfStream = Queue<RecentEvent>;

export class RecentEvents {
  readonly #bytesMax: number;
  #bytes = 0;
  /** In the order of their coming, over all streams. */
  readonly #order = new Queue<RecentOfStream>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  keep(stream: RecentOfStream, event: RecentEvent): void {
    stream.push(event);
    this.#order.push(stream);
    this.#bytes += weightOf(event);
    while (this.#bytes > this.#bytesMax) {
      const oldest = this.#order.shift()?.shift();
      if (oldest === null || oldest === undefined) return;
      this.#bytes -= weightOf(oldest);
    }
  }
}

/** An event of the log as clients of `namespace` receive it. */
export function storedPacket(namespace: string, epoch: string, { seq, payload }: StoredEvent): Packet {
  const text = appendOffset(payload.json, encodeOffset(epoch, seq));
  return new Packet(encodeEvent(namespace, null, text, payload.attachments.length), payload.attachments);
}

/**
 * Reads the end of a stream that the store had before this hub: all clients of a hub that was killed come back at once, and
 * would each read it for themselves. `done` gets what is as dense as the log, up to `state.last`, the oldest first, as much
 * as `bytesMax`; read from the end in pages of `pageEvents`, so that large events cost one page at most.
 */
export function readRecent(
  store: StreamStore,
  namespace: string,
  state: StreamState,
  { bytesMax, pageEvents }: { readonly bytesMax: number; readonly pageEvents: number },
  done: (events: readonly RecentEvent[]) => void,
): void {
  const pages: RecentEvent[][] = [];
  let bytes = 0;
  const finish = (): void => done(pages.reverse().flat());
  const readUpTo = (last: number): void => {
    const after = Math.max(last - pageEvents, state.oldest - 1);
    if (last <= after || bytes >= bytesMax) {
      finish();
      return;
    }
    store.read(namespace, after, last - after, (stored, { epoch }) => {
      // Retention may have taken some meanwhile: then there is nothing before these.
      if (epoch !== state.epoch || stored.length !== last - after || stored[0]?.seq !== after + 1) {
        finish();
        return;
      }
      const page = stored.map((event) => new RecentEvent(event, storedPacket(namespace, epoch, event), null));
      for (const event of page) bytes += weightOf(event);
      pages.push(page);
      readUpTo(after);
    });
  };
  readUpTo(state.last);
}

/** The event with that sequence; null when it is not kept. */
export function recentEvent(stream: RecentOfStream, seq: number): RecentEvent | null {
  const { first } = stream;
  return first === null || seq < first.seq ? null : stream.at(seq - first.seq);
}

function weightOf(event: RecentEvent): number {
  return 256 + event.bytes + (event.event === null ? 0 : payloadWeight(event.event.payload));
}
