import assert from "node:assert/strict";
import { test } from "node:test";
import { limits, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { Output } from "./output.ts";
import { Shared } from "./shared.ts";
import { Tick } from "./tick.ts";

/** A clock whose time moves within a tick too. */
class HandClock extends FakeClock {
  later = 0;

  override wall(): number {
    return super.wall() + this.later;
  }
}

const output = (ended: () => void): Output => ({ tickEnded: ended }) as Output;

test("within a tick the date stands still; the next one looks at the clock again", () => {
  const clock = new HandClock();
  const tick = new Tick(clock);
  const first = tick.dateLine();
  clock.later = 2_000;
  assert.equal(tick.dateLine(), first);
  clock.settle();
  assert.notEqual(tick.dateLine(), first);
});

test("who has something to write is told when the tick ends, once, in order; who comes meanwhile when the next does", () => {
  const clock = new FakeClock();
  const tick = new Tick(clock);
  const told: string[] = [];
  const late = output(() => told.push("late"));
  tick.add(
    output(() => {
      told.push("one");
      tick.add(late);
    }),
  );
  tick.add(output(() => told.push("two")));
  assert.deepEqual(told, []);
  clock.settle();
  assert.deepEqual(told, ["one", "two", "late"]);
  clock.settle();
  assert.equal(told.length, 3);
});

test("request ids are a random beginning and a count, each once", () => {
  const options = { host: "127.0.0.1", port: 0, clock: new FakeClock(), random: new SeededRandom(1), limits };
  const shared = new Shared({ ...options, logger: silentLogger, onExchange: () => {} });
  const [prefix] = shared.nextId().split("-1");
  for (let count = 2; count < 5_000; count++) assert.equal(shared.nextId(), `${prefix}-${count.toString(36)}`);
});
