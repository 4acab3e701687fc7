/**
 * `kill -9` of an application instance under steady requests and open sockets: nobody notices.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { Pool } from "undici";
import { Ledger } from "./harness/ledger.ts";
import { RunningTideway, repository, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

const readersCount = 8;
const clientsCount = 12;
const sayEveryMs = 10;

const configuration = `{
  listen: [{ port: 0 }], console: false, log: { requests: false },
  services: {
    web: { command: ${JSON.stringify(`node ${join(repository, "e2e/apps/chat.ts")}`)}, instances: 2, health: { everyMs: 500 } },
    live: { realtime: { service: "web" } },
  },
  sites: { "*": { "/": "web", "/socket.io": "live" } },
}`;

class Speaker {
  readonly name: string;
  readonly socket: Socket;
  readonly ledger = new Ledger();
  disconnects = 0;
  said = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, url: string, transports: string[]) {
    this.name = name;
    this.socket = io(url, { transports, forceNew: true });
    this.socket.on("disconnect", () => this.disconnects++);
    this.socket.on("said", (from: string, number: number) => this.ledger.add(`${from}:${number}`));
  }

  start(): void {
    this.#timer = setInterval(() => this.socket.emit("say", this.name, this.said++), sayEveryMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** Reads as fast as the answers come, until told to stop; counts what was not a 200. */
class Reader {
  reads = 0;
  readonly failures: string[] = [];
  #stopped = false;
  readonly #pool: Pool;

  constructor(url: string) {
    this.#pool = new Pool(url, { connections: readersCount });
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: readersCount }, () => this.#loop()));
    await this.#pool.close();
  }

  async #loop(): Promise<void> {
    while (!this.#stopped) {
      try {
        const { statusCode, body } = await this.#pool.request({ path: "/", method: "GET" });
        const text = await body.text();
        this.reads++;
        if (statusCode !== 200) this.failures.push(`${statusCode} ${text}`);
      } catch (error) {
        this.failures.push(String(error));
      }
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

test("an instance killed with -9: no GET fails, no socket disconnects, a new instance serves within 2 s, events arrive once, in order", async (t) => {
  const folder = temporaryFolder("instance-kill");
  t.after(() => folder.remove());
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, configuration));
  t.after(() => tideway.stop());
  const speakers = Array.from({ length: clientsCount }, (_, index) => {
    return new Speaker(`s${index}`, tideway.url, index % 2 === 0 ? ["websocket"] : ["polling"]);
  });
  t.after(() => {
    for (const speaker of speakers) speaker.socket.close();
  });
  await until("all clients to connect", async () => speakers.every((speaker) => speaker.socket.connected));
  const instances = async () => (await tideway.status()).services.find((service) => service.name === "web")!.instances;
  await until("both instances to be up", async () => (await instances()).filter((i) => i.state === "up").length === 2);

  const reader = new Reader(tideway.url);
  const reading = reader.run();
  for (const speaker of speakers) speaker.start();
  await until("talk before the kill", async () => speakers.every((speaker) => speaker.ledger.entries.length > 200));

  const [victim, other] = await instances();
  process.kill(victim!.pid!, "SIGKILL");
  const killedAt = performance.now();
  await until("two instances to be up again", async () => {
    const now = await instances();
    return now.every((i) => i.pid !== victim!.pid) && now.filter((i) => i.state === "up").length === 2;
  });
  const recoveredMs = performance.now() - killedAt;
  const before = speakers[0]!.ledger.entries.length;
  await until("talk after the kill", async () => speakers.every((s) => s.ledger.entries.length > before + 500));
  for (const speaker of speakers) speaker.stop();
  const expected = new Set(speakers.flatMap((s) => Array.from({ length: s.said }, (_, n) => `${s.name}:${n}`)));
  await until("everything that was said to arrive", async () =>
    speakers.every((s) => s.ledger.entries.length >= expected.size),
  );
  reader.stop();
  await reading;

  assert.deepEqual(reader.failures, []);
  assert.ok(reader.reads > 100, `${reader.reads} reads`);
  assert.ok(recoveredMs < 2000, `a new instance was in service after ${Math.round(recoveredMs)} ms`);
  assert.ok(
    (await instances()).some((i) => i.pid === other!.pid),
    "the other instance was left alone",
  );
  for (const speaker of speakers) {
    assert.equal(speaker.disconnects, 0, `${speaker.name} disconnected`);
    assert.deepEqual(speaker.ledger.repeated, []);
    assert.deepEqual(speaker.ledger.missing(expected), []);
    assert.deepEqual(speaker.ledger.entries, speakers[0]!.ledger.entries, "all clients see one order");
    for (const from of speakers) {
      const numbers = speaker.ledger.entries
        .filter((e) => e.startsWith(`${from.name}:`))
        .map((e) => Number(e.split(":")[1]));
      assert.ok(
        numbers.every((n, i) => n === i),
        `${speaker.name} got ${from.name}'s events out of order`,
      );
    }
  }
});
