/**
 * `npm run bench -- paused`: 1,000 clients of one room and one beside them that stops reading: how long a message takes until
 * all who read have it, without that one and with it, until it is cut off; and what it costs in memory.
 */
import type { OpenTask, PacedSayingTask, PauseTask, SayingResult } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { residentOf } from "./measure/memory.ts";
import type { Core } from "./measure/processes.ts";
import { aligned } from "./measure/table.ts";
import { servers } from "./realtime-servers.ts";

export interface PausedOptions {
  readonly clients: number;
  readonly bytes: number;
  readonly perSecond: number;
  readonly ms: number;
  readonly core: Core;
}

export interface PausedResult {
  readonly without: SayingResult;
  readonly beside: SayingResult;
  /** Of the server, in bytes: how much larger it is at the end. */
  readonly grown: number;
}

export async function comparePaused({ clients, core, ...pace }: PausedOptions): Promise<PausedResult> {
  await using endings = new AsyncDisposableStack();
  const { program, port, protocol } = await servers[0]!.start(core);
  endings.defer(() => program.stop());
  const load = await startLoad(core === "any" ? "any" : "load");
  endings.defer(() => load.stop());
  await load.ask({ type: "open", port, protocol, clients } satisfies OpenTask);
  const say = () => load.ask<SayingResult>({ type: "say", ...pace } satisfies PacedSayingTask);
  // The first round warms the server up.
  await say();
  const without = await say();
  const before = residentOf(program.pid);
  await load.ask({ type: "pause", port, protocol } satisfies PauseTask);
  const beside = await say();
  return { without, beside, grown: residentOf(program.pid) - before };
}

export async function paused(): Promise<string> {
  const options = { clients: 1000, bytes: 8000, perSecond: 25, ms: 20_000, core: "server" } as const;
  const { without, beside, grown } = await comparePaused(options);
  const row = (name: string, { p50Ms, p99Ms }: SayingResult) => [name, p50Ms.toFixed(1), p99Ms.toFixed(1)];
  const mebibytes = ((options.perSecond * options.ms * options.bytes) / 1000 / 1024 / 1024).toFixed(1);
  return [
    `${options.clients.toLocaleString("en-US")} clients of one room, ${options.perSecond} messages/s of ${options.bytes.toLocaleString("en-US")} bytes for ${options.ms / 1000} s, until all who read have one`,
    aligned([["", "p50 ms", "p99 ms"], row("all read", without), row("one more does not", beside)]),
    `what was said to it: ${mebibytes} MiB; the server has grown by ${(grown / 1024 / 1024).toFixed(1)} MiB`,
  ].join("\n");
}
