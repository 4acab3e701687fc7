/**
 * `npm run bench -- changes`: 100 reloads and 20 deploys of a whole Tideway under load, with 1,000 open WebSockets: how many
 * requests failed, and how many sockets were dropped. Counted by the clients, never asked of the server.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { fileURLToPath } from "node:url";
import { Client } from "./load/client.ts";
import { startTideway, temporaryFolder, tidewayBin, type Whole } from "./measure/contenders.ts";
import { Script } from "./measure/processes.ts";

export interface ChangesOptions {
  readonly reloads: number;
  readonly deploys: number;
  /** Of them nine in ten are Socket.IO's, which the edge holds; the others are proxied to an upstream that stays. */
  readonly sockets: number;
  /** Requests under way at once. */
  readonly readers: number;
  readonly core: "server" | "any";
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

const application = fileURLToPath(new URL("./servers/application.ts", import.meta.url));
const connectBatch = 50;
const proxiedEvery = 10;
/** How long an answer may take before a socket counts as dead. */
const hearMs = 30_000;

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

async function openSockets(port: number, count: number, clients: Client[], dropped: string[]): Promise<void> {
  while (clients.length < count) {
    const batch = Array.from({ length: Math.min(connectBatch, count - clients.length) }, (_, at) => {
      const proxied = (clients.length + at) % proxiedEvery === proxiedEvery - 1;
      return Client.open({
        port,
        protocol: proxied ? "plain" : "socket.io",
        ...(proxied ? { path: "/echo/" } : {}),
        role: "listener",
        keeps: false,
        onMessages: () => {},
        onClose: (why) => dropped.push(`${proxied ? "proxied" : "socket.io"}: ${why}`),
      });
    });
    clients.push(...(await Promise.all(batch)));
  }
}

export async function change(options: ChangesOptions, tell: (text: string) => void): Promise<ChangesResult> {
  await using endings = new AsyncDisposableStack();
  const echo = await Script.start<{ port: number }>(options.core, new URL("./servers/realtime-ws.ts", import.meta.url));
  endings.defer(() => echo.script.stop());
  const folder = temporaryFolder();
  const whole = await startTideway(folder, configuration(0, echo.ready.port), { core: options.core });
  endings.defer(() => whole.program.stop());
  const dropped: string[] = [];
  const clients: Client[] = [];
  endings.defer(() => {
    for (const client of clients) client.close();
  });
  await openSockets(whole.port, options.sockets, clients, dropped);
  const readers = new Readers(`http://127.0.0.1:${whole.port}/`, options.readers);
  endings.defer(() => readers.stop());
  const times = await applyAll(options, whole, echo.ready.port, (done) =>
    tell(`${done}, ${readers.requests} requests, ${readers.failed.length} failed, ${dropped.length} dropped …\n`),
  );
  await readers.stop();
  const alive = await heard(clients);
  return { requests: readers.requests, failed: readers.failed, sockets: clients.length, dropped, alive, ...times };
}

/** Every reload is looked at: the new configuration answers. */
async function applyAll(
  { reloads, deploys }: ChangesOptions,
  { port, configuration: file }: Whole,
  echo: number,
  tell: (done: string) => void,
): Promise<Pick<ChangesResult, "reloadMs" | "deployMs">> {
  const reloadMs: number[] = [];
  const deployMs: number[] = [];
  const every = Math.max(1, Math.floor(reloads / Math.max(1, deploys)));
  for (let count = 1; count <= reloads; count++) {
    writeFileSync(file, configuration(count, echo));
    reloadMs.push(await timed(() => tideway(["reload", file])));
    const note = await fetch(`http://127.0.0.1:${port}/note`);
    const text = await note.text();
    if (text !== `configuration ${count}`) throw new Error(`after reload ${count} it answers ${text}`);
    if (count % every !== 0 || deployMs.length >= deploys) continue;
    deployMs.push(await timed(() => tideway(["deploy", "web", file])));
    tell(`${count} reloads, ${deployMs.length} deploys`);
  }
  return { reloadMs, deployMs };
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
  const options = { reloads: 100, deploys: 20, sockets: 1000, readers: 16, core: "server" } as const;
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
