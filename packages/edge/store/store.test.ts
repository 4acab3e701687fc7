/** What only the store on disk must do: restarts, locks, full and failing disks, kills. The rest is in `contract.test.ts`. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { OperatorError, silentLogger } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import type { Committed, StoredEvent } from "@tideway/engine/hub";
import fc from "fast-check";
import { packAttachments, unpackAttachments } from "./attachments.ts";
import { StoreFailure, StreamDatabase } from "./database.ts";
import { lockDirectory, openStreamStore } from "./index.ts";
import { closeAfter, event, folderFor, openDisk, seqOf, TestClock } from "./opened.testing.ts";
import { appendOperation } from "./operations.ts";

test("everything that is asked in one tick is one transaction", async (t) => {
  const { ask, store } = await openDisk(t, folderFor(t));
  await Promise.all(Array.from({ length: 50 }, (_, i) => ask.append("/", event(`[${i}]`))));
  assert.ok(store.status().commits <= 2, `${store.status().commits} transactions`);
});

test("after a restart the epoch is the same, sequences go on, and keys and sessions are known", async (t) => {
  const directory = folderFor(t);
  const before = await openDisk(t, directory);
  await before.ask.append("/", event("[1]", "k"));
  before.store.saveSession(
    { pid: "p", socket: "s", namespace: "/", rooms: [], data: "", startSeq: 0, floor: 0 },
    () => {},
  );
  const { epoch } = await before.ask.state("/");
  await before.store.close();
  const after = await openDisk(t, directory);
  assert.deepEqual(await after.ask.state("/"), { epoch, last: 1, oldest: 1 });
  assert.equal(seqOf(await after.ask.append("/", event("[1]", "k"))), 1);
  assert.equal(seqOf(await after.ask.append("/", event("[2]"))), 2);
  assert.equal((await after.ask.load("p"))?.socket, "s");
});

test("a second process is refused, and told which option to change", async (t) => {
  const directory = folderFor(t);
  const { store } = await openDisk(t, directory);
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
  closeAfter(t, () => database.close());
  const run = (...operations: Parameters<StreamDatabase["run"]>[0]["operations"]) =>
    database.run({ operations, at: 1 });
  const append = (json: string) => run(appendOperation("/", event(json)))[0] as Committed;
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
  const batch = { operations: [appendOperation("/", event("[1]"))], at: 1 };
  database.close();
  assert.throws(() => database.run(batch), StoreFailure);
});

test("a store whose disk fails tells its owner once and answers nothing more", async (t) => {
  const directory = folderFor(t);
  const fatal: OperatorError[] = [];
  const failed = Promise.withResolvers<void>();
  const store = await openStreamStore({
    directory,
    clock: new TestClock(),
    logger: silentLogger,
    onFatal(error) {
      fatal.push(error);
      failed.resolve();
    },
  });
  closeAfter(t, () => store.close());
  const vandal = new DatabaseSync(join(directory, "streams.db"));
  vandal.exec("DROP TABLE events");
  vandal.close();
  const answers: Committed[] = [];
  store.append("/", event("[1]"), (answer) => answers.push(answer));
  await failed.promise;
  store.append("/", event("[2]"), (answer) => answers.push(answer));
  await new Promise<void>((done) => setImmediate(done));
  assert.deepEqual(answers, []);
  assert.deepEqual(
    fatal.map(({ code }) => code),
    ["STORE_FAILED"],
  );
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
    const { ask, store } = await openDisk(t, directory);
    const { last } = await ask.state("/");
    assert.ok(last >= acknowledged, `${acknowledged} was acknowledged, ${last} is the last`);
    const { events } = await ask.read("/", 0, 1_000_000);
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
