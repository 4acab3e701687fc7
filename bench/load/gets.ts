/** GETs as fast as they are answered, by `wrk`, with the CPU that a server spends on each. */
import { findProgram } from "@tideway/scripts/requires";
import type { Contender } from "../measure/contenders.ts";
import { cpuOf } from "../measure/cpu.ts";
import { Program } from "../measure/processes.ts";
import type { Column } from "../measure/table.ts";

export interface GetsOptions {
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly measureSeconds: number;
}

export const getsColumns: readonly Column[] = [
  { title: "requests/s", digits: 0 },
  { title: "CPU µs/request", digits: 1 },
];

/** How many were answered, all of them with a 2xx or 3xx: any other answer, and any broken connection, fails. */
export async function wrk(port: number, connections: number, seconds: number): Promise<number> {
  const args = ["-t1", `-c${connections}`, `-d${seconds}s`, `http://127.0.0.1:${port}/`];
  const said = await new Program("load", [findProgram("wrk")!, ...args]).ended();
  const bad = /Non-2xx.*|Socket errors.*/.exec(said);
  if (bad !== null) throw new Error(`wrk ${args.join(" ")}: ${bad[0]}`);
  return Number(/(\d+) requests in/.exec(said)![1]);
}

/** Figures for `getsColumns`: requests per second, and µs of the server's CPU per request. */
export async function measureGets(
  { port, program }: Contender,
  { connections, warmUpSeconds, measureSeconds }: GetsOptions,
): Promise<readonly number[]> {
  await wrk(port, connections, warmUpSeconds);
  const before = cpuOf(program.pid);
  const requests = await wrk(port, connections, measureSeconds);
  const cpuMs = cpuOf(program.pid) - before;
  return [requests / measureSeconds, (cpuMs * 1000) / requests];
}
