import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import fc from "fast-check";
import { createPolicy, Load, balanceNames as names } from "./index.ts";
import { down, draining, picks, pool, set, shares } from "./loads.testing.ts";

const random = () => new SeededRandom(1);

describe("every policy", () => {
  for (const name of names) {
    it(`${name}: an instance that was never checked, is down or drains gets nothing`, () => {
      const loads = pool();
      loads[0]!.health = new Load("a", 1, 0).health;
      loads[1]!.health = down;
      assert.equal(picks(name, loads, 4), "cccc");
      loads[2]!.health = draining;
      assert.equal(picks(name, loads, 2), "--");
      assert.equal(picks(name, [], 1), "-");
    });

    it(`${name}: an instance that was tried for this request is not picked again`, () => {
      const loads = pool();
      const policy = createPolicy(name, random());
      const tried: Load[] = [];
      for (let i = 0; i < 3; i++) tried.push(policy.pick(loads, 0, "key", tried)!);
      assert.equal(new Set(tried).size, 3);
      assert.equal(policy.pick(loads, 0, "key", tried), null);
    });

    it(`${name}: an instance that has as much under way as it may gets nothing, its upgraded connections apart`, () => {
      const loads = pool();
      set(loads, "activeMax", 2, 2, 2);
      set(loads, "active", 2, 2, 3);
      set(loads, "upgraded", 0, 0, 2);
      assert.equal(picks(name, loads, 4), "cccc");
      set(loads, "active", 2, 2, 4);
      assert.equal(picks(name, loads, 1), "-");
    });

    it(`${name}: alone, an instance that starts slowly still gets everything`, () => {
      const loads = pool([1]);
      loads[0]!.cameUp(0, 10_000);
      assert.equal(picks(name, loads, 5), "aaaaa");
    });
  }

  /** What the third of three instances gets of 600 requests, 30 of them under way at any time, when `share` of its start is over. */
  function starting(name: (typeof names)[number], share: number): number {
    const loads = pool();
    const policy = createPolicy(name, random());
    loads[2]!.cameUp(0, 10_000);
    for (const load of loads) load.measured(10, 0);
    const given: Load[] = [];
    for (let i = 0; i < 600; i++) {
      if (i >= 30) given[i - 30]!.active--;
      const load = policy.pick(loads, share * 10_000, `key ${i}`, [])!;
      load.active++;
      given.push(load);
    }
    return given.filter(({ id }) => id === "c").length;
  }

  for (const name of names) {
    it(`${name}: an instance that newly came up gets little at first, and its whole share in the end`, () => {
      const [early, half, late] = [starting(name, 0), starting(name, 0.5), starting(name, 1)];
      assert.ok(early < 60, `${early}`);
      assert.ok(half > early && half < late, `${early} < ${half} < ${late}`);
      assert.ok(late > 160 && late < 240, `${late}`);
    });
  }
});

describe("round-robin", () => {
  it("gives each its turn, and skips who is down without giving its turn twice", () => {
    const loads = pool();
    assert.equal(picks("round-robin", loads, 6), "abcabc");
    loads[1]!.health = down;
    assert.equal(picks("round-robin", loads, 4), "acac");
  });

  it("passes over one that starts slowly, as often as it lacks weight", () => {
    const loads = pool();
    loads[1]!.cameUp(0, 1000);
    assert.equal(picks("round-robin", loads, 10, 500), "acabcacabc");
    assert.equal(picks("round-robin", loads, 6, 1000), "abcabc");
  });
});

describe("weighted", () => {
  it("interleaves by weight as evenly as can be", () => {
    assert.equal(picks("weighted", pool([5, 1, 1]), 7), "aabacaa");
  });

  it("keeps the shares over any weights", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const loads = pool(weights);
        assert.deepEqual(shares(picks("weighted", loads, total), loads), weights);
      }),
    );
  });

  it("a weight that changes counts from the next turn on", () => {
    const loads = pool([1, 1]);
    assert.deepEqual(shares(picks("weighted", loads, 10), loads), [5, 5]);
    loads[1]!.weight = 4;
    assert.deepEqual(shares(picks("weighted", loads, 10), loads), [2, 8]);
  });
});

describe("least-busy", () => {
  it("picks the fewest requests under way", () => {
    const loads = pool();
    set(loads, "active", 3, 1, 2);
    assert.equal(picks("least-busy", loads, 2), "bb");
  });

  it("counts them relative to the weight", () => {
    const loads = pool([4, 1, 1]);
    set(loads, "active", 3, 1, 1);
    assert.equal(picks("least-busy", loads, 1), "a");
  });

  it("lets equals take turns, by weight", () => {
    assert.equal(picks("least-busy", pool(), 6), "abcabc");
    assert.equal(picks("least-busy", pool([2, 1, 1]), 4), "abca");
    const loads = pool();
    loads[0]!.active = 1;
    assert.equal(picks("least-busy", loads, 4), "bcbc");
  });

  it("levels the load when requests stay", () => {
    const loads = pool();
    const policy = createPolicy("least-busy", random());
    for (let i = 0; i < 30; i++) policy.pick(loads, 0, "", [])!.active++;
    assert.deepEqual(
      loads.map((load) => load.active),
      [10, 10, 10],
    );
  });
});

describe("power of two choices", () => {
  it("of two it takes the less busy, so that the busiest of three gets nothing", () => {
    const loads = pool();
    set(loads, "active", 9, 5, 1);
    const [a, b, c] = shares(picks("power-of-two", loads, 300), loads) as [number, number, number];
    assert.equal(a, 0);
    // b is taken only when c is not drawn: one pair of three.
    assert.ok(b > 70 && b < 130, `${b}`);
    assert.equal(b + c, 300);
  });

  it("with nothing under way it is chance, by weight", () => {
    const loads = pool([2, 1, 1]);
    const [a, b, c] = shares(picks("power-of-two", loads, 4000), loads) as [number, number, number];
    assert.ok(a > 1850 && a < 2150, `${a}`);
    assert.ok(b > 850 && b < 1150 && c > 850 && c < 1150, `${b} ${c}`);
  });

  it("levels the load when requests stay, nearly", () => {
    const loads = pool([1, 1, 1, 1, 1, 1]);
    const policy = createPolicy("power-of-two", random());
    for (let i = 0; i < 600; i++) policy.pick(loads, 0, "", [])!.active++;
    for (const { active } of loads) assert.ok(Math.abs(active - 100) <= 5, `${active}`);
  });

  it("the same chance, the same choice", () => {
    assert.equal(picks("power-of-two", pool(), 20), picks("power-of-two", pool(), 20));
  });
});

describe("fastest", () => {
  it("asks each once, then the one with the least latency", () => {
    const loads = pool();
    const policy = createPolicy("fastest", random());
    const latency: Record<string, number> = { a: 30, b: 5, c: 20 };
    const first = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const load = policy.pick(loads, 0, "", [])!;
      first.add(load.id);
      load.measured(latency[load.id]!, 0);
    }
    assert.equal(first.size, 3);
    for (let i = 0; i < 5; i++) assert.equal(policy.pick(loads, 0, "", [])!.id, "b");
  });

  it("sends one that was never measured a single request until it has answered", () => {
    const loads = pool();
    for (const load of loads.slice(0, 2)) load.measured(10, 0);
    const policy = createPolicy("fastest", random());
    for (let i = 0; i < 10; i++) policy.pick(loads, 0, "", [])!.active++;
    assert.deepEqual(
      loads.map(({ active }) => active).sort((a, b) => a - b),
      [1, 4, 5],
    );
    assert.equal(loads[2]!.active, 1);
  });

  it("with none measured it levels what is under way", () => {
    const loads = pool();
    const policy = createPolicy("fastest", random());
    for (let i = 0; i < 9; i++) policy.pick(loads, 0, "", [])!.active++;
    assert.deepEqual(
      loads.map(({ active }) => active),
      [3, 3, 3],
    );
  });

  it("goes elsewhere when the fast one is busy enough to be slower", () => {
    const loads = pool();
    [30, 5, 20].forEach((ms, i) => {
      loads[i]!.measured(ms, 0);
    });
    loads[1]!.active = 4;
    assert.equal(picks("fastest", loads, 1), "c");
  });

  it("asks a slow one again after a while", () => {
    const loads = pool();
    loads[0]!.measured(50, 0);
    loads[1]!.measured(5, 60_000);
    loads[2]!.measured(5, 60_000);
    loads[1]!.active = 1;
    loads[2]!.active = 1;
    assert.equal(picks("fastest", loads, 1, 60_000), "a");
  });

  it("an average follows what is new and forgets what is old", () => {
    const load = new Load("a", 1, 0);
    load.measured(100, 0);
    load.measured(10, 60_000);
    assert.ok(load.latencyMs < 15);
    for (let i = 0; i < 100; i++) load.measured(40, 60_001);
    assert.ok(Math.abs(load.latencyMs - 40) < 1);
  });
});
