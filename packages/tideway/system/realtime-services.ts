/**
 * The real-time services of the running configuration. Owns what a changed configuration means for them: an unchanged one
 * keeps its hub and every connection; a changed one is closed and opened anew, and its clients come back and recover from
 * the stream, as after a restart.
 */
import { isDeepStrictEqual } from "node:util";
import { formatPath, type Plan, type ServiceOf } from "../config/index.ts";
import { type Change, socketPath } from "../console/index.ts";
import type { Log } from "./logs.ts";
import type { Prepared } from "./prepared.ts";
import { RealtimeService } from "./realtime.ts";

type Options = ServiceOf<"realtime">["realtime"];

export class RealtimeServices {
  readonly #log: Log;
  readonly #onFatal: (error: Error) => void;
  readonly #open = new Map<string, { readonly options: Options; readonly service: RealtimeService }>();
  #plan: Plan;

  constructor(plan: Plan, log: Log, onFatal: (error: Error) => void) {
    this.#plan = plan;
    this.#log = log;
    this.#onFatal = onFatal;
  }

  /** `goOn` throws when the start was ended meanwhile; what is open then is `close`'s. */
  async start(goOn: () => void): Promise<void> {
    for (const [name, options] of realtimeOf(this.#plan)) {
      goOn();
      await this.#openOne(this.#plan, name, options);
    }
  }

  async #openOne(plan: Plan, name: string, options: Options): Promise<void> {
    const service = await RealtimeService.open(name, options, {
      dataDirectory: plan.dataDirectory,
      said: saidIn(plan, name),
      log: this.#log,
      onFatal: this.#onFatal,
    });
    this.#open.set(name, { options, service });
  }

  get(name: string): RealtimeService | undefined {
    return this.#open.get(name)?.service;
  }

  all(): RealtimeService[] {
    return [...this.#open.values()].map(({ service }) => service);
  }

  /** Application → `TIDEWAY_LINK`. An address depends on nothing but the service's name. */
  links(plan: Plan = this.#plan): Map<string, string> {
    const links = new Map<string, string>();
    for (const [name, options] of realtimeOf(plan)) {
      links.set(options.service, `unix:${socketPath(plan.dataDirectory, `link-${name}`)}`);
    }
    return links;
  }

  /** Opens what is new: their applications join as they start. */
  async prepare(plan: Plan): Promise<Prepared> {
    const added: string[] = [];
    const rollBack = async (): Promise<void> => {
      for (const name of added) await this.#closeOne(name);
    };
    try {
      for (const [name, options] of realtimeOf(plan)) {
        if (this.#open.has(name)) continue;
        await this.#openOne(plan, name, options);
        added.push(name);
      }
    } catch (error) {
      await rollBack();
      throw error;
    }
    return { commit: (changes) => this.#commit(plan, added, changes), rollBack };
  }

  /** Opens anew what has changed. The old one's disk and link are the new one's too, so it goes first. */
  async replace(plan: Plan): Promise<Prepared> {
    const replaced: [string, Options][] = [];
    const rollBack = async (): Promise<void> => {
      for (const [name, before] of replaced) {
        await this.#closeOne(name);
        await this.#openOne(this.#plan, name, before);
      }
    };
    try {
      for (const [name, options] of realtimeOf(plan)) {
        const before = this.#open.get(name);
        if (before === undefined || isDeepStrictEqual(before.options, options)) continue;
        replaced.push([name, before.options]);
        await this.#closeOne(name);
        await this.#openOne(plan, name, options);
      }
    } catch (error) {
      await rollBack();
      throw error;
    }
    const how = "opened anew: its clients reconnect and recover";
    return {
      commit: (changes) => void changes.push(...replaced.map(([name]) => ({ what: "realtime", name, how }) as const)),
      rollBack,
    };
  }

  #commit(plan: Plan, added: readonly string[], changes: Change[]): void {
    this.#plan = plan;
    for (const name of added) changes.push({ what: "realtime", name, how: "added" });
    const wanted = new Map(realtimeOf(plan));
    for (const name of [...this.#open.keys()]) {
      if (wanted.has(name)) continue;
      changes.push({ what: "realtime", name, how: "removed" });
      this.#closeOne(name).catch((error: unknown) => {
        this.#log.error({ realtime: name, err: error }, "a removed realtime service could not be closed");
      });
    }
  }

  letGo(): void {
    for (const { service } of this.#open.values()) service.letGo();
  }

  async close(): Promise<void> {
    for (const name of [...this.#open.keys()].reverse()) await this.#closeOne(name);
  }

  async #closeOne(name: string): Promise<void> {
    const open = this.#open.get(name);
    this.#open.delete(name);
    await open?.service.close();
  }
}

/** Which options of the service the file itself gives. */
function saidIn({ rows }: Plan, name: string): ReadonlySet<string> {
  const prefix = `${formatPath(["services", name, "realtime"])}.`;
  const given = rows.filter(({ path, origin }) => origin === "file" && path.startsWith(prefix));
  return new Set(given.map(({ path }) => path.slice(prefix.length).replace(/[.[].*/s, "")));
}

function realtimeOf(plan: Plan): [string, Options][] {
  return [...plan.services].flatMap(([name, service]) => {
    return service.kind === "realtime" ? [[name, service.options.realtime] as [string, Options]] : [];
  });
}
