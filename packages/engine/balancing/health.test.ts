import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DownCause,
  type Health,
  HealthState,
  isPromising,
  isUsable,
  newHealth,
  onDrain,
  onEjected,
  onProbe,
  onRequestAnswered,
  onRequestFailed,
  onSpared,
  onTrial,
  onUndrain,
  defaultHealthRules as rules,
} from "./index.ts";

const fresh = newHealth(0);
const up = onProbe(fresh, true, 0, rules);
const failed = (health: Health, now: number) => onRequestFailed(health, now, rules, DownCause.unanswered);
const answered = (health: Health, now: number) => onRequestAnswered(health, now, now, rules);

describe("health", () => {
  it("checking is never usable, whatever requests do, until a probe passes", () => {
    assert.ok(!isUsable(fresh, 1e9));
    assert.equal(failed(fresh, 1), fresh);
    assert.equal(answered(fresh, 1), fresh);
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
    assert.equal(health.cause, DownCause.gone);
    assert.ok(!isUsable(health, 1e9));
    assert.equal(answered(health, 3).state, HealthState.down);
    assert.equal(onProbe(health, true, 3, rules).state, HealthState.up);
  });

  it("requests without an answer, in a row, eject it; one answer in between does not let it come to that", () => {
    const once = failed(up, 1);
    assert.equal(once.state, HealthState.up);
    assert.equal(failed(answered(once, 2), 3).state, HealthState.up);
    const ejected = failed(once, 2);
    assert.equal(ejected.state, HealthState.down);
    assert.equal(ejected.cause, DownCause.unanswered);
    assert.ok(!isUsable(ejected, 1001));
    assert.ok(isUsable(ejected, 1002));
  });

  it("a rule of 0 ejects for no number of failures", () => {
    let health = up;
    for (let i = 0; i < 100; i++) health = onRequestFailed(health, i, { ...rules, failuresMax: 0 }, "unanswered");
    assert.equal(health, up);
  });

  it("an instance that the others need is spared: its failures are counted from the beginning", () => {
    const once = failed(up, 1);
    const spared = onSpared(once);
    assert.equal(spared.failures, 0);
    assert.equal(failed(spared, 2).state, HealthState.up);
    assert.equal(onSpared(up), up);
  });

  it("requests that were under way at the ejection neither lengthen nor end it", () => {
    const ejected = failed(failed(up, 100), 100);
    assert.equal(failed(ejected, 105), ejected);
    assert.equal(onRequestAnswered(ejected, 99, 105, rules), ejected);
  });

  it("one trial at a time; each failed one doubles the backoff, up to its limit", () => {
    let health = failed(failed(up, 0), 0);
    const waits: number[] = [];
    for (let i = 0; i < 7; i++) {
      const now = health.trialAt;
      health = onTrial(health, now, rules);
      assert.ok(!isUsable(health, now));
      health = failed(health, now + 1);
      waits.push(health.trialAt - now);
    }
    assert.deepEqual(waits, [2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
  });

  it("a good trial brings it up; its ejections are forgotten once it stayed up for the longest backoff", () => {
    const ejected = failed(failed(up, 0), 0);
    const back = answered(onTrial(ejected, 1000, rules), 1010);
    assert.equal(back.state, HealthState.up);
    assert.equal(back.cause, null);
    const soon = failed(failed(answered(back, 20_000), 20_000), 20_000);
    assert.equal(soon.trialAt - 20_000, 4000);
    const late = failed(failed(answered(back, 31_010), 31_010), 31_010);
    assert.equal(late.trialAt - 31_010, 1000);
  });

  it("a passing probe ends the ejection of one that did not answer, a failing one ends its trials", () => {
    const ejected = failed(failed(up, 0), 0);
    assert.equal(onProbe(ejected, true, 1, rules).state, HealthState.up);
    const gone = onProbe(ejected, false, 1, rules);
    assert.ok(!isUsable(gone, 1e9));
    assert.equal(onProbe(gone, true, 2, rules).state, HealthState.up);
  });

  for (const cause of [DownCause.failing, DownCause.slow]) {
    it(`${cause}: a passing probe says nothing about that; it sits out its time`, () => {
      const ejected = onEjected(up, 0, rules, cause);
      assert.equal(onProbe(ejected, true, 1, rules), ejected);
      assert.ok(isUsable(ejected, 1000));
      const gone = onProbe(ejected, false, 1, rules);
      assert.equal(gone.cause, DownCause.gone);
      assert.equal(onProbe(gone, true, 2, rules).state, HealthState.up);
    });
  }

  it("draining has no way out but undrain, and then it is checked like a new one", () => {
    const draining = onDrain(up, 1);
    for (const next of [
      onProbe(draining, true, 2, rules),
      failed(draining, 2),
      answered(draining, 2),
      onDrain(draining, 2),
      onEjected(draining, 2, rules, DownCause.slow),
      onTrial(draining, 2, rules),
    ])
      assert.equal(next, draining);
    assert.deepEqual(onUndrain(draining, 5), newHealth(5));
    assert.equal(onUndrain(up, 5), up);
  });

  it("waiting is worth it while one is up, or is new, or has just gone down", () => {
    const ejected = failed(failed(up, 100), 100);
    assert.ok(isPromising(up, 1e6, 5000));
    assert.ok(isPromising(fresh, 4999, 5000));
    assert.ok(!isPromising(fresh, 5000, 5000));
    assert.ok(isPromising(ejected, 5000, 5000));
    assert.ok(!isPromising(ejected, 5100, 5000));
    assert.ok(!isPromising(onDrain(up, 0), 1, 5000));
  });

  it("the common case returns the same value", () => {
    assert.equal(answered(up, 9), up);
    assert.equal(onProbe(up, true, 9, rules), up);
    assert.equal(onTrial(up, 9, rules), up);
  });
});
