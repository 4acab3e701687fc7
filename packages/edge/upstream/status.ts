/**
 * What a service says of itself: for people (`status`) and for whoever measures (`counters`). Shapes and their making only.
 */
import { type Balance, BreakerState, DownCause, HealthState } from "@tideway/engine/balancing";
import type { Member } from "./member.ts";

export interface MemberStatus {
  readonly id: string;
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  /** Less than its weight while it starts slowly. */
  readonly weightNow: number;
  readonly state: HealthState;
  /** What brought it into this state. */
  readonly why: string;
  /** Milliseconds in this state. */
  readonly forMs: number;
  readonly active: number;
  readonly connections: number;
  /** Decaying average of the time to an answer; -1 before the first. */
  readonly latencyMs: number;
  /** Of the instance alone: open while it is out for how requests fared, half-open when a trial is due. */
  readonly breaker: BreakerState;
  readonly requests: number;
  readonly retries: number;
  readonly failures: number;
  readonly ejections: number;
}

export interface InstanceStatus extends MemberStatus {
  /** Connections that wait for a request. */
  readonly idle: number;
}

/** A name among the upstreams, and what is known of it. */
export interface NameStatus {
  readonly name: string;
  readonly addresses: readonly string[];
  /** Why it was not resolved the last time; empty when it was. */
  readonly fault: string;
  /** Milliseconds until it is asked again. */
  readonly nextMs: number;
}

export interface ServiceStatus {
  readonly name: string;
  readonly balance: Balance;
  readonly waiting: number;
  /** Of the whole service; closed when it has none. */
  readonly breaker: BreakerState;
  readonly instances: readonly InstanceStatus[];
  readonly names: readonly NameStatus[];
}

/** Counts since the service, or the instance, was made; whole numbers that only grow. */
export interface Counters {
  /** Of a service: requests that came. Of an instance: those that it was given, retries included. */
  readonly requests: number;
  /** Requests that were sent once more. Of an instance: those that it was given after another try. */
  readonly retries: number;
  /** No answer, or one whose status counts as none. */
  readonly failures: number;
  readonly ejections: number;
}

export interface ServiceCounters extends Counters {
  /** Requests that had to wait for an instance or a connection. */
  readonly queued: number;
  /** Of those, who waited in vain. */
  readonly queueTimeouts: number;
  /** Refused because too many waited already. */
  readonly queueRefusals: number;
  /** Refused because every instance was down. */
  readonly unavailable: number;
  /** Times that the breaker opened, and requests that it refused. */
  readonly breakerOpenings: number;
  readonly breakerRefusals: number;
  readonly instances: readonly (Counters & { readonly id: string })[];
}

export function memberStatus(member: Member, now: number): MemberStatus {
  const { id, host, port, weight, health, active, latencyMs, why, requests, retries, failures, ejections } = member;
  return {
    id,
    host,
    port,
    weight,
    weightNow: member.weightAt(now),
    state: health.state,
    why,
    forMs: Math.round(now - health.since),
    active,
    connections: member.connectionCount,
    latencyMs,
    breaker: breakerOf(member, now),
    requests,
    retries,
    failures,
    ejections,
  };
}

function breakerOf({ health }: Member, now: number): BreakerState {
  if (health.state !== HealthState.down || health.cause === DownCause.gone) return BreakerState.closed;
  return now >= health.trialAt ? BreakerState.halfOpen : BreakerState.open;
}
