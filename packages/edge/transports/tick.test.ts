/** What a tick leaves to its end, and what leaves before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import type { Session } from "./session.ts";
import { TickEnd } from "./tick.ts";

function stage() {
  const clock = new FakeClock();
  const trail: string[] = [];
  const session = (name: string) => ({ name, flush: () => trail.push(name) }) as unknown as Session;
  const tick = new TickEnd(
    clock,
    () => trail.push("flushed"),
    (ended) => trail.push(`end of ${(ended as unknown as { name: string }).name}`),
  );
  return { clock, trail, session, tick };
}

const turn = () => new Promise<void>((resolve) => process.nextTick(resolve));

test("queues are let out at the end of the tick, and then ends are told", async () => {
  const { clock, trail, session, tick } = stage();
  tick.ended(session("a"));
  tick.flush(session("b"), false);
  tick.flush(session("c"), true);
  await turn();
  assert.deepEqual(trail, []);
  clock.settle();
  assert.deepEqual(trail.toSorted(), ["b", "c", "end of a", "flushed"]);
  assert.deepEqual(trail.slice(2), ["flushed", "end of a"]);
});

test("many answers do not wait for the end of the tick, and are let out once; what is for many waits", async () => {
  const { clock, trail, session, tick } = stage();
  tick.flush(session("event"), false);
  for (let n = 1; n <= 70; n++) tick.flush(session(`answer ${n}`), true);
  assert.deepEqual(trail, [], "what is under way goes on first");
  await turn();
  assert.equal(trail.length, 70);
  tick.flush(session("answer 71"), true);
  await turn();
  assert.equal(trail.length, 70);
  clock.settle();
  assert.deepEqual(trail.slice(70), ["answer 71", "event", "flushed"]);
});
