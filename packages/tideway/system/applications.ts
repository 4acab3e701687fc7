/**
 * The services that answer through instances: processes that Tideway runs, and upstreams that others run. Owns the
 * meeting of three rooms (the apphost starts and ends processes, the service probes and balances, the proxy forwards), and
 * what a changed configuration means for them: the difference is applied, the rest is not touched.
 */
import { isDeepStrictEqual } from "node:util";
import { OperatorError } from "@tideway/base";
import { type AppHost, createAppHost, type InstanceObserver, type ServiceSpec } from "@tideway/edge/apphost";
import { loopClock, systemClock, systemRandom } from "@tideway/edge/clock";
import { Service } from "@tideway/edge/upstream";
import { HealthState } from "@tideway/engine/balancing";
import type { AnyService, BalancedService, Plan, ServiceOf } from "../config/index.ts";
import type { Asked, Change, Pick, ServiceReport } from "../console/index.ts";
import { serviceSettingsOf } from "./balanced.ts";
import type { Log } from "./logs.ts";
import type { Prepared } from "./prepared.ts";
import type { RealtimeServices } from "./realtime-services.ts";
import { reportService } from "./service-report.ts";

interface Member {
  readonly name: string;
  config: BalancedService;
  readonly service: Service;
}

type Specs = Readonly<Record<string, ServiceSpec>>;

export class Applications {
  readonly #log: Log;
  readonly #members = new Map<string, Member>();
  /** Removed, with requests still under way: whoever comes back under the same name meanwhile is another one. */
  readonly #leaving = new Set<Member>();
  readonly #host: AppHost;
  readonly #deploying = new Set<string>();
  /** What the apphost was told last. */
  #specs: Specs = {};
  #plan: Plan;

  constructor(plan: Plan, realtime: RealtimeServices, log: Log) {
    this.#log = log;
    this.#plan = plan;
    for (const [name, config] of balancedOf(plan)) this.#members.set(keyOf(name, config), this.#create(name, config));
    this.#specs = specsOf(plan, realtime.links());
    this.#host = createAppHost({
      services: this.#specs,
      observer: this.#observer(),
      data: plan.dataDirectory,
      clock: systemClock,
      random: systemRandom,
      logger: log,
    });
  }

  #create(name: string, config: BalancedService): Member {
    const service = new Service({
      ...serviceSettingsOf(config, this.#plan),
      name,
      clock: loopClock,
      random: systemRandom,
      logger: this.#log,
      managed: config.kind === "command",
      onState: (id, state) => {
        if (config.kind === "command" && state === HealthState.up) this.#host.ready(id);
        if (config.kind === "command" && state === HealthState.down) this.#host.notReady(id);
      },
    });
    return { name, config, service };
  }

  #observer(): InstanceObserver {
    return {
      onInstance: ({ service, id, host, port }) =>
        void this.#members.get(`command ${service}`)?.service.add({ id, host, port }),
      drain: (id) =>
        new Promise((done) => {
          const service = this.#ownerOf(id);
          if (service === undefined) done();
          else service.drain(id, done);
        }),
      onGone: (id) => this.#ownerOf(id)?.remove(id),
    };
  }

  /** Of an instance that Tideway runs: one that leaves may have the name of one that is there. */
  #ownerOf(id: string): Service | undefined {
    const all = [...this.#leaving, ...this.#members.values()].filter(({ config }) => config.kind === "command");
    return all.find(({ service }) => service.status().instances.some((instance) => instance.id === id))?.service;
  }

  /** Resolves when every service that Tideway runs has an instance that answers its probe. */
  start(): Promise<void> {
    return this.#host.start();
  }

  /**
   * Brings up what `plan` has and the running system has not: new services, new instances in place of those whose command
   * changed. Resolves when all of it serves; rejects, and everything is as it was, when something does not come up.
   */
  async prepare(plan: Plan, realtime: RealtimeServices): Promise<Prepared> {
    const before = { plan: this.#plan, specs: this.#specs };
    const added: Member[] = [];
    this.#plan = plan;
    for (const [name, config] of balancedOf(plan)) {
      if (this.#members.has(keyOf(name, config))) continue;
      const fresh = this.#create(name, config);
      this.#members.set(keyOf(name, config), fresh);
      added.push(fresh);
    }
    const specs = specsOf(plan, realtime.links(plan));
    const rollBack = async (): Promise<void> => {
      this.#plan = before.plan;
      await this.#host.configure(before.specs);
      this.#specs = before.specs;
      for (const { name, config, service } of added) {
        this.#members.delete(keyOf(name, config));
        service.close();
      }
    };
    try {
      // Those that will go serve until the routes have changed.
      await this.#host.configure({ ...before.specs, ...specs });
    } catch (error) {
      await rollBack();
      throw error;
    }
    this.#specs = specs;
    return { commit: (changes) => this.#commit(plan, specs, added, changes), rollBack };
  }

  #commit(plan: Plan, specs: Specs, added: readonly Member[], changes: Change[]): void {
    const wanted = new Map(balancedOf(plan));
    for (const { name } of added) changes.push({ what: "service", name, how: "added" });
    for (const member of [...this.#members.values()]) {
      const config = wanted.get(member.name);
      if (config?.kind !== member.config.kind) {
        changes.push({ what: "service", name: member.name, how: "removed" });
        this.#remove(member, specs);
      } else if (!isDeepStrictEqual(member.config, config)) {
        member.service.configure(serviceSettingsOf(config, plan));
        member.config = config;
        changes.push({ what: "service", name: member.name, how: "changed" });
      }
    }
  }

  /** Requests under way finish first. */
  #remove(member: Member, specs: Specs): void {
    const { name, service, config } = member;
    this.#members.delete(keyOf(name, config));
    this.#leaving.add(member);
    const forget = (): void => {
      this.#leaving.delete(member);
      service.close();
    };
    if (config.kind === "upstreams") drainAll(service, forget);
    else
      this.#host.configure(specs).then(forget, (error: unknown) => {
        this.#log.error({ service: name, err: error }, "a removed service could not be ended");
      });
  }

  /** After the listeners: what is still open then are upgraded connections, whose end nobody could wait for. */
  async stop(): Promise<void> {
    for (const { service } of [...this.#leaving, ...this.#members.values()]) service.close();
    await this.#host.stop();
  }

  /** What is known of a service under the configuration that is prepared or holds; null for one without instances. */
  serviceOf(name: string): Service | null {
    return this.#member(name)?.service ?? null;
  }

  #member(name: string): Member | undefined {
    const config = this.#plan.services.get(name);
    return config === undefined ? undefined : this.#members.get(keyOf(name, config));
  }

  services(): IterableIterator<{ readonly name: string; readonly service: Service }> {
    return this.#members.values();
  }

  /** Replaces the instances of a service that Tideway runs, one by one: a new one serves before an old one drains. */
  async deploy(service: string): Promise<void> {
    const commands = Object.keys(this.#specs);
    if (!commands.includes(service)) {
      const allowed = commands.join(" | ") || "none: no service has a command";
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

  /** Where this request would go now. */
  pick(name: string, asked: Asked): Pick {
    const service = this.#member(name)?.service;
    const { method, host, path, query, fields, address } = asked;
    const head = { method, host, authority: host, path, query, fields: [...fields] };
    const candidates = this.report(name)?.instances ?? [];
    return {
      instance:
        service?.preview({
          head: { ...head, version: 11, bodyLength: 0, upgrade: "" },
          client: { address, port: 0, localPort: 0, secure: false },
        }) ?? null,
      balance: service?.status().balance ?? null,
      candidates,
    };
  }

  report(service: string): Omit<ServiceReport, "name" | "kind"> | null {
    const member = this.#member(service);
    if (member === undefined) return null;
    return reportService(
      member.service,
      this.#host.status().filter((status) => status.service === service),
    );
  }
}

function drainAll(service: Service, done: () => void): void {
  const { instances } = service.status();
  let left = instances.length;
  if (left === 0) done();
  for (const { id } of instances) {
    service.drain(id, () => {
      if (--left === 0) done();
    });
  }
}

function balancedOf(plan: Plan): [string, BalancedService][] {
  return [...plan.services].flatMap(([name, service]) => {
    return service.kind === "command" || service.kind === "upstreams"
      ? [[name, service] as [string, BalancedService]]
      : [];
  });
}

function specsOf(plan: Plan, links: ReadonlyMap<string, string>): Specs {
  const specs: Record<string, ServiceSpec> = {};
  for (const [name, { kind, options }] of balancedOf(plan)) {
    if (kind === "command") specs[name] = specOf(options, links.get(name));
  }
  return specs;
}

function specOf(options: ServiceOf<"command">, link: string | undefined): ServiceSpec {
  const { command, cwd, env, instances, startTimeoutMs, stopTimeoutMs } = options;
  return { command, cwd: cwd!, env, instances, startTimeoutMs, stopTimeoutMs, ...(link === undefined ? {} : { link }) };
}

function refusal(service: string, seen: string, hint: string): OperatorError {
  return new OperatorError("CONTROL_REFUSED", { where: `tideway deploy ${service}`, seen, hint });
}

/** A service that is run by Tideway now and by others later is another one, though it has the same name. */
function keyOf(name: string, { kind }: AnyService): string {
  return `${kind} ${name}`;
}
