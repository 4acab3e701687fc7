import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import fc from "fast-check";
import {
  type BalanceName,
  balanceNames,
  createPolicy,
  type Health,
  HealthState,
  isPromising,
  isUsable,
  Load,
  onDrain,
  onProbe,
  onRequestAnswered,
  onRequestFailed,
  onTrial,
  RetryBudget,
  defaultHealthRules as rules,
} from "./index.ts";

/** Three hosts, all up. */
function pool(weights: readonly number[] = [1, 1, 1]): Load[] {
  return weights.map((weight, i) => {
    const load = new Load("abcdefgh"[i]!, weight, 0);
    load.health = onProbe(load.health, true, 0, rules);
    return load;
  });
}

function picks(name: BalanceName, loads: readonly Load[], count: number, now = 0): string {
  const policy = createPolicy(name);
  let out = "";
  for (let i = 0; i < count; i++) out += policy.pick(loads, now, "key", [])?.id ?? "-";
  return out;
}

const down: Health = { ...onDrain(new Load("x", 1, 0).health, 0), state: HealthState.down };

describe("every policy", () => {
  for (const name of balanceNames) {
    it(`${name}: an instance that was never checked, is down or drains gets nothing`, () => {
      const loads = pool();
      loads[0]!.health = new Load("a", 1, 0).health;
      loads[1]!.health = down;
      assert.equal(picks(name, loads, 4), "cccc");
      loads[2]!.health = onDrain(loads[2]!.health, 0);
      assert.equal(picks(name, loads, 2), "--");
      assert.equal(picks(name, [], 1), "-");
    });

    it(`${name}: an instance that was tried for this request is not picked again`, () => {
      const loads = pool();
      const policy = createPolicy(name);
      const tried: Load[] = [];
      for (let i = 0; i < 3; i++) tried.push(policy.pick(loads, 0, "key", tried)!);
      assert.equal(new Set(tried).size, 3);
      assert.equal(policy.pick(loads, 0, "key", tried), null);
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
});

describe("weighted", () => {
  it("interleaves by weight as evenly as can be", () => {
    assert.equal(picks("weighted", pool([5, 1, 1]), 7), "aabacaa");
  });

  it("keeps the shares over any weights", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 }), (weights) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const given = picks("weighted", pool(weights), total);
        weights.forEach((weight, i) => {
          assert.equal([...given].filter((id) => id === "abcdefgh"[i]).length, weight);
        });
      }),
    );
  });
});

describe("least-busy", () => {
  it("picks the fewest requests under way", () => {
    const loads = pool();
    [3, 1, 2].forEach((active, i) => {
      loads[i]!.active = active;
    });
    assert.equal(picks("least-busy", loads, 2), "bb");
  });

  it("counts them relative to the weight", () => {
    const loads = pool([4, 1, 1]);
    [3, 1, 1].forEach((active, i) => {
      loads[i]!.active = active;
    });
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
    const policy = createPolicy("least-busy");
    for (let i = 0; i < 30; i++) policy.pick(loads, 0, "", [])!.active++;
    assert.deepEqual(
      loads.map((load) => load.active),
      [10, 10, 10],
    );
  });
});

describe("fastest", () => {
  it("asks each once, then the one with the least latency", () => {
    const loads = pool();
    const policy = createPolicy("fastest");
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

describe("hash", () => {
  const keys = Array.from({ length: 3000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  const at = (loads: readonly Load[], key: string) => createPolicy("hash").pick(loads, 0, key, [])!.id;

  it("gives a key the same instance each time, whatever the order of the pool", () => {
    const loads = pool();
    for (const key of keys.slice(0, 100)) assert.equal(at(loads, key), at([...loads].reverse(), key));
  });

  it("moves only the keys of an instance that left", () => {
    const loads = pool();
    const before = keys.map((key) => at(loads, key));
    loads[1]!.health = down;
    keys.forEach((key, i) => {
      if (before[i] !== "b") assert.equal(at(loads, key), before[i]);
    });
  });

  it("spreads keys by weight", () => {
    const loads = pool([2, 1, 1]);
    const share = keys.filter((key) => at(loads, key) === "a").length / keys.length;
    assert.ok(share > 0.45 && share < 0.55, `${share}`);
  });
});

describe("health", () => {
  const fresh = new Load("x", 1, 0).health;
  const up = onProbe(fresh, true, 0, rules);

  it("checking is never usable, whatever requests do, until a probe passes", () => {
    assert.ok(!isUsable(fresh, 1e9));
    assert.equal(onRequestFailed(fresh, 1, rules), fresh);
    assert.equal(onRequestAnswered(fresh, 1), fresh);
    assert.equal(onProbe(fresh, false, 1, rules).state, HealthState.checking);
    assert.equal(up.state, HealthState.up);
  });

  it("as many probes must pass as the rule says", () => {
    const strict = { ...rules, riseProbes: 2 };
    const once = onProbe(fresh, true, 0, strict);
    assert.equal(once.state, HealthState.checking);
    assert.equal(onProbe(onProbe(once, false, 1, strict), true, 2, strict).state, HealthState.checking);
    assert.equal(onProbe(once, true, 1, strict).state, HealthState.up);
  });

  it("failed probes in a row take it down; then only a probe brings it back", () => {
    let health = onProbe(up, false, 1, rules);
    assert.equal(health.state, HealthState.up);
    assert.equal(onProbe(health, true, 2, rules).probes, 0);
    health = onProbe(health, false, 2, rules);
    assert.equal(health.state, HealthState.down);
    assert.ok(!isUsable(health, 1e9));
    assert.equal(onRequestAnswered(health, 3).state, HealthState.down);
    assert.equal(onProbe(health, true, 3, rules).state, HealthState.up);
  });

  it("requests without an answer, in a row, eject it; one answer in between does not let it come to that", () => {
    const once = onRequestFailed(up, 1, rules);
    assert.equal(once.state, HealthState.up);
    assert.equal(onRequestFailed(onRequestAnswered(once, 2), 3, rules).state, HealthState.up);
    const ejected = onRequestFailed(once, 2, rules);
    assert.equal(ejected.state, HealthState.down);
    assert.ok(!isUsable(ejected, 1001));
    assert.ok(isUsable(ejected, 1002));
  });

  it("failures of requests that were under way at the ejection do not lengthen it", () => {
    const ejected = onRequestFailed(onRequestFailed(up, 1, rules), 1, rules);
    assert.equal(onRequestFailed(ejected, 5, rules), ejected);
  });

  it("one trial at a time; each failed one doubles the backoff, up to its limit; a good one clears it", () => {
    let health = onRequestFailed(onRequestFailed(up, 0, rules), 0, rules);
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      const now = health.trialAt;
      health = onTrial(health, now, rules);
      assert.ok(!isUsable(health, now));
      health = onRequestFailed(health, now + 1, rules);
      waits.push(health.trialAt - now);
    }
    assert.deepEqual(waits, [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    health = onRequestAnswered(onTrial(health, health.trialAt, rules), 1e6);
    assert.equal(health.state, HealthState.up);
    assert.equal(health.ejections, 0);
  });

  it("a passing probe ends an ejection early, a failing one ends its trials", () => {
    const ejected = onRequestFailed(onRequestFailed(up, 0, rules), 0, rules);
    assert.equal(onProbe(ejected, true, 1, rules).state, HealthState.up);
    assert.ok(!isUsable(onProbe(ejected, false, 1, rules), 1e9));
  });

  it("draining is for good", () => {
    const draining = onDrain(up, 1);
    for (const next of [
      onProbe(draining, true, 2, rules),
      onRequestFailed(draining, 2, rules),
      onRequestAnswered(draining, 2),
      onDrain(draining, 2),
    ])
      assert.equal(next, draining);
  });

  it("waiting is worth it while one is checking or has just gone down", () => {
    const ejected = onRequestFailed(onRequestFailed(up, 100, rules), 100, rules);
    assert.ok(isPromising(fresh, 1e6, 5000));
    assert.ok(isPromising(ejected, 5000, 5000));
    assert.ok(!isPromising(ejected, 5100, 5000));
    assert.ok(!isPromising(onDrain(up, 0), 1, 5000));
  });

  it("the common case returns the same value", () => {
    assert.equal(onRequestAnswered(up, 9), up);
    assert.equal(onProbe(up, true, 9, rules), up);
    assert.equal(onTrial(up, 9, rules), up);
  });
});

describe("retry budget", () => {
  it("a quiet service may retry its allowance, then what time brings back", () => {
    const budget = new RetryBudget(0.2, 0);
    for (let i = 0; i < 100; i++) assert.ok(budget.take(0));
    assert.ok(!budget.take(0));
    assert.ok(!budget.take(50));
    assert.ok(budget.take(150));
  });

  it("under traffic one in five may be a retry, in the long run", () => {
    const budget = new RetryBudget(0.2, 0);
    const random = new SeededRandom(7);
    let retries = 0;
    for (let i = 0; i < 10_000; i++) {
      budget.onRequest();
      if (random.fraction() < 0.9 && budget.take(0)) retries++;
    }
    assert.ok(retries > 1900 && retries <= 2101, `${retries}`);
  });
});
