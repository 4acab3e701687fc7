/**
 * Owns one instance as its pool sees it, whatever protocol it speaks: where it is, how it does, how much it has to do. A
 * TCP or UDP service uses it as it is; HTTP's `Instance` adds connections. Refuses to choose and to judge.
 *
 * One use of it: `begin`, then `answered` or `failed` (or neither, when it says nothing about the instance), then `end`.
 */
import { type Health, HealthState, Load, onRequestAnswered } from "@tideway/engine/balancing";

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
  /** It is given a request although it is down: a trial. */
  onMemberTrial(member: Member, now: number): void;
  /** An answer changes what is thought of its health. */
  onMemberAnswered(member: Member, health: Health): void;
  onMemberFailed(member: Member, why: string): void;
  /** It has less to do than before: somebody who waits may be served. */
  onMemberFreed(member: Member): void;
}

export class Member extends Load {
  readonly host: string;
  readonly port: number;
  readonly #owner: MemberOwner;

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
    if (this.health.state === HealthState.down) this.#owner.onMemberTrial(this, now);
  }

  /** It is over, in whatever way. */
  end(): void {
    this.active--;
    this.freed();
  }

  /** It answered after `ms`: a response's head, a connection that came about. */
  answered(ms: number, now: number): void {
    this.measured(ms, now);
    const health = onRequestAnswered(this.health, now);
    if (health !== this.health) this.#owner.onMemberAnswered(this, health);
  }

  /** It did not answer: counts towards its ejection. `why` is for the log. */
  failed(why: string): void {
    this.#owner.onMemberFailed(this, why);
  }

  protected freed(): void {
    this.#owner.onMemberFreed(this);
  }

  /** It drains or was removed: nothing is kept for reuse any more. For those that keep something. */
  retire(): void {}

  /** Ends whatever is under way there. For those that know how. */
  destroy(): void {}
}
