import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Clock, OperatorError, silentLogger } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import {
  atCommit,
  type Committed,
  type NewEvent,
  type SessionRecord,
  type StoredEvent,
  type StreamState,
} from "@tideway/engine/hub";
import fc from "fast-check";
import { packAttachments, unpackAttachments } from "./attachments.ts";
import { StoreFailure, StreamDatabase } from "./database.ts";
import { lockDirectory, openStreamStore, type SqliteStreamStore } from "./index.ts";

/** Ticks end as the event loop's do; the date is the test's to set. */
class TestClock implements Clock {
  date = Date.UTC(2026, 0, 1);
  now = () => performance.now();
  wall = () => this.date;
  after = (): never => assert.fail("the store needs no timer");
  defer = (run: () => void) => void setImmediate(run);
}

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-store-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const event = (json: string, key: string | null = null, attachments: Uint8Array[] = []): NewEvent => {
  return { rooms: ["lobby"], except: ["s1"], payload: { json, attachments }, key };
};

interface Opened {
  readonly store: SqliteStreamStore;
  readonly clock: TestClock;
  readonly append: (namespace: string, event: NewEvent) => Promise<Committed>;
  readonly read: (
    namespace: string,
    after: number,
    limit?: number,
  ) => Promise<{ events: StoredEvent[]; state: StreamState }>;
  readonly state: (namespace: string) => Promise<StreamState>;
  readonly load: (pid: string) => Promise<SessionRecord | null>;
}

async function open(
  t: TestContext,
  directory: string,
  settings: { retentionMs?: number; retentionBytes?: number } = {},
): Promise<Opened> {
  const clock = new TestClock();
  const onFatal = (error: Error) => assert.fail(error.message);
  const store = await openStreamStore({ directory, clock, logger: silentLogger, onFatal, ...settings });
  t.after(() => store.close());
  return {
    store,
    clock,
    append: (namespace, given) => new Promise((done) => store.append(namespace, given, done)),
    read: (namespace, after, limit = 1000) => {
      return new Promise((done) => store.read(namespace, after, limit, (events, state) => done({ events, state })));
    },
    state: (namespace) => new Promise((done) => store.open(namespace, done)),
    load: (pid) => new Promise((done) => store.loadSession(pid, done)),
  };
}

const seqOf = (result: Committed) => (result.ok ? result.seq : assert.fail(result.fault));

test("sequences are dense for each namespace, and callbacks come in the order of the calls", async (t) => {
  const { append, store } = await open(t, folderFor(t));
  const trail: string[] = [];
  const all = Array.from({ length: 50 }, (_, i) => {
    const namespace = i % 2 === 0 ? "/" : "/chat";
    return append(namespace, event(`[${i}]`)).then((result) => trail.push(`${namespace} ${seqOf(result)}`));
  });
  await Promise.all(all);
  const expected = Array.from({ length: 50 }, (_, i) => `${i % 2 === 0 ? "/" : "/chat"} ${Math.floor(i / 2) + 1}`);
  assert.deepEqual(trail, expected);
  assert.ok(store.status().commits <= 2, "one tick is one transaction");
});

test("what was appended is read back whole, after a sequence and up to a limit", async (t) => {
  const { append, read, clock } = await open(t, folderFor(t));
  for (let i = 1; i <= 5; i++)
    await append("/", event(`["e",${i}]`, null, i === 3 ? [Buffer.from([1, 2]), Buffer.alloc(0)] : []));
  const { events, state } = await read("/", 2, 2);
  assert.deepEqual(
    events.map((e) => e.seq),
    [3, 4],
  );
  assert.deepEqual(
    events[0]!.payload.attachments.map((a) => [...a]),
    [[1, 2], []],
  );
  assert.deepEqual(events[1], {
    seq: 4,
    at: clock.date,
    rooms: ["lobby"],
    except: ["s1"],
    payload: { json: '["e",4]', attachments: [] },
  });
  assert.equal(state.last, 5);
  assert.equal(state.oldest, 1);
  assert.deepEqual((await read("/empty", 0)).events, []);
});

test("an idempotency key publishes once: the second answer is the first one's sequence", async (t) => {
  const { append, read } = await open(t, folderFor(t));
  const [first, second] = await Promise.all([append("/", event("[1]", "k")), append("/", event("[2]", "k"))]);
  assert.deepEqual(
    [first, second].map((r) => r.ok && [r.seq, r.duplicate]),
    [
      [1, false],
      [1, true],
    ],
  );
  assert.equal(seqOf(await append("/", event("[3]"))), 2);
  assert.equal(seqOf(await append("/other", event("[4]", "k"))), 1);
  assert.equal((await read("/", 0)).events.length, 2);
});

test("sessions are kept, replaced and dropped", async (t) => {
  const { store, load } = await open(t, folderFor(t));
  const record: SessionRecord = {
    pid: "p",
    socket: "s",
    namespace: "/",
    rooms: [{ id: 1, room: "a", from: 3, until: null }],
    data: '{"n":1}',
    startSeq: 2,
    floor: 1,
  };
  store.saveSession(record, () => {});
  assert.deepEqual(await load("p"), record);
  store.saveSession({ ...record, rooms: [] }, () => {});
  assert.deepEqual((await load("p"))?.rooms, []);
  store.dropSession("p");
  assert.equal(await load("p"), null);
  assert.equal(await load("__proto__"), null);
});

test("a sequence that the hub did not know is the stream's last at the commit, and stays what it first was", async (t) => {
  const { store, load, append } = await open(t, folderFor(t));
  const record: SessionRecord = {
    pid: "p",
    socket: "s",
    namespace: "/",
    data: "",
    startSeq: atCommit,
    floor: 0,
    rooms: [{ id: 1, room: "a", from: atCommit, until: null }],
  };
  await append("/", event("[1]"));
  store.saveSession(record, () => {});
  await append("/", event("[2]"));
  const left = { id: 1, room: "a", from: atCommit, until: atCommit };
  store.saveSession({ ...record, rooms: [left, { id: 2, room: "b", from: atCommit, until: null }] }, () => {});
  await append("/", event("[3]"));
  store.saveSession({ ...record, rooms: [left, { id: 2, room: "b", from: atCommit, until: null }] }, () => {});
  const kept = await load("p");
  assert.equal(kept?.startSeq, 1);
  assert.deepEqual(kept?.rooms, [
    { id: 1, room: "a", from: 1, until: 2 },
    { id: 2, room: "b", from: 2, until: null },
  ]);
});

test("after a restart the epoch is the same, sequences go on, and keys and sessions are known", async (t) => {
  const directory = folderFor(t);
  const before = await open(t, directory);
  await before.append("/", event("[1]", "k"));
  before.store.saveSession(
    { pid: "p", socket: "s", namespace: "/", rooms: [], data: "", startSeq: 0, floor: 0 },
    () => {},
  );
  const { epoch } = await before.state("/");
  await before.store.close();
  const after = await open(t, directory);
  assert.deepEqual(await after.state("/"), { epoch, last: 1, oldest: 1 });
  assert.equal(seqOf(await after.append("/", event("[1]", "k"))), 1);
  assert.equal(seqOf(await after.append("/", event("[2]"))), 2);
  assert.equal((await after.load("p"))?.socket, "s");
});

test("two stores made anew never share an epoch", async (t) => {
  const [a, b] = [await open(t, folderFor(t)), await open(t, folderFor(t))];
  assert.notEqual((await a.state("/")).epoch, (await b.state("/")).epoch);
});

test("events older than the retention go, with their keys; the sequence does not start again", async (t) => {
  const { append, read, clock } = await open(t, folderFor(t), { retentionMs: 60_000 });
  await append("/", event("[1]", "k"));
  clock.date += 61_000;
  await append("/", event("[2]"));
  await append("/", event("[3]"));
  const { events, state } = await read("/", 0);
  assert.deepEqual(
    events.map((e) => e.seq),
    [2, 3],
  );
  assert.equal(state.oldest, 2);
  assert.equal(seqOf(await append("/", event("[4]", "k"))), 4, "an old key is forgotten");
});

test("a stream keeps at most its bytes: the oldest go first", async (t) => {
  const { append, read, clock } = await open(t, folderFor(t), { retentionBytes: 10_000 });
  const big = JSON.stringify(["x".repeat(1000)]);
  for (let i = 0; i < 30; i++) await append("/", event(big));
  clock.date += 11_000;
  await append("/", event(big));
  const { events, state } = await read("/", 0);
  assert.ok(events.length < 11, `${events.length} events are kept`);
  assert.equal(events.at(-1)!.seq, 31);
  assert.equal(state.oldest, events[0]!.seq);
});

test("a second process is refused, and told which option to change", async (t) => {
  const directory = folderFor(t);
  const { store } = await open(t, directory);
  const again = () => lockDirectory(directory);
  assert.throws(again, (error: unknown) => error instanceof OperatorError && error.code === "START_ALREADY_RUNNING");
  await store.close();
  again()();
});

test("a file that is no database is refused with its name, and is not touched", async (t) => {
  const directory = folderFor(t);
  const file = join(directory, "streams.db");
  const db = new DatabaseSync(file);
  db.exec("PRAGMA user_version = 99");
  db.close();
  const opening = openStreamStore({ directory, clock: new TestClock(), logger: silentLogger, onFatal: () => {} });
  await assert.rejects(
    opening,
    (error: unknown) =>
      error instanceof OperatorError && error.code === "START_DATA_UNUSABLE" && error.message.includes(file),
  );
  lockDirectory(directory)();
});

test("with a full disk appends are refused and reads go on; it heals when there is room again", (t) => {
  const file = join(folderFor(t), "streams.db");
  const database = new StreamDatabase({ file, retentionMs: 1e12, retentionBytes: 1e12 }, () => "epoch");
  t.after(() => database.close());
  const run = (...operations: Parameters<StreamDatabase["run"]>[0]["operations"]) =>
    database.run({ operations, at: 1 });
  const append = (json: string) => run({ kind: "append", namespace: "/", event: event(json) })[0] as Committed;
  assert.equal(seqOf(append("[1]")), 1);
  database.limitPages(1);
  assert.deepEqual(append(JSON.stringify(["x".repeat(100_000)])), { ok: false, fault: "STORE_FULL" });
  const [read] = run({ kind: "read", namespace: "/", after: 0, limit: 10 }) as unknown as [{ events: StoredEvent[] }];
  assert.deepEqual(
    read.events.map((e) => e.payload.json),
    ["[1]"],
  );
  database.limitPages(1_000_000);
  assert.equal(seqOf(append("[2]")), 2, "the refused one took no number");
});

test("any other failed write ends the store: nothing is answered", (t) => {
  const file = join(folderFor(t), "streams.db");
  const database = new StreamDatabase({ file, retentionMs: 1e12, retentionBytes: 1e12 }, () => "epoch");
  const batch = { operations: [{ kind: "append" as const, namespace: "/", event: event("[1]") }], at: 1 };
  database.close();
  assert.throws(() => database.run(batch), StoreFailure);
});

test("attachments survive their packing", () => {
  assert.equal(packAttachments([]), null);
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 5 }), (parts) => {
      const back = unpackAttachments(packAttachments(parts)).map((part) => [...part]);
      assert.deepEqual(
        back,
        parts.map((part) => [...part]),
      );
    }),
  );
});

test("killed with -9 in the middle of commits, ten times: what was acknowledged is there, dense, nothing half-written", async (t) => {
  const directory = folderFor(t);
  const random = new SeededRandom(7);
  let acknowledged = 0;
  for (let round = 0; round < 10; round++) {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("./appender.testing.ts", import.meta.url)), directory],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    const target = acknowledged + 100 + Math.floor(random.fraction() * 2000);
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Math.max(acknowledged, Number(line));
      if (acknowledged >= target && !child.killed) child.kill("SIGKILL");
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    const { state, read, store } = await open(t, directory);
    const { last } = await state("/");
    assert.ok(last >= acknowledged, `${acknowledged} was acknowledged, ${last} is the last`);
    const { events } = await read("/", 0, 1_000_000);
    assert.ok(
      events.every((e, i) => e.seq === i + 1),
      "dense",
    );
    assert.equal(events.length, last);
    for (const e of events) JSON.parse(e.payload.json);
    acknowledged = last;
    await store.close();
  }
});
