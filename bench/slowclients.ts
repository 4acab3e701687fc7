/**
 * `npm run bench -- slowclients`: what healthy clients notice of 5,000 that are slow on purpose (`slowhttptest`: heads that
 * never end, bodies that trickle, answers that are not read), beside nginx and HAProxy. The same is run before the slow ones
 * come, for the machine's mood: the ratio is the figure.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, requires } from "@tideway/scripts/requires";
import type { SteadyResult, SteadyTask } from "./load/steady.ts";
import { Program, Script } from "./measure/processes.ts";
import { table } from "./measure/table.ts";
import { haproxyConfiguration } from "./peers/haproxy.ts";
import { nginxConfiguration } from "./peers/nginx.ts";

const slow = { heads: 2_500, bodies: 1_000, reads: 1_500 };
/** Of clients, more than come; the peers' configurations differ in whether they count both sides. */
const connectionsMax = 8_000;
const healthy = { clients: 16, restMs: 20, measureMs: 5_000 };
/** More than the measurements take: they are ended then. */
const attackSeconds = 60;

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly program: Program;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}

async function startOurs(origin: number): Promise<Contender> {
  const url = new URL("./servers/proxy-tideway.ts", import.meta.url);
  const { script, ready } = await Script.start<{ port: number }>("server", url, [String(origin)]);
  return { name: "tideway", port: ready.port, program: script };
}

async function startPeer(name: "nginx" | "haproxy", folder: string, origin: number): Promise<Contender> {
  const port = await freePort();
  const file = join(folder, `${name}.conf`);
  const isNginx = name === "nginx";
  const configuration = isNginx
    ? nginxConfiguration(folder, port, origin, 2 * connectionsMax)
    : haproxyConfiguration(port, origin, connectionsMax);
  writeFileSync(file, configuration);
  const args = isNginx ? ["-p", folder, "-e", "stderr", "-c", file] : ["-db", "-f", file];
  const program = new Program("server", [findProgram(name)!, ...args]);
  await program.accepting(port);
  return { name, port, program };
}

/** Of the process and its children: nginx's master does nothing itself. */
function residentMebibytes(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean);
  const own = (each: number): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${each}/status`, "latin1"))?.[1] ?? 0) / 1024;
  return [pid, ...children.map(Number)].map(own).reduce((sum, each) => sum + each, 0);
}

function attack(port: number): Program[] {
  const start = (connections: number, path: string, ...mode: string[]): Program => {
    const common = ["-c", String(connections), "-r", "1000", "-l", String(attackSeconds), "-p", String(attackSeconds)];
    // What they cost themselves is not to be taken from the healthy: they are many, and watch all their sockets.
    return new Program("load", [
      "nice",
      "-n",
      "19",
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

async function measure({ port, program }: Contender, load: Script): Promise<readonly number[]> {
  const ask = () => load.ask<SteadyResult>({ port, ...healthy } satisfies SteadyTask);
  await ask();
  const before = await ask();
  const memory = residentMebibytes(program.pid);
  const attackers = attack(port);
  const coming = await ask();
  const meanwhile = await ask();
  const grown = residentMebibytes(program.pid) - memory;
  for (const attacker of attackers) await attacker.stop();
  const failed = before.failed + coming.failed + meanwhile.failed;
  return [before.p99Ms, coming.p99Ms, meanwhile.p99Ms, meanwhile.p99Ms / before.p99Ms, failed, grown];
}

export async function slowclients(): Promise<string> {
  const missing = requires("slowhttptest");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const url = (path: string) => new URL(path, import.meta.url);
  const { script: origin, ready } = await Script.start<{ port: number }>("load", url("./servers/origin.ts"));
  const { script: load } = await Script.start("load", url("./load/steady.ts"));
  const leftOut: string[] = [];
  const rows: { name: string; rounds: (readonly number[])[] }[] = [];
  try {
    const names = ["tideway", "nginx", "haproxy"] as const;
    for (const name of names) {
      if (name !== "tideway" && findProgram(name) === null) {
        leftOut.push(name);
        continue;
      }
      const contender = name === "tideway" ? await startOurs(ready.port) : await startPeer(name, folder, ready.port);
      rows.push({ name, rounds: [await measure(contender, load)] });
      await contender.program.stop();
    }
  } finally {
    await load.stop();
    await origin.stop();
  }
  const columns = [
    { title: "p99 ms before", digits: 1 },
    { title: "while they come", digits: 1 },
    { title: "meanwhile", digits: 1 },
    { title: "meanwhile ÷ before", digits: 2 },
    { title: "failed", digits: 0 },
    { title: "memory +MiB", digits: 0 },
  ];
  const who = `${slow.heads} slow heads, ${slow.bodies} slow bodies, ${slow.reads} slow readers`;
  const title = `${healthy.clients} healthy clients among ${who}, one round`;
  return [title, table(columns, rows), ...leftOut.map((name) => `${name} is left out: it is not installed`)].join("\n");
}
