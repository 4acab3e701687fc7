/**
 * Owns one instance as its pool sees it, whatever protocol it speaks: where it is, how it does, how much it has to do. A
 * TCP or UDP service uses it as it is; HTTP's `Instance` adds connections. Refuses to choose and to judge.
 *
 * One use of it: `begin`, then `answered` or `failed` (or neither, when it says nothing about the instance), then `end`.
 */
import {
  type Health,
  type HealthRules,
  HealthState,
  Load,
  type Outcomes,
  onRequestAnswered,
} from "@tideway/engine/balancing";

export interface MemberAddress {
  /** Unique within its service: what logs and `status` call it. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** Share of the traffic relative to the others, above 0; 1 unless given. */
  readonly weight?: number;
}

/** What a member tells its pool. */
export interface MemberOwner {
  readonly rules: HealthRules;
  /** Answers are looked at one by one: statuses, shares or latencies are reasons for something. */
  readonly watches: boolean;
  /** It is given a request although it is down: a trial. */
  onMemberTrial(member: Member, now: number): void;
  /** Only while `watches`. `status` is 0 where the protocol has none. */
  onMemberAnswered(member: Member, status: number, startedAt: number, now: number): void;
  /** An answer changes what is thought of its health. */
  onMemberHealth(member: Member, health: Health): void;
  onMemberFailed(member: Member, why: string, gone: boolean, startedAt: number): void;
  onMemberBrokeOff(member: Member, startedAt: number): void;
  /** It has less to do than before: somebody who waits may be served. */
  onMemberFreed(member: Member): void;
}

export class Member extends Load {
  readonly host: string;
  readonly port: number;
  readonly #owner: MemberOwner;
  /** What brought it into its state, for a person to read. */
  why = "not checked yet";
  /** Requests that were given to it; of them, those that came after another try; those that failed; times that it was ejected. */
  requests = 0;
  retries = 0;
  failures = 0;
  ejections = 0;
  /** Of late, while shares of failures are looked at. */
  outcomes: Outcomes | null = null;

  constructor(address: MemberAddress, owner: MemberOwner, now: number) {
    super(address.id, address.weight ?? 1, now);
    this.host = address.host;
    this.port = address.port;
    this.#owner = owner;
  }

  /** Open connections, for `status`; what is under way, unless somebody knows better. */
  get connectionCount(): number {
    return this.active;
  }

  /** A request, connection or session begins there. */
  begin(now: number): void {
    this.active++;
    this.requests++;
    if (this.health.state === HealthState.down) this.#owner.onMemberTrial(this, now);
  }

  /** It is over, in whatever way. */
  end(): void {
    this.active--;
    this.freed();
  }

  /** It answered after `ms`: a response's head with its status, or a connection that came about (0). */
  answered(ms: number, now: number, status = 0): void {
    this.measured(ms, now);
    if (this.#owner.watches) this.#owner.onMemberAnswered(this, status, now - ms, now);
    else this.wentWell(now - ms, now);
  }

  /** What began at `startedAt` speaks for its health. */
  wentWell(startedAt: number, now: number): void {
    const health = onRequestAnswered(this.health, startedAt, now, this.#owner.rules);
    if (health !== this.health) this.#owner.onMemberHealth(this, health);
  }

  /**
   * It did not answer: counts towards its ejection. `why` is for the log; `gone`: not even a connection came about;
   * `startedAt`: when what it did not answer began, for that may be before it last came up.
   */
  failed(why: string, gone = false, startedAt = Number.POSITIVE_INFINITY): void {
    this.failures++;
    this.#owner.onMemberFailed(this, why, gone, startedAt);
  }

  /**
   * It broke off an answer. Counted, and part of the share that fails; but no reason to eject it for failures in a row: there
   * are servers that end every stream like that.
   */
  brokeOff(startedAt: number): void {
    this.failures++;
    this.#owner.onMemberBrokeOff(this, startedAt);
  }

  protected freed(): void {
    this.#owner.onMemberFreed(this);
  }

  /** It drains or was removed: nothing is kept for reuse any more. For those that keep something. */
  retire(): void {}

  /** It is used again after all. */
  reinstate(): void {}

  /** Ends whatever is under way there. For those that know how. */
  destroy(): void {}
}
