/**
 * `npm run bench -- publish`: events of 100 bytes that one process appends to a stream on disk and delivers to a WebSocket,
 * as many as it can; and how long one takes from a client's `emit` to its delivery, at 5,000 a second.
 */
import { join } from "node:path";
import type { HearTask, OpenTask, PacedSayingTask, SayingResult } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { temporaryFolder } from "./measure/contenders.ts";
import { type Core, Script } from "./measure/processes.ts";
import { rounds, table } from "./measure/table.ts";
import type { PublishTask } from "./servers/publishing.ts";

const count = 5;
const bytes = 100;
const throughput: PublishTask = { events: 150_000, bytes, window: 4000 };
const warmUpEvents = 50_000;
const pace = { perSecond: 5000, warmUpMs: 1000, ms: 3000 } as const;

export interface Publishing extends AsyncDisposable {
  readonly name: string;
  /** Resolves to events per second: from the first until the last one was delivered. */
  publish(task: PublishTask): Promise<number>;
  say(perSecond: number, ms: number): Promise<SayingResult>;
}

/** A server with a stream, one listener and one sender. */
export async function startPublishing(durability: "disk" | "memory", core: Core = "any"): Promise<Publishing> {
  await using started = new AsyncDisposableStack();
  const url = new URL("./servers/publishing.ts", import.meta.url);
  const args = [durability, join(temporaryFolder(), "data")];
  const { script, ready } = await Script.start<{ port: number }>(core, url, args);
  started.defer(() => script.stop());
  const load = await startLoad("any");
  started.defer(() => load.stop());
  await load.ask({ type: "open", port: ready.port, protocol: "socket.io", clients: 1 } satisfies OpenTask);
  const endings = started.move();
  return {
    name: `tideway, ${durability}`,
    async publish(task) {
      const heard = load.ask<{ elapsedMs: number }>({ type: "hear", count: task.events } satisfies HearTask);
      const [{ elapsedMs }] = await Promise.all([heard, script.ask(task)]);
      return task.events / (elapsedMs / 1000);
    },
    say: (perSecond, ms) => load.ask({ type: "say", perSecond, ms, bytes } satisfies PacedSayingTask),
    [Symbol.asyncDispose]: () => endings.disposeAsync(),
  };
}

async function throughputTable(contenders: readonly Publishing[]): Promise<string> {
  const { script: rows } = await Script.start("any", new URL("./servers/rows.ts", import.meta.url), [
    temporaryFolder(),
  ]);
  const alone = {
    name: "SQLite's own rows",
    async publish(task: PublishTask) {
      const { elapsedMs } = await rows.ask<{ elapsedMs: number }>(task);
      return task.events / (elapsedMs / 1000);
    },
  };
  const all = [...contenders, alone];
  for (const one of all) await one.publish({ ...throughput, events: warmUpEvents });
  const figures = await rounds(count, all, async (one) => [await one.publish(throughput)]);
  await rows.stop();
  const title = `${throughput.events.toLocaleString("en-US")} events published, committed and delivered, ${bytes} bytes, ${throughput.window.toLocaleString("en-US")} under way, median of ${count} rounds`;
  return `${title}\n${table([{ title: "events/s", digits: 0 }], figures)}`;
}

async function latencyTable(contenders: readonly Publishing[]): Promise<string> {
  for (const one of contenders) await one.say(pace.perSecond, pace.warmUpMs);
  const figures = await rounds(count, contenders, async (one) => {
    const { p50Ms, p99Ms, p999Ms } = await one.say(pace.perSecond, pace.ms);
    return [p50Ms, p99Ms, p999Ms];
  });
  const title = `${pace.perSecond.toLocaleString("en-US")} events a second from a client's emit to their delivery, median of ${count} rounds`;
  const columns = ["p50 ms", "p99 ms", "p99.9 ms"].map((each) => ({ title: each, digits: 2 }));
  return `${title}\n${table(columns, figures)}`;
}

export async function publish(): Promise<string> {
  await using endings = new AsyncDisposableStack();
  const contenders: Publishing[] = [];
  for (const durability of ["disk", "memory"] as const) {
    contenders.push(endings.use(await startPublishing(durability)));
  }
  return `${await throughputTable(contenders)}\n\n${await latencyTable(contenders)}`;
}
