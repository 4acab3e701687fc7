/**
 * `kill -9` of everything in the middle of posting, then a new start on the same data: every post that was answered 201
 * is there, every event reaches every reconnecting client exactly once, and nothing is half-written.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { CommonsClient, commonsConfiguration, type PostOnWire } from "./harness/commons.ts";
import { Ledger } from "./harness/ledger.ts";
import { isAlive, RunningTideway, temporaryFolder, until } from "./harness/tideway.ts";

const writersCount = 6;
const readersCount = 6;
const cuts = 3;

/** A client that listens to the timeline; its ledger is the witness. */
class Listener {
  readonly ledger = new Ledger();
  readonly socket: Socket;
  /** Whether each connection after the first took up where it was. */
  readonly recoveries: boolean[] = [];

  constructor(url: string, transports: string[]) {
    this.socket = io(url, { transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 300 });
    let connections = 0;
    this.socket.on("connect", () => {
      if (connections++ > 0) this.recoveries.push(this.socket.recovered);
    });
    this.socket.on("post:created", (post: PostOnWire) => this.ledger.add(`${post.id} ${post.body}`));
  }
}

/** Posts one after another until stopped; remembers what was answered 201. A broken line ends it. */
class Writer {
  readonly confirmed: string[] = [];
  readonly client: CommonsClient;
  readonly #name: string;
  #stopped = false;

  constructor(name: string, url: string) {
    this.#name = name;
    this.client = new CommonsClient(url);
  }

  async run(round: number): Promise<void> {
    this.#stopped = false;
    for (let number = 0; !this.#stopped; number++) {
      try {
        const { status, body } = await this.client.call("POST", "/api/posts", {
          body: `${this.#name} ${round}.${number}`,
        });
        if (status === 201) this.confirmed.push(`${body.post!.id} ${body.post!.body}`);
      } catch {
        return;
      }
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** The process and everything that descends from it, the applications and the watchdog with them. */
function family(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(join("/proc", entry, "stat"), "latin1");
      const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
    } catch {
      // It ended while we looked.
    }
  }
  const all: number[] = [];
  for (const next = [pid]; next.length > 0; ) {
    const one = next.pop()!;
    all.push(one);
    next.push(...(children.get(one) ?? []));
  }
  return all;
}

test("everything killed with -9 in the middle of posting: what was answered 201 is there, and each event arrives exactly once", async (t) => {
  const folder = temporaryFolder("power-cut");
  t.after(() => {
    if (!process.env["KEEP"]) folder.remove();
  });
  const configuration = commonsConfiguration(folder.path);
  let tideway = await RunningTideway.start(configuration);
  t.after(() => tideway.stop());
  const port = tideway.addresses.listeners[0]!.port;
  const url = tideway.url;

  const listeners = Array.from(
    { length: readersCount },
    (_, i) => new Listener(url, [i % 2 === 0 ? "websocket" : "polling"]),
  );
  t.after(() => {
    for (const listener of listeners) listener.socket.close();
  });
  const allConnected = () =>
    until("clients to connect", async () => listeners.every((l) => l.socket.connected), 20_000);
  await allConnected();
  const writers = Array.from({ length: writersCount }, (_, i) => new Writer(`writer-${i}`, url));
  await Promise.all(writers.map((writer, i) => writer.client.signUp(`writer-${i}`)));
  const confirmed = () => writers.flatMap((writer) => writer.confirmed);

  for (let cut = 0; cut < cuts; cut++) {
    const before = confirmed().length;
    const writing = Promise.all(writers.map((writer) => writer.run(cut)));
    await until("posts before the cut", async () => confirmed().length > before + 60);
    const pids = family(tideway.process.pid!);
    assert.ok(pids.length >= 3, "the edge and two instances at least");
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await writing;
    await until("every process to be gone", async () => pids.every((pid) => !isAlive(pid)));
    tideway = await RunningTideway.start(configuration, { PORT: String(port) });
    await allConnected();
  }
  const writing = Promise.all(writers.map((writer) => writer.run(cuts)));
  const before = confirmed().length;
  await until("posts after the last cut", async () => confirmed().length > before + 60);
  for (const writer of writers) writer.stop();
  await writing;

  const posts = await new CommonsClient(url).everyPost();
  const kept = new Set(posts.map((post) => `${post.id} ${post.body}`));
  assert.equal(kept.size, posts.length, "no post twice in the list");
  assert.deepEqual(
    confirmed().filter((post) => !kept.has(post)),
    [],
    "what was answered 201 is there",
  );
  const lacking = () => listeners.map((l) => `${l.ledger.missing(kept).length} missing, ${l.recoveries.join(" ")}`);
  await until(
    "every post's event to reach every client",
    async () => listeners.every((l) => l.ledger.missing(kept).length === 0),
    20_000,
  ).catch((error: unknown) => assert.fail(`${String(error)}; ${lacking().join("; ")}`));
  for (const listener of listeners) {
    assert.deepEqual(listener.ledger.repeated, []);
    assert.deepEqual(listener.ledger.missing(kept), []);
    assert.equal(listener.ledger.entries.length, kept.size, "no event of a post that is not there");
    assert.deepEqual(
      listener.recoveries,
      Array.from({ length: cuts }, () => true),
    );
  }
  t.diagnostic(`${kept.size} posts, ${confirmed().length} of them answered 201, over ${cuts} cuts`);

  for (const listener of listeners) listener.socket.close();
  assert.equal(await tideway.stop(), 0);
  for (const file of readdirSync(join(folder.path, "data")).filter((name) => /\.(sqlite|db)$/.test(name))) {
    const db = new DatabaseSync(join(folder.path, "data", file));
    assert.deepEqual({ ...db.prepare("pragma integrity_check").get() }, { integrity_check: "ok" }, file);
    db.close();
  }
});
