/** The console of the running configuration: opened, moved to another port, or closed. */
import { systemClock } from "@tideway/edge/clock";
import type { Plan } from "../config/index.ts";
import { type Change, type RunningConsole, type Scrape, type StatusReport, startConsole } from "../console/index.ts";
import type { Prepared } from "./prepared.ts";

type ConsolePlan = Exclude<Plan["console"], false>;

interface Running {
  readonly console: RunningConsole;
  readonly plan: ConsolePlan;
}

export interface ConsoleSources {
  readonly status: () => StatusReport;
  readonly scrape: Scrape;
}

export class Consoles {
  readonly #sources: ConsoleSources;
  #running: Running | null = null;

  constructor(sources: ConsoleSources) {
    this.#sources = sources;
  }

  get addresses(): { readonly address: string; readonly tokenFile: string } | null {
    if (this.#running === null) return null;
    const { address, tokenFile } = this.#running.console;
    return { address, tokenFile };
  }

  async prepare({ console: wanted, dataDirectory }: Plan): Promise<Prepared> {
    const old = this.#running;
    const stays = wanted !== false && old !== null && old.plan.host === wanted.host && old.plan.port === wanted.port;
    const fresh = wanted === false || stays ? null : await this.#open(wanted, dataDirectory);
    return {
      commit: (changes) => {
        if (stays) {
          old.console.allowMetrics(wanted.metrics);
          return;
        }
        this.#commit(fresh === null || wanted === false ? null : { console: fresh, plan: wanted }, changes);
      },
      rollBack: async () => await fresh?.close(),
    };
  }

  #open({ host, port, metrics }: ConsolePlan, dataDirectory: string): Promise<RunningConsole> {
    const { status, scrape } = this.#sources;
    return startConsole({
      host,
      port,
      dataDirectory,
      clock: systemClock,
      status,
      metrics: { access: metrics, scrape },
    });
  }

  #commit(fresh: Running | null, changes: Change[]): void {
    const old = this.#running;
    this.#running = fresh;
    if (fresh !== null)
      changes.push({ what: "console", name: fresh.console.address, how: old === null ? "added" : "moved" });
    else if (old !== null) changes.push({ what: "console", name: old.console.address, how: "removed" });
    void old?.console.close();
  }

  async close(): Promise<void> {
    await this.#running?.console.close();
    this.#running = null;
  }
}
