import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DownCause,
  defaultHealthRules,
  defaultEjectionRules as defaults,
  includesStatus,
  type Load,
  maySpare,
  onEjected,
  slowest,
} from "./index.ts";
import { draining, pool } from "./loads.testing.ts";

function eject(load: Load, cause: DownCause = DownCause.unanswered): void {
  load.health = onEjected(load.health, 0, defaultHealthRules, cause);
}

/** How many of so many may be ejected, one after the other. */
function ejectable(count: number, shareMax = 0.5): number {
  const loads = pool(Array.from({ length: count }, () => 1));
  let ejected = 0;
  for (const load of loads) {
    if (!maySpare(loads, load, { ...defaults, shareMax })) break;
    eject(load);
    ejected++;
  }
  return ejected;
}

describe("who may be ejected", () => {
  it("half of them, rounded, and never the last one", () => {
    assert.deepEqual(
      [1, 2, 3, 4, 5, 6].map((count) => ejectable(count)),
      [0, 1, 2, 2, 3, 3],
    );
  });

  it("as large a share as the rule says, but for the last one", () => {
    assert.deepEqual(
      [1, 2, 3, 8].map((count) => ejectable(count, 1)),
      [0, 1, 2, 7],
    );
    assert.deepEqual(
      [1, 2, 3, 8].map((count) => ejectable(count, 0.25)),
      [0, 1, 1, 2],
    );
    assert.equal(ejectable(8, 0), 0);
  });

  it("those whose probes fail and those that drain count neither way", () => {
    const loads = pool([1, 1, 1, 1]);
    eject(loads[0]!, DownCause.gone);
    loads[1]!.health = draining;
    assert.ok(maySpare(loads, loads[2]!, defaults));
    eject(loads[2]!);
    assert.ok(!maySpare(loads, loads[3]!, defaults));
  });

  it("only one that is up", () => {
    const loads = pool();
    eject(loads[0]!);
    assert.ok(!maySpare(loads, loads[0]!, defaults));
  });
});

describe("who is too slow", () => {
  const rules = { ...defaults, latencyFactor: 3, samplesMin: 5 };

  function measured(...latencies: number[]): Load[] {
    const loads = pool(latencies.map(() => 1));
    for (const [i, ms] of latencies.entries()) for (let n = 0; n < 5; n++) loads[i]!.measured(ms, 0);
    return loads;
  }

  it("whose average is so many times the median of the others", () => {
    assert.equal(slowest(measured(100, 301, 100), rules)?.id, "b");
    assert.equal(slowest(measured(100, 299, 100), rules), null);
    // The median of 20, 60, 100 and 1000 is 80: a few slow ones do not hide another.
    assert.equal(slowest(measured(20, 60, 100, 1000, 1001), rules)?.id, "e");
    assert.equal(slowest(measured(100, 100, 100, 100), rules), null);
  });

  it("of two, the one beside the other", () => {
    assert.equal(slowest(measured(20, 100), rules)?.id, "b");
    assert.equal(slowest(measured(20), rules), null);
  });

  it("not under the least latency that counts", () => {
    assert.equal(slowest(measured(1, 40), rules), null);
    assert.equal(slowest(measured(1, 40), { ...rules, latencyMinMs: 30 })?.id, "b");
  });

  it("not before there are samples enough, of it and of the others", () => {
    const loads = measured(100, 1000);
    assert.equal(slowest(loads, rules)?.id, "b");
    loads[0]!.samples = 4;
    assert.equal(slowest(loads, rules), null);
  });

  it("those that are out already are not compared", () => {
    const loads = measured(100, 1000, 5000);
    eject(loads[2]!, DownCause.slow);
    assert.equal(slowest(loads, rules)?.id, "b");
    eject(loads[1]!, DownCause.slow);
    assert.equal(slowest(loads, rules), null);
  });

  it("nobody, unless the rule has a factor", () => {
    assert.equal(slowest(measured(1, 1e6), defaults), null);
  });
});

describe("statuses", () => {
  it("are named one by one or by range, both ends included", () => {
    const statuses = [429, [500, 502]] as const;
    assert.deepEqual(
      [428, 429, 499, 500, 502, 503].map((status) => includesStatus(statuses, status)),
      [false, true, false, true, true, false],
    );
    assert.ok(!includesStatus([], 500));
  });
});
