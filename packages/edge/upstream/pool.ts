/**
 * Owns the instances of one service, whatever protocol they speak: they come and go at run time, are probed, judged by
 * their probes and by how requests fare, and chosen by a policy. Refuses to know connections, requests and queues: HTTP's
 * `Service` and the TCP and UDP services build on it.
 */
import type { Clock, Logger, Random } from "@tideway/base";
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
} from "@tideway/engine/balancing";
import type { Member, MemberAddress, MemberOwner } from "./member.ts";
import { defaultProbe, type ProbeMaker } from "./probe.ts";
import { defaultHealth, type HealthOptions, Prober } from "./prober.ts";

export interface PoolOptions {
  /** The service's name, for the log. */
  readonly name: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** `least-busy` unless given. */
  readonly balance?: BalanceName;
  readonly health?: Partial<HealthOptions>;
  readonly healthRules?: Partial<HealthRules>;
  /** How an instance is asked whether it answers: as `health` says (`tcp`, or `http` when it has a path) unless given. */
  readonly probe?: ProbeMaker;
  /** Told of every change of an instance's health: whoever runs the processes wants to know. */
  readonly onState?: (id: string, state: HealthState) => void;
  /** Somebody who waits may be served: an instance came up, or has less to do. */
  readonly onRoom?: () => void;
}

export interface MemberStatus {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly state: HealthState;
  /** Milliseconds in this state. */
  readonly forMs: number;
  readonly active: number;
  readonly connections: number;
  /** Decaying average of the time to an answer; -1 before the first. */
  readonly latencyMs: number;
}

interface Entry<M extends Member> {
  readonly member: M;
  readonly prober: Prober;
  /** Set while draining: called once when nothing is under way. */
  drained: (() => void) | null;
}

const none: readonly Member[] = [];

export class Pool<M extends Member = Member> implements MemberOwner {
  readonly name: string;
  readonly balance: BalanceName;
  readonly #options: PoolOptions;
  readonly #make: (address: MemberAddress, owner: MemberOwner, now: number) => M;
  readonly #clock: Clock;
  readonly #health: HealthOptions;
  readonly #rules: HealthRules;
  readonly #policy: Policy;
  readonly #entries = new Map<string, Entry<M>>();
  /** The entries' members, as policies want them. */
  #members: M[] = [];
  /** Removed, but with something still under way. */
  readonly #leaving = new Set<M>();
  #closed = false;

  /** `make` says what a member is: `(address, owner, now) => new Member(address, owner, now)`, or a class of one's own. */
  constructor(options: PoolOptions, make: (address: MemberAddress, owner: MemberOwner, now: number) => M) {
    this.name = options.name;
    this.balance = options.balance ?? "least-busy";
    this.#options = options;
    this.#make = make;
    this.#clock = options.clock;
    this.#health = { ...defaultHealth, ...options.health };
    this.#rules = { ...defaultHealthRules, ...options.healthRules };
    this.#policy = createPolicy(this.balance);
  }

  /* ---------------------------------------------------------------- who is in it */

  /** Takes in an instance: it is probed at once and used after its first good answer. False when the id is known. */
  add(address: MemberAddress): boolean {
    if (this.#closed || this.#entries.has(address.id)) return false;
    const member = this.#make(address, this, this.#clock.now());
    const { clock, random, probe } = this.#options;
    const ask = probe ?? defaultProbe(this.#health, clock);
    const prober = new Prober(member, this.#health, clock, random, ask, (passed, why) =>
      this.#onProbed(member, passed, why),
    );
    this.#entries.set(address.id, { member, prober, drained: null });
    this.#members.push(member);
    return true;
  }

  /** Gives it nothing new; `done` is called once, when nothing is under way there (at once for an unknown id). */
  drain(id: string, done: () => void): void {
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
    this.#judge(member, onDrain(member.health, this.#clock.now()), "asked to drain");
    member.retire();
    this.#checkDrained(member);
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
   * The instance for the next request, or null when none can be used; `begin` it when it is. `key` is what the policy
   * `hash` goes by. `tried` are left out.
   */
  pick(key: string, tried: readonly Member[] = none, now = this.#clock.now()): M | null {
    return this.#policy.pick(this.#members, now, key, tried);
  }

  /** True when an instance is up, or may be within `patienceMs`: whoever finds none had better wait than fail. */
  isPromising(patienceMs: number): boolean {
    const now = this.#clock.now();
    for (const { health } of this.#members) {
      if (health.state === HealthState.up || isPromising(health, now, patienceMs)) return true;
    }
    return false;
  }

  /* ---------------------------------------------------------------- what is thought of them */

  #onProbed(member: M, passed: boolean, why: string): void {
    const health = onProbe(member.health, passed, this.#clock.now(), this.#rules);
    this.#judge(member, health, why === "" ? "probe passed" : `probe: ${why}`);
  }

  onMemberTrial(member: Member, now: number): void {
    member.health = onTrial(member.health, now, this.#rules);
  }

  onMemberFailed(member: Member, why: string): void {
    this.#judge(member, onRequestFailed(member.health, this.#clock.now(), this.#rules), `request: ${why}`);
  }

  onMemberAnswered(member: Member, health: Health): void {
    this.#judge(member, health, "request answered");
  }

  onMemberFreed(member: Member): void {
    if (member.health.state === HealthState.draining) this.#checkDrained(member);
    if (this.#leaving.size > 0 && member.connectionCount === 0) this.#leaving.delete(member as M);
    this.#options.onRoom?.();
  }

  #judge(member: Member, health: Health, why: string): void {
    const before = member.health;
    if (health === before) return;
    member.health = health;
    if (health.state === before.state) return;
    const { logger } = this.#options;
    const fields = { service: this.name, instance: member.id, state: health.state, was: before.state, why };
    if (health.state === HealthState.down) logger.warn(fields, "instance is down");
    else logger.info(fields, `instance is ${health.state}`);
    const entry = this.#entries.get(member.id);
    if (health.state === HealthState.down && entry?.member === member) entry.prober.hurry();
    this.#options.onState?.(member.id, health.state);
    if (health.state === HealthState.up) this.#options.onRoom?.();
  }

  #checkDrained(member: Member): void {
    const entry = this.#entries.get(member.id);
    if (entry?.member !== member || entry.drained === null || member.active > 0) return;
    const done = entry.drained;
    entry.drained = null;
    done();
  }

  /* ---------------------------------------------------------------- the whole */

  status(): MemberStatus[] {
    const now = this.#clock.now();
    return this.#members.map((member) => ({
      id: member.id,
      host: member.host,
      port: member.port,
      weight: member.weight,
      state: member.health.state,
      forMs: Math.round(now - member.health.since),
      active: member.active,
      connections: member.connectionCount,
      latencyMs: member.latencyMs,
    }));
  }

  /** Stops probing and ends what is under way. */
  close(): void {
    this.#closed = true;
    for (const { prober } of this.#entries.values()) prober.stop();
    for (const member of [...this.#members, ...this.#leaving]) member.destroy();
  }
}
