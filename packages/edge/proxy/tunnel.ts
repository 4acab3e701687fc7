/**
 * Owns two connections joined after an upgrade: bytes pass both ways as they are, each side waits for the other, a closed
 * half is passed on, and neither outlives the other. Refuses to know the protocol, and how long it may be silent:
 * `tunnels.ts` asks for its progress now and then.
 */
import type { ByteStream, Clock } from "@tideway/base";

/** How long one side may take to read what was sent to it after the other side is gone. */
const lingerMs = 5_000;

/** What a tunnel tells of itself while it is open. */
export interface TunnelOwner {
  readonly counters: { bytesFromClients: number; bytesFromUpstreams: number };
  /** Both sides are closed. */
  closed(tunnel: Tunnel): void;
}

export class Tunnel {
  readonly #client: ByteStream;
  readonly #upstream: ByteStream;
  readonly #clock: Clock;
  readonly #owner: TunnelOwner;
  #bytes = 0;
  #sidesOpen = 2;
  /** Written by `tunnels.ts` alone: the progress that it saw last, and since when there was no other. */
  seen = 0;
  seenAt = 0;

  constructor(client: ByteStream, upstream: ByteStream, clock: Clock, owner: TunnelOwner) {
    this.#client = client;
    this.#upstream = upstream;
    this.#clock = clock;
    this.#owner = owner;
  }

  /** The arguments are bytes that had arrived behind each head: they go first. */
  open(lateFromClient: Uint8Array, lateFromUpstream: Uint8Array): void {
    const { counters } = this.#owner;
    this.#client.on("data", (chunk) => {
      counters.bytesFromClients += chunk.length;
      this.#pass(chunk, this.#client, this.#upstream);
    });
    this.#upstream.on("data", (chunk) => {
      counters.bytesFromUpstreams += chunk.length;
      this.#pass(chunk, this.#upstream, this.#client);
    });
    counters.bytesFromClients += lateFromClient.length;
    counters.bytesFromUpstreams += lateFromUpstream.length;
    this.#join(this.#client, this.#upstream, lateFromClient);
    this.#join(this.#upstream, this.#client, lateFromUpstream);
  }

  #pass(chunk: Uint8Array, from: ByteStream, to: ByteStream): void {
    this.#bytes += chunk.length;
    if (!to.write(chunk)) from.pause();
  }

  #join(from: ByteStream, to: ByteStream, late: Uint8Array): void {
    to.on("drain", () => from.resume());
    // A half that closed: passed on once what came before it has left.
    from.on("end", () => to.end());
    from.on("error", () => from.destroy());
    from.on("close", () => {
      if (--this.#sidesOpen === 0) this.#owner.closed(this);
      this.#follow(to);
    });
    if (late.length > 0 && !to.write(late)) from.pause();
    else from.resume();
  }

  /** The other side is gone: nobody hears this one any more, and it gets what is left for it. */
  #follow(stream: ByteStream): void {
    if (stream.destroyed) return;
    if (stream.writableLength === 0) {
      stream.destroy();
      return;
    }
    stream.end();
    // Its own bytes go nowhere, but its end must be seen.
    stream.resume();
    stream.on("drain", () => stream.destroy());
    this.#clock.after(lingerMs, () => stream.destroy());
  }

  /** Another number than before when a byte came, or one that waited here has left: a slow reader is not idle. */
  get progress(): number {
    return 2 * this.#bytes - this.#client.writableLength - this.#upstream.writableLength;
  }

  destroy(): void {
    this.#client.destroy();
    this.#upstream.destroy();
  }
}
