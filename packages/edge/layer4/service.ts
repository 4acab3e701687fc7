/**
 * Owns a TCP or UDP service: its instances (as they are configured, named or added), their health, and the choice of one for each
 * connection or session. Refuses to know sockets of clients. It is to these listeners what `Service` of `edge/upstream`
 * is to a proxy, and says the same of itself.
 */
import type { Clock, Logger, Random } from "@tideway/base";
import { BreakerState, type HealthState } from "@tideway/engine/balancing";
import {
  applyDifference,
  type MemberAddress,
  Pool,
  type PoolSettings,
  type Resolve,
  type ServiceCounters,
  type ServiceStatus,
  systemResolve,
  type UpstreamAddress,
  Upstreams,
} from "../upstream/index.ts";
import { Layer4Member, type Line } from "./member.ts";
import { Probing } from "./probing.ts";

export type Transport = "tcp" | "udp";

/** What an operator may say; what a running service takes with `configure`. */
export interface Layer4Settings extends PoolSettings {
  /** The servers behind; unless given, somebody calls `add` and `remove`. */
  readonly upstreams?: readonly UpstreamAddress[];
  /** The port that is asked how an instance does, over TCP or HTTP as `health` says; its own unless given. */
  readonly healthPort?: number;
  /**
   * How long what is under way may go on at an instance that drains or is gone from the configuration. 0, the default of TCP:
   * until it ends by itself. UDP: 60 s unless given, for a session may have no end.
   */
  readonly drainMs?: number;
}

export interface Layer4Options extends Layer4Settings {
  /** As in the configuration. */
  readonly name: string;
  /** Instances of a UDP service are not asked how they do unless `health` or `healthPort` is given: see `probing.ts`. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** How names among the upstreams are resolved; as the system does unless given. */
  readonly resolve?: Resolve;
  /** Told of every change of an instance's health. */
  readonly onState?: (id: string, state: HealthState) => void;
}

const drainDefaults: Readonly<Record<Transport, number>> = { tcp: 0, udp: 60_000 };
const nobody: ReadonlyMap<string, MemberAddress> = new Map();
const untried: readonly Layer4Member[] = [];

export class Layer4Service {
  readonly name: string;
  readonly transport: Transport;
  readonly #clock: Clock;
  readonly #pool: Pool<Layer4Member>;
  readonly #probing: Probing;
  readonly #upstreams: Upstreams;
  #settings: Layer4Settings;
  /** What `#upstreams` has brought into the pool. */
  #resolved = nobody;
  readonly #counts = { requests: 0, retries: 0, unavailable: 0, breakerRefusals: 0 };

  constructor(options: Layer4Options) {
    const { name, transport, clock, random, logger, resolve = systemResolve } = options;
    this.name = name;
    this.transport = transport;
    this.#clock = clock;
    this.#settings = options;
    this.#probing = new Probing(clock, transport === "tcp", options);
    const drainMs = () => this.#settings.drainMs ?? drainDefaults[transport];
    this.#pool = new Pool(
      { ...options, probe: this.#probing.ask },
      (address, owner) => new Layer4Member(address, owner, clock, drainMs),
    );
    this.#upstreams = new Upstreams({ name, clock, random, logger, resolve, onChange: () => this.#onUpstreams() });
    if (options.upstreams !== undefined) this.#upstreams.set(options.upstreams);
  }

  /** All settings anew; what is left out has its default again. What is under way stays where it is. */
  configure(settings: Layer4Settings): void {
    this.#settings = settings;
    this.#pool.configure(settings);
    this.#probing.configure(settings);
    if (settings.upstreams !== undefined) this.#upstreams.set(settings.upstreams);
  }

  /** The header that goes ahead of each connection, as configured now. */
  get proxyProtocol(): "v1" | "v2" | undefined {
    return this.#settings.proxyProtocol;
  }

  /* ---------------------------------------------------------------- instances */

  /** Takes in an instance. False when the id is known. */
  add(address: MemberAddress): boolean {
    return this.#pool.add(address);
  }

  setWeight(id: string, weight: number): boolean {
    return this.#pool.setWeight(id, weight);
  }

  /** Gives it nothing new; `done` is called once, when nothing is under way there: after `drainMs` at the latest. */
  drain(id: string, done?: () => void): void {
    this.#pool.drain(id, done);
  }

  undrain(id: string): boolean {
    return this.#pool.undrain(id);
  }

  /** Forgets it. What is under way there goes on for `drainMs`. */
  remove(id: string): void {
    this.#pool.remove(id);
  }

  #onUpstreams(): void {
    const before = this.#resolved;
    this.#resolved = this.#upstreams.instances();
    applyDifference(this, before, this.#resolved);
  }

  /* ---------------------------------------------------------------- the choice */

  /** An instance for `line`, which is under way there until it leaves; null when none can be used. `tried` are left out. */
  take(line: Line, address: string, tried: readonly Layer4Member[] = untried): Layer4Member | null {
    const now = this.#clock.now();
    const isFirst = tried.length === 0;
    if (isFirst) this.#counts.requests++;
    if (isFirst && this.#pool.breaker?.admits(now) === false) {
      this.#counts.breakerRefusals++;
      return null;
    }
    const member = this.#pool.pick(this.#pool.hashBy === "address" ? address : "", tried, now);
    if (member === null) {
      if (isFirst) this.#counts.unavailable++;
      return null;
    }
    if (!isFirst) {
      this.#counts.retries++;
      member.retries++;
    }
    member.join(line, now);
    return member;
  }

  /* ---------------------------------------------------------------- the whole */

  status(): ServiceStatus {
    const { balance, breaker } = this.#pool;
    return {
      name: this.name,
      balance,
      waiting: 0,
      breaker: breaker?.stateAt(this.#clock.now()) ?? BreakerState.closed,
      instances: this.#pool.status().map((status) => ({ ...status, idle: 0 })),
      names: this.#upstreams.status(),
    };
  }

  /** A request is a connection or session here. */
  counters(): ServiceCounters {
    const { failures, ejections, breaker, members } = this.#pool;
    const instances = members.map(({ id, requests, retries, failures: failed, ejections: ejected }) => {
      return { id, requests, retries, failures: failed, ejections: ejected };
    });
    const nothingWaits = { queued: 0, queueTimeouts: 0, queueRefusals: 0 };
    const breakerOpenings = breaker?.openings ?? 0;
    return { ...this.#counts, ...nothingWaits, failures, ejections, breakerOpenings, instances };
  }

  /** Stops probing, and ends everything that is under way. */
  close(): void {
    this.#upstreams.close();
    this.#pool.close();
  }
}
