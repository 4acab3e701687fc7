/**
 * `npm run bench -- bodies`: bodies of 100 MiB through a whole Tideway, down and up, beside nginx and HAProxy: throughput, CPU,
 * and how far the server's memory grows.
 */
import type { BodiesResult, BodiesTask } from "./load/bodies.ts";
import { startLoad } from "./load/start.ts";
import { type Contender, startGateways } from "./measure/contenders.ts";
import { cpuOf } from "./measure/cpu.ts";
import { forgetPeak, peakOf, residentOf } from "./measure/memory.ts";
import type { Script } from "./measure/processes.ts";
import { type Column, rounds, table } from "./measure/table.ts";

const roundCount = 3;
const mebibyte = 1024 * 1024;
const bodyMebibytes = 100;
const load = { bytes: bodyMebibytes * mebibyte, connections: 4, each: 2, compares: false } as const;

const columns: readonly Column[] = [
  { title: "MiB/s", digits: 0 },
  { title: "CPU ms/100 MiB", digits: 1 },
  { title: "memory +MiB", digits: 0, compared: false },
];

/** `idle` is the server's memory before the first body. */
async function measure(
  { port, program }: Contender,
  generator: Script,
  direction: BodiesTask["direction"],
  idle: number,
): Promise<readonly number[]> {
  const task: BodiesTask = { type: "bodies", port, direction, ...load };
  await generator.ask({ ...task, each: 1 });
  forgetPeak(program.pid);
  const before = cpuOf(program.pid);
  const { bodies: count, elapsedMs } = await generator.ask<BodiesResult>(task);
  return [
    (count * bodyMebibytes * 1000) / elapsedMs,
    (cpuOf(program.pid) - before) / count,
    (peakOf(program.pid) - idle) / mebibyte,
  ];
}

export async function bodies(): Promise<string> {
  await using gateways = await startGateways({ origin: "bodies" });
  const generator = await startLoad("load");
  gateways.endings.defer(() => generator.stop());
  const idle = new Map(gateways.contenders.map((each) => [each, residentOf(each.program.pid)]));
  const lines: string[] = [];
  for (const direction of ["down", "up"] as const) {
    const rows = await rounds(roundCount, gateways.contenders, (each) =>
      measure(each, generator, direction, idle.get(each)!),
    );
    lines.push(
      `bodies of ${bodyMebibytes} MiB ${direction}, ${load.connections} at once, median of ${roundCount} rounds`,
      table(columns, rows),
      "",
    );
  }
  return [...lines, ...gateways.leftOut].join("\n").trimEnd();
}
