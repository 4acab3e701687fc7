/**
 * Owns the tunnels of one owner: how many there are, what they carried, and the limit of silence. Refuses to set a timer
 * per tunnel or per chunk: one timer looks at all of them, and only while there is a limit and a tunnel.
 */
import type { ByteStream, Clock, Timer } from "@tideway/base";
import { Tunnel, TunnelEnd, type TunnelOptions, type TunnelOwner } from "./tunnel.ts";

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
  readonly clock: Clock;
  readonly counters = { open: 0, opened: 0, idled: 0, bytesFromClients: 0, bytesFromUpstreams: 0 };
  readonly #all = new Set<Tunnel>();
  #idleMs: number;
  #timer: Timer | null = null;

  /** `idleMs` 0: no limit. */
  constructor(clock: Clock, idleMs: number) {
    this.clock = clock;
    this.#idleMs = idleMs;
  }

  /** Joins both connections. */
  open(client: ByteStream, upstream: ByteStream, options: TunnelOptions = {}): Tunnel {
    const tunnel = new Tunnel(client, upstream, this, options);
    this.counters.open++;
    this.counters.opened++;
    this.#all.add(tunnel);
    if (this.#idleMs > 0) {
      tunnel.seenAt = this.clock.now();
      this.#arm();
    }
    tunnel.open();
    return tunnel;
  }

  /** Another limit of silence, for open tunnels too; it counts from now on. 0: none. */
  limitIdle(idleMs: number): void {
    this.#idleMs = idleMs;
    this.#timer?.cancel();
    this.#timer = null;
    const now = this.clock.now();
    for (const tunnel of this.#all) tunnel.seenAt = now;
    if (idleMs > 0 && this.#all.size > 0) this.#arm();
  }

  closed(tunnel: Tunnel): void {
    this.counters.open--;
    this.#all.delete(tunnel);
    if (this.#all.size > 0) return;
    this.#timer?.cancel();
    this.#timer = null;
  }

  #arm(): void {
    this.#timer ??= this.clock.after(this.#idleMs / looksPerLimit, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    const now = this.clock.now();
    for (const tunnel of this.#all) {
      const { progress } = tunnel;
      if (progress !== tunnel.seen) {
        tunnel.seen = progress;
        tunnel.seenAt = now;
      } else if (now - tunnel.seenAt >= this.#idleMs) {
        this.counters.idled++;
        this.#all.delete(tunnel);
        tunnel.breakOff(TunnelEnd.idle);
      }
    }
    if (this.#all.size > 0) this.#arm();
  }
}
