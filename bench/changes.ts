/**
 * `npm run bench -- changes`: 100 reloads and 20 deploys of a whole Tideway under load, with 1,000 open WebSockets: how many
 * requests failed, and how many sockets were dropped. Counted by the clients, never asked of the server.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Client } from "./load/client.ts";
import { Program, Script } from "./measure/processes.ts";

export interface ChangesOptions {
  readonly reloads: number;
  readonly deploys: number;
  /** Of them nine in ten are Socket.IO's, which the edge holds; the others are proxied to an upstream that stays. */
  readonly sockets: number;
  /** Requests under way at once. */
  readonly readers: number;
}

export interface ChangesResult {
  readonly requests: number;
  readonly failed: readonly string[];
  readonly sockets: number;
  readonly dropped: readonly string[];
  /** Sockets that answered after the last change. */
  readonly alive: number;
  readonly reloadMs: readonly number[];
  readonly deployMs: readonly number[];
}

const tidewayBin = fileURLToPath(new URL("../packages/tideway/bin/tideway.ts", import.meta.url));
const application = fileURLToPath(new URL("./servers/application.ts", import.meta.url));
const connectBatch = 50;
const proxiedEvery = 10;
/** How long an answer may take before a socket counts as dead. */
const hearMs = 10_000;

/** Each is another configuration: a route more or less, an answer, a limit and a weight changed. */
function configuration(count: number, echo: number): string {
  const extra = count % 2 === 0 ? "" : `"/extra-${count}": { respond: { body: "extra ${count}" } },`;
  const upstream = `{ url: "http://127.0.0.1:${echo}", weight: ${1 + (count % 3)} }`;
  return `export default {
  listen: [{ port: 0 }], console: false, log: { level: "warn", requests: false },
  services: {
    web: { command: ${JSON.stringify(`${process.execPath} ${application}`)}, instances: 2, health: { path: "/" }, queueMax: ${1000 + count} },
    echo: { upstreams: [${upstream}], health: { kind: "tcp" } },
    live: { realtime: { service: "web" } },
    note: { respond: { body: "configuration ${count}" } },
  },
  sites: { "*": { "/": "web", "/echo": { to: "echo", strip: true }, "/socket.io": "live", "/note": "note", ${extra} } },
};\n`;
}

class Readers {
  requests = 0;
  readonly failed: string[] = [];
  readonly #agent: Agent;
  readonly #url: string;
  #stopped = false;
  readonly #running: Promise<unknown>;

  constructor(url: string, count: number) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: count });
    this.#running = Promise.all(Array.from({ length: count }, () => this.#read()));
  }

  async #read(): Promise<void> {
    while (!this.#stopped) {
      const outcome = await this.#ask();
      this.requests++;
      if (outcome !== "200") this.failed.push(outcome);
    }
  }

  #ask(): Promise<string> {
    return new Promise((done) => {
      const request = get(this.#url, { agent: this.#agent }, (response) => {
        response.resume();
        response.on("end", () => done(String(response.statusCode)));
        response.on("error", (error) => done(error.message));
      });
      request.on("error", (error) => done(error.message));
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    this.#agent.destroy();
  }
}

async function tideway(args: readonly string[]): Promise<void> {
  const child = spawn(process.execPath, [tidewayBin, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const code = await new Promise((done) => child.once("close", done));
  if (code !== 0) throw new Error(`tideway ${args[0]} ended with ${code}: ${said}`);
}

async function openSockets(port: number, count: number, dropped: string[]): Promise<Client[]> {
  const clients: Client[] = [];
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(connectBatch, count - clients.length) }, (_, at) => {
      const proxied = (clients.length + at) % proxiedEvery === proxiedEvery - 1;
      return Client.open({
        port,
        protocol: proxied ? "plain" : "socket.io",
        ...(proxied ? { path: "/echo/" } : {}),
        role: "listener",
        keeps: false,
        onMessage: () => {},
        onClose: (why) => dropped.push(`${proxied ? "proxied" : "socket.io"}: ${why}`),
      });
    });
    clients.push(...(await Promise.all(batch)));
  }
  return clients;
}

export async function change(options: ChangesOptions, tell: (text: string) => void): Promise<ChangesResult> {
  const folder = mkdtempSync(join(tmpdir(), "tideway-bench-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "tideway.config.ts");
  const echo = await Script.start<{ port: number }>("load", new URL("./servers/realtime-ws.ts", import.meta.url));
  writeFileSync(file, configuration(0, echo.ready.port));
  const server = new Program("server", [process.execPath, tidewayBin, "start", "--json", file]);
  const { listeners } = JSON.parse(await server.firstLine()) as { listeners: { port: number }[] };
  const { port } = listeners[0]!;
  const dropped: string[] = [];
  const clients = await openSockets(port, options.sockets, dropped);
  const readers = new Readers(`http://127.0.0.1:${port}/`, options.readers);
  const reloadMs: number[] = [];
  const deployMs: number[] = [];
  const every = Math.max(1, Math.floor(options.reloads / Math.max(1, options.deploys)));
  try {
    for (let count = 1; count <= options.reloads; count++) {
      writeFileSync(file, configuration(count, echo.ready.port));
      reloadMs.push(await timed(() => tideway(["reload", file])));
      const note = await fetch(`http://127.0.0.1:${port}/note`);
      const text = await note.text();
      if (text !== `configuration ${count}`) throw new Error(`after reload ${count} it answers ${text}`);
      if (count % every === 0 && deployMs.length < options.deploys) {
        deployMs.push(await timed(() => tideway(["deploy", "web", file])));
        tell(`${count} reloads, ${deployMs.length} deploys, ${readers.requests} requests …\n`);
      }
    }
    await readers.stop();
    const alive = await heard(clients);
    return {
      requests: readers.requests,
      failed: readers.failed,
      sockets: clients.length,
      dropped,
      alive,
      reloadMs,
      deployMs,
    };
  } finally {
    for (const client of clients) client.close();
    await readers.stop();
    await server.stop();
    await echo.script.stop();
  }
}

/** One of each kind says something to its room: how many hear it. */
async function heard(clients: readonly Client[]): Promise<number> {
  const before = clients.map(({ count }) => count);
  for (const at of [0, proxiedEvery - 1]) clients[at]?.say(["still there?"]);
  const alive = () => clients.filter(({ count }, at) => count > before[at]!).length;
  for (const end = performance.now() + hearMs; alive() < clients.length && performance.now() < end; ) {
    await new Promise((done) => setTimeout(done, 20));
  }
  return alive();
}

async function timed(action: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

const middle = (values: readonly number[]) => Math.round([...values].sort((a, b) => a - b)[values.length >> 1] ?? 0);

export async function changes(): Promise<string> {
  const options = { reloads: 100, deploys: 20, sockets: 1000, readers: 16 };
  const result = await change(options, (text) => process.stderr.write(text));
  const lines = [
    `${result.reloadMs.length} reloads (median ${middle(result.reloadMs)} ms each, the command's start included) and ` +
      `${result.deployMs.length} deploys of two instances (median ${middle(result.deployMs)} ms) under load`,
    `requests  ${result.requests.toLocaleString("en-US")}, failed ${result.failed.length}`,
    `sockets   ${result.sockets.toLocaleString("en-US")}, dropped ${result.dropped.length}, answering at the end ${result.alive}`,
    ...[...new Set([...result.failed, ...result.dropped])].slice(0, 5).map((what) => `          ${what}`),
  ];
  return lines.join("\n");
}
