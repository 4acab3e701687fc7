/**
 * Rooms over plain HTTP under a whole Tideway: whatever dies or is deployed, a reader that comes back to its place gets every
 * event once and in order, on whatever transport; a publish with a key that was answered 201 is there, and once.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, suite, type TestContext, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { EventStreamDecoder } from "@tideway/wire/eventstream";
import { io, type Socket } from "socket.io-client";
import { request } from "undici";
import { TestBrowser } from "./harness/browser.ts";
import {
  tideway as command,
  RunningTideway,
  repository,
  temporaryFolder,
  until,
  writeConfiguration,
} from "./harness/tideway.ts";

const source = `{
  listen: [{ port: Number(process.env.PORT ?? 0) }], console: { port: 0 }, log: { requests: false },
  services: {
    web: { command: ${JSON.stringify(`node ${join(repository, "e2e/apps/rooms.ts")}`)}, instances: 2, health: { everyMs: 500 } },
    live: { realtime: { service: "web" } },
  },
  // Streams are left alone by compression, or nobody would hear anything in time.
  sites: { "*": { "/": "web", "/socket.io": { to: "live", compress: true } } },
}`;

/** One that reads `news` until it is told to stop, and comes back by itself. */
interface Reader {
  readonly name: string;
  readonly got: number[];
  /** Connections that it has had. */
  connections: number;
  readonly stop: () => void;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function reader(name: string, read: (self: Reader, signal: AbortSignal) => Promise<void>): Reader {
  const stopping = new AbortController();
  const self: Reader = { name, got: [], connections: 0, stop: () => stopping.abort() };
  const run = async () => {
    while (!stopping.signal.aborted) {
      await read(self, stopping.signal).catch(() => {});
      await pause(20);
    }
  };
  void run();
  return self;
}

function bySse(url: string): Reader {
  let place = "";
  return reader("sse", async (self, signal) => {
    const decoder = new EventStreamDecoder(undefined, place);
    const accepted = { accept: "text/event-stream", "accept-encoding": "gzip, br, zstd" };
    const headers = { ...accepted, ...(place === "" ? {} : { "last-event-id": place }) };
    const { statusCode, body } = await request(`${url}?after=0`, { headers, signal });
    assert.equal(statusCode, 200);
    self.connections++;
    for await (const bytes of body) {
      decoder.write(bytes as Buffer, {
        onMessage({ type, data }) {
          assert.notEqual(type, "tideway:gap");
          self.got.push((JSON.parse(data) as [number])[0]);
        },
      });
      place = decoder.lastEventId;
    }
  });
}

function byPolls(name: string, url: string, wait: string): Reader {
  let place = "0";
  return reader(name, async (self, signal) => {
    const { statusCode, body } = await request(`${url}?after=${place}${wait}`, { signal });
    if (statusCode !== 200) return void (await body.dump());
    const answer = (await body.json()) as { events: { args: [number] }[]; next: string; gap: boolean };
    assert.equal(answer.gap, false);
    self.connections++;
    for (const { args } of answer.events) self.got.push(args[0]);
    place = answer.next;
  });
}

/** The stock client, which joins by itself and recovers by itself. */
async function bySocket(origin: string): Promise<Reader & { socket: Socket }> {
  const socket = io(origin, { forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300 });
  const self = { name: "socket", got: [] as number[], connections: 0, stop: () => void socket.close(), socket };
  socket.on("n", (n: number) => self.got.push(n));
  socket.on("connect", () => self.connections++);
  await until("the socket to connect", async () => socket.connected);
  assert.equal((await socket.timeout(5_000).emitWithAck("tideway:join", "news")).ok, true);
  return self;
}

/** Publishes one number after the other, each with a key and until it is answered 201. */
class Publisher {
  said: number;
  /** Requests that had no answer: sent again with the same key. */
  unanswered = 0;
  readonly #url: string;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(url: string, from = 0) {
    this.#url = url;
    this.said = from;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const headers = { "content-type": "application/json", "x-key": "good", "idempotency-key": `run-${this.said}` };
      const body = JSON.stringify({ event: "n", args: [this.said] });
      try {
        const answer = await request(this.#url, { method: "POST", headers, body });
        await answer.body.dump();
        if (answer.statusCode === 201) this.said++;
        else await pause(20);
      } catch {
        this.unanswered++;
        await pause(20);
      }
      await pause(2);
    }
  }

  async more(count: number): Promise<void> {
    const goal = this.said + count;
    await until(`${count} more to be published`, async () => this.said >= goal, 30_000);
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#running;
  }
}

async function assertAllHeard(readers: readonly Reader[], said: number): Promise<void> {
  const expected = Array.from({ length: said }, (_, n) => n);
  await until("everything to be heard", async () => readers.every(({ got }) => got.length >= said), 30_000).catch(
    () => {},
  );
  for (const { name, got } of readers) assert.deepEqual(got, expected, name);
}

suite("rooms over plain HTTP", { skip: requires("chromium") }, () => {
  const folder = temporaryFolder("rooms");
  const configuration = writeConfiguration(folder.path, source);
  let tideway: RunningTideway;
  let browser: TestBrowser;
  let url: string;

  before(async () => {
    tideway = await RunningTideway.start(configuration);
    browser = await TestBrowser.start();
    url = `${tideway.url}/socket.io/rooms/news/events`;
  });

  after(async () => {
    await browser?.close();
    await tideway?.stop();
    folder.remove();
  });

  test("who may not, and what is not there, is one 404; who may, may", async () => {
    const at = async (room: string, headers = {}) => {
      const answer = await request(`${tideway.url}/socket.io/rooms/${room}/events`, { headers });
      return [answer.statusCode, await answer.body.text()] as const;
    };
    const [status, text] = await at("staff-1");
    assert.equal(status, 404);
    assert.deepEqual(await at("nothing"), [status, text]);
    assert.deepEqual(await at("staff-1x", { "x-key": "good" }), [status, text]);
    assert.equal((await at("staff-1", { "x-key": "good" }))[0], 200);
  });

  test("a deploy of the application: streams stay connected, polls are answered, nothing is lost or repeated", async (t) => {
    const readers = await everyReader(t);
    const publisher = new Publisher(url);
    t.after(() => publisher.stop());
    await publisher.more(50);
    const sse = readers.find(({ name }) => name === "sse")!;
    const { code, stderr } = await command(["deploy", "web", configuration]);
    assert.equal(code, 0, stderr);
    await publisher.more(50);
    await publisher.stop();
    await assertAllHeard(readers, publisher.said);
    assert.equal(publisher.unanswered, 0);
    assert.equal(sse.connections, 1, "its connection is the edge's, and stayed");
    const metrics = await scrape();
    for (const transport of ["sse", "longpoll", "poll", "publish"]) {
      const line = new RegExp(
        `^tideway_realtime_room_requests_total\\{[^}]*transport="${transport}"[^}]*\\} [1-9]`,
        "m",
      );
      assert.match(metrics, line);
    }
    assert.match(metrics, /^tideway_realtime_connections\{[^}]*transport="sse"[^}]*\} [1-9]/m);
    t.diagnostic(`${publisher.said} events, ${readers.length} readers, 0 lost, 0 repeated`);
    for (const { stop } of readers) stop();
    const closed = () => tideway.log.some((line) => line.includes("room stream closed"));
    await until("the stream's line in the log", async () => closed(), 60_000);
  });

  test("the edge killed with -9, twice: readers come back to their places, and miss nothing; keys hold", async (t) => {
    const said = await heardBefore();
    const readers = await everyReader(t);
    const { person, got } = await page(t);
    readers.push(got);
    const port = tideway.addresses.listeners[0]!.port;
    const publisher = new Publisher(url, said);
    t.after(() => publisher.stop());
    for (let kill = 0; kill < 2; kill++) {
      await publisher.more(60);
      // A start may be over before the browser tries again: the second kill would be no loss of a connection to it.
      await person.page.waitForFunction(`opened > ${kill}`);
      await tideway.kill();
      tideway = await RunningTideway.start(configuration, { PORT: String(port) });
    }
    await publisher.more(60);
    await publisher.stop();
    got.got.push(...((await eventually(person, publisher.said)) as number[]));
    // Sockets hear what came since they joined.
    for (const each of readers)
      if (each.name === "socket") each.got.unshift(...Array.from({ length: said }, (_, n) => n));
    await assertAllHeard(readers, publisher.said);
    const opened = Number(await person.page.evaluate("opened"));
    assert.ok(opened >= 3, `the browser's EventSource connected ${opened} times`);
    assert.deepEqual(await person.page.evaluate("gaps"), []);
    assert.ok(publisher.unanswered > 0, "some requests were cut off, and sent again");
    t.diagnostic(`${publisher.said} events, ${publisher.unanswered} unanswered publishes, 0 lost, 0 repeated`);
  });

  async function everyReader(t: TestContext): Promise<Reader[]> {
    const readers = [
      bySse(url),
      byPolls("longpoll", url, "&wait=5"),
      byPolls("poll", url, ""),
      await bySocket(tideway.url),
    ];
    t.after(() => {
      for (const { stop } of readers) stop();
    });
    await until("all readers to have connected", async () => readers.every(({ connections }) => connections > 0));
    return readers;
  }

  async function heardBefore(): Promise<number> {
    const { body } = await request(`${url}?after=0`);
    return ((await body.json()) as { events: unknown[] }).events.length;
  }

  async function page(t: TestContext) {
    const person = await browser.person(tideway.url);
    t.after(() => person.context.close());
    await person.page.waitForFunction("opened > 0");
    const got: Reader = { name: "EventSource", got: [], connections: 1, stop() {} };
    return { person, got };
  }

  async function eventually(person: Awaited<ReturnType<typeof page>>["person"], count: number): Promise<unknown> {
    await person.page.waitForFunction(`got.length >= ${count}`, undefined, { timeout: 30_000 }).catch(() => {});
    return person.page.evaluate("got");
  }

  async function scrape(): Promise<string> {
    const { address, tokenFile } = tideway.addresses.console!;
    const token = readFileSync(join(dirname(tokenFile), "metrics-token"), "utf8").trim();
    const { body } = await request(`${address}metrics`, { headers: { authorization: `Bearer ${token}` } });
    return body.text();
  }
});
