/**
 * Owns two connections joined after an upgrade: bytes pass both ways as they are, each side waits for the other, a closed
 * half is passed on, and neither outlives the other. Refuses to know the protocol.
 */
import type { ByteStream, Clock } from "@tideway/base";

/** How long one side may take to read what was sent to it after the other side is gone. */
const lingerMs = 5_000;

export class Tunnel {
  readonly #client: ByteStream;
  readonly #upstream: ByteStream;
  readonly #late: readonly [Uint8Array, Uint8Array];
  readonly #clock: Clock;

  /** `late` are bytes that had arrived behind each head: they go first. */
  constructor(
    client: ByteStream,
    upstream: ByteStream,
    lateFromClient: Uint8Array,
    lateFromUpstream: Uint8Array,
    clock: Clock,
  ) {
    this.#client = client;
    this.#upstream = upstream;
    this.#late = [lateFromClient, lateFromUpstream];
    this.#clock = clock;
  }

  open(): void {
    this.#join(this.#client, this.#upstream, this.#late[0]);
    this.#join(this.#upstream, this.#client, this.#late[1]);
  }

  #join(from: ByteStream, to: ByteStream, late: Uint8Array): void {
    from.on("data", (chunk) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => from.resume());
    // A half that closed: passed on once what came before it has left.
    from.on("end", () => to.end());
    from.on("error", () => from.destroy());
    from.on("close", () => this.#follow(to));
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
}
