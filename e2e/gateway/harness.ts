/**
 * What the tour of the gateway shares: a `tideway start` with a configuration of the test's own, origins behind it, stock
 * clients before it, and nginx or HAProxy on either side. Everything that is started ends with the test that started it.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { after } from "node:test";
import { promisify } from "node:util";
import { findProgram } from "@tideway/scripts/requires";
import type { TidewayConfig } from "tideway";
import { Agent, Client, type Dispatcher, request } from "undici";
import { RunningTideway, temporaryFolder, tideway, until, writeConfiguration } from "../harness/tideway.ts";

export { type CommandResult, tideway, until } from "../harness/tideway.ts";

/** Who ends what was started: a test, or a `describe` whose tests share it. */
export interface Owner {
  after(end: () => unknown): void;
}

/** For what `before` starts: to be called in the `describe` itself. What was started last ends first. */
export function suite(): Owner {
  const endings: (() => unknown)[] = [];
  after(async () => {
    for (const end of endings.toReversed()) await end();
  });
  return { after: (end) => void endings.push(end) };
}

/* ---------------------------------------------------------------- the gateway */

export interface Instance {
  readonly id: string;
  readonly state: string;
  readonly active: number;
  readonly weight?: number;
  readonly weightNow?: number;
  readonly why?: string;
  readonly counters?: { readonly requests: number; readonly failures: number; readonly ejections: number };
}

export interface Service {
  readonly name: string;
  readonly waiting: number;
  readonly breaker?: string;
  readonly counters?: Readonly<Record<string, number>>;
  readonly instances: readonly Instance[];
}

export interface Status {
  readonly services: readonly Service[];
  readonly streams: readonly { service: string; address: string; counters: Readonly<Record<string, number>> }[];
  readonly listeners: readonly Readonly<Record<string, number>>[];
}

/** What one line of the access log says. */
export type LogLine = Readonly<Record<string, unknown>>;

export class Gateway {
  running: RunningTideway;
  readonly folder: string;

  constructor(running: RunningTideway) {
    this.running = running;
    this.folder = dirname(running.configuration);
  }

  /** Base URL of a listener, the first unless told otherwise. */
  url(listener = 0): string {
    return `http://127.0.0.1:${this.port(listener)}`;
  }

  port(listener = 0): number {
    return this.running.addresses.listeners[listener]!.port;
  }

  /** What `tideway status --json` prints, asked where that asks: a command of its own is for tests of commands. */
  async status(): Promise<Status> {
    const socketPath = join(this.folder, "data", "control.sock");
    const client = new Client("http://control", { connect: { socketPath } });
    try {
      const { body } = await client.request({ method: "GET", path: "/status" });
      return (await body.json()) as Status;
    } finally {
      await client.destroy();
    }
  }

  async services(): Promise<readonly Service[]> {
    return (await this.status()).services;
  }

  async service(name: string): Promise<Service> {
    return (await this.services()).find((service) => service.name === name)!;
  }

  async instance(service: string, id: string): Promise<Instance> {
    return (await this.service(service)).instances.find((instance) => instance.id === id)!;
  }

  /** Waits until `tideway status` says `up` of every instance: of all services, or of those that are named. */
  async ready(...names: readonly string[]): Promise<this> {
    await until("all instances to be up", async () => {
      const services = (await this.services()).filter(({ name }) => names.length === 0 || names.includes(name));
      return services.every(({ instances }) => instances.every(({ state }) => state === "up"));
    });
    return this;
  }

  /** Address of the TCP or UDP service with this name. */
  async streamPort(name: string): Promise<number> {
    const { streams } = await this.status();
    const { address } = streams.find(({ service }) => service === name)!;
    return Number(address.slice(address.lastIndexOf(":") + 1));
  }

  /** Runs another command of Tideway's about this configuration. */
  command(...words: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    return tideway([...words, this.running.configuration]);
  }

  /** Writes another configuration and has it applied. */
  async reload(config: TidewayConfig): Promise<void> {
    writeConfiguration(this.folder, JSON.stringify(complete(config)));
    const { code, stderr } = await this.command("reload");
    assert.equal(code, 0, stderr);
  }

  /** The same configuration and data again, in a new process. */
  async restart(): Promise<void> {
    await this.running.stop();
    this.running = await RunningTideway.start(this.running.configuration);
  }

  /** Every whole line of the log so far that is JSON and fits. */
  lines(fits: (line: LogLine) => boolean): LogLine[] {
    return this.running.log.map((line) => JSON.parse(line) as LogLine).filter(fits);
  }

  /** Waits for a line of the log. */
  line(what: string, fits: (line: LogLine) => boolean): Promise<LogLine> {
    return until(`a line of the log: ${what}`, async () => this.lines(fits)[0]);
  }
}

/** Any free port, no console unless asked for, and data beside the configuration. */
function complete(config: TidewayConfig): TidewayConfig {
  return { listen: [{ port: 0 }], console: false, data: "./data", ...config };
}

export async function gateway(t: Owner, config: TidewayConfig, env: Record<string, string> = {}): Promise<Gateway> {
  const folder = temporaryFolder("gateway");
  let gate: Gateway | null = null;
  t.after(async () => {
    await gate?.running.stop();
    folder.remove();
  });
  const file = writeConfiguration(folder.path, JSON.stringify(complete(config)));
  gate = new Gateway(await RunningTideway.start(file, env));
  return gate;
}

/* ---------------------------------------------------------------- origins */

export interface Origin {
  readonly port: number;
  /** As the configuration names it. */
  readonly url: string;
  /** As `tideway status` names it. */
  readonly id: string;
  /** Every request that came; probes are answered and forgotten. */
  readonly seen: IncomingMessage[];
  /** Nobody listens there any more, and what was open is broken. */
  close(): Promise<void>;
}

/** What an origin says when it is told nothing else: who it is, and what it was asked. */
export interface Echo {
  readonly origin: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** A server of Node's own; `port` only for one that comes back to where it was. */
export async function origin(t: Owner, handle?: RequestListener, port = 0): Promise<Origin> {
  const seen: IncomingMessage[] = [];
  const server = createServer((incoming, answer) => {
    if (incoming.headers["user-agent"] === "tideway-probe") return void answer.end("fine");
    seen.push(incoming);
    if (handle !== undefined) return handle(incoming, answer);
    void echo(incoming, answer);
  }).listen(port, "127.0.0.1");
  await once(server, "listening");
  const bound = (server.address() as AddressInfo).port;
  const close = async () => {
    server.closeAllConnections();
    if (!server.listening) return;
    server.close();
    await once(server, "close");
  };
  t.after(close);
  return { port: bound, url: `http://127.0.0.1:${bound}`, id: `127.0.0.1:${bound}`, seen, close };
}

async function echo(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
  const body = Buffer.concat(await incoming.toArray()).toString();
  const { method, url, headers } = incoming;
  const { localPort } = incoming.socket;
  answer.setHeader("content-type", "application/json");
  answer.end(JSON.stringify({ origin: `127.0.0.1:${localPort}`, method, url, headers, body }));
}

export function origins(t: Owner, count: number, handle?: RequestListener): Promise<Origin[]> {
  return Promise.all(Array.from({ length: count }, () => origin(t, handle)));
}

/** Holds what it is asked until it is told to answer. */
export class Held {
  readonly #held: ServerResponse[] = [];

  readonly handle: RequestListener = (_, answer) => {
    this.#held.push(answer);
  };

  get count(): number {
    return this.#held.length;
  }

  async until(count: number): Promise<void> {
    await until(`${count} requests at the origin`, async () => this.count >= count);
  }

  release(): void {
    for (const answer of this.#held.splice(0)) answer.end("released");
  }
}

/** A port on which nobody listens. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Accepts connections and hands them over; broken ones are nobody's fault. */
export async function tcpOrigin(t: Owner, handle: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    handle(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/* ---------------------------------------------------------------- clients */

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body of an echo. */
  readonly echo: Echo;
}

export interface Asking {
  readonly method?: Dispatcher.HttpMethod;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
  /** The address that it comes from. */
  readonly from?: string;
}

/** One request on a connection of its own, by undici. */
export async function ask(
  url: string,
  { method = "GET", host, headers = {}, body, from }: Asking = {},
): Promise<Answer> {
  const dispatcher = new Agent({ pipelining: 0, ...(from === undefined ? {} : { localAddress: from }) });
  try {
    const response = await request(url, {
      method,
      dispatcher,
      headers: { ...headers, ...(host === undefined ? {} : { host }) },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.body.text();
    return {
      status: response.statusCode,
      headers: response.headers,
      text,
      get echo() {
        return JSON.parse(text) as Echo;
      },
    };
  } finally {
    await dispatcher.destroy();
  }
}

export const statusOf = async (url: string, asking: Asking = {}): Promise<number> => (await ask(url, asking)).status;

const run = promisify(execFile);

/** What curl prints, head and all. */
export async function curl(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(findProgram("curl")!, ["--silent", "--show-error", "--max-time", "30", ...words], {
    encoding: "latin1",
  });
  return stdout;
}

/** A connection of bytes. `text` is all that came so far. */
export class Line {
  readonly socket: Socket;
  text = "";
  ended = false;
  broken = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("latin1").on("data", (piece: string) => {
      this.text += piece;
    });
    socket.on("end", () => {
      this.ended = true;
    });
    socket.on("error", () => {
      this.broken = true;
    });
  }

  static async open(t: Owner, port: number, from?: string): Promise<Line> {
    const socket = connect({
      port,
      host: "127.0.0.1",
      allowHalfOpen: true,
      ...(from === undefined ? {} : { localAddress: from }),
    });
    const line = new Line(socket);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return line;
  }

  send(text: string): void {
    this.socket.write(text, "latin1");
  }

  async expect(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`${pattern} in what came`, async () => pattern.exec(this.text));
  }

  async closed(): Promise<void> {
    if (!this.socket.closed) await once(this.socket, "close");
  }
}

/* ---------------------------------------------------------------- nginx and HAProxy */

/** Starts the program with `configuration`, which is told a folder of its own; resolves once `port` accepts. */
export async function peer(
  t: Owner,
  name: "nginx" | "haproxy",
  port: number,
  configuration: (folder: string) => string,
): Promise<ChildProcess> {
  const folder = temporaryFolder(name);
  const file = join(folder.path, "peer.conf");
  writeFileSync(file, configuration(folder.path));
  const words = name === "nginx" ? ["-c", file, "-e", "stderr"] : ["-db", "-f", file];
  const child = spawn(findProgram(name)!, words, { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  t.after(async () => {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    folder.remove();
  });
  await until(`${name} at port ${port}`, async () => {
    assert.equal(child.exitCode, null, `${name} did not start: ${said}`);
    return accepts(port);
  });
  return child;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  const heard = await new Promise<boolean>((done) => {
    socket.once("connect", () => done(true)).once("error", () => done(false));
  });
  socket.destroy();
  return heard;
}

/** An nginx in one process with one server. */
export function nginx(folder: string, server: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  return `
    daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr crit;
    events { worker_connections 64; }
    http {
      access_log off;
      ${temporary.map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ")}
      server { ${server} }
    }`;
}

export function haproxy(sections: string): string {
  return `defaults\n  timeout connect 5s\n  timeout client 20s\n  timeout server 20s\n${sections}\n`;
}

/** What a file holds; empty where there is none. */
export function contentsOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
