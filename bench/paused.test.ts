import assert from "node:assert/strict";
import { test } from "node:test";
import { comparePaused } from "./paused.ts";

test("the load with a paused reader, small: all who read get everything, without it and beside it", async () => {
  const { without, beside } = await comparePaused({ clients: 20, bytes: 8000, perSecond: 200, ms: 300, core: "any" });
  for (const { events, delivered, p50Ms, p99Ms } of [without, beside]) {
    assert.ok(events > 0);
    assert.equal(delivered, events * 20);
    assert.ok(p50Ms > 0 && p50Ms <= p99Ms);
  }
});
