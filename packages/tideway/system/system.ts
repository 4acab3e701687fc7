/**
 * The running system: every part of the plan put together, started in an order in which each finds what it needs, ended in
 * the opposite one, and changed in between without touching what stays. Owns the wiring and nothing else: what a part
 * does is its own room's.
 */
import { mkdirSync } from "node:fs";
import { OperatorError } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import { createCompression } from "@tideway/edge/compression";
import { Census, type CensusOptions } from "@tideway/edge/listener";
import { lockDirectory } from "@tideway/edge/store";
import { type Plan, reloadPlan, version } from "../config/index.ts";
import { type ReloadReport, type ServiceReport, type StatusReport, serveControl } from "../console/index.ts";
import { AccessLog } from "./access-log.ts";
import type { SystemAddresses } from "./addresses.ts";
import { type Adjustable, adjust } from "./adjusting.ts";
import { Applications } from "./applications.ts";
import { compressionMetrics } from "./compression-metrics.ts";
import { Consoles } from "./consoles.ts";
import { hubMetrics } from "./hub-metrics.ts";
import { Listeners } from "./listeners.ts";
import type { Log } from "./logs.ts";
import { Metrics } from "./metrics.ts";
import { Names } from "./names.ts";
import { namingOwn } from "./own-ports.ts";
import { Preparation } from "./prepared.ts";
import { realtimeMetrics } from "./realtime-metrics.ts";
import { RealtimeServices } from "./realtime-services.ts";
import { Routers } from "./routers.ts";
import { Streams } from "./streams.ts";

export class System {
  readonly #log: Log;
  readonly #startedAt = systemClock.now();
  readonly #names: Names;
  readonly #consoles: Consoles;
  readonly #realtime: RealtimeServices;
  readonly #applications: Applications;
  readonly #routers: Routers;
  readonly #access: AccessLog;
  readonly #metrics: Metrics;
  /** One for all listeners: descriptors are the process's. */
  readonly #census: Census;
  readonly #listeners: Listeners;
  readonly #streams: Streams;
  #plan: Plan;
  /** What was started, with how it is ended: the last first. */
  readonly #endings: ((graceMs: number) => Promise<void>)[] = [];
  /** Gives the data directory to whoever comes next. */
  #release: () => void = () => {};
  #starting: Promise<SystemAddresses> | null = null;
  #stopping: Promise<void> | null = null;
  /** One reload after the other. */
  #reloading: Promise<unknown> = Promise.resolve();

  /** `onFatal` is told of a fault after which the system must end, such as a disk that lost a write. */
  constructor(plan: Plan, log: Log, onFatal: (error: Error) => void) {
    this.#plan = plan;
    this.#log = log;
    this.#access = new AccessLog(log, systemClock);
    const compression = createCompression({ clock: systemClock, logger: log });
    this.#metrics = new Metrics({
      status: () => this.#report(),
      accessLog: () => this.#access.counters,
      sources: [
        compressionMetrics(compression.counters),
        realtimeMetrics(() => this.#realtime.all()),
        hubMetrics(() => this.#realtime.all().map(({ counted }) => counted)),
      ],
    });
    this.#names = new Names(log);
    this.#consoles = new Consoles({ status: () => this.#report(), scrape: this.#metrics.scrape });
    this.#realtime = new RealtimeServices(plan, log, onFatal);
    this.#applications = new Applications(plan, this.#realtime, log);
    this.#routers = new Routers({ applications: this.#applications, realtime: this.#realtime, compression, log });
    this.#census = new Census(censusOf(plan));
    this.#listeners = new Listeners({ log, access: this.#access, metrics: this.#metrics, census: this.#census });
    this.#streams = new Streams({ log, access: this.#access, census: this.#census });
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
    const plan = this.#plan;
    this.#endings.push(() => this.#realtime.close());
    // They have been probing since they were made: a start that fails here must end that too.
    this.#endings.push(() => this.#applications.stop());
    this.#takeData();
    this.#access.prepare(plan.log.requests, plan.root).commit();
    await this.#realtime.start(this.#goOn);
    // Ports before applications: a taken port is said at once, and requests wait for the first instance.
    this.#goOn();
    this.#endings.push(() => this.#names.close());
    (await this.#names.prepare(plan)).commit([]);
    this.#goOn();
    this.#endings.push(() => this.#consoles.close());
    (await this.#consoles.prepare(plan)).commit([]);
    this.#endings.push((graceMs) => this.#endListeners(graceMs));
    const dispatchers = this.#routers.prepare(plan);
    (await this.#listeners.prepare(plan, dispatchers, this.#goOn)).commit([]);
    this.#routers.commit(plan, []);
    (await this.#streams.prepare(plan, this.#goOn)).commit([]);
    this.#goOn();
    await this.#applications.start();
    this.#goOn();
    const control = await serveControl(plan.dataDirectory, {
      status: () => this.#report(),
      pick: (service, asked) => this.#applications.pick(service, asked),
      deploy: (service) => this.#applications.deploy(service),
      reload: () => this.reload(),
      adjust: (service, instance, how) => adjust(this.#balanced(), service, instance, how, this.#log),
    });
    this.#endings.push(() => control.close());
    this.#goOn();
    const addresses = this.#addresses();
    this.#log.info({ ...addresses, version }, "ready");
    return addresses;
  }

  /** Between two steps of the start: a stop may have come meanwhile. */
  readonly #goOn = (): void => {
    if (this.#stopping !== null) throw new Error("the start was ended");
  };

  /**
   * Reads the configuration again and applies the difference: what is new runs before anything old is let go, and what is
   * the same is not touched. Rejects with what is wrong; then nothing has changed.
   */
  reload(): Promise<ReloadReport> {
    const reloading = this.#reloading.then(() => this.#reload());
    this.#reloading = reloading.catch(() => {});
    return reloading;
  }

  async #reload(): Promise<ReloadReport> {
    await this.#starting;
    this.#goOn();
    const plan = await reloadPlan(this.#plan.file, process.env);
    if (plan.dataDirectory !== this.#plan.dataDirectory) {
      throw new OperatorError("CONTROL_REFUSED", {
        where: "data",
        seen: `${plan.dataDirectory}, and ${this.#plan.dataDirectory} is in use`,
        hint: "Leave it as it is, or stop Tideway and start it again.",
      });
    }
    const preparation = new Preparation();
    try {
      await this.#prepare(plan, preparation);
    } catch (error) {
      this.#log.error({ err: error }, "the configuration was not applied");
      await preparation.rollBack();
      throw namingOwn(error, this.#addresses());
    }
    this.#plan = plan;
    const changes = preparation.commit();
    this.#routers.commit(plan, changes);
    this.#metrics.keepRoutes(this.#routers.labels());
    this.#census.reconfigure(censusOf(plan));
    this.#log.setLevel(plan.log.level);
    this.#log.info({ changes }, "configuration applied");
    return { changes };
  }

  /** What can fail cheaply goes first. */
  async #prepare(plan: Plan, preparation: Preparation): Promise<void> {
    preparation.add(this.#access.prepare(plan.log.requests, plan.root));
    preparation.add(await this.#names.prepare(plan));
    preparation.add(await this.#consoles.prepare(plan));
    preparation.add(await this.#streams.prepare(plan, this.#goOn));
    await this.#listeners.check(plan);
    preparation.add(await this.#realtime.prepare(plan));
    preparation.add(await this.#applications.prepare(plan, this.#realtime));
    const dispatchers = this.#routers.prepare(plan);
    preparation.add(await this.#listeners.prepare(plan, dispatchers, this.#goOn));
    preparation.add(await this.#realtime.replace(plan));
    this.#goOn();
  }

  /** Lets what is under way finish for `graceMs`, then ends everything. Calling it again waits for the same end. */
  stop(graceMs: number): Promise<void> {
    this.#stopping ??= this.#end(graceMs);
    return this.#stopping;
  }

  async #end(graceMs: number): Promise<void> {
    await this.#endStarted(graceMs);
    // The step of a start or a reload that was under way is waited for; what it has opened by then is ended too.
    await this.#starting?.catch(() => {});
    await this.#reloading;
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

  /** Real-time clients are let go first: their polls would last that long for nothing. */
  async #endListeners(graceMs: number): Promise<void> {
    const closing = [this.#listeners.close(graceMs), this.#streams.close(graceMs)];
    this.#realtime.letGo();
    await Promise.all(closing);
  }

  #addresses(): SystemAddresses {
    const { http } = this.#plan;
    const open = http
      .flatMap((entry) => this.#listeners.addressOf(entry) ?? [])
      .map(({ host, port }) => ({ host, port }));
    const urls = open.map(({ host, port }) => `http://${host.includes(":") ? `[${host}]` : host}:${port}/`);
    const named = http.flatMap((entry, at) => {
      if (http.findIndex((other) => other.sites === entry.sites) < at) return [];
      const sites = Object.keys(entry.sites).filter((site) => !site.includes("*") && !site.includes(":"));
      const port = open[at]!.port;
      return sites.map((site) => `http://${site}${port === 80 ? "" : `:${port}`}/`);
    });
    return {
      listeners: open,
      streams: this.#streams.report().map(({ address, protocol, service }) => ({ address, protocol, service })),
      sites: [...urls, ...named],
      console: this.#consoles.addresses,
      names: this.#names.address,
    };
  }

  #report(): StatusReport {
    return {
      version,
      configuration: this.#plan.file,
      pid: process.pid,
      uptimeMs: Math.round(systemClock.now() - this.#startedAt),
      listeners: this.#listeners.report(),
      streams: this.#streams.report(),
      sites: this.#routers.report(),
      services: this.#serviceReports(),
      realtime: this.#realtime.all().map((realtime) => realtime.report()),
      names: this.#names.report(),
    };
  }

  /** Every service with instances, of whatever protocol. */
  #balanced(): Map<string, Adjustable> {
    const all = [...this.#applications.services(), ...this.#streams.services()];
    return new Map(all.map(({ name, service }) => [name, service]));
  }

  #serviceReports(): ServiceReport[] {
    const services = [...this.#plan.services].map(([name, { kind }]): ServiceReport => {
      return { name, kind, ...(this.#applications.report(name) ?? { waiting: 0, instances: [] }) };
    });
    return [...services, ...this.#streams.serviceReports()];
  }
}

function censusOf({ limits: { connectionsMax, connectionsPerAddressMax }, trust }: Plan): CensusOptions {
  return {
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    ...(connectionsPerAddressMax === undefined ? {} : { connectionsPerAddressMax }),
    uncounted: trust,
  };
}
