/**
 * The chat of `e2e/apps` behind Tideway, under load: clients on both transports that talk all the time, and readers that
 * ask as fast as answers come. What each client receives is kept here and never asked of the server.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { io, type Socket } from "socket.io-client";
import { Pool } from "undici";
import { Ledger } from "./ledger.ts";
import {
  RunningTideway,
  repository,
  type StatusInstance,
  temporaryFolder,
  until,
  writeConfiguration,
} from "./tideway.ts";

const readersCount = 8;
const clientsCount = 12;
const sayEveryMs = 10;

const source = `{
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

export class ChatUnderLoad {
  readonly tideway: RunningTideway;
  readonly #speakers: readonly Speaker[];
  readonly #reader: Reader;
  readonly #reading: Promise<void>;

  private constructor(tideway: RunningTideway, speakers: readonly Speaker[]) {
    this.tideway = tideway;
    this.#speakers = speakers;
    this.#reader = new Reader(tideway.url);
    this.#reading = this.#reader.run();
    for (const speaker of speakers) speaker.start();
  }

  /** Resolves when both instances are up and everybody has heard something. */
  static async start(t: TestContext): Promise<ChatUnderLoad> {
    const folder = temporaryFolder("chat");
    t.after(() => folder.remove());
    const tideway = await RunningTideway.start(writeConfiguration(folder.path, source));
    t.after(() => tideway.stop());
    const speakers = Array.from({ length: clientsCount }, (_, index) => {
      return new Speaker(`s${index}`, tideway.url, index % 2 === 0 ? ["websocket"] : ["polling"]);
    });
    t.after(() => {
      for (const speaker of speakers) speaker.socket.close();
    });
    await until("all clients to connect", async () => speakers.every((speaker) => speaker.socket.connected));
    const chat = new ChatUnderLoad(tideway, speakers);
    t.after(() => chat.#end());
    await until("both instances to be up", async () => (await chat.instances()).every((i) => i.state === "up"));
    await chat.talk(200);
    return chat;
  }

  async instances(): Promise<readonly StatusInstance[]> {
    return (await this.tideway.status()).services.find((service) => service.name === "web")!.instances;
  }

  /** Waits until everybody has heard so many more events. */
  async talk(count: number): Promise<void> {
    const before = this.#speakers.map((speaker) => speaker.ledger.entries.length);
    const heard = async () => this.#speakers.every((s, index) => s.ledger.entries.length > before[index]! + count);
    await until(`${count} more events to be heard`, heard, 20_000);
  }

  async #end(): Promise<void> {
    for (const speaker of this.#speakers) speaker.stop();
    this.#reader.stop();
    await this.#reading;
  }

  /** Ends the talk, and proves that nobody noticed anything: no failed GET, no disconnect, everything once, in one order. */
  async assertUnnoticed(): Promise<void> {
    for (const speaker of this.#speakers) speaker.stop();
    const said = this.#speakers.flatMap((s) => Array.from({ length: s.said }, (_, number) => `${s.name}:${number}`));
    const expected = new Set(said);
    const complete = async () => this.#speakers.every((s) => s.ledger.entries.length >= expected.size);
    await until("everything that was said to arrive", complete);
    await this.#end();
    assert.deepEqual(this.#reader.failures, []);
    assert.ok(this.#reader.reads > 100, `${this.#reader.reads} reads`);
    for (const { name, disconnects, ledger } of this.#speakers) {
      assert.equal(disconnects, 0, `${name} disconnected`);
      assert.deepEqual(ledger.repeated, []);
      assert.deepEqual(ledger.missing(expected), []);
      assert.deepEqual(ledger.entries, this.#speakers[0]!.ledger.entries, "all clients see one order");
      for (const from of this.#speakers) {
        const own = ledger.entries.filter((entry) => entry.startsWith(`${from.name}:`));
        assert.ok(
          own.every((entry, i) => entry === `${from.name}:${i}`),
          `${name} got ${from.name}'s events out of order`,
        );
      }
    }
  }
}
