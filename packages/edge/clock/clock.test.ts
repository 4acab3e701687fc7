import assert from "node:assert/strict";
import { test } from "node:test";
import { loopClock, systemClock } from "./index.ts";

const nextTurn = (): Promise<void> => new Promise((done) => setImmediate(done));

test("within a turn of the event loop its clock stands still, also for promises; the next turn has another time", async () => {
  await nextTurn();
  const [now, wall] = [loopClock.now(), loopClock.wall()];
  while (systemClock.now() < now + 5);
  assert.equal(loopClock.now(), now);
  await Promise.resolve();
  await new Promise<void>((done) => process.nextTick(done));
  assert.equal(loopClock.now(), now);
  assert.equal(loopClock.wall(), wall);
  await nextTurn();
  assert.ok(loopClock.now() >= now + 5);
  assert.ok(loopClock.wall() > wall);
});

test("the loop's clock is never ahead of the system's, and never goes back", async () => {
  let last = 0;
  for (let i = 0; i < 100; i++) {
    const now = loopClock.now();
    assert.ok(now >= last && now <= systemClock.now());
    last = now;
    if (i % 3 === 0) await nextTurn();
  }
});
