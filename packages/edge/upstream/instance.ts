/**
 * Owns the connections to one instance: a stack of idle ones (the last used is used first, so that the rest can go),
 * a bound on all of them, and the count of requests under way that balancing looks at. Refuses to choose.
 */
import type { Clock } from "@tideway/base";
import { type Health, Load, onRequestAnswered } from "@tideway/engine/balancing";
import { UpstreamConnection } from "./connection.ts";
import type { UpstreamFault, UpstreamLimits } from "./contract.ts";

export interface InstanceAddress {
  /** Unique within its service: what logs and `status` call it. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Share of the traffic relative to the others; 1 unless given. */
  readonly weight?: number;
}

/** What an instance tells its service. */
export interface InstanceOwner {
  onInstanceFailed(instance: Instance, fault: UpstreamFault): void;
  /** An answer changes what is thought of its health. */
  onInstanceAnswered(instance: Instance, health: Health): void;
  /** A connection was returned or closed: somebody who waits may be served. */
  onInstanceFreed(instance: Instance): void;
}

export class Instance extends Load {
  readonly host: string;
  readonly port: number;
  readonly #owner: InstanceOwner;
  readonly #clock: Clock;
  readonly #limits: UpstreamLimits;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Set<UpstreamConnection>();
  #upgradedCount = 0;
  /** Connections are closed after their request. */
  #retired = false;

  constructor(address: InstanceAddress, owner: InstanceOwner, clock: Clock, limits: UpstreamLimits, now: number) {
    super(address.id, address.weight ?? 1, now);
    this.host = address.host;
    this.port = address.port;
    this.#owner = owner;
    this.#clock = clock;
    this.#limits = limits;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** Open connections, upgraded ones included. */
  get connectionCount(): number {
    return this.#all.size;
  }

  /**
   * A connection for one request, counted as under way from now on; null when all are in use and no more may be opened.
   * `fresh` asks for a new one: after a failure the idle ones may all be stale.
   */
  acquire(now: number, fresh: boolean): UpstreamConnection | null {
    const reused = fresh ? undefined : this.#idle.pop();
    if (reused !== undefined) {
      reused.reuse(now);
      this.active++;
      return reused;
    }
    if (this.#all.size - this.#upgradedCount >= this.#limits.upstreamConnectionsMax) {
      if (!fresh) return null;
      const stale = this.#idle[0];
      if (stale === undefined) return null;
      stale.retire();
    }
    const connection = new UpstreamConnection(this, this.#clock, this.#limits, now);
    this.#all.add(connection);
    this.active++;
    return connection;
  }

  /** Back from a request that is whole. */
  release(connection: UpstreamConnection): void {
    this.active--;
    this.#idle.push(connection);
    if (this.#retired) connection.retire();
    this.#owner.onInstanceFreed(this);
  }

  /** An idle connection closed. */
  lostIdle(connection: UpstreamConnection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#all.delete(connection);
    this.#owner.onInstanceFreed(this);
  }

  /** A connection closed in or after a request. */
  left(connection: UpstreamConnection): void {
    if (!this.#all.delete(connection)) return;
    if (connection.isUpgraded) this.#upgradedCount--;
    this.active--;
    this.#owner.onInstanceFreed(this);
  }

  /** A connection carries another protocol from now on: still under way, but outside the pool's bound. */
  upgraded(): void {
    this.#upgradedCount++;
  }

  answered(ms: number): void {
    const now = this.#clock.now();
    this.measured(ms, now);
    const health = onRequestAnswered(this.health, now);
    if (health !== this.health) this.#owner.onInstanceAnswered(this, health);
  }

  failed(fault: UpstreamFault): void {
    this.#owner.onInstanceFailed(this, fault);
  }

  sweep(now: number): void {
    for (const connection of this.#all) connection.sweep(now);
  }

  /** Nothing is kept for reuse any more. */
  retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.retire();
  }

  destroy(): void {
    this.#retired = true;
    for (const connection of [...this.#all]) connection.destroy();
  }
}
