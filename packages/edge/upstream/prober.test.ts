import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { PoolOptions } from "./index.ts";
import { type Rig, rig, stateOf, three } from "./pools.testing.ts";

describe("the rhythm of probes", () => {
  /** When a port was asked, each time answered so after 1 ms. */
  function times(passed: boolean | null, forMs: number, options: Partial<PoolOptions> = {}): number[] {
    const at: number[] = [];
    const made: Rig = rig({
      ...options,
      probe: (_target, done) => {
        at.push(made.clock.now());
        const timer = made.clock.after(1, () => done(passed, passed === true ? "" : "no"));
        return timer;
      },
    });
    made.pool.add({ id: "a", host: "192.0.2.1", port: 1 });
    made.clock.advance(forMs);
    return at;
  }

  it("calm while it is up, with jitter", () => {
    const at = times(true, 100_000);
    const gaps = at.slice(1).map((time, i) => time - at[i]!);
    for (const gap of gaps) assert.ok(gap >= 1800 && gap <= 2201, `${gap}`);
    assert.ok(new Set(gaps.map(Math.round)).size > 10);
    const strict = times(true, 20_000, { health: { jitter: 0 } });
    assert.deepEqual(
      strict
        .slice(1)
        .map((time, i) => time - strict[i]!)
        .map(Math.round),
      Array(9).fill(2001),
    );
  });

  it("quick while it is new, for ten seconds; then ever calmer", () => {
    const at = times(false, 60_000);
    const gaps = at.slice(1).map((time, i) => ({ time, gap: time - at[i]! }));
    for (const { time, gap } of gaps) if (time < 10_000) assert.ok(gap < 90, `${gap} at ${time}`);
    const later = gaps.filter(({ time }) => time > 35_000);
    for (const { gap } of later) assert.ok(gap > 1700 && gap < 2300, `${gap}`);
    assert.ok(gaps.length < 220, `${gaps.length}`);
  });

  it("what could not be asked, for reasons of our own, says nothing: it stays what it was", () => {
    const made = three();
    made.clock.advance(2300);
    for (let i = 0; i < 5; i++) {
      made.asked.get(1)!(null, "EMFILE");
      made.clock.advance(2300);
    }
    assert.equal(stateOf(made, "a").state, "up");
  });

  it("as many in a row must fail and pass as is asked for", () => {
    const made = rig({ health: { rise: 2, fall: 3, jitter: 0 } });
    made.pool.add({ id: "a", host: "192.0.2.1", port: 1 });
    const trail: string[] = [];
    for (const passed of [true, true, false, false, true, false, false, false, true, true]) {
      made.answer(1, passed);
      trail.push(stateOf(made, "a").state);
      made.clock.advance(2000);
    }
    assert.deepEqual(trail, ["checking", "up", "up", "up", "up", "up", "up", "down", "down", "up"]);
  });
});
