/**
 * Owns what is thought of the instances of one service: it brings what probes and requests tell to the rules of
 * `engine/balancing`, and says what has changed. Refuses to probe and to choose.
 */
import type { Clock, Logger } from "@tideway/base";
import {
  Breaker,
  DownCause,
  defaultBreakerRules,
  type Health,
  type HealthRules,
  HealthState,
  includesStatus,
  maySpare,
  Outcomes,
  onEjected,
  onProbe,
  onRequestFailed,
  onSpared,
  onTrial,
  slowest,
} from "@tideway/engine/balancing";
import type { Member, MemberOwner } from "./member.ts";
import { defaultEject, defaultHealth, type EjectOptions, healthRules, type PoolSettings } from "./settings.ts";

/** How often latencies are compared. */
const compareEveryMs = 500;

export interface JudgeHooks {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The service's name, for the log. */
  readonly name: string;
  /** All that are not removed. */
  members(): readonly Member[];
  /** Its state is another one now. */
  changed(member: Member): void;
  /** Something speaks against it, but it stays: a probe should find out. */
  doubted(member: Member): void;
  /** It has less to do than before. */
  freed(member: Member): void;
}

export class Judge implements MemberOwner {
  readonly #hooks: JudgeHooks;
  rules: HealthRules;
  watches = false;
  /** Null: the service has none. */
  breaker: Breaker | null = null;
  /** Since the start, those of removed instances included. */
  failures = 0;
  ejections = 0;
  #eject: EjectOptions = defaultEject;
  #slowStartMs = 0;
  #comparedAt = 0;

  constructor(hooks: JudgeHooks, settings: PoolSettings) {
    this.#hooks = hooks;
    this.rules = healthRules(defaultHealth, defaultEject);
    this.configure(settings);
  }

  configure({ health, eject, slowStartMs, breaker }: PoolSettings): void {
    const rules = { ...defaultEject, ...eject };
    if (rules.windowMs !== this.#eject.windowMs) for (const member of this.#hooks.members()) member.outcomes = null;
    this.#eject = rules;
    this.#slowStartMs = slowStartMs ?? 0;
    this.rules = healthRules({ ...defaultHealth, ...health }, rules);
    const breakerRules = breaker === undefined ? null : { ...defaultBreakerRules, ...breaker };
    // The same rules: it keeps what it knows.
    if (JSON.stringify(breakerRules) !== JSON.stringify(this.breaker?.rules ?? null))
      this.breaker = breakerRules === null ? null : new Breaker(breakerRules);
    this.watches =
      rules.statuses.length > 0 || rules.failureShare > 0 || rules.latencyFactor > 0 || breakerRules !== null;
  }

  /* ---------------------------------------------------------------- what is told */

  onProbed(member: Member, passed: boolean, why: string): void {
    const health = onProbe(member.health, passed, this.#hooks.clock.now(), this.rules);
    const text = why === "" ? "probe passed" : `probe: ${why}`;
    this.#settle(member, health, text);
    if (!passed && member.health.state !== HealthState.up) this.#doesNotAnswer(member, text);
  }

  /** It was not used before: that it still does not answer is told once for each reason. */
  #doesNotAnswer(member: Member, why: string): void {
    if (member.why === why) return;
    member.why = why;
    if (member.health.state !== HealthState.checking) return;
    this.#hooks.logger.info({ service: this.#hooks.name, instance: member.id, why }, "instance does not answer yet");
  }

  onMemberTrial(member: Member, now: number): void {
    member.health = onTrial(member.health, now, this.rules);
  }

  onMemberAnswered(member: Member, status: number, startedAt: number, now: number): void {
    if (status !== 0 && includesStatus(this.#eject.statuses, status)) {
      member.failures++;
      this.#failed(member, `status ${status}`, DownCause.failing, startedAt, now);
      return;
    }
    this.breaker?.record(true, startedAt, now);
    if (this.#eject.failureShare > 0) this.#outcomesOf(member).add(true, now);
    member.wentWell(startedAt, now);
    if (this.#eject.latencyFactor > 0 && now - this.#comparedAt >= compareEveryMs) this.#compare(now);
  }

  onMemberHealth(member: Member, health: Health): void {
    this.#settle(member, health, "request answered");
  }

  onMemberFailed(member: Member, why: string, gone: boolean, startedAt: number): void {
    this.#failed(member, why, gone ? DownCause.gone : DownCause.unanswered, startedAt, this.#hooks.clock.now());
  }

  onMemberBrokeOff(member: Member, startedAt: number): void {
    const now = this.#hooks.clock.now();
    this.failures++;
    this.breaker?.record(false, startedAt, now);
    if (startedAt >= member.health.since) this.#countShare(member, now);
  }

  onMemberFreed(member: Member): void {
    this.#hooks.freed(member);
  }

  /* ---------------------------------------------------------------- what follows */

  #failed(member: Member, why: string, cause: DownCause, startedAt: number, now: number): void {
    this.failures++;
    this.breaker?.record(false, startedAt, now);
    // What began before it came up (again) says nothing about it as it is now.
    if (startedAt < member.health.since) return;
    const health = onRequestFailed(member.health, now, this.rules, cause);
    if (health.state === HealthState.down && member.health.state === HealthState.up)
      this.#takeOut(member, health, `request: ${why}`);
    else {
      this.#settle(member, health, why);
      this.#countShare(member, now);
    }
  }

  #countShare(member: Member, now: number): void {
    const { failureShare, requestsMin } = this.#eject;
    if (failureShare <= 0 || member.health.state !== HealthState.up) return;
    const outcomes = this.#outcomesOf(member);
    outcomes.add(false, now);
    const share = outcomes.failureShare(now, requestsMin);
    if (share >= failureShare)
      this.#takeOut(
        member,
        onEjected(member.health, now, this.rules, DownCause.failing),
        `${Math.round(share * 100)} % of its requests failed`,
      );
  }

  #compare(now: number): void {
    this.#comparedAt = now;
    const member = slowest(this.#hooks.members(), this.#eject) as Member | null;
    if (member === null) return;
    const why = `latency ${Math.round(member.latencyMs)} ms, far more than the others'`;
    this.#takeOut(member, onEjected(member.health, now, this.rules, DownCause.slow), why);
  }

  /** Takes it out, unless the others need it. One that is gone is of no use to anybody: that is no question of sparing. */
  #takeOut(member: Member, health: Health, why: string): void {
    if (health.cause !== DownCause.gone && !maySpare(this.#hooks.members(), member, this.#eject)) {
      member.health = onSpared(member.health);
      member.outcomes?.clear();
      const fields = { service: this.#hooks.name, instance: member.id, why };
      this.#hooks.logger.debug(fields, "instance is kept, for the others are too few");
      this.#hooks.doubted(member);
      return;
    }
    member.ejections++;
    this.ejections++;
    this.#settle(member, health, why);
  }

  /** Its health is this from now on. */
  #settle(member: Member, health: Health, why: string): void {
    const before = member.health;
    if (health === before) return;
    member.health = health;
    if (health.state === before.state) return;
    member.why = why;
    if (health.state === HealthState.up) {
      member.cameUp(health.since, this.#slowStartMs);
      member.outcomes?.clear();
    }
    const { logger, name } = this.#hooks;
    const fields = { service: name, instance: member.id, state: health.state, was: before.state, why };
    if (health.state === HealthState.down) logger.warn(fields, "instance is down");
    else logger.info(fields, `instance is ${health.state}`);
    this.#hooks.changed(member);
  }

  /** Somebody has decided it: to drain, or not to any more. */
  decide(member: Member, health: Health, why: string): void {
    this.#settle(member, health, why);
  }

  #outcomesOf(member: Member): Outcomes {
    member.outcomes ??= new Outcomes(this.#eject.windowMs);
    return member.outcomes;
  }
}
