/**
 * Thousands of clients that are slow on purpose (`slowhttptest`: heads that never end, bodies that trickle, answers that are
 * not read): others are served as if nothing were, memory stays bounded, and the slow ones are cut off.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { findProgram, requires } from "@tideway/scripts/requires";
import { RunningTideway, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

/** What the system allows: each connection through the gateway takes two of its descriptors, and 0.4 of them are clients'. */
const descriptors = Number(execFileSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).trim()) || 1_048_576;
const share = Math.min(1, descriptors / 20_000);
const attack = {
  heads: Math.floor(2_500 * share),
  bodies: Math.floor(1_000 * share),
  reads: Math.floor(1_500 * share),
};
const readers = Math.floor(2_000 * share);
const healthy = 8;
/** Of which the gateway may hold 128 KiB that its socket does not take, and one read of its upstream's. */
const bytesPerReaderMax = 320 * 1024;
/** For what connections cost besides. */
const bytesPerConnectionMax = 32 * 1024;
const slackBytes = 128 * 1024 * 1024;

/** A service in a process of its own, with so many instances; their ports. */
async function startOrigin(t: TestContext, instances: number): Promise<readonly number[]> {
  const app = fileURLToPath(new URL("./apps/origin.ts", import.meta.url));
  const origin = spawn(process.execPath, [app, String(instances)], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => end(origin));
  const [line] = (await once(createInterface({ input: origin.stdout! }), "line")) as [string];
  return (JSON.parse(line) as { ports: number[] }).ports;
}

async function start(t: TestContext) {
  const folder = temporaryFolder("slow-clients");
  t.after(() => folder.remove());
  // A process for each: what the slow ask of theirs takes none of the other's time.
  const quick = await startOrigin(t, 1);
  const large = await startOrigin(t, 3);
  const service = (list: readonly number[]) =>
    `{ upstreams: [${list.map((port) => `"http://127.0.0.1:${port}"`)}], health: { path: "/healthy" } }`;
  const source = `{ listen: [{ port: 0 }], console: false, data: ${JSON.stringify(`${folder.path}/data`)}, log: { requests: false },
    services: { quick: ${service(quick)}, large: ${service(large)} },
    sites: { "*": { "/": "quick", "/big": "large" } } }`;
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, source));
  t.after(() => tideway.stop());
  await until("both services to answer", async () => {
    const all = await Promise.all(["/small", "/big"].map((path) => fetch(`${tideway.url}${path}`)));
    for (const each of all) await each.arrayBuffer();
    return all.every(({ status }) => status === 200);
  });
  const asked = async () => Number(await (await fetch(`http://127.0.0.1:${large[0]}/asked`)).text());
  return { tideway, asked };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "close");
}

/** Goes on for a minute, or until the test ends it. */
function slow(t: TestContext, url: string, connections: number, ...args: string[]): ChildProcess {
  const common = ["-c", String(connections), "-r", "1000", "-l", "60", "-p", "60", "-u", url];
  const child = spawn(findProgram("slowhttptest")!, [...args, ...common], { stdio: "ignore" });
  t.after(() => end(child));
  return child;
}

/** What is read of a window of at most a KiB: a byte every 30 s. */
const slowRead = ["-X", "-w", "512", "-y", "1024", "-n", "30", "-z", "1"];

function residentBytes({ process }: RunningTideway): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${process.pid}/status`, "utf8"))![1]) * 1024;
}

let counted = { at: 0, connections: 0 };

/**
 * Connections that clients have to it, as the kernel knows them: established, or closed by the client alone. Looked up twice
 * a second at most: among thousands it takes the time of the healthy clients here.
 */
function connectionsOf({ addresses }: RunningTideway): number {
  if (performance.now() - counted.at < 500) return counted.connections;
  const port = addresses.listeners[0]!.port.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`^ *\\d+: 0100007F:${port} \\S+ (?:01|08) `, "gm");
  const connections = readFileSync("/proc/net/tcp", "latin1").match(line)?.length ?? 0;
  counted = { at: performance.now(), connections };
  return connections;
}

/** Clients that ask for something small again and again, each over one connection, some over a new one each time. */
class Healthy {
  readonly #url: string;
  readonly #working: Promise<void>[] = [];
  #latencies: number[] = [];
  #done = false;
  failures: string[] = [];

  constructor(url: string) {
    this.#url = `${url}/small`;
    for (let i = 0; i < healthy; i++)
      this.#working.push(this.#work(new Agent({ keepAlive: i % 2 === 0, maxSockets: 1 })));
  }

  async #work(agent: Agent): Promise<void> {
    while (!this.#done) {
      const start = performance.now();
      try {
        const bytes = await ask(this.#url, agent);
        if (bytes !== 100) this.failures.push(`${bytes} bytes`);
      } catch (error) {
        this.failures.push(String(error));
      }
      this.#latencies.push(performance.now() - start);
    }
    agent.destroy();
  }

  /** How many were answered since the last call, and the time that 99 of 100 took at most. */
  take(): string {
    const sorted = this.#latencies.sort((a, b) => a - b);
    this.#latencies = [];
    const at = (part: number) => (sorted[Math.floor(sorted.length * part)] ?? Number.NaN).toFixed(1);
    return `${sorted.length} requests, median ${at(0.5)} ms, p99 ${at(0.99)} ms`;
  }

  get answered(): number {
    return this.#latencies.length;
  }

  async end(): Promise<void> {
    this.#done = true;
    await Promise.all(this.#working);
  }
}

function ask(url: string, agent: Agent): Promise<number> {
  return new Promise((done, failed) => {
    get(url, { agent }, (response) => {
      let bytes = 0;
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length;
      });
      response.on("end", () => done(response.statusCode === 200 ? bytes : -response.statusCode!));
      response.on("error", failed);
    }).on("error", failed);
  });
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

test("thousands of slow heads, bodies and readers at once: no healthy request fails, memory is bounded, the slow are cut off", {
  skip: requires("slowhttptest"),
  timeout: 180_000,
}, async (t) => {
  const { tideway, asked } = await start(t);
  const clients = new Healthy(tideway.url);
  t.after(() => clients.end());
  await until("healthy clients to be served", async () => clients.answered > 500, 60_000);
  t.diagnostic(`before: ${clients.take()}`);
  const before = residentBytes(tideway);

  const asking = await asked();

  const { heads, bodies, reads } = attack;
  const attackers = [
    slow(t, `${tideway.url}/small`, heads, "-H", "-i", "5", "-x", "24"),
    slow(t, `${tideway.url}/small`, bodies, "-B", "-i", "5", "-s", "8192", "-x", "24"),
    slow(t, `${tideway.url}/big`, reads, ...slowRead),
  ];
  let most = 0;
  let memory = 0;
  const look = (): void => {
    most = Math.max(most, connectionsOf(tideway));
    memory = Math.max(memory, residentBytes(tideway));
  };
  // Slow heads and bodies come and are cut off; how many are there at once is the machine's to say, and is told.
  await until(
    "all slow readers to be there",
    async () => {
      look();
      return (await asked()) - asking >= reads;
    },
    90_000,
  );
  t.diagnostic(`while they come: ${clients.take()}`);
  await until(
    "healthy clients to be served meanwhile",
    async () => {
      look();
      return clients.answered > 300;
    },
    60_000,
  );
  t.diagnostic(`meanwhile: ${clients.take()}`);
  for (const code of ["HEAD_TIMEOUT", "STALLED"]) {
    const cut = (line: string) => line.includes(`"${code}"`);
    await until(`slow clients to be cut off for ${code}`, async () => tideway.log.some(cut), 60_000);
  }
  look();
  assert.deepEqual(clients.failures, []);
  t.diagnostic(`${most} connections at most, memory grew by ${mebibytes(memory - before)}`);
  const bound = (heads + bodies) * bytesPerConnectionMax + reads * bytesPerReaderMax + slackBytes;
  assert.ok(memory - before < bound, `memory grew by ${mebibytes(memory - before)} of ${mebibytes(bound)}`);

  for (const attacker of attackers) await end(attacker);
  await until("everybody to be gone but the healthy", async () => connectionsOf(tideway) <= healthy, 60_000);
  await clients.end();
  assert.deepEqual(clients.failures, []);
});

test("thousands who do not read a large answer: memory is bounded by what the gateway holds of each", {
  skip: requires("slowhttptest"),
  timeout: 180_000,
}, async (t) => {
  const { tideway, asked } = await start(t);
  const before = residentBytes(tideway);
  const asking = await asked();
  slow(t, `${tideway.url}/big`, readers, ...slowRead);
  await until("all of them to have asked", async () => (await asked()) - asking >= readers, 90_000);
  let memory = 0;
  let quiet = 0;
  await until(
    "memory to grow no more",
    async () => {
      const now = residentBytes(tideway);
      quiet = now > memory ? 0 : quiet + 1;
      memory = Math.max(memory, now);
      return quiet > 50;
    },
    60_000,
  );
  t.diagnostic(`${readers} readers: memory grew by ${mebibytes(memory - before)}`);
  const bound = readers * bytesPerReaderMax + slackBytes;
  assert.ok(memory - before < bound, `memory grew by ${mebibytes(memory - before)} of ${mebibytes(bound)}`);
});
