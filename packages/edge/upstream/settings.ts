/**
 * What an operator may say about a service, with every default. A running service takes new settings with `configure`:
 * what is left out there has its default again. No behaviour here.
 */
import { limits } from "@tideway/base";
import {
  type Balance,
  type BreakerRules,
  defaultEjectionRules,
  defaultHealthRules,
  type EjectionRules,
  type HealthRules,
  type Statuses,
} from "@tideway/engine/balancing";
import type { UpstreamLimits, WhenDown } from "./contract.ts";
import type { ProxyVersion } from "./header.ts";
import type { StickyOptions } from "./sticky.ts";

/** How instances are probed, and how many answers in a row count. */
export interface HealthOptions {
  /** What to ask for; empty, the default: it is enough that the port takes a connection. */
  readonly path: string;
  /** GET unless given. */
  readonly method: "GET" | "HEAD";
  /** The `host` field of a probe; the instance's own address unless given. */
  readonly host: string;
  /** Statuses that pass; 200–399 unless given. */
  readonly status: Statuses;
  /** What the first 64 KiB of the body must contain; empty, the default: the body is not looked at. */
  readonly body: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  /** Share of the interval by which it varies either way. */
  readonly jitter: number;
  /** Probes in a row that must pass before an instance is used. */
  readonly rise: number;
  /** Probes in a row that must fail before an instance that is up is down. */
  readonly fall: number;
}

export const defaultHealth: HealthOptions = Object.freeze<HealthOptions>({
  path: "",
  method: "GET",
  host: "",
  status: [[200, 399]],
  body: "",
  everyMs: 2_000,
  timeoutMs: 2_000,
  jitter: 0.1,
  rise: defaultHealthRules.riseProbes,
  fall: defaultHealthRules.fallProbes,
});

/** When an instance is taken out for how requests fare there. */
export interface EjectOptions extends EjectionRules {
  /** Failures in a row; 0: no number of them. */
  readonly failures: number;
  /** How long at first; each further ejection doubles it, up to `backoffMaxMs`. */
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
}

export const defaultEject: EjectOptions = Object.freeze({
  ...defaultEjectionRules,
  failures: defaultHealthRules.failuresMax,
  backoffMs: defaultHealthRules.backoffMs,
  backoffMaxMs: defaultHealthRules.backoffMaxMs,
});

/** The two of them as `engine/balancing` wants them. */
export function healthRules(health: HealthOptions, eject: EjectOptions): HealthRules {
  const { backoffMs, backoffMaxMs } = eject;
  return {
    riseProbes: health.rise,
    fallProbes: health.fall,
    failuresMax: eject.failures,
    backoffMs,
    backoffMaxMs: Math.max(backoffMs, backoffMaxMs),
  };
}

/** What holds for a pool of instances of any protocol. */
export interface PoolSettings {
  /** `least-busy` unless given. */
  readonly balance?: Balance;
  readonly health?: Partial<HealthOptions>;
  readonly eject?: Partial<EjectOptions>;
  /** How long the weight of an instance that newly came up grows; 0 unless given: it has its whole weight at once. */
  readonly slowStartMs?: number;
  /** Requests, connections or sessions under way at one instance at once, upgraded ones not counted; no bound unless given. */
  readonly requestsMax?: number;
  /**
   * Connections begin with a header that names the client (probes: with one of the gateway's own). A connection then carries
   * the requests of one client connection only. None unless given.
   */
  readonly proxyProtocol?: ProxyVersion;
  /** Refuses at once while too many requests of the whole service fail; none unless given (`{}`: with its defaults). */
  readonly breaker?: Partial<BreakerRules>;
}

/** A server behind, as the configuration names it. */
export interface UpstreamAddress {
  /** An address, or a name: then each address that it has is an instance. */
  readonly host: string;
  readonly port: number;
  readonly weight?: number;
  /** What logs and `status` call it; `host:port` unless given. The instances of a name are called `id/address`. */
  readonly id?: string;
}

export interface ServiceSettings extends PoolSettings {
  /** The servers behind; unless given, whoever runs them calls `add` and `remove`. */
  readonly upstreams?: readonly UpstreamAddress[];
  readonly limits?: Partial<UpstreamLimits>;
  /** Share of requests that may be retries; 0.2 unless given. */
  readonly retryBudget?: number;
  /** A client stays with the instance that answered it first, as long as that one is up. */
  readonly sticky?: StickyOptions;
  /** What clients are told while every instance is down. */
  readonly whenDown?: WhenDown;
}

export function upstreamLimits(settings: ServiceSettings): UpstreamLimits {
  return { ...limits, ...settings.limits };
}

export function retryShare(settings: ServiceSettings): number {
  return settings.retryBudget ?? limits.retryBudget;
}
