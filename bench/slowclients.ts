/**
 * `npm run bench -- slowclients`: what healthy clients notice of 5,000 that are slow on purpose (`slowhttptest`: heads that
 * never end, bodies that trickle, answers that are not read), beside nginx and HAProxy. The same is run before the slow ones
 * come, for the machine's mood: the ratio is the figure. While they come they are 5,000 new connections in some three
 * seconds, 1,500 of which ask for a MiB each: every server is busy then, and that is shown in a column of its own.
 */
import { findProgram, requires } from "@tideway/scripts/requires";
import type { SteadyResult, SteadyTask } from "./load/steady.ts";
import { type Contender, startGateways } from "./measure/contenders.ts";
import { residentOf } from "./measure/memory.ts";
import { Program, Script } from "./measure/processes.ts";
import { type Column, rounds, table } from "./measure/table.ts";

const slow = { heads: 2_500, bodies: 1_000, reads: 1_500 };
/** Of clients and to the origin together, more than come. */
const connections = 16_000;
const healthy = { clients: 16, restMs: 20 };
/** The slow ones have come after the second. */
const windowsMs = { before: 8_000, coming: 5_000, meanwhile: 8_000 };
/** Of each kind of connection, kept and new, at full speed: a server that has just started answers with cold code. */
const warmUpSeconds = 3;
const roundCount = 2;
/** More than the measurements take: they are ended then. */
const attackSeconds = 60;
const mebibyte = 1024 * 1024;

const columns: readonly Column[] = [
  { title: "p99 ms before", digits: 1 },
  { title: "while they come", digits: 1 },
  { title: "meanwhile", digits: 1 },
  { title: "meanwhile ÷ before", digits: 2 },
  { title: "failed", digits: 0, compared: false },
  { title: "memory +MiB", digits: 0, compared: false },
];

function attack(port: number): Program[] {
  const start = (connections: number, path: string, ...mode: string[]): Program => {
    const common = ["-c", String(connections), "-r", "1000", "-l", String(attackSeconds), "-p", String(attackSeconds)];
    // What they cost themselves is not to be taken from the healthy: they are many, and watch all their sockets.
    return new Program("load", [
      findProgram("chrt")!,
      "--idle",
      "0",
      findProgram("slowhttptest")!,
      ...mode,
      ...common,
      "-u",
      `http://127.0.0.1:${port}${path}`,
    ]);
  };
  return [
    start(slow.heads, "/small", "-H", "-i", "5", "-x", "24"),
    start(slow.bodies, "/small", "-B", "-i", "5", "-s", "8192", "-x", "24"),
    start(slow.reads, "/big", "-X", "-w", "512", "-y", "1024", "-n", "30", "-z", "1"),
  ];
}

async function warmUp(port: number): Promise<void> {
  const common = ["-t1", "-c32", `-d${warmUpSeconds}`, `http://127.0.0.1:${port}/small`];
  for (const field of [[], ["-H", "Connection: close"]])
    await new Program("load", [findProgram("wrk")!, ...common, ...field]).ended();
}

async function measure({ port, program }: Contender, load: Script): Promise<readonly number[]> {
  const ask = (measureMs: number) => load.ask<SteadyResult>({ port, measureMs, ...healthy } satisfies SteadyTask);
  await warmUp(port);
  const before = await ask(windowsMs.before);
  const resident = residentOf(program.pid);
  const attackers = attack(port);
  const coming = await ask(windowsMs.coming);
  const meanwhile = await ask(windowsMs.meanwhile);
  const grown = (residentOf(program.pid) - resident) / mebibyte;
  for (const attacker of attackers) await attacker.stop();
  const failed = before.failed + coming.failed + meanwhile.failed;
  return [before.p99Ms, coming.p99Ms, meanwhile.p99Ms, meanwhile.p99Ms / before.p99Ms, failed, grown];
}

export async function slowclients(): Promise<string> {
  const missing = requires("slowhttptest", "wrk", "chrt");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  await using gateways = await startGateways({ connections });
  const { script: load } = await Script.start("load", new URL("./load/steady.ts", import.meta.url));
  gateways.endings.defer(() => load.stop());
  const rows = await rounds(roundCount, gateways.contenders, (contender) => measure(contender, load));
  const who = `${slow.heads} slow heads, ${slow.bodies} slow bodies, ${slow.reads} slow readers`;
  return [
    `${healthy.clients} healthy clients among ${who}, median of ${roundCount} rounds`,
    table(columns, rows),
    ...gateways.leftOut,
  ].join("\n");
}
