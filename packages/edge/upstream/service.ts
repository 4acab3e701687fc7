/**
 * Owns an HTTP service as the edge sees it: a pool of instances with their connections, the bounded queue of requests that
 * wait for one, the budget of retries, and the deadlines of all of them. Refuses to start or stop processes.
 */
import type { Timer } from "@tideway/base";
import { BreakerState, hashKey, isUsable, RetryBudget } from "@tideway/engine/balancing";
import type { UpstreamConnection } from "./connection.ts";
import { type Asker, LeaseFault, type LeaseHandler, type UpstreamLimits, type WhenDown } from "./contract.ts";
import { Instance } from "./instance.ts";
import type { MemberAddress } from "./member.ts";
import { Pool, type PoolOptions } from "./pool.ts";
import { WaitQueue } from "./queue.ts";
import { type Resolve, systemResolve } from "./resolver.ts";
import { retryShare, type ServiceSettings, upstreamLimits } from "./settings.ts";
import type { ServiceCounters, ServiceStatus } from "./status.ts";
import { Sticky } from "./sticky.ts";
import { applyDifference, Upstreams } from "./upstreams.ts";

export interface ServiceOptions extends ServiceSettings, Omit<PoolOptions, "onRoom" | keyof ServiceSettings> {
  /** Somebody starts instances of it: with none there, requests wait for one instead of failing at once. */
  readonly managed?: boolean;
  /** How names among the upstreams are resolved; as the system does unless given. */
  readonly resolve?: Resolve;
}

/** Granularity of every deadline in this room: one timer per service, none per request. */
const sweepMs = 250;
const none: readonly Instance[] = [];
const nobody: ReadonlyMap<string, MemberAddress> = new Map();

export class Service {
  readonly name: string;
  readonly #options: ServiceOptions;
  #settings: ServiceSettings;
  /** Shared with every connection, and changed in place: all of them go by what holds now. */
  readonly #limits: { -readonly [Key in keyof UpstreamLimits]: UpstreamLimits[Key] };
  readonly #pool: Pool<Instance>;
  readonly #upstreams: Upstreams;
  /** What `#upstreams` has brought into the pool. */
  #resolved: ReadonlyMap<string, MemberAddress> = nobody;
  readonly #budget: RetryBudget;
  readonly #queue = new WaitQueue();
  #sticky: Sticky | null;
  #sweeper: Timer | null = null;
  #closed = false;
  readonly #counts = {
    requests: 0,
    retries: 0,
    queued: 0,
    queueTimeouts: 0,
    queueRefusals: 0,
    unavailable: 0,
    breakerRefusals: 0,
  };

  constructor(options: ServiceOptions) {
    const { name, clock, random, logger, resolve = systemResolve } = options;
    const limits = upstreamLimits(options);
    this.name = name;
    this.#options = options;
    this.#settings = options;
    this.#limits = limits;
    this.#pool = new Pool({ ...options, onRoom: () => this.#serveWaiters() }, (address, owner, now) => {
      const instance = new Instance(address, owner, clock, limits, now);
      instance.proxyProtocol = this.#settings.proxyProtocol ?? null;
      return instance;
    });
    this.#upstreams = new Upstreams({ name, clock, random, logger, resolve, onChange: () => this.#onUpstreams() });
    this.#sticky = options.sticky === undefined ? null : new Sticky(options.sticky, name);
    this.#budget = new RetryBudget(retryShare(options), clock.now());
    this.#upstreams.set(options.upstreams ?? []);
  }

  /**
   * New settings for a service that runs: what is left out has its default again. Instances that stay keep their connections,
   * their health and what is under way there.
   */
  configure(settings: ServiceSettings): void {
    this.#settings = settings;
    Object.assign(this.#limits, upstreamLimits(settings));
    this.#budget.share = retryShare(settings);
    this.#sticky = settings.sticky === undefined ? null : new Sticky(settings.sticky, this.name);
    this.#pool.configure(settings);
    for (const instance of this.#pool.members) instance.proxyProtocol = settings.proxyProtocol ?? null;
    this.#upstreams.set(settings.upstreams ?? []);
  }

  /* ---------------------------------------------------------------- instances */

  /** Takes in an instance: it is probed at once and used after its first good answer. False when the id is known. */
  add(address: MemberAddress): boolean {
    return this.#pool.add(address);
  }

  /** Another share of the traffic, from the next request on. False for an unknown id and for what is no weight. */
  setWeight(id: string, weight: number): boolean {
    return this.#pool.setWeight(id, weight);
  }

  /**
   * Gives it nothing new; `done` is called once, when nothing is under way there (at once for an unknown id, never when it is
   * undrained before that).
   */
  drain(id: string, done?: () => void): void {
    this.#pool.drain(id, done);
  }

  /** Uses it again, once a probe has passed. False when it does not drain. */
  undrain(id: string): boolean {
    return this.#pool.undrain(id);
  }

  /** Forgets it: its process is gone, or it has drained. Requests still under way there go on or fail by themselves. */
  remove(id: string): void {
    this.#pool.remove(id);
    this.#sticky?.forget(id);
  }

  #onUpstreams(): void {
    const before = this.#resolved;
    this.#resolved = this.#upstreams.instances();
    applyDifference(this, before, this.#resolved);
  }

  /* ---------------------------------------------------------------- requests */

  /** Counts a request, also towards the budget of retries. */
  onRequest(): void {
    this.#counts.requests++;
    this.#budget.onRequest();
  }

  /** True when a retry is within the budget, which is then spent. */
  takeRetry(): boolean {
    if (!this.#budget.take(this.#options.clock.now())) return false;
    this.#counts.retries++;
    return true;
  }

  /**
   * Asks for a connection: `handler` is told, in this tick or later. `tried` instances are taken only when there is no
   * other; `fresh` asks for a connection that carried no request yet.
   */
  lease(handler: LeaseHandler, asker: Asker, tried: readonly Instance[], fresh: boolean): void {
    const now = this.#options.clock.now();
    const { breaker } = this.#pool;
    if (breaker !== null && !breaker.admits(now)) {
      this.#counts.breakerRefusals++;
      handler.onLeaseFailed(LeaseFault.open);
      return;
    }
    const first = !this.#queue.hasUnbound && !this.#closed;
    const connection = first ? this.#choose(now, asker, tried, fresh, handler.uploading === true) : null;
    if (connection !== null) {
      if (this.#sweeper === null) this.#armSweeper();
      handler.onLease(connection);
    } else this.#wait(handler, asker, tried, fresh, now);
  }

  /** The body of a request has come whole: if it waits, it does so with the others from now on. */
  uploaded(handler: LeaseHandler): void {
    if (this.#queue.uploaded(handler)) this.#serveWaiters();
  }

  /** The request is not wanted any more: it leaves the queue. */
  cancel(handler: LeaseHandler): void {
    this.#queue.remove(handler);
  }

  /** The instance that a request (one without any marks, unless given) would be sent to now, for a person to read; null: none. */
  preview(asker?: Asker): string | null {
    const now = this.#options.clock.now();
    const bound = asker === undefined ? null : this.#bound(asker, none, now);
    return (bound ?? this.#pool.pick(asker === undefined ? "" : this.#keyOf(asker), none, now))?.id ?? null;
  }

  /** What clients are told while every instance is down; undefined: the proxy's own words. */
  get whenDown(): WhenDown | undefined {
    return this.#settings.whenDown;
  }

  /** The `set-cookie` field that the answer of `instance` has to bring; empty, for nearly all, when it needs none. */
  stickyCookie({ head, client }: Asker, instance: Instance): string {
    if (this.#sticky === null) return "";
    return this.#sticky.setCookie(head, client.secure, instance.id, this.#options.clock.wall());
  }

  /** The instance that the request's cookie names, when it can be used; null without one. */
  #bound(asker: Asker, tried: readonly Instance[], now: number): Instance | null {
    const sticky = this.#sticky;
    if (sticky === null) return null;
    const name = sticky.wanted(asker.head, this.#options.clock.wall());
    if (name === "") return null;
    const instance = this.#pool.members.find(({ id }) => sticky.nameOf(id) === name);
    return instance !== undefined && isUsable(instance.health, now) && !tried.includes(instance) ? instance : null;
  }

  #keyOf({ head, client }: Asker): string {
    const by = this.#pool.hashBy;
    return by === null ? "" : hashKey(by, head, client.address);
  }

  #choose(
    now: number,
    asker: Asker,
    tried: readonly Instance[],
    fresh: boolean,
    uploading: boolean,
  ): UpstreamConnection | null {
    const bound = this.#bound(asker, tried, now);
    // A client stays with its instance, be it that it has to wait for it.
    const connection =
      bound !== null
        ? bound.acquire(now, fresh, asker.client, uploading)
        : this.#chooseAny(now, asker, tried, fresh, uploading);
    if (connection !== null && fresh) connection.instance.retries++;
    return connection;
  }

  #chooseAny(
    now: number,
    asker: Asker,
    tried: readonly Instance[],
    fresh: boolean,
    uploading: boolean,
  ): UpstreamConnection | null {
    const key = this.#keyOf(asker);
    let passed = tried;
    for (;;) {
      const instance = this.#pool.pick(key, passed, now);
      if (instance === null) {
        if (tried.length === 0 || passed === none) return null;
        return this.#chooseAny(now, asker, none, fresh, uploading);
      }
      const connection = instance.acquire(now, fresh, asker.client, uploading);
      if (connection !== null) return connection;
      passed = [...passed, instance];
    }
  }

  /* ---------------------------------------------------------------- the queue */

  #wait(handler: LeaseHandler, asker: Asker, tried: readonly Instance[], fresh: boolean, now: number): void {
    const counts = this.#counts;
    if (this.#closed) handler.onLeaseFailed(LeaseFault.closed);
    else if (!this.#isWorthWaiting()) {
      counts.unavailable++;
      handler.onLeaseFailed(LeaseFault.unavailable);
    } else if (this.#isCrowded(handler.uploading === true)) {
      counts.queueRefusals++;
      handler.onLeaseFailed(LeaseFault.crowded);
    } else {
      const uploading = handler.uploading === true;
      const bound = this.#bound(asker, tried, now) !== null;
      counts.queued++;
      this.#queue.add({ handler, asker, tried, fresh, until: now + this.#limits.upstreamWaitMs, bound, uploading });
      this.#armSweeper();
    }
  }

  /** Requests whose body is still coming have their share of the queue, too. */
  #isCrowded(uploading: boolean): boolean {
    const { upstreamWaitersMax, upstreamUploadsShare } = this.#limits;
    if (this.#queue.size >= upstreamWaitersMax) return true;
    return uploading && this.#queue.uploads >= upstreamWaitersMax * upstreamUploadsShare;
  }

  #isWorthWaiting(): boolean {
    const patienceMs = this.#limits.upstreamWaitMs;
    return (
      this.#options.managed === true || this.#pool.isPromising(patienceMs) || this.#upstreams.isPromising(patienceMs)
    );
  }

  #serveWaiters(): void {
    if (this.#queue.size === 0) return;
    const now = this.#options.clock.now();
    for (const { handler, asker, tried, fresh, bound, uploading } of this.#queue.inOrder()) {
      if (uploading && !this.#pool.members.some((instance) => instance.takesUploads)) continue;
      const connection = this.#choose(now, asker, tried, fresh, uploading);
      if (connection !== null) {
        this.#queue.remove(handler);
        handler.onLease(connection);
      } else if (!bound && !uploading) return;
    }
  }

  #expireWaiters(now: number): void {
    for (const { handler, until } of this.#queue.inOrder()) {
      if (now < until) continue;
      this.#queue.remove(handler);
      this.#counts.queueTimeouts++;
      handler.onLeaseFailed(this.#pool.hasUp ? LeaseFault.deadline : LeaseFault.unavailable);
    }
  }

  /* ---------------------------------------------------------------- time */

  #armSweeper(): void {
    this.#sweeper ??= this.#options.clock.after(sweepMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweeper = null;
    const now = this.#options.clock.now();
    const { members, leaving } = this.#pool;
    for (const instance of members) instance.sweep(now);
    for (const instance of leaving) instance.sweep(now);
    this.#serveWaiters();
    this.#expireWaiters(now);
    const idle =
      this.#queue.size === 0 && leaving.size === 0 && this.#pool.members.every((i) => i.connectionCount === 0);
    if (!idle && !this.#closed) this.#armSweeper();
  }

  /* ---------------------------------------------------------------- the whole */

  status(): ServiceStatus {
    const { members, balance, breaker } = this.#pool;
    const instances = this.#pool.status().map((status, i) => ({ ...status, idle: members[i]!.idleCount }));
    return {
      name: this.name,
      balance,
      waiting: this.#queue.size,
      breaker: breaker?.stateAt(this.#options.clock.now()) ?? BreakerState.closed,
      instances,
      names: this.#upstreams.status(),
    };
  }

  counters(): ServiceCounters {
    const { failures, ejections, breaker, members } = this.#pool;
    const instances = members.map(({ id, requests, retries, failures, ejections }) => {
      return { id, requests, retries, failures, ejections };
    });
    return { ...this.#counts, failures, ejections, breakerOpenings: breaker?.openings ?? 0, instances };
  }

  /** Ends every connection and everyone's wait. */
  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    this.#upstreams.close();
    for (const { handler } of [...this.#queue.inOrder()]) {
      this.#queue.remove(handler);
      handler.onLeaseFailed(LeaseFault.closed);
    }
    this.#pool.close();
  }
}
