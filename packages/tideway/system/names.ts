/** The name server of the running configuration: opened, moved to another port, told other zones, or closed. */
import { systemClock } from "@tideway/edge/clock";
import { createNameServer, type NameServer } from "@tideway/edge/nameserver";
import type { Plan } from "../config/index.ts";
import type { Change, StatusReport } from "../console/index.ts";
import type { Log } from "./logs.ts";
import type { Prepared } from "./prepared.ts";

type NamesPlan = NonNullable<Plan["names"]>;

interface Running {
  readonly server: NameServer;
  readonly address: string;
  /** What it answers from now on may change; where it listens may not. */
  plan: NamesPlan;
}

export class Names {
  readonly #log: Log;
  #running: Running | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  /** Host and port in use; null when none runs. */
  get address(): string | null {
    return this.#running?.address ?? null;
  }

  async prepare({ names: wanted }: Plan): Promise<Prepared> {
    const old = this.#running;
    const stays = wanted !== null && old !== null && old.plan.host === wanted.host && old.plan.port === wanted.port;
    const fresh = wanted === null || stays ? null : await this.#open(wanted);
    return {
      commit: (changes) => this.#commit(wanted, stays, fresh, changes),
      rollBack: async () => await fresh?.server.close(),
    };
  }

  async #open(plan: NamesPlan): Promise<Running> {
    const server = createNameServer({
      host: plan.host,
      port: plan.port,
      answer: (query) => running.plan.zones.answer(query),
      clock: systemClock,
      logger: this.#log,
    });
    const { host, port } = await server.listen();
    const running: Running = { server, address: `${host}:${port}`, plan };
    return running;
  }

  #commit(wanted: NamesPlan | null, stays: boolean, fresh: Running | null, changes: Change[]): void {
    const old = this.#running;
    if (stays) {
      old!.plan = wanted!;
      return;
    }
    this.#running = fresh;
    if (fresh !== null) changes.push({ what: "names", name: fresh.address, how: old === null ? "added" : "moved" });
    else if (old !== null) changes.push({ what: "names", name: old.address, how: "removed" });
    void old?.server.close();
  }

  async close(): Promise<void> {
    await this.#running?.server.close();
    this.#running = null;
  }

  report(): StatusReport["names"] {
    if (this.#running === null) return null;
    const { server, address, plan } = this.#running;
    const { udpQuestions, tcpQuestions } = server.counters();
    return { address, zones: plan.zones.origins, queries: udpQuestions + tcpQuestions };
  }
}
