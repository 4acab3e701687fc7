import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { type Executor, outbox, type Publisher } from "./outbox.ts";

function openDatabase(): { database: DatabaseSync; executor: Executor } {
  const database = new DatabaseSync(":memory:");
  const executor: Executor = {
    async execute(sql, parameters) {
      return database.prepare(sql).all(...(parameters as string[])) as Record<string, unknown>[];
    },
  };
  return { database, executor };
}

const count = (database: DatabaseSync) =>
  (database.prepare("SELECT count(*) AS n FROM tideway_outbox WHERE fault IS NULL").get() as { n: number }).n;

type Attempt = { namespace: string; rooms: string[]; key: string; event: string; args: unknown[] };

/** A hub that knows keys. `outcome` says what becomes of an attempt before, and of its receipt after, it is taken. */
class KeyedHub {
  readonly published: Attempt[] = [];
  attempts = 0;
  readonly #keys = new Set<string>();
  readonly #outcome: (attempt: Attempt) => Promise<"taken" | "refused" | "receipt lost" | "too large">;
  #watchers: (() => void)[] = [];

  constructor(outcome: (attempt: Attempt) => Promise<"taken" | "refused" | "receipt lost" | "too large">) {
    this.#outcome = outcome;
  }

  readonly io: Publisher = {
    of: (namespace) => ({
      to: (rooms) => ({
        idempotencyKey: (key) => ({
          publish: (event, ...args) => this.#publish({ namespace, rooms, key, event, args }),
        }),
      }),
    }),
  };

  async #publish(attempt: Attempt): Promise<void> {
    this.attempts++;
    const outcome = await this.#outcome(attempt);
    if (outcome === "refused") throw Object.assign(new Error("full"), { code: "STORE_FULL" });
    if (outcome === "too large") throw Object.assign(new Error("large"), { code: "TOO_LARGE" });
    if (!this.#keys.has(attempt.key)) {
      this.#keys.add(attempt.key);
      this.published.push(attempt);
    }
    for (const watcher of this.#watchers.splice(0)) watcher();
    if (outcome === "receipt lost") throw Object.assign(new Error("lost"), { code: "HUB_LOST" });
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }
}

test("an event of a rolled-back transaction is never published, one of a committed one is, at once on wake", async () => {
  const { database, executor } = openDatabase();
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  await box.migrate(executor);
  const hub = new KeyedHub(async () => "taken");
  const clock = new FakeClock();
  const relay = box.relay(hub.io, executor, { clock });
  database.exec("BEGIN");
  await box.add(executor, { room: "lobby", event: "never" });
  database.exec("ROLLBACK");
  database.exec("BEGIN");
  await box.add(executor, { namespace: "/chat", room: ["a", "b"], event: "post", args: [{ id: 1 }, "x", null] });
  database.exec("COMMIT");
  box.wake();
  await hub.until(() => hub.published.length === 1);
  const { key, ...rest } = hub.published[0]!;
  assert.deepEqual(rest, { namespace: "/chat", rooms: ["a", "b"], event: "post", args: [{ id: 1 }, "x", null] });
  assert.match(key, /^[0-9a-f-]{36}:\d+$/);
  await relay.close();
  assert.equal(count(database), 0, "deleted after the receipt");
  assert.equal(clock.pendingCount, 0);
});

test("rows of a dead instance are found by the poll, without a wake", async () => {
  const { executor } = openDatabase();
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  const hub = new KeyedHub(async () => "taken");
  const clock = new FakeClock();
  const relay = box.relay(hub.io, executor, { clock });
  await turns(20);
  await box.add(executor, { event: "orphan" });
  await turns(20);
  assert.equal(hub.published.length, 0);
  clock.advance(1_000);
  await hub.until(() => hub.published.length === 1);
  await relay.close();
});

test("a refused row is tried again for ever, later ones wait behind it", async () => {
  const { executor } = openDatabase();
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  for (const event of ["one", "two", "three"]) await box.add(executor, { event });
  let refusals = 12;
  const hub = new KeyedHub(async ({ event }) => (event === "two" && refusals-- > 0 ? "refused" : "taken"));
  const clock = new FakeClock();
  const relay = box.relay(hub.io, executor, { clock });
  while (hub.published.length < 3) {
    await turns(10);
    box.wake();
    clock.advance(5_000);
  }
  assert.deepEqual(
    hub.published.map((row) => row.event),
    ["one", "two", "three"],
  );
  await relay.close();
});

test("an event that can never be published is set aside and holds nobody up", async () => {
  const { database, executor } = openDatabase();
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  for (const event of ["small", "huge", "last"]) await box.add(executor, { event });
  const hub = new KeyedHub(async ({ event }) => (event === "huge" ? "too large" : "taken"));
  const relay = box.relay(hub.io, executor, { clock: new FakeClock() });
  await hub.until(() => hub.published.length === 2);
  await relay.close();
  assert.deepEqual(
    database
      .prepare("SELECT event, fault FROM tideway_outbox")
      .all()
      .map((row) => ({ ...row })),
    [{ event: "huge", fault: "TOO_LARGE" }],
  );
});

test("binary arguments are refused when they are added, not when they are published", async () => {
  const { executor } = openDatabase();
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  await assert.rejects(box.add(executor, { event: "x", args: [Buffer.from([1])] }), TypeError);
});

for (let seed = 1; seed <= 25; seed++) {
  test(`two relays that crash at random publish every row once and in order (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const { database, executor } = openDatabase();
    // Every statement may be the one during which the process dies: then the relay never hears of it.
    const crashy = (alive: () => boolean): Executor => ({
      async execute(sql, parameters) {
        await turns(Math.floor(random.fraction() * 4));
        if (!alive()) throw new Error("dead");
        const rows = await executor.execute(sql, parameters);
        await turns(Math.floor(random.fraction() * 4));
        if (!alive()) throw new Error("dead");
        return rows;
      },
    });
    const box = outbox({ dialect: "sqlite" });
    await box.migrate(executor);
    const hub = new KeyedHub(async () => {
      await turns(Math.floor(random.fraction() * 6));
      const chance = random.fraction();
      return chance < 0.15 ? "refused" : chance < 0.3 ? "receipt lost" : "taken";
    });
    const clock = new FakeClock();
    const start = () => {
      let alive = true;
      const relay = box.relay(
        hub.io,
        crashy(() => alive),
        { clock },
      );
      return {
        kill() {
          alive = false;
          return relay.close();
        },
      };
    };
    const relays = [start(), start()];
    const total = 60;
    const ends: Promise<void>[] = [];
    for (let n = 0; n < total || count(database) > 0; n++) {
      if (n < total) await box.add(executor, { event: "n", args: [n] });
      if (random.fraction() < 0.5) box.wake();
      await turns(Math.floor(random.fraction() * 8));
      if (random.fraction() < 0.1) {
        const victim = Math.floor(random.fraction() * 2);
        ends.push(relays[victim]!.kill());
        relays[victim] = start();
      }
      if (n % 5 === 0) clock.advance(5_000);
    }
    for (const relay of relays) ends.push(relay.kill());
    await Promise.all(ends);
    assert.deepEqual(
      hub.published.map((row) => row.args[0]),
      Array.from({ length: total }, (_, n) => n),
    );
    assert.ok(hub.attempts > total, "some attempts were repeated");
  });
}

/** Lets that many turns of the event loop pass. */
async function turns(times: number): Promise<void> {
  for (let turn = 0; turn < times; turn++) await new Promise((resolve) => setImmediate(resolve));
}
