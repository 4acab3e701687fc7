/**
 * The running system: every part of the plan put together, started in an order in which each finds what it needs, and
 * ended in the opposite one. Owns the wiring and nothing else: what a part does is its own room's.
 */
import { mkdirSync } from "node:fs";
import { type GuardedExchange, limits, OperatorError, type Target } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createListener, type Listener } from "@tideway/edge/listener";
import { createNameServer, type NameServer } from "@tideway/edge/nameserver";
import { lockDirectory } from "@tideway/edge/store";
import type { RouteMatch } from "@tideway/engine/routing";
import { type Plan, version } from "../config/index.ts";
import {
  type ControlServer,
  type RunningConsole,
  type ServiceReport,
  type StatusReport,
  serveControl,
  startConsole,
} from "../console/index.ts";
import { AccessLog } from "./access-log.ts";
import { answerMiss } from "./answers.ts";
import { Applications } from "./applications.ts";
import type { Log } from "./logs.ts";
import { Metrics } from "./metrics.ts";
import { RealtimeService } from "./realtime.ts";
import { FixedTargets } from "./targets.ts";

/** What a person or a program needs to reach the running system. */
export interface SystemAddresses {
  readonly listeners: readonly { readonly host: string; readonly port: number }[];
  /** A URL for each listener and site with a name of its own; the first is the listener's plain address. */
  readonly sites: readonly string[];
  readonly console: { readonly address: string; readonly tokenFile: string } | null;
  /** Host and port of the name server. */
  readonly names: string | null;
}

interface OpenListener {
  readonly listener: Listener;
  readonly host: string;
  readonly port: number;
}

export class System {
  readonly #plan: Plan;
  readonly #log: Log;
  readonly #access: AccessLog;
  readonly #metrics: Metrics;
  readonly #onFatal: (error: Error) => void;
  readonly #startedAt = systemClock.now();
  readonly #targets = new Map<RouteMatch, { readonly target: Target; readonly route: string }>();
  readonly #realtime = new Map<string, RealtimeService>();
  readonly #listeners: OpenListener[] = [];
  #applications: Applications | null = null;
  #nameServer: { server: NameServer; address: string } | null = null;
  #console: RunningConsole | null = null;
  #control: ControlServer | null = null;
  /** What was started, with how it is ended: the last first. */
  readonly #endings: ((graceMs: number) => Promise<void>)[] = [];
  /** Gives the data directory to whoever comes next. */
  #release: () => void = () => {};
  #starting: Promise<SystemAddresses> | null = null;
  #stopping: Promise<void> | null = null;

  /** `onFatal` is told of a fault after which the system must end, such as a disk that lost a write. */
  constructor(plan: Plan, log: Log, onFatal: (error: Error) => void) {
    this.#plan = plan;
    this.#log = log;
    this.#access = new AccessLog(log, systemClock);
    this.#metrics = new Metrics({ status: () => this.#report(), accessLog: () => this.#access.counters });
    this.#onFatal = onFatal;
  }

  /**
   * Resolves when every listener accepts and every application has an instance that serves; null when it was told to stop
   * before that. Rejects with an OperatorError.
   */
  async start(): Promise<SystemAddresses | null> {
    this.#starting = this.#startAll();
    try {
      return await this.#starting;
    } catch (error) {
      // Whatever fails in a start that was ended fails for that.
      if (this.#stopping !== null) return null;
      throw error;
    }
  }

  async #startAll(): Promise<SystemAddresses> {
    this.#takeData();
    this.#access.prepare(this.#plan.log.requests, this.#plan.root).commit();
    await this.#startRealtime();
    const applications = new Applications(this.#plan, this.#realtime, this.#log);
    this.#applications = applications;
    this.#endings.push(() => applications.stop());
    this.#buildTargets(applications);
    // Ports before applications: a taken port is said at once, and requests wait for the first instance.
    this.#goOn();
    await this.#startNames();
    this.#goOn();
    await this.#startConsole();
    this.#endings.push((graceMs) => this.#endListeners(graceMs));
    for (const index of this.#plan.listen.keys()) {
      this.#goOn();
      await this.#listen(index);
    }
    this.#goOn();
    await applications.start();
    this.#goOn();
    await this.#startControl();
    this.#goOn();
    const addresses = this.#addresses();
    this.#log.info({ ...addresses, version }, "ready");
    return addresses;
  }

  /** Between two steps of the start: a stop may have come meanwhile. */
  #goOn(): void {
    if (this.#stopping !== null) throw new Error("the start was ended");
  }

  /** Lets what is under way finish for `graceMs`, then ends everything. Calling it again waits for the same end. */
  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#end(graceMs);
    return this.#stopping;
  }

  async #end(graceMs: number): Promise<void> {
    await this.#endStarted(graceMs);
    // The step of a start that was under way is waited for; what it has opened by then is ended too.
    await this.#starting?.catch(() => {});
    await this.#endStarted(graceMs);
    await this.#endListeners(graceMs);
    this.#metrics.close();
    await this.#access.close();
    this.#release();
    this.#log.info({}, "stopped");
  }

  async #endStarted(graceMs: number): Promise<void> {
    for (let end = this.#endings.pop(); end !== undefined; end = this.#endings.pop()) await end(graceMs);
  }

  #takeData(): void {
    const { dataDirectory } = this.#plan;
    try {
      mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw new OperatorError("START_DATA_UNUSABLE", {
        where: `data, ${dataDirectory}`,
        seen: cause instanceof Error ? cause.message : String(cause),
        hint: "Name a folder that this user may write to.",
        cause,
      });
    }
    this.#release = lockDirectory(dataDirectory);
  }

  async #startRealtime(): Promise<void> {
    for (const [name, service] of this.#plan.services) {
      if (service.kind !== "realtime") continue;
      this.#goOn();
      const realtime = await RealtimeService.open(name, service.options.realtime, {
        dataDirectory: this.#plan.dataDirectory,
        log: this.#log,
        onFatal: this.#onFatal,
      });
      this.#realtime.set(name, realtime);
      this.#endings.push(() => realtime.close());
    }
  }

  #buildTargets(applications: Applications): void {
    const fixed = new FixedTargets({ clock: systemClock, random: systemRandom, log: this.#log });
    for (const match of this.#plan.routes.matches()) {
      const service = this.#plan.services.get(match.service)!;
      const target =
        this.#realtime.get(match.service)?.target ??
        applications.target(match.service, match.strip) ??
        fixed.target(match.service, service, match.strip);
      this.#targets.set(match, { target, route: match.site + match.path });
    }
  }

  async #startNames(): Promise<void> {
    const { names } = this.#plan;
    if (names === null) return;
    const server = createNameServer({
      host: names.host,
      port: names.port,
      answer: (query) => names.zones.answer(query),
      clock: systemClock,
      logger: this.#log,
    });
    const { host, port } = await server.listen();
    this.#nameServer = { server, address: `${host}:${port}` };
    this.#endings.push(() => server.close());
  }

  async #startConsole(): Promise<void> {
    const { console: wanted, dataDirectory } = this.#plan;
    if (wanted === false) return;
    const running = await startConsole({
      ...wanted,
      dataDirectory,
      clock: systemClock,
      status: () => this.#report(),
      metrics: { scrape: this.#metrics.scrape },
    });
    this.#console = running;
    this.#endings.push(() => running.close());
  }

  async #startControl(): Promise<void> {
    this.#control = await serveControl(this.#plan.dataDirectory, {
      status: () => this.#report(),
      pick: (service) => this.#applications?.pick(service) ?? null,
      deploy: async (service) => await this.#applications?.deploy(service),
    });
    const control = this.#control;
    this.#endings.push(() => control.close());
  }

  async #listen(index: number): Promise<void> {
    const { host, port } = this.#plan.listen[index]!;
    const listener = createListener({
      host,
      port,
      clock: systemClock,
      random: systemRandom,
      logger: this.#log,
      limits,
      onExchange: (exchange) => {
        this.#metrics.began(exchange.head.method);
        this.#dispatch(exchange);
      },
      onRecord: (record) => {
        this.#metrics.record(record);
        this.#access.record(record);
      },
      hint: `Change listen[${index}].port in the configuration${index === 0 ? ", or set PORT in the environment" : ""}.`,
    });
    const bound = await listener.listen();
    this.#listeners.push({ listener, ...bound });
  }

  /** All at once, for one time of grace. Real-time clients are let go first: their polls would last that long for nothing. */
  async #endListeners(graceMs: number): Promise<void> {
    const closing = this.#listeners.map(({ listener }) => listener.close({ graceMs }));
    for (const realtime of this.#realtime.values()) realtime.letGo();
    await Promise.all(closing);
  }

  #dispatch(exchange: GuardedExchange): void {
    const { head, client } = exchange;
    const match = this.#plan.routes.route(head, client.localPort);
    if (match !== null) {
      const { target, route } = this.#targets.get(match)!;
      exchange.route = route;
      target.handle(exchange);
    } else answerMiss(exchange, this.#plan.routes.miss(head, client.localPort));
  }

  #addresses(): SystemAddresses {
    const urls = this.#listeners.map(({ host, port }) => `http://${host.includes(":") ? `[${host}]` : host}:${port}/`);
    const named = Object.keys(this.#plan.sites).filter((site) => !site.includes("*") && !site.includes(":"));
    const first = this.#listeners[0]!.port;
    return {
      listeners: this.#listeners.map(({ host, port }) => ({ host, port })),
      sites: [...urls, ...named.map((site) => `http://${site}${first === 80 ? "" : `:${first}`}/`)],
      console: this.#console === null ? null : { address: this.#console.address, tokenFile: this.#console.tokenFile },
      names: this.#nameServer?.address ?? null,
    };
  }

  #report(): StatusReport {
    const { file, sites, names } = this.#plan;
    return {
      version,
      configuration: file,
      pid: process.pid,
      uptimeMs: Math.round(systemClock.now() - this.#startedAt),
      listeners: this.#listeners.map(({ listener, host, port }) => ({
        address: `${host}:${port}`,
        ...listener.counters,
      })),
      sites: Object.entries(sites).flatMap(([site, paths]) =>
        Object.entries(paths).map(([path, to]) => ({ site, path, service: typeof to === "string" ? to : to.to })),
      ),
      services: this.#serviceReports(),
      realtime: [...this.#realtime.values()].map((realtime) => realtime.report()),
      names:
        this.#nameServer === null || names === null ? null : this.#namesReport(this.#nameServer, names.zones.origins),
    };
  }

  #namesReport({ server, address }: { server: NameServer; address: string }, zones: readonly string[]) {
    const { udpQuestions, tcpQuestions } = server.counters();
    return { address, zones, queries: udpQuestions + tcpQuestions };
  }

  #serviceReports(): ServiceReport[] {
    return [...this.#plan.services].map(([name, { kind }]) => {
      return { name, kind, ...(this.#applications?.report(name) ?? { waiting: 0, instances: [] }) };
    });
  }
}
