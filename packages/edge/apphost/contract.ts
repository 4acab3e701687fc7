/**
 * What the apphost is told and what it tells: services, instances and their states. Whether an instance is ready is
 * decided outside (a prober); how its requests are let go is decided outside too (balancing and proxy).
 */
import type { Clock, Logger, Random } from "@tideway/base";

/**
 * starting → ready → draining → stopped; ready → starting when its probes fail; starting or ready → failed when it ended
 * unasked or was too slow, and from there to starting again after a while.
 */
export const InstanceState = {
  /** Its process runs; its port does not answer yet, or no longer. */
  starting: "starting",
  /** In service. */
  ready: "ready",
  /** Gets no new requests; those under way are finished. */
  draining: "draining",
  /** Ended because it was asked to. */
  stopped: "stopped",
  /** Ended unasked; it starts again when its wait is over. */
  failed: "failed",
} as const;
export type InstanceState = (typeof InstanceState)[keyof typeof InstanceState];

export interface ServiceSpec {
  /** Program and arguments; run by `/bin/sh` only when it needs one. */
  readonly command: string;
  /** Where it runs. */
  readonly cwd: string;
  /** Added to Tideway's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** 1 unless given. */
  readonly instances?: number;
  /** An instance that is not ready by then is replaced; 30 s unless given. */
  readonly startTimeoutMs?: number;
  /** From SIGTERM to SIGKILL; 10 s unless given. */
  readonly stopTimeoutMs?: number;
  /** How long requests under way may keep an instance from being stopped; 30 s unless given. */
  readonly drainTimeoutMs?: number;
  /** `TIDEWAY_LINK`: the hub's address for this application; not set when it has no real-time side. */
  readonly link?: string;
}

export interface InstanceAddress {
  readonly service: string;
  /** `web-1`: unique at any time, and used again. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
}

/** What the apphost needs of whoever probes and balances. Called in the order onInstance → drain? → onGone, per instance. */
export interface InstanceObserver {
  /** A process was started and will listen there: probe it, and call `ready(id)` on the apphost when it answers. */
  onInstance(instance: InstanceAddress): void;
  /** Give it no more requests; resolves when those under way are finished. */
  drain(id: string): Promise<void>;
  /** Its process has ended. */
  onGone(id: string): void;
}

export interface InstanceStatus extends InstanceAddress {
  readonly state: InstanceState;
  readonly pid: number | null;
  /** Starts after the first. */
  readonly restarts: number;
  /** Milliseconds since it became ready; null when it is not. */
  readonly readyForMs: number | null;
  /** How its last run ended, in words; empty when none has. */
  readonly lastExit: string;
}

export interface AppHostOptions {
  readonly services: Readonly<Record<string, ServiceSpec>>;
  readonly observer: InstanceObserver;
  /** Directory for `instances.json`. */
  readonly data: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What instances inherit; the process's own environment unless given. */
  readonly env?: NodeJS.ProcessEnv;
}

export interface AppHost {
  /**
   * Starts every instance of every service; resolves when each service has one that is ready. When a service cannot be
   * started at all, everything is stopped again and it rejects with START_SERVICE_FAILED.
   */
  start(): Promise<void>;
  /** Drains and ends every instance; resolves when no process is left. */
  stop(): Promise<void>;
  status(): InstanceStatus[];
  /** From the prober: it answers (again), or it does not. Unknown ids are ignored: news may cross with an end. */
  ready(id: string): void;
  notReady(id: string): void;
  /** Drains and ends one instance and starts it anew; resolves when it is ready. */
  restart(id: string): Promise<void>;
  /**
   * Replaces a service's instances one by one: start a new one, wait until it is ready, drain the old one. When a new one
   * does not become ready it rejects with START_SERVICE_FAILED, and the old ones go on.
   */
  replace(service: string): Promise<void>;
  /**
   * From now on these are the services. New ones are started; those with another specification are replaced one by one, as
   * in `replace`; more instances are started, or those too many drained, when only their number differs; what is the same
   * is not touched. First everything new must be ready: each new service with one instance, each changed one with one of
   * its new instances. Only then do old ones drain, and last the services that are no longer named are drained and ended.
   *
   * Rejects with START_SERVICE_FAILED when something new does not become ready; then all is as it was: what was new is
   * ended, and what was replaced meanwhile is replaced back. Calls of `configure` and `replace` wait for one another; both
   * are refused before `start` and after `stop`. The observer must know a new service before, an old one until it resolves.
   */
  configure(services: Readonly<Record<string, ServiceSpec>>): Promise<void>;
}
