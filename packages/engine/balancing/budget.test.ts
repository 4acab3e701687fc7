import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { RetryBudget } from "./index.ts";

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

  it("a share of nothing lets none, not even of the allowance", () => {
    const budget = new RetryBudget(0, 0);
    for (let i = 0; i < 10; i++) budget.onRequest();
    assert.ok(!budget.take(0));
    assert.ok(!budget.take(600_000));
  });

  it("another share counts from then on", () => {
    const budget = new RetryBudget(0.2, 0);
    while (budget.take(0));
    budget.share = 0.5;
    for (let i = 0; i < 10; i++) budget.onRequest();
    let retries = 0;
    while (budget.take(0)) retries++;
    assert.equal(retries, 5);
  });
});
