/**
 * `npm run bench -- edge-kill`: a whole Tideway is killed with -9 under 5,000 Socket.IO clients and started again at once: when each
 * is back by the stock client's rules, and what of the events, which go on, was lost or came twice. Counted by the clients.
 */
import { once } from "node:events";
import { freePort } from "@tideway/scripts/free-port";
import { ledgeredConfiguration, openSurvivors, startSurvivors, untilHere } from "./handover.ts";
import type { SurvivorsResult, SurvivorsTask } from "./load/survivors.ts";
import { startTideway, temporaryFolder } from "./measure/contenders.ts";
import type { Core } from "./measure/processes.ts";
import { aligned } from "./measure/table.ts";

export interface EdgeKillOptions {
  readonly kills: number;
  readonly raw: number;
  readonly stock: number;
  readonly cores: { readonly server: Core; readonly load: Core };
}

export interface EdgeKillResult extends SurvivorsResult {
  /** For each kill, from it on: when the new edge serves, and when the last client is held again. */
  readonly returns: readonly { readonly servesMs: number; readonly allMs: number }[];
}

export async function killEdge({ kills, raw, stock, cores }: EdgeKillOptions): Promise<EdgeKillResult> {
  await using endings = new AsyncDisposableStack();
  const folder = temporaryFolder();
  const text = ledgeredConfiguration(await freePort());
  let tideway = await startTideway(folder, text, { core: cores.server });
  endings.defer(() => tideway.program.stop());
  const load = await startSurvivors(cores.load);
  endings.defer(() => load.stop());
  await openSurvivors(load, tideway.port, raw, stock);
  const returns: { servesMs: number; allMs: number }[] = [];
  for (let kill = 0; kill < kills; kill++) {
    const since = Date.now();
    const waiting = untilHere(load, since);
    const gone = once(tideway.program.process, "close");
    tideway.program.process.kill("SIGKILL");
    await gone;
    tideway = await startTideway(folder, text, { core: cores.server });
    const servesMs = Date.now() - since;
    returns.push({ servesMs, allMs: (await waiting).lastMs });
  }
  return { returns, ...(await load.ask<SurvivorsResult>({ type: "finish" } satisfies SurvivorsTask)) };
}

export async function edgeKill(): Promise<string> {
  const options = { kills: 2, raw: 4950, stock: 50, cores: { server: "server", load: "load" } } as const;
  const result = await killEdge(options);
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const rows = result.returns.map(({ servesMs, allMs }, at) => [`kill ${at + 1}`, seconds(servesMs), seconds(allMs)]);
  return [
    `${options.raw + options.stock} clients, ${options.stock} of them stock; the edge is killed with -9 and started again`,
    aligned([["", "it serves after", "all are back after"], ...rows]),
    `longest from a client's own attempt, after its own delay, to being back: ${seconds(result.slowestReturnMs)}`,
    `of ${result.said} events to each client: ${result.lost} lost, ${result.repeated} repeated; ${result.unrecovered} of ${result.dropped} returns without recovery`,
  ].join("\n");
}
