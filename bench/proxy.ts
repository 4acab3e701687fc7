/** `npm run bench -- proxy`: CPU per proxied GET of 100 bytes over 64 keep-alive connections, beside nginx and HAProxy. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram, requires } from "@tideway/scripts/requires";
import { cpuOf } from "./measure/cpu.ts";
import { Program, Script } from "./measure/processes.ts";
import { table } from "./measure/table.ts";
import { haproxyConfiguration } from "./peers/haproxy.ts";
import { nginxConfiguration } from "./peers/nginx.ts";

const rounds = 3;
const connections = 64;
const warmUpSeconds = 1;
const measureSeconds = 4;

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
  writeFileSync(file, isNginx ? nginxConfiguration(folder, port, origin) : haproxyConfiguration(port, origin));
  const args = isNginx ? ["-p", folder, "-e", "stderr", "-c", file] : ["-db", "-f", file];
  const program = new Program("server", [findProgram(name)!, ...args]);
  await program.accepting(port);
  return { name, port, program };
}

/** Requests per second, and µs of the server's CPU per request. */
async function measure({ port, program }: Contender): Promise<readonly [number, number]> {
  const wrk = async (seconds: number): Promise<number> => {
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, `http://127.0.0.1:${port}/`];
    const said = await new Program("load", [findProgram("wrk")!, ...args]).ended();
    const bad = /Non-2xx.*|Socket errors.*/.exec(said);
    if (bad !== null) throw new Error(`${program.process.spawnargs.join(" ")}: ${bad[0]}`);
    return Number(/(\d+) requests in/.exec(said)![1]);
  };
  await wrk(warmUpSeconds);
  const before = { cpu: cpuOf(program.pid), at: performance.now() };
  const requests = await wrk(measureSeconds);
  const cpuMs = cpuOf(program.pid) - before.cpu;
  return [requests / measureSeconds, (cpuMs * 1000) / requests];
}

export async function proxy(): Promise<string> {
  const missing = requires("wrk");
  if (missing !== false) throw new Error(`The benchmark ${missing}.`);
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { script: origin, ready } = await Script.start<{ port: number }>(
    "load",
    new URL("./servers/origin.ts", import.meta.url),
  );
  const contenders = [await startOurs(ready.port)];
  const leftOut: string[] = [];
  try {
    for (const name of ["nginx", "haproxy"] as const) {
      if (findProgram(name) === null) leftOut.push(name);
      else contenders.push(await startPeer(name, folder, ready.port));
    }
    const rows = contenders.map(({ name }): { name: string; rounds: (readonly number[])[] } => ({ name, rounds: [] }));
    for (let round = 0; round < rounds; round++) {
      for (const [index, contender] of contenders.entries()) rows[index]!.rounds.push(await measure(contender));
    }
    const columns = [
      { title: "requests/s", digits: 0 },
      { title: "CPU µs/request", digits: 1 },
    ];
    const title = `proxied GET, 100-byte body, ${connections} connections, median of ${rounds} rounds`;
    return [title, table(columns, rows), ...leftOut.map((name) => `${name} is left out: it is not installed`)].join(
      "\n",
    );
  } finally {
    for (const { program } of contenders) await program.stop();
    await origin.stop();
  }
}
