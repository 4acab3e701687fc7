/**
 * `npm run bench -- keepalive`: resident memory per connection that is kept without a request, 10,000 of them, each after one
 * proxied answer: a whole Tideway beside nginx and HAProxy.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { AskAgainTask, KeepResult, KeepTask } from "./load/keep.ts";
import { startLoad } from "./load/start.ts";
import { type Contender, type ContenderName, contenderNames, startGateways } from "./measure/contenders.ts";
import { residentOf } from "./measure/memory.ts";
import { type Row, table } from "./measure/table.ts";

const roundCount = 2;
const connections = 10_000;
/** For the buffers of the answers to be let go. */
const settleMs = 2000;

/** After a collection, where there is one. */
async function memoryOf({ name, program }: Contender): Promise<number> {
  return name === "tideway" ? (await program.ask<{ rss: number }>({})).rss : residentOf(program.pid);
}

/** KiB per connection, or null when it is not installed. All are open at the end, and answer once more. */
async function measure(name: ContenderName): Promise<number | null> {
  await using gateways = await startGateways({ only: [name], connections: 2 * connections });
  const [contender] = gateways.contenders;
  if (contender === undefined) return null;
  const load = await startLoad("load");
  gateways.endings.defer(() => load.stop());
  const before = await memoryOf(contender);
  const opened = await load.ask<KeepResult>({ type: "keep", port: contender.port, connections } satisfies KeepTask);
  await sleep(settleMs);
  const after = await memoryOf(contender);
  const again = await load.ask<KeepResult>({ type: "ask again" } satisfies AskAgainTask);
  for (const [when, { answered }] of [["at first", opened] as const, ["again", again] as const]) {
    if (answered !== connections) throw new Error(`${name}: ${answered} of ${connections} were answered ${when}`);
  }
  return (after - before) / connections / 1024;
}

export async function keepalive(): Promise<string> {
  const rows: Row[] = [];
  const leftOut: string[] = [];
  for (const name of contenderNames) {
    const figures: (readonly [number])[] = [];
    for (let round = 0; round < roundCount; round++) {
      const figure = await measure(name);
      if (figure !== null) figures.push([figure]);
    }
    if (figures.length > 0) rows.push({ name, rounds: figures });
    else leftOut.push(`${name} is left out: it is not installed`);
  }
  const title = `${connections.toLocaleString("en-US")} idle kept connections, median of ${roundCount} rounds`;
  return [title, table([{ title: "KiB/connection", digits: 2 }], rows), ...leftOut].join("\n");
}
