/**
 * A process that runs out of descriptors: idle connections go, others are turned away with an answer, and what is not the
 * clients' (the console, upstreams) goes on. Under `prlimit`, as an administrator's limit would be.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { RunningTideway, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

const descriptors = 240;
/** More than descriptors allow, and than the share of them that connections may have. */
const crowd = 400;

/** Answers everything but `/hold`, which it keeps until `release`. */
class Origin {
  readonly server: Server;
  readonly held: ServerResponse[] = [];
  #holding = true;

  constructor() {
    this.server = createServer((incoming, outgoing) => {
      if (incoming.url === "/hold" && this.#holding) this.held.push(outgoing);
      else outgoing.end("fine");
    });
  }

  async listen(): Promise<number> {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return (this.server.address() as AddressInfo).port;
  }

  release(): void {
    this.#holding = false;
    for (const outgoing of this.held) outgoing.end("late");
  }
}

class Client {
  readonly socket: Socket;
  heard = "";
  closed = false;

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.socket = connect(Number(port), hostname);
    this.socket.on("data", (chunk) => {
      this.heard += chunk.toString("latin1");
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.closed = true;
    });
  }

  ask(path: string): this {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
    return this;
  }

  /** The first status, or 0 when the connection closed without one. */
  async status(): Promise<number> {
    await until("an answer", async () => this.heard.includes("\r\n\r\n") || this.closed);
    return Number(/^HTTP\/1\.1 (\d+)/.exec(this.heard)?.[1] ?? 0);
  }
}

async function start(t: TestContext, under: readonly string[]) {
  const folder = temporaryFolder("descriptors");
  t.after(() => folder.remove());
  const origin = new Origin();
  const port = await origin.listen();
  t.after(() => {
    origin.server.closeAllConnections();
    origin.server.close();
  });
  const source = `{ listen: [{ port: 0 }], console: { port: 0 }, data: "${folder.path}/data", log: { requests: false },
    services: { ping: { respond: { body: "pong" } }, origin: { upstreams: ["http://127.0.0.1:${port}"], health: { path: "/healthy" } } },
    sites: { "*": { "/": "ping", "/hold": "origin", "/through": "origin" } } }`;
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, source), {}, under);
  const clients: Client[] = [];
  t.after(() => tideway.stop());
  t.after(() => {
    for (const client of clients) client.socket.destroy();
  });
  const client = (): Client => {
    const made = new Client(tideway.url);
    clients.push(made);
    return made;
  };
  const consoleAnswers = async (): Promise<void> => {
    const { status } = await fetch(tideway.addresses.console!.address, { headers: { connection: "close" } });
    assert.ok(status === 200 || status === 401, `the console answers ${status}`);
  };
  return { tideway, origin, client, consoleAnswers };
}

async function logged(tideway: RunningTideway, line: RegExp): Promise<void> {
  await until(`${line} in the log`, async () => tideway.log.some((each) => line.test(each)));
}

test("with few descriptors idle connections make room for all who come, and busy ones for none: the others get a 503", {
  skip: requires("prlimit"),
}, async (t) => {
  const { tideway, origin, client, consoleAnswers } = await start(t, ["prlimit", `--nofile=${descriptors}`]);
  await until("the origin to be used", async () => (await client().ask("/through").status()) === 200);
  // One that came just now is not closed for the next: then a client is told so, and comes again.
  for (let i = 0; i < descriptors; i++)
    await until(`client ${i} to be served`, async () => (await client().ask("/").status()) === 200);
  await consoleAnswers();

  const crowded = Array.from({ length: crowd }, () => client().ask("/hold"));
  await until("those who have no place to be turned away", async () => {
    const answered = crowded.filter((each) => each.heard !== "" || each.closed).length;
    return answered > 0 && answered + origin.held.length === crowd;
  });
  await consoleAnswers();
  origin.release();
  const statuses = Promise.all(crowded.map((each) => each.status()));
  const counts = new Map<number, number>();
  for (const status of await statuses) counts.set(status, (counts.get(status) ?? 0) + 1);
  assert.deepEqual([...counts.keys()].sort(), [200, 503], JSON.stringify([...counts]));
  await until("a client to be served again", async () => (await client().ask("/").status()) === 200);
  await logged(tideway, /connection turned away/);
});

test("a limit that is lowered while connections are open: idle ones go within seconds, and it serves on", {
  skip: requires("prlimit"),
}, async (t) => {
  const { tideway, client, consoleAnswers } = await start(t, []);
  const { pid } = tideway.process;
  const idle: Client[] = [];
  for (let i = 0; i < 100; i++) {
    const each = client();
    assert.equal(await each.ask("/").status(), 200);
    idle.push(each);
  }
  const open = readdirSync(`/proc/${pid}/fd`).length;
  execFileSync("prlimit", [`--pid=${pid}`, `--nofile=${open - 10}:`]);
  await until("a new client to be served", async () => (await client().ask("/").status()) === 200);
  await consoleAnswers();
  assert.ok(idle.some((each) => each.closed));
  await logged(tideway, /idle connections were closed: the process runs out of descriptors/);
});
