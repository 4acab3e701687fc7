/**
 * What the tour of the gateway shares: a `tideway start` with a configuration of the test's own, origins behind it, stock
 * clients before it, and nginx or HAProxy on either side. Everything that is started ends with the test that started it.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { findProgram, type Program } from "@tideway/scripts/requires";
import type { TidewayConfig } from "tideway";
import { Agent, Client, type Dispatcher, request } from "undici";
import { RunningTideway, temporaryFolder, tideway, until, writeConfiguration } from "../harness/tideway.ts";
import type { Echo, Owner } from "./origins.ts";

export { freePort } from "@tideway/scripts/free-port";
export { type CommandResult, tideway, until } from "../harness/tideway.ts";
export * from "./origins.ts";
export * from "./peers.ts";

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
    return (await this.#control("GET", "/status")).answer as Status;
  }

  async #control(method: "GET" | "POST", path: string): Promise<{ status: number; answer: unknown }> {
    const socketPath = join(this.folder, "data", "control.sock");
    const client = new Client("http://control", { connect: { socketPath } });
    try {
      const { statusCode, body } = await client.request({ method, path });
      return { status: statusCode, answer: await body.json() };
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
    const { status, answer } = await this.#control("POST", "/reload");
    assert.equal(status, 200, JSON.stringify(answer));
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

/** `under` is a program that runs it, with its arguments. */
export async function gateway(t: Owner, config: TidewayConfig, under: readonly string[] = []): Promise<Gateway> {
  const folder = temporaryFolder("gateway");
  let gate: Gateway | null = null;
  t.after(async () => {
    await gate?.running.stop();
    folder.remove();
  });
  const file = writeConfiguration(folder.path, JSON.stringify(complete(config)));
  gate = new Gateway(await RunningTideway.start(file, {}, under));
  return gate;
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

const execute = promisify(execFile);

/** What a program prints. */
export async function run(name: Program, ...words: readonly string[]): Promise<string> {
  const { stdout } = await execute(findProgram(name)!, words, { encoding: "latin1" });
  return stdout;
}

export function curl(...words: readonly string[]): Promise<string> {
  return run("curl", "--silent", "--show-error", "--max-time", "30", ...words);
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

  /** The other side has ended it, or broken it. */
  async over(): Promise<void> {
    await until("the end of a connection", async () => this.ended || this.broken, 30_000);
  }
}

/** What a file holds; empty where there is none. */
export function contentsOf(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
