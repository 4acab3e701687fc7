import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Breaker, type BreakerRules, BreakerState, Outcomes, defaultBreakerRules as rules } from "./index.ts";

/** Half of 20 requests have failed: open since `now`. */
function opened(now = 0, changes: Partial<BreakerRules> = {}): Breaker {
  const breaker = new Breaker({ ...rules, ...changes });
  for (let i = 0; i < 10; i++) breaker.record(true, now, now);
  for (let i = 0; i < 10; i++) breaker.record(false, now, now);
  assert.equal(breaker.stateAt(now), BreakerState.open);
  return breaker;
}

describe("a service's circuit breaker", () => {
  it("lets everything through while fewer than the share fail", () => {
    const breaker = new Breaker(rules);
    for (let i = 0; i < 1000; i++) {
      assert.ok(breaker.admits(i));
      breaker.record(i % 5 < 3, i, i);
    }
    assert.equal(breaker.stateAt(1000), BreakerState.closed);
  });

  it("opens when the share of the window failed, and refuses then", () => {
    const breaker = opened();
    assert.ok(!breaker.admits(0));
    assert.ok(!breaker.admits(rules.openMs - 1));
    assert.equal(breaker.openings, 1);
  });

  it("a few requests are no reason, even if all of them fail", () => {
    const breaker = new Breaker(rules);
    for (let i = 0; i < 19; i++) breaker.record(false, 0, 0);
    assert.ok(breaker.admits(0));
    breaker.record(false, 0, 0);
    assert.ok(!breaker.admits(0));
  });

  it("what failed longer ago than the window does not count", () => {
    const breaker = new Breaker(rules);
    for (let i = 0; i < 19; i++) breaker.record(false, 0, 0);
    for (let i = 0; i < 18; i++) breaker.record(true, 11_000, 11_000);
    breaker.record(false, 11_000, 11_000);
    assert.equal(breaker.stateAt(11_000), BreakerState.closed);
  });

  it("half-open it lets its trials through and no more; when all succeed it closes", () => {
    const breaker = opened();
    const now = rules.openMs;
    assert.equal(breaker.stateAt(now), BreakerState.halfOpen);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => breaker.admits(now)),
      [true, true, true, false],
    );
    breaker.record(true, now, now + 1);
    breaker.record(true, now, now + 1);
    assert.equal(breaker.stateAt(now + 1), BreakerState.halfOpen);
    breaker.record(true, now, now + 1);
    assert.equal(breaker.stateAt(now + 1), BreakerState.closed);
    assert.ok(breaker.admits(now + 1));
    // It starts anew: the failures from before do not open it again.
    breaker.record(false, now + 1, now + 1);
    assert.ok(breaker.admits(now + 1));
  });

  it("one trial that fails opens it for its whole time again", () => {
    const breaker = opened();
    const now = rules.openMs;
    assert.ok(breaker.admits(now));
    breaker.record(true, now, now + 1);
    breaker.record(false, now, now + 2);
    assert.equal(breaker.stateAt(now + 2), BreakerState.open);
    assert.ok(!breaker.admits(now + 2 + rules.openMs - 1));
    assert.ok(breaker.admits(now + 2 + rules.openMs));
    assert.equal(breaker.openings, 2);
  });

  it("what began before the trials says nothing, be it good or bad", () => {
    const breaker = opened(100);
    const now = 100 + rules.openMs;
    breaker.record(false, 50, 150);
    assert.ok(breaker.admits(now));
    breaker.record(false, 90, now + 1);
    for (let i = 0; i < 5; i++) breaker.record(true, 90, now + 1);
    assert.equal(breaker.stateAt(now + 1), BreakerState.halfOpen);
  });

  it("trials whose clients left do not keep it shut for good: as many more after the same time", () => {
    const breaker = opened();
    const now = rules.openMs;
    for (let i = 0; i < 3; i++) assert.ok(breaker.admits(now));
    assert.ok(!breaker.admits(now + rules.openMs - 1));
    assert.ok(breaker.admits(now + rules.openMs));
  });
});

describe("the outcomes of late", () => {
  it("agree with a list of all of them, give or take a tenth of the window", () => {
    const event = fc.record({ after: fc.integer({ min: 0, max: 400 }), ok: fc.boolean() });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 60 }), (events) => {
        const outcomes = new Outcomes(1000);
        const seen: { at: number; ok: boolean }[] = [];
        let now = 0;
        for (const { after, ok } of events) {
          now += after;
          outcomes.add(ok, now);
          seen.push({ at: now, ok });
          const from = (Math.floor(now / 100) - 9) * 100;
          const within = seen.filter(({ at }) => at >= from);
          const share = within.filter((each) => !each.ok).length / within.length;
          assert.equal(outcomes.failureShare(now, 1), share);
        }
      }),
    );
  });

  it("fewer than the least that counts: no share; and an empty window has none", () => {
    const outcomes = new Outcomes(1000);
    assert.equal(outcomes.failureShare(0, 0), 0);
    outcomes.add(false, 0);
    assert.equal(outcomes.failureShare(0, 2), 0);
    assert.equal(outcomes.failureShare(0, 1), 1);
    assert.equal(outcomes.failureShare(5000, 1), 0);
  });
});
