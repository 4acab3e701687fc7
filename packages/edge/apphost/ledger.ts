/**
 * `instances.json` in the data directory: which processes this Tideway has started. The next start ends those that a
 * killed Tideway and its guard left behind. A second line of defence: the guard (guard.ts) is the first.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Logger, OperatorError } from "@tideway/base";
import { groupGone, signalGroup, startOf } from "./groups.ts";

interface Entry {
  readonly pid: number;
  readonly started: string;
}

interface Recorded {
  readonly tideway: Entry;
  readonly instances: readonly (Entry & { readonly id: string })[];
}

const TERM_MS = 2_000;
const KILL_MS = 1_000;

export class InstanceLedger {
  readonly #directory: string;
  readonly #file: string;
  readonly #own: Entry;
  readonly #entries = new Map<number, Entry & { id: string }>();
  readonly #logger: Logger;

  constructor(directory: string, logger: Logger) {
    this.#directory = directory;
    this.#logger = logger;
    this.#file = join(directory, "instances.json");
    this.#own = { pid: process.pid, started: startOf(process.pid) ?? "" };
  }

  /** Ends what an earlier Tideway left behind. Throws when that Tideway is still running. */
  async endStale(): Promise<void> {
    const recorded = this.#read();
    if (recorded === null) return;
    const { tideway } = recorded;
    if (tideway.pid !== process.pid && startOf(tideway.pid) === tideway.started) {
      throw new OperatorError("START_ALREADY_RUNNING", {
        where: `data: ${this.#directory}`,
        seen: `process ${tideway.pid}`,
        hint: "Stop that one first, or give this one a data directory of its own.",
      });
    }
    const stale = recorded.instances.filter((entry) => startOf(entry.pid) === entry.started);
    await Promise.all(
      stale.map(async ({ pid, id }) => {
        this.#logger.warn({ instance: id, process: pid }, "ending an instance that an earlier run left behind");
        signalGroup(pid, "SIGTERM");
        if (await groupGone(pid, TERM_MS)) return;
        signalGroup(pid, "SIGKILL");
        await groupGone(pid, KILL_MS);
      }),
    );
  }

  add(id: string, pid: number): void {
    this.#entries.set(pid, { id, pid, started: startOf(pid) ?? "" });
    this.#write();
  }

  remove(pid: number): void {
    if (this.#entries.delete(pid)) this.#write();
  }

  /** Nothing runs any more: nothing is left to be found. */
  clear(): void {
    try {
      rmSync(this.#file, { force: true });
    } catch (error) {
      // What it names has ended: the next start finds nobody.
      this.#logger.debug({ file: this.#file, error: String(error) }, "the record of instances could not be removed");
    }
  }

  #read(): Recorded | null {
    try {
      const parsed: unknown = JSON.parse(readFileSync(this.#file, "utf8"));
      return isRecorded(parsed) ? parsed : null;
    } catch {
      // Missing, or cut short by a crash of the machine, which ended the processes too.
      return null;
    }
  }

  /**
   * Replaced in one step, so that a crash leaves the old or the new; at once, for a crash may follow at once. A disk that
   * refuses costs the second line of defence, not the instance.
   */
  #write(): void {
    const recorded: Recorded = { tideway: this.#own, instances: [...this.#entries.values()] };
    try {
      mkdirSync(this.#directory, { recursive: true });
      writeFileSync(`${this.#file}.new`, `${JSON.stringify(recorded)}\n`, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (error) {
      this.#logger.error({ file: this.#file, error: String(error) }, "the record of instances could not be written");
    }
  }
}

function isEntry(value: unknown): value is Entry {
  if (typeof value !== "object" || value === null) return false;
  const { pid, started } = value as Partial<Entry>;
  // 0 and 1 as a group would be everyone.
  return Number.isSafeInteger(pid) && pid! > 1 && typeof started === "string" && started !== "";
}

function isRecorded(value: unknown): value is Recorded {
  if (typeof value !== "object" || value === null) return false;
  const { tideway, instances } = value as Partial<Recorded>;
  return isEntry(tideway) && Array.isArray(instances) && instances.every(isEntry);
}
