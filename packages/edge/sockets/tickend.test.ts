import assert from "node:assert/strict";
import { it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { TickEnd } from "./index.ts";

it("who gathers is told when the tick ends, once, in order; who comes meanwhile when the next one does", () => {
  const clock = new FakeClock();
  const tickEnd = new TickEnd(clock);
  const told: string[] = [];
  const late = { tickEnded: () => told.push("late") };
  const one = {
    tickEnded() {
      told.push("one");
      tickEnd.add(late);
    },
  };
  tickEnd.add(one);
  tickEnd.add({ tickEnded: () => told.push("two") });
  assert.deepEqual(told, []);
  clock.settle();
  assert.deepEqual(told, ["one", "two", "late"]);
  clock.settle();
  assert.equal(told.length, 3);
});
