/**
 * The TCP and UDP listeners of the running configuration: opened, changed in place, or closed. A listener that stays keeps
 * its connections; a changed list of upstreams is a difference, as with services for HTTP.
 */
import { isDeepStrictEqual } from "node:util";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import {
  createTcpListener,
  createUdpListener,
  Layer4Service,
  type Layer4Settings,
  type TcpSettings,
  type UdpSettings,
} from "@tideway/edge/layer4";
import type { UpstreamAddress } from "@tideway/edge/upstream";
import type { Plan, StreamListenerPlan } from "../config/index.ts";
import type { Change, ServiceReport, StreamReport } from "../console/index.ts";
import type { AccessLog } from "./access-log.ts";
import { poolSettingsOf } from "./balanced.ts";
import { type ListenerSurroundings, proxyProtocolOf } from "./listeners.ts";
import type { Log } from "./logs.ts";
import type { Prepared } from "./prepared.ts";
import { reportService } from "./service-report.ts";

/** The slice of a TCP and of a UDP listener that is the same. */
interface StreamListener {
  listen(): Promise<{ host: string; port: number }>;
  close(options: { graceMs: number }): Promise<void>;
  readonly counters: object;
}

interface OpenStream {
  readonly address: string;
  readonly listener: StreamListener;
  readonly service: Layer4Service;
  readonly configure: (plan: StreamListenerPlan) => void;
  plan: StreamListenerPlan;
}

/** How long connections of a removed listener may go on. */
const removedGraceMs = 60_000;

export class Streams {
  readonly #log: Log;
  readonly #access: AccessLog;
  readonly #census: ListenerSurroundings["census"];
  readonly #open = new Map<string, OpenStream>();

  constructor({ log, access, census }: Pick<ListenerSurroundings, "log" | "access" | "census">) {
    this.#log = log;
    this.#access = access;
    this.#census = census;
  }

  /** Opens what of `plan` is not open yet. On a failure those opened by this call are closed again. */
  async prepare(plan: Plan, goOn: () => void): Promise<Prepared> {
    const opened: string[] = [];
    const rollBack = () => this.#close(opened, 0);
    try {
      for (const entry of plan.streams) {
        if (this.#open.has(keyOf(entry))) continue;
        goOn();
        await this.#openOne(entry);
        opened.push(keyOf(entry));
      }
    } catch (error) {
      await rollBack();
      throw error;
    }
    return { commit: (changes) => this.#commit(plan, opened, changes), rollBack };
  }

  async #openOne(plan: StreamListenerPlan): Promise<void> {
    const { name, transport } = plan;
    const common = { clock: systemClock, random: systemRandom, logger: this.#log };
    const service = new Layer4Service({ ...common, ...serviceSettingsOf(plan), name, transport });
    const { listener, configure } = this.#create(plan, service);
    try {
      const bound = await listener.listen();
      const address = `${bound.host.includes(":") ? `[${bound.host}]` : bound.host}:${bound.port}`;
      this.#open.set(keyOf(plan), { address, listener, service, configure, plan });
    } catch (error) {
      service.close();
      throw error;
    }
  }

  #create(plan: StreamListenerPlan, service: Layer4Service): Pick<OpenStream, "listener" | "configure"> {
    const { host, port, index } = plan;
    const hint = `Change listen[${index}].port in the configuration.`;
    const common = { host, port, clock: systemClock, logger: this.#log, hint };
    if (plan.transport === "udp") {
      const listener = createUdpListener({ ...common, ...udpSettingsOf(plan, service) });
      return { listener, configure: (changed) => listener.configure(udpSettingsOf(changed, service)) };
    }
    const onRecord = this.#access.connectionEnded;
    const listener = createTcpListener({ ...common, ...tcpSettingsOf(plan, service), census: this.#census, onRecord });
    return { listener, configure: (changed) => listener.configure(tcpSettingsOf(changed, service)) };
  }

  #commit(plan: Plan, opened: readonly string[], changes: Change[]): void {
    const wanted = new Map(plan.streams.map((entry) => [keyOf(entry), entry]));
    for (const [key, open] of this.#open) {
      const entry = wanted.get(key);
      const name = `${open.plan.name} at ${open.address}`;
      if (entry === undefined) {
        changes.push({ what: "listener", name, how: "removed" });
        void this.#close([key], removedGraceMs);
      } else if (opened.includes(key)) changes.push({ what: "listener", name, how: "added" });
      else if (!isDeepStrictEqual({ ...open.plan, index: 0 }, { ...entry, index: 0 })) {
        open.service.configure(serviceSettingsOf(entry));
        open.configure(entry);
        open.plan = entry;
        changes.push({ what: "listener", name, how: "changed" });
      }
    }
  }

  async #close(keys: readonly string[], graceMs: number): Promise<void> {
    const closing = keys.map(async (key) => {
      const open = this.#open.get(key);
      this.#open.delete(key);
      if (open === undefined) return;
      await open.listener.close({ graceMs });
      open.service.close();
    });
    await Promise.all(closing);
  }

  async close(graceMs: number): Promise<void> {
    await this.#close([...this.#open.keys()], graceMs);
  }

  report(): StreamReport[] {
    return [...this.#open.values()].map(({ address, listener, plan }) => {
      return { address, protocol: plan.transport, service: plan.name, counters: { ...listener.counters } };
    });
  }

  services(): { readonly name: string; readonly service: Layer4Service }[] {
    return [...this.#open.values()].map(({ plan: { name }, service }) => ({ name, service }));
  }

  /** Their instances, as those of services for HTTP. */
  serviceReports(): ServiceReport[] {
    return [...this.#open.values()].map(({ service, plan }) => {
      return { name: plan.name, kind: plan.transport, ...reportService(service, []) };
    });
  }
}

function serviceSettingsOf({ options }: StreamListenerPlan): Layer4Settings {
  const { upstreams, requestsMax, drainMs, healthPort, breaker } = options;
  return {
    ...poolSettingsOf(options),
    upstreams: upstreams.map(addressOf),
    ...(requestsMax === undefined ? {} : { requestsMax }),
    ...(drainMs === undefined ? {} : { drainMs }),
    ...(healthPort === undefined ? {} : { healthPort }),
    ...(breaker === undefined ? {} : { breaker }),
    ...("proxyProtocol" in options && options.proxyProtocol !== undefined
      ? { proxyProtocol: options.proxyProtocol }
      : {}),
  };
}

function tcpSettingsOf(plan: StreamListenerPlan, service: Layer4Service): TcpSettings {
  if (plan.transport !== "tcp") throw new Error("a TCP listener");
  const { connectMs, idleMs, connectionsMax, connectionsPerAddressMax } = plan.options;
  return {
    service,
    limits: { connectMs, idleMs: idleMs ?? 0, connectionsMax, connectionsPerAddressMax },
    proxyProtocol: proxyProtocolOf(plan.proxyProtocol),
  };
}

function udpSettingsOf(plan: StreamListenerPlan, service: Layer4Service): UdpSettings {
  if (plan.transport !== "udp") throw new Error("a UDP listener");
  const { idleMs, sessionsMax, responses } = plan.options;
  return { service, limits: { idleMs, sessionsMax }, ...(responses === undefined ? {} : { responses }) };
}

function addressOf(upstream: StreamListenerPlan["options"]["upstreams"][number]): UpstreamAddress {
  const { address, weight } = typeof upstream === "string" ? { address: upstream, weight: 1 } : upstream;
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)), weight };
}

/** TCP and UDP have ports of their own. */
function keyOf({ transport, host, port, index }: StreamListenerPlan): string {
  return port === 0 ? `${transport} ${host}:0 at ${index}` : `${transport} ${host}:${port}`;
}
