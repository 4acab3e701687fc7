/**
 * The services that answer through instances: processes that Tideway runs, and upstreams that others run. Owns the
 * meeting of three rooms: the apphost starts and ends processes, the service probes and balances, the proxy forwards.
 */
import { OperatorError, type Target } from "@tideway/base";
import { type AppHost, createAppHost, type InstanceObserver } from "@tideway/edge/apphost";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createProxy, type ProxyTarget } from "@tideway/edge/proxy";
import { Service } from "@tideway/edge/upstream";
import { HealthState } from "@tideway/engine/balancing";
import type { AnyService, Plan, ServiceOf } from "../config/index.ts";
import type { ServiceReport } from "../console/index.ts";
import type { Log } from "./logs.ts";
import type { RealtimeService } from "./realtime.ts";
import { reportService } from "./service-report.ts";

interface Member {
  readonly service: Service;
  readonly proxy: ProxyTarget;
}

export class Applications {
  readonly #members = new Map<string, Member>();
  readonly #host: AppHost;
  readonly #deploying = new Set<string>();
  readonly #commands: readonly string[];

  constructor(plan: Plan, realtime: ReadonlyMap<string, RealtimeService>, log: Log) {
    for (const [name, service] of plan.services) {
      if (service.kind === "command" || service.kind === "upstreams") this.#add(name, service, log);
    }
    const links = new Map([...realtime.values()].map((live) => [live.application, live.linkAddress]));
    const commands = [...plan.services].flatMap(([name, service]) => {
      return service.kind === "command" ? [[name, specOf(service.options, links.get(name))] as const] : [];
    });
    this.#commands = commands.map(([name]) => name);
    this.#host = createAppHost({
      services: Object.fromEntries(commands),
      observer: this.#observer(),
      data: plan.dataDirectory,
      clock: systemClock,
      random: systemRandom,
      logger: log,
    });
  }

  #add(name: string, { kind, options }: Extract<AnyService, { kind: "command" | "upstreams" }>, log: Log): void {
    const service = new Service({
      name,
      clock: systemClock,
      random: systemRandom,
      logger: log,
      balance: options.balance,
      health: options.health,
      limits: { upstreamWaitMs: options.queueMs },
      managed: kind === "command",
      onState: (id, state) => {
        if (kind === "command" && state === HealthState.up) this.#host.ready(id);
        if (kind === "command" && state === HealthState.down) this.#host.notReady(id);
      },
    });
    this.#members.set(name, { service, proxy: createProxy({ service, logger: log, clock: systemClock }) });
    if (kind === "upstreams") for (const upstream of options.upstreams) service.add(addressOf(upstream));
  }

  #observer(): InstanceObserver {
    const serviceOf = (id: string) => this.#members.get(id.slice(0, id.lastIndexOf("-")))!.service;
    return {
      onInstance: ({ service, id, host, port }) => void this.#members.get(service)!.service.add({ id, host, port }),
      drain: (id) => new Promise((done) => serviceOf(id).drain(id, done)),
      onGone: (id) => serviceOf(id).remove(id),
    };
  }

  /** Resolves when every service that Tideway runs has an instance that answers its probe. */
  start(): Promise<void> {
    return this.#host.start();
  }

  /** After the listeners: what is still open then are upgraded connections, whose end nobody could wait for. */
  async stop(): Promise<void> {
    for (const { service } of this.#members.values()) service.close();
    await this.#host.stop();
  }

  /** Null for a service that has no instances. */
  target(service: string, strip: string): Target | null {
    return this.#members.get(service)?.proxy.target({ strip }) ?? null;
  }

  /** Replaces the instances of a service that Tideway runs, one by one: a new one serves before an old one drains. */
  async deploy(service: string): Promise<void> {
    if (!this.#commands.includes(service)) {
      const allowed = this.#commands.join(" | ") || "none: no service has a command";
      throw refusal(service, "no service that Tideway runs", `Name one of: ${allowed}.`);
    }
    if (this.#deploying.has(service))
      throw refusal(service, "it is being deployed already", "Wait until that is done.");
    this.#deploying.add(service);
    try {
      await this.#host.replace(service);
    } finally {
      this.#deploying.delete(service);
    }
  }

  /** The instance that a request would go to now. */
  pick(service: string): string | null {
    return this.#members.get(service)?.service.preview() ?? null;
  }

  report(service: string): Omit<ServiceReport, "name" | "kind"> | null {
    const member = this.#members.get(service);
    if (member === undefined) return null;
    const processes = this.#host.status().filter((status) => status.service === service);
    return reportService(member.service, processes);
  }
}

function refusal(service: string, seen: string, hint: string): OperatorError {
  return new OperatorError("CONTROL_REFUSED", { where: `tideway deploy ${service}`, seen, hint });
}

function specOf(options: ServiceOf<"command">, link: string | undefined) {
  const { command, cwd, env, instances, startTimeoutMs, stopTimeoutMs } = options;
  return { command, cwd: cwd!, env, instances, startTimeoutMs, stopTimeoutMs, ...(link === undefined ? {} : { link }) };
}

type Upstream = ServiceOf<"upstreams">["upstreams"][number];

function addressOf(upstream: Upstream) {
  const { url, weight } = typeof upstream === "string" ? { url: upstream, weight: 1 } : upstream;
  const { hostname, port, host } = new URL(url);
  return { id: host, host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 80 : Number(port), weight };
}
