import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { type Balance, createPolicy, hashByOf, type Load } from "./index.ts";
import { down, picks, pool, set } from "./loads.testing.ts";

const keys = Array.from({ length: 3000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);

function at(loads: readonly Load[], key: string, balance: Balance = "hash"): string {
  return createPolicy(balance, new SeededRandom(1)).pick(loads, 0, key, [])!.id;
}

/** By hash order, the nearest first. */
function order(loads: readonly Load[], key: string): Load[] {
  const policy = createPolicy("hash", new SeededRandom(1));
  const seen: Load[] = [];
  for (let next = policy.pick(loads, 0, key, seen); next !== null; next = policy.pick(loads, 0, key, seen))
    seen.push(next);
  return seen;
}

describe("consistent hashing", () => {
  it("gives a key the same instance each time, whatever the order of the pool", () => {
    const loads = pool();
    for (const key of keys.slice(0, 100)) assert.equal(at(loads, key), at([...loads].reverse(), key));
  });

  it("moves only the keys of an instance that left, and moves them back when it returns", () => {
    const loads = pool();
    const before = keys.map((key) => at(loads, key));
    const { health } = loads[1]!;
    loads[1]!.health = down;
    keys.forEach((key, i) => {
      if (before[i] !== "b") assert.equal(at(loads, key), before[i]);
    });
    loads[1]!.health = health;
    assert.deepEqual(
      keys.map((key) => at(loads, key)),
      before,
    );
  });

  it("an instance that joins takes its share of keys, and no other key moves", () => {
    const loads = pool([1, 1, 1, 1]);
    const before = keys.map((key) => at(loads.slice(0, 3), key));
    const moved = keys.filter((key, i) => at(loads, key) !== before[i]);
    assert.ok(moved.every((key) => at(loads, key) === "d"));
    assert.ok(moved.length > 650 && moved.length < 850, `${moved.length}`);
  });

  it("spreads keys by weight", () => {
    const loads = pool([2, 1, 1]);
    const share = keys.filter((key) => at(loads, key) === "a").length / keys.length;
    assert.ok(share > 0.45 && share < 0.55, `${share}`);
  });

  it("a key that is tried elsewhere goes to the next by hash order, the same for each request", () => {
    const loads = pool();
    for (const key of keys.slice(0, 50)) {
      const [first, second] = order(loads, key);
      first!.health = down;
      assert.equal(at(loads, key), second!.id);
      first!.health = second!.health;
    }
  });

  it("a request without a key goes to the least busy", () => {
    const loads = pool();
    set(loads, "active", 2, 0, 1);
    assert.equal(at(loads, ""), "b");
  });

  it("goes by what its options name; by the client's address when they name nothing", () => {
    assert.equal(hashByOf("hash"), "address");
    assert.deepEqual(hashByOf({ hash: { cookie: "sid" } }), { cookie: "sid" });
    assert.equal(hashByOf("least-busy"), null);
  });
});

describe("bounded load", () => {
  it("over its bound an instance passes its keys on, to the next by hash order", () => {
    const loads = pool();
    const [first, second, third] = order(loads, "key") as [Load, Load, Load];
    // 30 under way, this one included: 10 each, 1.25 times that is 13 at most.
    set([first, second, third], "active", 12, 10, 7);
    assert.equal(at(loads, "key"), first.id);
    set([first, second, third], "active", 13, 10, 6);
    assert.equal(at(loads, "key"), second.id);
    set([first, second, third], "active", 13, 13, 3);
    assert.equal(at(loads, "key"), third.id);
  });

  it("the bound goes by weight", () => {
    const loads = pool([2, 1, 1]);
    const key = keys.find((each) => order(loads, each)[0]!.id === "a")!;
    // 40 under way: 20 for a, 25 at most.
    set(loads, "active", 24, 8, 7);
    assert.equal(at(loads, key), "a");
    set(loads, "active", 25, 8, 6);
    assert.notEqual(at(loads, key), "a");
  });

  it("another factor, another bound; Infinity: none", () => {
    const loads = pool();
    const [first, second, third] = order(loads, "key") as [Load, Load, Load];
    set([first, second, third], "active", 19, 5, 5);
    assert.equal(at(loads, "key", { hash: "address", load: 2 }), first.id);
    set([first, second, third], "active", 20, 5, 4);
    assert.equal(at(loads, "key", { hash: "address", load: 2 }), second.id);
    set([first, second, third], "active", 1000, 0, 0);
    assert.equal(at(loads, "key", { hash: "address", load: Number.POSITIVE_INFINITY }), first.id);
  });

  it("a few requests under way are no load: they do not part a client from its instance", () => {
    const loads = pool();
    const [first, second] = order(loads, "key") as [Load, Load];
    first.active = 3;
    assert.equal(at(loads, "key"), first.id);
    first.active = 4;
    assert.equal(at(loads, "key"), second.id);
  });

  it("one key alone cannot take more than its instance's bound of a busy service", () => {
    const loads = pool([1, 1, 1, 1, 1]);
    const policy = createPolicy({ hash: "address", load: 1.25 }, new SeededRandom(1));
    for (let i = 0; i < 1000; i++) policy.pick(loads, 0, i % 2 === 0 ? "hot" : keys[i]!, [])!.active++;
    for (const { active } of loads) assert.ok(active <= 250, `${active}`);
  });

  it("an instance that starts slowly takes its keys over little by little, and none moves twice", () => {
    const loads = pool();
    loads[2]!.cameUp(0, 1000);
    const [early, half, whole] = [0, 500, 1000].map((now) =>
      keys.filter((key) => createPolicy("hash", new SeededRandom(1)).pick(loads, now, key, [])!.id === "c"),
    ) as [string[], string[], string[]];
    assert.ok(early.length < half.length && half.length < whole.length);
    assert.ok(early.every((key) => half.includes(key)));
    assert.ok(half.every((key) => whole.includes(key)));
    assert.equal(picks("hash", loads.slice(2), 1), "c");
  });
});
