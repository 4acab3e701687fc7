/**
 * `npm run bench -- latency`: how long a proxied GET takes at half of the load at which the slowest of the gateways is
 * saturated, the same for all: a whole Tideway beside nginx and HAProxy.
 */
import { requires } from "@tideway/scripts/requires";
import { wrk } from "./load/gets.ts";
import type { PacedResult, PacedTask } from "./load/paced.ts";
import { startLoad } from "./load/start.ts";
import { type Contender, startGateways } from "./measure/contenders.ts";
import { rounds, table } from "./measure/table.ts";

const roundCount = 5;
const saturation = { connections: 64, warmUpSeconds: 1, measureSeconds: 2 };
const pace = { connections: 256, seed: 1, warmUpMs: 1000, measureMs: 4000 };

const columns = [
  { title: "p50 ms", digits: 2 },
  { title: "p99 ms", digits: 2 },
  { title: "p99.9 ms", digits: 2 },
];

/** Requests per second. */
async function saturated({ port }: Contender): Promise<number> {
  await wrk(port, saturation.connections, saturation.warmUpSeconds);
  return (await wrk(port, saturation.connections, saturation.measureSeconds)) / saturation.measureSeconds;
}

export async function latency(): Promise<string> {
  const missing = requires("wrk");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  await using gateways = await startGateways();
  const load = await startLoad("load");
  gateways.endings.defer(() => load.stop());
  const most: string[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  for (const contender of gateways.contenders) {
    const rate = await saturated(contender);
    most.push(`${contender.name} ${Math.round(rate).toLocaleString("en-US")}`);
    lowest = Math.min(lowest, rate);
  }
  const perSecond = Math.round(lowest / 2);
  const rows = await rounds(roundCount, gateways.contenders, async ({ port }) => {
    const task: PacedTask = { type: "paced", port, perSecond, ...pace };
    const { p50Ms, p99Ms, p999Ms } = await load.ask<PacedResult>(task);
    return [p50Ms, p99Ms, p999Ms];
  });
  return [
    `proxied GET, 100-byte body, ${perSecond.toLocaleString("en-US")} a second over ${pace.connections} connections, median of ${roundCount} rounds`,
    `saturated at requests/s: ${most.join(", ")}`,
    table(columns, rows),
    ...gateways.leftOut,
  ].join("\n");
}
