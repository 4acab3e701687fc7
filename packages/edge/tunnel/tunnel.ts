/**
 * Owns two connections joined into one: bytes pass both ways as they are, each side waits for the other, a closed half is
 * passed on, and neither outlives the other. Refuses to know the protocol.
 *
 * An end is passed on as what it was. FIN becomes FIN, after what came before it. A side that broke (a reset, a line that
 * is dead, a limit of ours) becomes a reset of the other one: half a message must not look like a whole one. Either way the
 * other side first gets what has arrived for it, as long as it reads.
 */
import { Socket } from "node:net";
import type { ByteStream, Clock, Timer } from "@tideway/base";
import { type ChunkMemory, collected, FreedChunks } from "./memory.ts";
import { resetStream } from "./reset.ts";

export const TunnelEnd = {
  /** Both sides have closed, and each got all that the other sent. */
  clean: "clean",
  clientBroke: "client-broke",
  upstreamBroke: "upstream-broke",
  /** Nothing moved for too long. */
  idle: "idle",
  /** One side was gone, and the other read nothing more of what was left for it. */
  stalled: "stalled",
  /** Somebody here ended it. */
  brokenOff: "broken-off",
} as const;
export type TunnelEnd = (typeof TunnelEnd)[keyof typeof TunnelEnd];

/** What a tunnel tells of itself. */
export interface TunnelOwner {
  readonly clock: Clock;
  readonly counters: { bytesFromClients: number; bytesFromUpstreams: number };
  /** Both sides are closed. */
  closed(tunnel: Tunnel): void;
}

export interface TunnelOptions {
  /** Bytes that had arrived before, behind each head: they go first. */
  readonly lateFromClient?: Uint8Array;
  readonly lateFromUpstream?: Uint8Array;
  /** Of sides that were opened with `acceptStream` and `connectStream`. */
  readonly clientMemory?: ChunkMemory;
  readonly upstreamMemory?: ChunkMemory;
  /** Called once, when both sides have closed. */
  readonly onClosed?: (end: TunnelEnd) => void;
}

/** How long a side whose other side is gone may take without reading anything of what is left for it. */
const stallMs = 60_000;
/** How long a side that has got its clean end is still read, though its bytes go nowhere. */
const farewellMs = 5_000;
/** How often a side that still has to read is looked at. */
const lingerMs = 100;
const nothing = new Uint8Array(0);

/** One of the two: what was read of it, and how it ended. */
class Side {
  readonly stream: ByteStream;
  readonly memory: ChunkMemory;
  readonly broke: TunnelEnd;
  received = 0;
  /** Its FIN came, after all that it sent. */
  ended = false;
  closed = false;

  constructor(stream: ByteStream, memory: ChunkMemory, broke: TunnelEnd) {
    this.stream = stream;
    this.memory = memory;
    this.broke = broke;
  }
}

export class Tunnel {
  readonly #client: Side;
  readonly #upstream: Side;
  readonly #owner: TunnelOwner;
  readonly #options: TunnelOptions;
  #end: TunnelEnd = TunnelEnd.clean;
  #lingering: Timer | null = null;
  /** Written by `tunnels.ts` alone: the progress that it saw last, and since when there was no other. */
  seen = 0;
  seenAt = 0;

  constructor(client: ByteStream, upstream: ByteStream, owner: TunnelOwner, options: TunnelOptions) {
    this.#client = new Side(client, options.clientMemory ?? memoryOf(client), TunnelEnd.clientBroke);
    this.#upstream = new Side(upstream, options.upstreamMemory ?? memoryOf(upstream), TunnelEnd.upstreamBroke);
    this.#owner = owner;
    this.#options = options;
  }

  get bytesFromClient(): number {
    return this.#client.received;
  }

  get bytesFromUpstream(): number {
    return this.#upstream.received;
  }

  /** Another number than before when a byte came, or one that waited here has left: a slow reader is not idle. */
  get progress(): number {
    const { stream: client, received: fromClient } = this.#client;
    const { stream: upstream, received: fromUpstream } = this.#upstream;
    return 2 * (fromClient + fromUpstream) - client.writableLength - upstream.writableLength;
  }

  open(): void {
    const { counters } = this.#owner;
    const client = this.#client;
    const upstream = this.#upstream;
    client.stream.on("data", (chunk) => {
      counters.bytesFromClients += chunk.length;
      this.#pass(client, upstream, chunk);
    });
    upstream.stream.on("data", (chunk) => {
      counters.bytesFromUpstreams += chunk.length;
      this.#pass(upstream, client, chunk);
    });
    const { lateFromClient = nothing, lateFromUpstream = nothing } = this.#options;
    counters.bytesFromClients += lateFromClient.length;
    counters.bytesFromUpstreams += lateFromUpstream.length;
    this.#join(client, upstream, lateFromClient);
    this.#join(upstream, client, lateFromUpstream);
  }

  /** Ends both sides now, so that neither takes it for a clean end. */
  breakOff(end: TunnelEnd = TunnelEnd.brokenOff): void {
    this.#because(end);
    resetStream(this.#client.stream);
    resetStream(this.#upstream.stream);
  }

  #join(from: Side, to: Side, late: Uint8Array): void {
    const { stream } = from;
    stream.on("drain", () => {
      to.memory.taken(null);
      to.stream.resume();
    });
    stream.on("end", () => this.#passEnd(from, to));
    stream.on("error", () => stream.destroy());
    stream.on("close", () => this.#closed(from, to));
    from.received += late.length;
    if (late.length > 0 && !to.stream.write(late)) stream.pause();
    else stream.resume();
    // Its end may have been told while nobody listened, as soon as it was read empty.
    if (stream instanceof Socket && stream.readableEnded) this.#passEnd(from, to);
  }

  #passEnd(from: Side, to: Side): void {
    from.ended = true;
    to.stream.end();
  }

  #pass(from: Side, to: Side, chunk: Uint8Array): void {
    from.received += chunk.length;
    if (to.stream.destroyed) {
      // Until it has closed, the system may still be sending what came before.
      if (to.closed) from.memory.taken(chunk);
      return;
    }
    const more = to.stream.write(chunk);
    if (to.stream.writableLength === 0) from.memory.taken(chunk);
    else {
      from.memory.held(chunk);
      if (!more) from.stream.pause();
    }
  }

  #closed(side: Side, other: Side): void {
    side.closed = true;
    if (other.closed) {
      this.#over();
      return;
    }
    // With both ends seen, the other closes by itself when it has read all; else its bytes go nowhere from now on.
    if (!side.ended || !other.ended) this.#because(side.broke);
    other.stream.resume();
    this.#linger(other, side.ended, other.stream.writableLength, this.#owner.clock.now());
  }

  /**
   * `side` gets what is left for it: `waiting` bytes since `since`. Then it is reset; or, when it has had a clean end, it is
   * read for a while, since closing over unread bytes would be a reset that takes away what is still on its way to it.
   */
  #linger(side: Side, clean: boolean, waiting: number, since: number): void {
    if (side.closed) return;
    const left = side.stream.writableLength;
    if (left === 0 && (!clean || side.ended)) {
      if (clean) side.stream.destroy();
      else resetStream(side.stream);
      return;
    }
    const now = this.#owner.clock.now();
    const movedAt = left < waiting ? now : since;
    if (now - movedAt < (left > 0 ? stallMs : farewellMs)) {
      this.#lingering = this.#owner.clock.after(lingerMs, () => this.#linger(side, clean, left, movedAt));
    } else if (left === 0) side.stream.destroy();
    else {
      this.#because(TunnelEnd.stalled);
      resetStream(side.stream);
    }
  }

  /** The first cause is the one that counts. */
  #because(end: TunnelEnd): void {
    if (this.#end === TunnelEnd.clean) this.#end = end;
  }

  #over(): void {
    this.#lingering?.cancel();
    this.#client.memory.taken(null);
    this.#upstream.memory.taken(null);
    this.#owner.closed(this);
    this.#options.onClosed?.(this.#end);
  }
}

function memoryOf(stream: ByteStream): ChunkMemory {
  return stream instanceof Socket && !("encrypted" in stream) ? new FreedChunks() : collected;
}
