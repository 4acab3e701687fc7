/**
 * Owns the upgraded connections of one proxy: how many there are, what they carried, and the limit of silence. Refuses to
 * set a timer per tunnel or per chunk: one timer looks at all of them, and only while there is a limit and a tunnel.
 */
import type { ByteStream, Clock, Timer } from "@tideway/base";
import { Tunnel, type TunnelOwner } from "./tunnel.ts";

export interface TunnelCounters {
  /** Open now. */
  readonly open: number;
  /** Since the start. */
  readonly opened: number;
  /** Closed because no byte moved for too long. */
  readonly idled: number;
  readonly bytesFromClients: number;
  readonly bytesFromUpstreams: number;
}

/** The tunnels are looked at so many times within the limit: one is closed at most a quarter later than it says. */
const looksPerLimit = 4;

export class Tunnels implements TunnelOwner {
  readonly counters = { open: 0, opened: 0, idled: 0, bytesFromClients: 0, bytesFromUpstreams: 0 };
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #all = new Set<Tunnel>();
  #timer: Timer | null = null;

  /** `idleMs` 0: no limit. */
  constructor(clock: Clock, idleMs: number) {
    this.#clock = clock;
    this.#idleMs = idleMs;
  }

  /** Joins both connections; `late` is what had arrived behind each head. */
  open(client: ByteStream, upstream: ByteStream, lateFromClient: Uint8Array, lateFromUpstream: Uint8Array): void {
    const tunnel = new Tunnel(client, upstream, this.#clock, this);
    this.counters.open++;
    this.counters.opened++;
    if (this.#idleMs > 0) {
      tunnel.seenAt = this.#clock.now();
      this.#all.add(tunnel);
      this.#arm();
    }
    tunnel.open(lateFromClient, lateFromUpstream);
  }

  closed(tunnel: Tunnel): void {
    this.counters.open--;
    if (!this.#all.delete(tunnel) || this.#all.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer ??= this.#clock.after(this.#idleMs / looksPerLimit, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    const now = this.#clock.now();
    for (const tunnel of this.#all) {
      const { progress } = tunnel;
      if (progress !== tunnel.seen) {
        tunnel.seen = progress;
        tunnel.seenAt = now;
      } else if (now - tunnel.seenAt >= this.#idleMs) {
        this.counters.idled++;
        this.#all.delete(tunnel);
        tunnel.destroy();
      }
    }
    if (this.#all.size > 0) this.#arm();
  }
}
