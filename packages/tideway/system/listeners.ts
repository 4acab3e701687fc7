/**
 * The HTTP listeners of the running configuration. Owns which addresses are open, and that a reload opens what is new,
 * leaves alone what stays, with all its connections, and lets go what is gone.
 */
import { type AddressRanges, limits as defaults, type GuardedExchange, parseAddressRanges } from "@tideway/base";
import { loopClock, systemRandom } from "@tideway/edge/clock";
import { type Census, createListener, type Listener, type ListenerChanges } from "@tideway/edge/listener";
import type { HttpListenerPlan, Plan } from "../config/index.ts";
import type { Change, ListenerReport } from "../console/index.ts";
import type { AccessLog } from "./access-log.ts";
import type { Log } from "./logs.ts";
import type { Metrics } from "./metrics.ts";
import type { Prepared } from "./prepared.ts";

/** Knows where the requests of one listener go. */
export interface Dispatcher {
  dispatch(exchange: GuardedExchange): void;
}

export type Dispatchers = ReadonlyMap<HttpListenerPlan, Dispatcher>;

interface OpenListener {
  readonly listener: Listener;
  readonly host: string;
  /** The port in use: where the configuration says 0, the one that was free. */
  readonly port: number;
  dispatcher: Dispatcher;
}

export interface ListenerSurroundings {
  readonly log: Log;
  readonly access: AccessLog;
  readonly metrics: Metrics;
  readonly census: Census;
}

/** How long connections of a removed listener may go on. */
const removedGraceMs = 60_000;

export class Listeners {
  readonly #surroundings: ListenerSurroundings;
  /** By `keyOf`. */
  readonly #open = new Map<string, OpenListener>();
  /** Removed, with requests still under way. */
  readonly #leaving = new Set<Promise<void>>();

  constructor(surroundings: ListenerSurroundings) {
    this.#surroundings = surroundings;
  }

  /** Fails as `prepare` would for an address that cannot be had, before anything else has happened. */
  async check(plan: Plan): Promise<void> {
    for (const entry of plan.http) {
      if (this.#open.has(keyOf(entry)) || entry.port === 0) continue;
      const trial = this.#create(plan, entry, () => {});
      await trial.listen();
      await trial.close({ graceMs: 0 });
    }
  }

  /** Opens what of `plan` is not open yet: requests go where `dispatchers` say at once there, elsewhere after the commit. */
  async prepare(plan: Plan, dispatchers: Dispatchers, goOn: () => void): Promise<Prepared> {
    const opened: string[] = [];
    const rollBack = () => this.#close(opened, 0);
    try {
      for (const entry of plan.http) {
        if (this.#open.has(keyOf(entry))) continue;
        goOn();
        await this.#openOne(plan, entry, dispatchers.get(entry)!);
        opened.push(keyOf(entry));
      }
    } catch (error) {
      await rollBack();
      throw error;
    }
    return { commit: (changes) => this.#commit(plan, dispatchers, opened, changes), rollBack };
  }

  async #openOne(plan: Plan, entry: HttpListenerPlan, dispatcher: Dispatcher): Promise<void> {
    const { metrics } = this.#surroundings;
    const listener = this.#create(plan, entry, (exchange) => {
      metrics.began(exchange.head.method);
      open.dispatcher.dispatch(exchange);
    });
    const bound = await listener.listen();
    const open: OpenListener = { listener, ...bound, dispatcher };
    this.#open.set(keyOf(entry), open);
  }

  #create(plan: Plan, entry: HttpListenerPlan, onExchange: (exchange: GuardedExchange) => void): Listener {
    const { log, access, metrics, census } = this.#surroundings;
    const movable = entry.index === plan.http[0]?.index ? ", or set PORT in the environment" : "";
    return createListener({
      ...changesOf(plan, entry),
      host: entry.host,
      port: entry.port,
      clock: loopClock,
      random: systemRandom,
      logger: log,
      census,
      onExchange,
      onRecord: (record) => {
        metrics.record(record);
        access.record(record);
      },
      onUpgradeEnd: access.upgradeEnded,
      hint: `Change listen[${entry.index}].port in the configuration${movable}.`,
    });
  }

  #commit(plan: Plan, dispatchers: Dispatchers, opened: readonly string[], changes: Change[]): void {
    const wanted = new Set(plan.http.map(keyOf));
    for (const entry of plan.http) {
      const open = this.#open.get(keyOf(entry))!;
      open.dispatcher = dispatchers.get(entry)!;
      if (opened.includes(keyOf(entry))) changes.push({ what: "listener", name: nameOf(open), how: "added" });
      else open.listener.reconfigure(changesOf(plan, entry));
    }
    for (const [key, open] of this.#open) {
      if (wanted.has(key)) continue;
      changes.push({ what: "listener", name: nameOf(open), how: "removed" });
      const leaving = this.#close([key], removedGraceMs);
      this.#leaving.add(leaving);
      void leaving.then(() => this.#leaving.delete(leaving));
    }
  }

  async #close(keys: readonly string[], graceMs: number): Promise<void> {
    const closing = keys.map((key) => {
      const open = this.#open.get(key);
      this.#open.delete(key);
      return open?.listener.close({ graceMs });
    });
    await Promise.all(closing);
  }

  /** All at once, for one time of grace. */
  async close(graceMs: number): Promise<void> {
    await this.#close([...this.#open.keys()], graceMs);
  }

  addressOf(entry: HttpListenerPlan): { readonly host: string; readonly port: number } | null {
    return this.#open.get(keyOf(entry)) ?? null;
  }

  report(): ListenerReport[] {
    return [...this.#open.values()].map((open) => ({ address: nameOf(open), ...open.listener.counters }));
  }
}

/** What may change while a listener is open. */
function changesOf({ limits, trust }: Plan, { proxyProtocol }: HttpListenerPlan): Required<ListenerChanges> {
  const { bodyBytesMax: _, connectionsMax: _c, connectionsPerAddressMax: _p, ...ofOne } = limits;
  return { limits: { ...defaults, ...ofOne }, trusts: trust, proxyProtocol: proxyProtocolOf(proxyProtocol) };
}

/** `from` was checked. */
export function proxyProtocolOf(said: HttpListenerPlan["proxyProtocol"]): boolean | AddressRanges {
  if (typeof said === "boolean") return said;
  const parsed = parseAddressRanges(said.from);
  return parsed.ok && parsed.ranges;
}

function nameOf({ host, port }: OpenListener): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Two entries with one key are one open listener. Of those that take any free port, each has its place in the list. */
export function keyOf({ host, port, index }: HttpListenerPlan): string {
  return port === 0 ? `${host}:0 at ${index}` : `${host}:${port}`;
}
