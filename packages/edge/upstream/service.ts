/**
 * Owns an HTTP service as the edge sees it: a pool of instances with their connections, the bounded queue of requests that
 * wait for one, the budget of retries, and the deadlines of all of them. Refuses to start or stop processes.
 */
import { limits as defaultLimits, type Timer } from "@tideway/base";
import { type BalanceName, HealthState, isUsable, RetryBudget } from "@tideway/engine/balancing";
import type { UpstreamConnection } from "./connection.ts";
import { type Asker, LeaseFault, type LeaseHandler, type UpstreamLimits, type WhenDown } from "./contract.ts";
import { Instance } from "./instance.ts";
import type { MemberAddress } from "./member.ts";
import { type MemberStatus, Pool, type PoolOptions } from "./pool.ts";
import { Sticky, type StickyOptions } from "./sticky.ts";

export interface ServiceOptions extends Omit<PoolOptions, "onRoom" | "probe"> {
  readonly limits?: Partial<UpstreamLimits>;
  /** Share of requests that may be retries. */
  readonly retryBudget?: number;
  /** Somebody starts instances of it: with none there, requests wait for one instead of failing at once. */
  readonly managed?: boolean;
  /** A client stays with the instance that answered it first, as long as that one is up. */
  readonly sticky?: StickyOptions;
  /** What clients are told while every instance is down. */
  readonly whenDown?: WhenDown;
}

export interface InstanceStatus extends MemberStatus {
  /** Connections that wait for a request. */
  readonly idle: number;
}

export interface ServiceStatus {
  readonly name: string;
  readonly balance: BalanceName;
  readonly waiting: number;
  readonly instances: readonly InstanceStatus[];
}

interface Waiter {
  readonly asker: Asker;
  readonly tried: readonly Instance[];
  readonly fresh: boolean;
  readonly until: number;
  /** It waits for one certain instance, so that others need not wait behind it. */
  readonly bound: boolean;
}

/** Granularity of every deadline in this room: one timer per service, none per request. */
const sweepMs = 250;
const none: readonly Instance[] = [];

export class Service {
  readonly name: string;
  readonly #options: ServiceOptions;
  readonly #limits: UpstreamLimits;
  readonly #pool: Pool<Instance>;
  readonly #budget: RetryBudget;
  /** In the order of arrival. */
  readonly #waiters = new Map<LeaseHandler, Waiter>();
  /** How many of them are bound. */
  #boundCount = 0;
  #sticky: Sticky | null;
  #sweeper: Timer | null = null;
  #closed = false;

  constructor(options: ServiceOptions) {
    const { clock } = options;
    const limits = { ...defaultLimits, ...options.limits };
    this.name = options.name;
    this.#options = options;
    this.#limits = limits;
    this.#pool = new Pool(
      { ...options, onRoom: () => this.#serveWaiters() },
      (address, owner, now) => new Instance(address, owner, clock, limits, now),
    );
    this.#sticky = options.sticky === undefined ? null : new Sticky(options.sticky, options.name);
    this.#budget = new RetryBudget(options.retryBudget ?? limits.retryBudget, clock.now());
  }

  /* ---------------------------------------------------------------- instances */

  /** Takes in an instance: it is probed at once and used after its first good answer. False when the id is known. */
  add(address: MemberAddress): boolean {
    return this.#pool.add(address);
  }

  /** Gives it nothing new; `done` is called once, when nothing is under way there (at once for an unknown id). */
  drain(id: string, done: () => void): void {
    this.#pool.drain(id, done);
  }

  /** Forgets it: its process is gone, or it has drained. Requests still under way there go on or fail by themselves. */
  remove(id: string): void {
    this.#pool.remove(id);
    this.#sticky?.forget(id);
  }

  /* ---------------------------------------------------------------- requests */

  /** Counts a request towards the budget of retries. */
  onRequest(): void {
    this.#budget.onRequest();
  }

  /** True when a retry is within the budget, which is then spent. */
  takeRetry(): boolean {
    return this.#budget.take(this.#options.clock.now());
  }

  /**
   * Asks for a connection: `handler` is told, in this tick or later. `tried` instances are taken only when there is no
   * other; `fresh` asks for a connection that carried no request yet.
   */
  lease(handler: LeaseHandler, asker: Asker, tried: readonly Instance[], fresh: boolean): void {
    const now = this.#options.clock.now();
    // Nobody overtakes those who wait for any instance.
    const first = this.#waiters.size === this.#boundCount && !this.#closed;
    const connection = first ? this.#choose(now, asker, tried, fresh) : null;
    if (connection !== null) {
      if (this.#sweeper === null) this.#armSweeper();
      handler.onLease(connection);
    } else this.#wait(handler, asker, tried, fresh, now);
  }

  /** The request is not wanted any more: it leaves the queue. */
  cancel(handler: LeaseHandler): void {
    const waiter = this.#waiters.get(handler);
    if (waiter !== undefined) this.#dequeue(handler, waiter);
  }

  /** The instance that the policy would choose now, for a person to read; null when none could take a request. */
  preview(): string | null {
    return this.#pool.pick("")?.id ?? null;
  }

  /** What clients are told while every instance is down; undefined: the proxy's own words. */
  get whenDown(): WhenDown | undefined {
    return this.#options.whenDown;
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

  #choose(now: number, asker: Asker, tried: readonly Instance[], fresh: boolean): UpstreamConnection | null {
    const bound = this.#bound(asker, tried, now);
    // A client stays with its instance, be it that it has to wait for it.
    if (bound !== null) return bound.acquire(now, fresh);
    return this.#chooseAny(now, asker.client.address, tried, fresh);
  }

  #chooseAny(now: number, key: string, tried: readonly Instance[], fresh: boolean): UpstreamConnection | null {
    let passed = tried;
    for (;;) {
      const instance = this.#pool.pick(key, passed, now);
      if (instance === null) {
        if (tried.length === 0 || passed === none) return null;
        return this.#chooseAny(now, key, none, fresh);
      }
      const connection = instance.acquire(now, fresh);
      if (connection !== null) return connection;
      passed = [...passed, instance];
    }
  }

  /* ---------------------------------------------------------------- the queue */

  #wait(handler: LeaseHandler, asker: Asker, tried: readonly Instance[], fresh: boolean, now: number): void {
    if (this.#closed) handler.onLeaseFailed(LeaseFault.closed);
    else if (!this.#isWorthWaiting()) handler.onLeaseFailed(LeaseFault.unavailable);
    else if (this.#waiters.size >= this.#limits.upstreamWaitersMax) handler.onLeaseFailed(LeaseFault.crowded);
    else {
      const bound = this.#bound(asker, tried, now) !== null;
      this.#waiters.set(handler, { asker, tried, fresh, until: now + this.#limits.upstreamWaitMs, bound });
      if (bound) this.#boundCount++;
      this.#armSweeper();
    }
  }

  #isWorthWaiting(): boolean {
    return this.#options.managed === true || this.#pool.isPromising(this.#limits.upstreamWaitMs);
  }

  #dequeue(handler: LeaseHandler, waiter: Waiter): void {
    this.#waiters.delete(handler);
    if (waiter.bound) this.#boundCount--;
  }

  #serveWaiters(): void {
    if (this.#waiters.size === 0) return;
    const now = this.#options.clock.now();
    for (const [handler, waiter] of this.#waiters) {
      const connection = this.#choose(now, waiter.asker, waiter.tried, waiter.fresh);
      if (connection !== null) {
        this.#dequeue(handler, waiter);
        handler.onLease(connection);
      } else if (!waiter.bound) return;
    }
  }

  #expireWaiters(now: number): void {
    for (const [handler, waiter] of this.#waiters) {
      if (now < waiter.until) return;
      this.#dequeue(handler, waiter);
      const isUp = this.#pool.members.some(({ health }) => health.state === HealthState.up);
      handler.onLeaseFailed(isUp ? LeaseFault.deadline : LeaseFault.unavailable);
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
      this.#waiters.size === 0 && leaving.size === 0 && this.#pool.members.every((i) => i.connectionCount === 0);
    if (!idle && !this.#closed) this.#armSweeper();
  }

  /* ---------------------------------------------------------------- the whole */

  status(): ServiceStatus {
    const { members, balance } = this.#pool;
    const instances = this.#pool.status().map((status, i) => ({ ...status, idle: members[i]!.idleCount }));
    return { name: this.name, balance, waiting: this.#waiters.size, instances };
  }

  /** Ends every connection and everyone's wait. */
  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    for (const [handler, waiter] of [...this.#waiters]) {
      this.#dequeue(handler, waiter);
      handler.onLeaseFailed(LeaseFault.closed);
    }
    this.#pool.close();
  }
}
