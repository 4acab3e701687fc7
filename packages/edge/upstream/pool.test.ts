import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fare, open, rig, stateOf, three } from "./pools.testing.ts";
import { RawServer } from "./testing.ts";

describe("a pool of instances of any protocol", () => {
  it("gives out nobody before its first good probe", () => {
    const { pool, answer } = rig();
    assert.ok(pool.add({ id: "a", host: "192.0.2.1", port: 1 }));
    assert.ok(!pool.add({ id: "a", host: "192.0.2.1", port: 2 }));
    assert.equal(pool.pick(""), null);
    assert.ok(pool.isPromising(1000));
    answer(1, true);
    assert.equal(pool.pick("")!.id, "a");
  });

  it("counts what is under way, for the policy and for who drains", () => {
    const { pool, clock, member } = three();
    for (const id of ["a", "b"]) member(id).begin(clock.now());
    assert.equal(pool.pick("")!.id, "c");
    let drained = false;
    pool.drain("a", () => {
      drained = true;
    });
    assert.equal(pool.pick("", [member("b"), member("c")]), null);
    assert.ok(!drained);
    member("a").end();
    assert.ok(drained);
    assert.equal(pool.status()[0]!.state, "draining");
  });

  it("an instance without answers is ejected, is asked at once, and comes back with a good probe", () => {
    const { pool, clock, log, asked, answer, member } = three();
    assert.equal(asked.size, 0);
    for (let i = 0; i < 2; i++) {
      member("b").begin(clock.now());
      member("b").failed("broken");
      member("b").end();
    }
    assert.equal(pool.status()[1]!.state, "down");
    assert.equal(pool.status()[1]!.why, "request: broken");
    assert.equal(pool.status()[1]!.breaker, "open");
    assert.ok(log.lines.some(({ level, message }) => level === "warn" && message === "instance is down"));
    assert.equal(new Set(Array.from({ length: 6 }, () => pool.pick("")!.id)).has("b"), false);
    clock.advance(100);
    answer(2, true);
    assert.equal(pool.status()[1]!.state, "up");
  });

  it("tells when there is room: after each end, and when one comes up", () => {
    let told = 0;
    const { clock, member } = three({ onRoom: () => void told++ });
    assert.equal(told, 3);
    member("a").begin(clock.now());
    member("a").end();
    assert.equal(told, 4);
  });

  it("a removed instance is forgotten once nothing is under way there", () => {
    const { pool, clock, member } = three();
    const leaving = member("a");
    leaving.begin(clock.now());
    pool.remove("a");
    assert.deepEqual(
      pool.status().map(({ id }) => id),
      ["b", "c"],
    );
    assert.deepEqual([...pool.leaving], [leaving]);
    leaving.end();
    assert.equal(pool.leaving.size, 0);
  });

  it("closed: nobody is asked any more", () => {
    const { pool, clock } = three();
    pool.close();
    assert.equal(clock.pendingCount, 0);
    assert.ok(!pool.add({ id: "d", host: "192.0.2.1", port: 4 }));
  });

  it("without a path it is enough that the port takes a connection", async () => {
    const server = await RawServer.open(() => {});
    open.push(server);
    const { pool, log } = rig({ probe: undefined! });
    pool.add({ id: "a", host: "127.0.0.1", port: server.port });
    await log.state("a", "up");
    assert.deepEqual(server.heads, []);
  });
});

describe("instances at run time, changed by hand", () => {
  it("a weight counts from the next pick on", () => {
    const { pool } = three({ balance: "weighted" });
    assert.ok(pool.setWeight("b", 4));
    const picked = Array.from({ length: 6 }, () => pool.pick("")!.id);
    assert.equal(picked.filter((id) => id === "b").length, 4);
    assert.equal(pool.status()[1]!.weight, 4);
    for (const [id, weight] of [
      ["x", 1],
      ["b", 0],
      ["b", -1],
      ["b", Number.NaN],
      ["b", Number.POSITIVE_INFINITY],
    ] as const)
      assert.ok(!pool.setWeight(id, weight), `${id} ${weight}`);
  });

  it("undrained it is asked like a new one, and used after a good answer; who waited for it to be empty is told nothing", () => {
    const { pool, clock, asked, answer, member } = three();
    member("a").begin(clock.now());
    let drained = 0;
    pool.drain("a", () => void drained++);
    assert.ok(pool.undrain("a"));
    assert.equal(pool.status()[0]!.state, "checking");
    assert.notEqual(pool.pick("", [member("b"), member("c")])?.id, "a");
    answer(1, true);
    member("a").end();
    assert.equal(drained, 0);
    assert.equal(pool.pick("", [member("b"), member("c")])!.id, "a");
    assert.ok(!pool.undrain("a"));
    assert.ok(!pool.undrain("x"));
    clock.advance(2300);
    assert.ok(asked.has(1), "it is probed on");
  });

  it("drain twice: both are told, once", () => {
    const { pool, clock, member } = three();
    member("a").begin(clock.now());
    const told: number[] = [];
    pool.drain("a", () => told.push(1));
    pool.drain("a", () => told.push(2));
    pool.drain("a");
    member("a").end();
    assert.deepEqual(told, [1, 2]);
    pool.drain("x", () => told.push(3));
    assert.deepEqual(told, [1, 2, 3]);
  });

  it("what an instance may have under way is a bound of its own", () => {
    const { pool, clock, member } = three({ requestsMax: 1 });
    member("a").begin(clock.now());
    member("b").begin(clock.now());
    member("c").begin(clock.now());
    assert.equal(pool.pick(""), null);
    member("b").upgraded++;
    assert.equal(pool.pick("")!.id, "b");
  });

  it("one that newly came up starts slowly, and so does one that comes back", () => {
    const rig = three({ slowStartMs: 10_000 });
    const { pool, clock, answer, member } = rig;
    clock.advance(10_000);
    assert.deepEqual(
      pool.status().map(({ weightNow }) => weightNow),
      [1, 1, 1],
    );
    for (let i = 0; i < 2; i++) member("b").failed("refused", true);
    clock.advance(100);
    answer(2, true);
    assert.equal(stateOf(rig, "b").weightNow, 0.1);
    clock.advance(5000);
    assert.equal(stateOf(rig, "b").weightNow, 0.5);
    clock.advance(5000);
    assert.equal(stateOf(rig, "b").weightNow, 1);
  });
});

describe("configured anew", () => {
  it("another policy, another bound, another weight of beginners: for the instances that are there", () => {
    const rig = three({ balance: "round-robin" });
    const { pool, clock, member } = rig;
    member("a").begin(clock.now());
    pool.configure({ balance: { hash: { cookie: "sid" } }, requestsMax: 1 });
    assert.deepEqual(pool.hashBy, { cookie: "sid" });
    assert.equal(new Set(Array.from({ length: 6 }, () => pool.pick("k")!.id)).size, 1);
    assert.notEqual(pool.pick("k")!.id, "a");
    assert.deepEqual(
      pool.status().map(({ state, requests }) => [state, requests]),
      [
        ["up", 1],
        ["up", 0],
        ["up", 0],
      ],
    );
  });

  it("the same policy keeps its turn", () => {
    const { pool } = three({ balance: "round-robin" });
    assert.equal(pool.pick("")!.id, "a");
    pool.configure({ balance: "round-robin", requestsMax: 9 });
    assert.equal(pool.pick("")!.id, "b");
  });

  it("other probes are made soon; until they say otherwise it is used", () => {
    const { pool, clock, asked, answer } = three({ health: { everyMs: 60_000 } });
    pool.configure({ health: { everyMs: 60_000, path: "/new" } });
    clock.advance(100);
    assert.deepEqual([...asked.keys()].sort(), [1, 2, 3]);
    assert.notEqual(pool.pick(""), null);
    answer(1, true);
    pool.configure({ health: { everyMs: 60_000, path: "/new" } });
    clock.advance(1000);
    assert.ok(!asked.has(1), "the same settings: no hurry");
  });

  it("other rules of ejection count from the next failure on", () => {
    const rig = three();
    rig.pool.configure({ eject: { failures: 1, statuses: [[500, 599]] } });
    fare(rig, "a", 503);
    assert.equal(stateOf(rig, "a").state, "down");
    rig.pool.configure({});
    fare(rig, "b", 503);
    fare(rig, "b", "failed");
    assert.equal(stateOf(rig, "b").state, "up");
  });
});
