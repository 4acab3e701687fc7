/**
 * Owns the instances of one service, whatever protocol they speak: they come and go at run time, are probed, judged by
 * their probes and by how requests fare, and chosen by a policy. Refuses to know connections, requests and queues: HTTP's
 * `Service` and the TCP and UDP services build on it.
 */
import type { Clock, Logger, Random } from "@tideway/base";
import {
  type Balance,
  type Breaker,
  createPolicy,
  type HashBy,
  HealthState,
  hashByOf,
  isPromising,
  onDrain,
  onUndrain,
  type Policy,
} from "@tideway/engine/balancing";
import type { ProxyVersion } from "./header.ts";
import { Judge } from "./judge.ts";
import type { Member, MemberAddress, MemberOwner } from "./member.ts";
import { defaultProbe, type ProbeMaker } from "./probe.ts";
import { Prober } from "./prober.ts";
import { defaultHealth, type HealthOptions, type PoolSettings } from "./settings.ts";
import { type MemberStatus, memberStatus } from "./status.ts";

export interface PoolOptions extends PoolSettings {
  /** The service's name, for the log. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How an instance is asked whether it answers: as `health` says (`tcp`, or `http` when it has a path) unless given. */
  readonly probe?: ProbeMaker;
  /** Told of every change of an instance's health: whoever runs the processes wants to know. */
  readonly onState?: (id: string, state: HealthState) => void;
  /** Somebody who waits may be served: an instance came up, or has less to do. */
  readonly onRoom?: () => void;
}

export type MemberMaker<M extends Member> = (address: MemberAddress, owner: MemberOwner, now: number) => M;

interface Entry<M extends Member> {
  readonly member: M;
  prober: Prober;
  /** Set while draining: called once when nothing is under way. */
  drained: (() => void) | null;
}

const none: readonly Member[] = [];

export class Pool<M extends Member = Member> {
  readonly name: string;
  balance: Balance;
  /** What of a request `pick` wants as its key; null: nothing, "" will do. */
  hashBy: HashBy | null;
  readonly #options: PoolOptions;
  readonly #make: MemberMaker<M>;
  readonly #clock: Clock;
  readonly #judge: Judge;
  #policy: Policy;
  #health: HealthOptions;
  #requestsMax: number;
  #proxyProtocol: ProxyVersion | null;
  readonly #entries = new Map<string, Entry<M>>();
  /** The entries' members, as policies want them. */
  #members: M[] = [];
  /** Removed, but with something still under way. */
  readonly #leaving = new Set<M>();
  #closed = false;

  /** `make` says what a member is: `(address, owner, now) => new Member(address, owner, now)`, or a class of one's own. */
  constructor(options: PoolOptions, make: MemberMaker<M>) {
    const { name, clock, logger, balance = "least-busy" } = options;
    this.name = name;
    this.balance = balance;
    this.hashBy = hashByOf(balance);
    this.#options = options;
    this.#make = make;
    this.#clock = clock;
    this.#health = { ...defaultHealth, ...options.health };
    this.#requestsMax = options.requestsMax ?? Number.POSITIVE_INFINITY;
    this.#proxyProtocol = options.proxyProtocol ?? null;
    this.#policy = createPolicy(balance, options.random);
    const hooks = {
      clock,
      logger,
      name,
      members: () => this.#members,
      changed: (member: Member) => this.#onChanged(member),
      doubted: (member: Member) => this.#entryOf(member)?.prober.hurry(),
      freed: (member: Member) => this.#onFreed(member),
    };
    this.#judge = new Judge(hooks, options);
  }

  /** New settings for a pool that runs: instances, and what is under way there, stay as they are. */
  configure(settings: PoolSettings): void {
    const { balance = "least-busy", requestsMax = Number.POSITIVE_INFINITY } = settings;
    this.#judge.configure(settings);
    if (!isSame(balance, this.balance)) {
      this.balance = balance;
      this.hashBy = hashByOf(balance);
      this.#policy = createPolicy(balance, this.#options.random);
      for (const member of this.#members) member.credit = 0;
    }
    this.#proxyProtocol = settings.proxyProtocol ?? null;
    this.#requestsMax = requestsMax;
    for (const member of this.#members) member.activeMax = requestsMax;
    const health = { ...defaultHealth, ...settings.health };
    const isNew = !isSame(health, this.#health);
    this.#health = health;
    if (isNew) for (const { prober } of this.#entries.values()) prober.hurry();
    this.#options.onRoom?.();
  }

  /* ---------------------------------------------------------------- who is in it */

  /** Takes in an instance: it is probed at once and used after its first good answer. False when the id is known. */
  add(address: MemberAddress): boolean {
    if (this.#closed || this.#entries.has(address.id)) return false;
    const member = this.#make(address, this.#judge, this.#clock.now());
    member.activeMax = this.#requestsMax;
    this.#entries.set(address.id, { member, prober: this.#probe(member), drained: null });
    this.#members.push(member);
    return true;
  }

  #probe(member: M): Prober {
    const { clock, random, probe } = this.#options;
    const ask: ProbeMaker =
      probe ?? ((target, done) => defaultProbe(this.#health, clock, this.#proxyProtocol)(target, done));
    return new Prober(
      member,
      () => this.#health,
      clock,
      random,
      ask,
      (passed, why) => {
        // Nothing was learned when nothing could be asked.
        if (passed !== null) this.#judge.onProbed(member, passed, why);
      },
    );
  }

  /** Another share of the traffic, from the next request on. False for an unknown id and for what is no weight. */
  setWeight(id: string, weight: number): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined || !(weight > 0 && weight < Number.POSITIVE_INFINITY)) return false;
    entry.member.weight = weight;
    return true;
  }

  /**
   * Gives it nothing new; `done` is called once, when nothing is under way there (at once for an unknown id, never when it is
   * undrained before that).
   */
  drain(id: string, done: () => void = () => {}): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) {
      done();
      return;
    }
    const { member, prober } = entry;
    const earlier = entry.drained;
    entry.drained = () => {
      earlier?.();
      done();
    };
    prober.stop();
    this.#judge.decide(member, onDrain(member.health, this.#clock.now()), "asked to drain");
    member.retire();
    this.#checkDrained(member);
  }

  /** Uses it again, once a probe has passed. False when it does not drain. */
  undrain(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.member.health.state !== HealthState.draining) return false;
    const { member } = entry;
    entry.drained = null;
    member.reinstate();
    this.#judge.decide(member, onUndrain(member.health, this.#clock.now()), "asked to serve again");
    entry.prober = this.#probe(member);
    return true;
  }

  /** Forgets it: its process is gone, or it has drained. What is still under way there goes on or fails by itself. */
  remove(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    const { member, prober } = entry;
    this.#entries.delete(id);
    this.#members = this.#members.filter((other) => other !== member);
    prober.stop();
    member.retire();
    if (member.connectionCount > 0) this.#leaving.add(member);
    entry.drained?.();
  }

  get members(): readonly M[] {
    return this.#members;
  }

  /** Removed, but with something still under way. */
  get leaving(): ReadonlySet<M> {
    return this.#leaving;
  }

  /* ---------------------------------------------------------------- the choice */

  /**
   * The instance for the next request, or null when none can be used; `begin` it when it is. `key` is what consistent
   * hashing goes by (`hashBy`). `tried` are left out.
   */
  pick(key: string, tried: readonly Member[] = none, now = this.#clock.now()): M | null {
    return this.#policy.pick(this.#members, now, key, tried);
  }

  /** True when an instance is up, or may be within `patienceMs`: whoever finds none had better wait than fail. */
  isPromising(patienceMs: number): boolean {
    const now = this.#clock.now();
    return this.#members.some(({ health }) => isPromising(health, now, patienceMs));
  }

  get hasUp(): boolean {
    return this.#members.some(({ health }) => health.state === HealthState.up);
  }

  /** Of the whole service: ask it before `pick`. Null when it has none. */
  get breaker(): Breaker | null {
    return this.#judge.breaker;
  }

  /* ---------------------------------------------------------------- what comes of it */

  #onChanged(member: Member): void {
    const { state } = member.health;
    if (state === HealthState.down) this.#entryOf(member)?.prober.hurry();
    this.#options.onState?.(member.id, state);
    if (state === HealthState.up) this.#options.onRoom?.();
  }

  #onFreed(member: Member): void {
    if (member.health.state === HealthState.draining) this.#checkDrained(member);
    if (this.#leaving.size > 0 && member.connectionCount === 0) this.#leaving.delete(member as M);
    this.#options.onRoom?.();
  }

  /** Undefined once it was removed, though another may have its id by now. */
  #entryOf(member: Member): Entry<M> | undefined {
    const entry = this.#entries.get(member.id);
    return entry?.member === member ? entry : undefined;
  }

  #checkDrained(member: Member): void {
    const entry = this.#entryOf(member);
    if (entry === undefined || entry.drained === null || member.active > 0) return;
    const done = entry.drained;
    entry.drained = null;
    done();
  }

  /* ---------------------------------------------------------------- the whole */

  status(): MemberStatus[] {
    const now = this.#clock.now();
    return this.#members.map((member) => memberStatus(member, now));
  }

  /** Since the start, those of removed instances included. */
  get failures(): number {
    return this.#judge.failures;
  }

  get ejections(): number {
    return this.#judge.ejections;
  }

  /** Stops probing and ends what is under way. */
  close(): void {
    this.#closed = true;
    for (const { prober } of this.#entries.values()) prober.stop();
    for (const member of [...this.#members, ...this.#leaving]) member.destroy();
  }
}

/** Settings are plain values. */
function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
