/**
 * Owns the connections to one instance: a stack of idle ones (the last used is used first, so that the rest can go),
 * a bound on all of them, and the count of requests under way that balancing looks at. Refuses to choose.
 */
import type { ClientInfo, Clock } from "@tideway/base";
import { TickEnd } from "../sockets/index.ts";
import { UpstreamConnection } from "./connection.ts";
import type { UpstreamLimits } from "./contract.ts";
import { type ProxyVersion, proxyHeader } from "./header.ts";
import { Member, type MemberAddress, type MemberOwner } from "./member.ts";

export class Instance extends Member {
  readonly #clock: Clock;
  readonly #limits: UpstreamLimits;
  readonly #idle: UpstreamConnection[] = [];
  readonly #all = new Set<UpstreamConnection>();
  /** Connections are closed after their request. */
  #retired = false;
  #proxyProtocol: ProxyVersion | null = null;
  /** Connections with requests whose body has not come whole. */
  #uploads = 0;
  /** Heads of a tick leave together. */
  readonly tickEnd: TickEnd;

  constructor(address: MemberAddress, owner: MemberOwner, clock: Clock, limits: UpstreamLimits, now: number) {
    super(address, owner, now);
    this.#clock = clock;
    this.#limits = limits;
    this.tickEnd = new TickEnd(clock);
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  /** Open connections, upgraded ones included. */
  override get connectionCount(): number {
    return this.#all.size;
  }

  /**
   * Connections begin with a PROXY header of this version, and carry one client's requests only; null: they carry
   * anybody's. Those of the other kind are not used again.
   */
  set proxyProtocol(version: ProxyVersion | null) {
    const isOther = (version === null) !== (this.#proxyProtocol === null);
    this.#proxyProtocol = version;
    if (isOther) for (const connection of [...this.#idle]) connection.retire();
  }

  proxyHeader(client: ClientInfo): Uint8Array {
    return proxyHeader(this.#proxyProtocol!, client);
  }

  /**
   * A connection for one request, counted as under way from now on; null when all are in use and no more may be opened.
   * `fresh` asks for a new one: after a failure the idle ones may all be stale. For an `uploading` request also when those
   * have their share; who gets one says with `uploaded` that the body has come.
   */
  acquire(now: number, fresh: boolean, client: ClientInfo, uploading = false): UpstreamConnection | null {
    if (uploading && !this.takesUploads) return null;
    const connection = this.#take(now, fresh, client);
    if (uploading && connection !== null) {
      connection.uploading = true;
      this.#uploads++;
    }
    return connection;
  }

  get takesUploads(): boolean {
    const { upstreamConnectionsMax, upstreamUploadsShare } = this.#limits;
    return this.#uploads < Math.ceil(Math.min(upstreamConnectionsMax, this.activeMax) * upstreamUploadsShare);
  }

  /** The request's body has come whole, or will not. */
  uploaded(connection: UpstreamConnection): void {
    if (!connection.uploading) return;
    connection.uploading = false;
    this.#uploads--;
    this.freed();
  }

  #take(now: number, fresh: boolean, client: ClientInfo): UpstreamConnection | null {
    const named = this.#proxyProtocol !== null;
    const reused = fresh ? undefined : named ? this.#idleOf(client) : this.#idle.pop();
    if (reused !== undefined) {
      reused.reuse(now);
      this.begin(now);
      return reused;
    }
    if (this.#all.size - this.upgraded >= this.#limits.upstreamConnectionsMax) {
      // One that waits, stale or for another client, makes room.
      const oldest = fresh || named ? this.#idle[0] : undefined;
      if (oldest === undefined) return null;
      oldest.retire();
    }
    const connection = new UpstreamConnection(this, this.#clock, this.#limits, now, named ? client : null);
    this.#all.add(connection);
    this.begin(now);
    return connection;
  }

  /** The last used of those that have told the server of this client. */
  #idleOf({ address, port, localPort }: ClientInfo): UpstreamConnection | undefined {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const { client } = this.#idle[i]!;
      if (client?.address === address && client.port === port && client.localPort === localPort)
        return this.#idle.splice(i, 1)[0];
    }
    return undefined;
  }

  /** Back from a request that is whole. */
  release(connection: UpstreamConnection): void {
    this.#idle.push(connection);
    if (this.#retired || (connection.client === null) !== (this.#proxyProtocol === null)) connection.retire();
    this.end();
  }

  /** An idle connection closed. */
  lostIdle(connection: UpstreamConnection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#all.delete(connection);
    this.freed();
  }

  /** A connection closed in or after a request. */
  left(connection: UpstreamConnection): void {
    if (!this.#all.delete(connection)) return;
    this.uploaded(connection);
    if (connection.isUpgraded) this.upgraded--;
    this.end();
  }

  /** A connection carries another protocol from now on: still under way, but outside the pool's bound. */
  onUpgraded(): void {
    this.upgraded++;
    this.freed();
  }

  sweep(now: number): void {
    for (const connection of this.#all) connection.sweep(now);
  }

  /** Nothing is kept for reuse any more. */
  override retire(): void {
    this.#retired = true;
    for (const connection of [...this.#idle]) connection.retire();
  }

  override reinstate(): void {
    this.#retired = false;
  }

  override destroy(): void {
    this.#retired = true;
    for (const connection of [...this.#all]) connection.destroy();
  }
}
