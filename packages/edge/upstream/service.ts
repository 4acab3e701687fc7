/**
 * Owns a service as the edge sees it: its instances, which may come and go at run time, their probing, the choice
 * among them, and the bounded queue of requests that wait for one. Refuses to start or stop processes.
 */
import { type Clock, limits as defaultLimits, type Logger, type Random, type Timer } from "@tideway/base";
import {
  type BalanceName,
  createPolicy,
  defaultHealthRules,
  type Health,
  type HealthRules,
  HealthState,
  isPromising,
  onDrain,
  onProbe,
  onRequestFailed,
  onTrial,
  type Policy,
  RetryBudget,
} from "@tideway/engine/balancing";
import type { UpstreamConnection } from "./connection.ts";
import { LeaseFault, type LeaseHandler, type UpstreamFault, type UpstreamLimits } from "./contract.ts";
import { Instance, type InstanceAddress, type InstanceOwner } from "./instance.ts";
import { defaultHealth, type HealthOptions, Prober } from "./prober.ts";

export interface ServiceOptions {
  /** As in the configuration: what clients are told when it fails. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** `least-busy` unless given. */
  readonly balance?: BalanceName;
  readonly health?: Partial<HealthOptions>;
  readonly healthRules?: Partial<HealthRules>;
  readonly limits?: Partial<UpstreamLimits>;
  /** Share of requests that may be retries. */
  readonly retryBudget?: number;
  /** Somebody starts instances of it: with none there, requests wait for one instead of failing at once. */
  readonly managed?: boolean;
  /** Told of every change of an instance's health: whoever runs the processes wants to know. */
  readonly onState?: (id: string, state: HealthState) => void;
}

export interface InstanceStatus {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly state: HealthState;
  /** Milliseconds in this state. */
  readonly forMs: number;
  readonly active: number;
  readonly connections: number;
  readonly idle: number;
  /** Decaying average of the time to a response's head; -1 before the first. */
  readonly latencyMs: number;
}

export interface ServiceStatus {
  readonly name: string;
  readonly balance: BalanceName;
  readonly waiting: number;
  readonly instances: readonly InstanceStatus[];
}

interface Waiter {
  readonly key: string;
  readonly tried: readonly Instance[];
  readonly fresh: boolean;
  readonly until: number;
}

interface Member {
  readonly instance: Instance;
  readonly prober: Prober;
  /** Set while draining: called once when nothing is under way. */
  drained: (() => void) | null;
}

/** Granularity of every deadline in this room: one timer per service, none per request. */
const sweepMs = 250;
const none: readonly Instance[] = [];

export class Service implements InstanceOwner {
  readonly name: string;
  readonly balance: BalanceName;
  readonly #options: ServiceOptions;
  readonly #clock: Clock;
  readonly #limits: UpstreamLimits;
  readonly #health: HealthOptions;
  readonly #rules: HealthRules;
  readonly #policy: Policy;
  readonly #budget: RetryBudget;
  readonly #members = new Map<string, Member>();
  /** The members' instances, as policies want them. */
  #instances: Instance[] = [];
  /** Removed, but with requests still under way. */
  readonly #leaving = new Set<Instance>();
  /** In the order of arrival. */
  readonly #waiters = new Map<LeaseHandler, Waiter>();
  #sweeper: Timer | null = null;
  #closed = false;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.balance = options.balance ?? "least-busy";
    this.#options = options;
    this.#clock = options.clock;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#health = { ...defaultHealth, ...options.health };
    this.#rules = { ...defaultHealthRules, ...options.healthRules };
    this.#policy = createPolicy(this.balance);
    this.#budget = new RetryBudget(options.retryBudget ?? defaultLimits.retryBudget, this.#clock.now());
  }

  /* ---------------------------------------------------------------- instances */

  /** Takes in an instance: it is probed at once and used after its first good answer. False when the id is known. */
  add(address: InstanceAddress): boolean {
    if (this.#closed || this.#members.has(address.id)) return false;
    const instance = new Instance(address, this, this.#clock, this.#limits, this.#clock.now());
    const { clock, random } = this.#options;
    const prober = new Prober(instance, this.#health, clock, random, this.#limits, (of, passed, why) =>
      this.#onProbed(of, passed, why),
    );
    this.#members.set(address.id, { instance, prober, drained: null });
    this.#instances.push(instance);
    return true;
  }

  /** Gives it nothing new; `done` is called once, when nothing is under way there (at once for an unknown id). */
  drain(id: string, done: () => void): void {
    const member = this.#members.get(id);
    if (member === undefined) {
      done();
      return;
    }
    const { instance, prober } = member;
    const earlier = member.drained;
    member.drained = () => {
      earlier?.();
      done();
    };
    prober.stop();
    this.#judge(instance, onDrain(instance.health, this.#clock.now()), "asked to drain");
    instance.retire();
    this.#checkDrained(instance);
  }

  /** Forgets it: its process is gone, or it has drained. Requests still under way there go on or fail by themselves. */
  remove(id: string): void {
    const member = this.#members.get(id);
    if (member === undefined) return;
    const { instance, prober } = member;
    this.#members.delete(id);
    this.#instances = this.#instances.filter((other) => other !== instance);
    prober.stop();
    instance.retire();
    if (instance.connectionCount > 0) this.#leaving.add(instance);
    member.drained?.();
  }

  #onProbed(instance: Instance, passed: boolean, why: string): void {
    this.#judge(
      instance,
      onProbe(instance.health, passed, this.#clock.now(), this.#rules),
      why === "" ? "probe passed" : `probe: ${why}`,
    );
  }

  onInstanceFailed(instance: Instance, fault: UpstreamFault): void {
    this.#judge(
      instance,
      onRequestFailed(instance.health, this.#clock.now(), this.#rules),
      `request: ${fault.code} ${fault.detail}`,
    );
  }

  onInstanceAnswered(instance: Instance, health: Health): void {
    this.#judge(instance, health, "request answered");
  }

  onInstanceFreed(instance: Instance): void {
    if (instance.health.state === HealthState.draining) this.#checkDrained(instance);
    if (this.#leaving.size > 0 && instance.connectionCount === 0) this.#leaving.delete(instance);
    if (this.#waiters.size > 0) this.#serveWaiters();
  }

  #judge(instance: Instance, health: Health, why: string): void {
    const before = instance.health;
    if (health === before) return;
    instance.health = health;
    if (health.state === before.state) return;
    const { logger } = this.#options;
    const fields = { service: this.name, instance: instance.id, state: health.state, was: before.state, why };
    if (health.state === HealthState.down) logger.warn(fields, "instance is down");
    else logger.info(fields, `instance is ${health.state}`);
    const member = this.#members.get(instance.id);
    if (health.state === HealthState.down && member?.instance === instance) member.prober.hurry();
    this.#options.onState?.(instance.id, health.state);
    if (health.state === HealthState.up) this.#serveWaiters();
  }

  #checkDrained(instance: Instance): void {
    const member = this.#members.get(instance.id);
    if (member?.instance !== instance || member.drained === null || instance.active > 0) return;
    const done = member.drained;
    member.drained = null;
    done();
  }

  /* ---------------------------------------------------------------- requests */

  /** Counts a request towards the budget of retries. */
  onRequest(): void {
    this.#budget.onRequest();
  }

  /** True when a retry is within the budget, which is then spent. */
  takeRetry(): boolean {
    return this.#budget.take(this.#clock.now());
  }

  /**
   * Asks for a connection: `handler` is told, in this tick or later. `key` is what the policy `hash` goes by. `tried`
   * instances are taken only when there is no other; `fresh` asks for a connection that carried no request yet.
   */
  lease(handler: LeaseHandler, key: string, tried: readonly Instance[], fresh: boolean): void {
    const now = this.#clock.now();
    const connection = this.#closed ? null : this.#choose(now, key, tried, fresh);
    if (connection !== null) {
      if (this.#sweeper === null) this.#armSweeper();
      handler.onLease(connection);
    } else this.#wait(handler, { key, tried, fresh, until: now + this.#limits.upstreamWaitMs }, now);
  }

  /** The request is not wanted any more: it leaves the queue. */
  cancel(handler: LeaseHandler): void {
    this.#waiters.delete(handler);
  }

  /** The instance that the policy would choose now, for a person to read; null when none could take a request. */
  preview(): string | null {
    return this.#policy.pick(this.#instances, this.#clock.now(), "", none)?.id ?? null;
  }

  #choose(now: number, key: string, tried: readonly Instance[], fresh: boolean): UpstreamConnection | null {
    let passed = tried;
    for (;;) {
      const instance = this.#policy.pick(this.#instances, now, key, passed);
      if (instance === null) {
        if (tried.length === 0 || passed === none) return null;
        return this.#choose(now, key, none, fresh);
      }
      if (instance.health.state === HealthState.down) instance.health = onTrial(instance.health, now, this.#rules);
      const connection = instance.acquire(now, fresh);
      if (connection !== null) return connection;
      passed = [...passed, instance];
    }
  }

  #wait(handler: LeaseHandler, waiter: Waiter, now: number): void {
    if (this.#closed) handler.onLeaseFailed(LeaseFault.closed);
    else if (!this.#isWorthWaiting(now)) handler.onLeaseFailed(LeaseFault.unavailable);
    else if (this.#waiters.size >= this.#limits.upstreamWaitersMax) handler.onLeaseFailed(LeaseFault.crowded);
    else {
      this.#waiters.set(handler, waiter);
      this.#armSweeper();
    }
  }

  #isWorthWaiting(now: number): boolean {
    if (this.#options.managed === true) return true;
    for (const { health } of this.#instances) {
      if (health.state === HealthState.up || isPromising(health, now, this.#limits.upstreamWaitMs)) return true;
    }
    return false;
  }

  #serveWaiters(): void {
    const now = this.#clock.now();
    for (const [handler, waiter] of this.#waiters) {
      const connection = this.#choose(now, waiter.key, waiter.tried, waiter.fresh);
      if (connection === null) return;
      this.#waiters.delete(handler);
      handler.onLease(connection);
    }
  }

  /* ---------------------------------------------------------------- time */

  #armSweeper(): void {
    this.#sweeper ??= this.#clock.after(sweepMs, () => this.#sweep());
  }

  #sweep(): void {
    this.#sweeper = null;
    const now = this.#clock.now();
    for (const instance of [...this.#instances, ...this.#leaving]) instance.sweep(now);
    if (this.#waiters.size > 0) this.#serveWaiters();
    for (const [handler, waiter] of this.#waiters) {
      if (now < waiter.until) break;
      this.#waiters.delete(handler);
      handler.onLeaseFailed(LeaseFault.deadline);
    }
    const idle =
      this.#waiters.size === 0 && this.#leaving.size === 0 && this.#instances.every((i) => i.connectionCount === 0);
    if (!idle && !this.#closed) this.#armSweeper();
  }

  /* ---------------------------------------------------------------- the whole */

  status(): ServiceStatus {
    const now = this.#clock.now();
    const instances = this.#instances.map((i) => ({
      id: i.id,
      host: i.host,
      port: i.port,
      weight: i.weight,
      state: i.health.state,
      forMs: Math.round(now - i.health.since),
      active: i.active,
      connections: i.connectionCount,
      idle: i.idleCount,
      latencyMs: i.latencyMs,
    }));
    return { name: this.name, balance: this.balance, waiting: this.#waiters.size, instances };
  }

  /** Ends every connection and everyone's wait. */
  close(): void {
    this.#closed = true;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    for (const { prober } of this.#members.values()) prober.stop();
    for (const handler of [...this.#waiters.keys()]) {
      this.#waiters.delete(handler);
      handler.onLeaseFailed(LeaseFault.closed);
    }
    for (const instance of [...this.#instances, ...this.#leaving]) instance.destroy();
  }
}
