/** Limits of time of many connections at once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { SWEEP_MS } from "./contract.ts";
import { Sweep } from "./sweep.ts";

/** `all` connections of which each is ended by the sweep whose number it has; the clock's turns are counted. */
function stage(count: number, endsAt: (n: number) => number) {
  const clock = new FakeClock();
  const all = new Set<{ sweep(now: number): boolean }>();
  const trail = { looked: 0, ended: 0, rounds: 0, mostInTurn: 0, turns: 0 };
  let inTurn = 0;
  const defer = clock.defer.bind(clock);
  clock.defer = (run) => {
    trail.turns++;
    inTurn = 0;
    defer(run);
  };
  for (let n = 0; n < count; n++) {
    const one = {
      sweep(): boolean {
        trail.looked++;
        if (trail.rounds < endsAt(n)) return false;
        all.delete(one);
        trail.ended++;
        trail.mostInTurn = Math.max(trail.mostInTurn, ++inTurn);
        return true;
      },
    };
    all.add(one);
  }
  const sweep = new Sweep(clock, all, () => trail.rounds++);
  return { clock, all, sweep, trail };
}

test("everybody is looked at once in a round, and the next begins a while after the last was", () => {
  const { clock, sweep, trail } = stage(5_000, () => Number.POSITIVE_INFINITY);
  sweep.start();
  clock.advance(SWEEP_MS);
  assert.deepEqual([trail.looked, trail.rounds, trail.turns], [5_000, 1, 2]);
  clock.advance(SWEEP_MS);
  assert.deepEqual([trail.looked, trail.rounds], [10_000, 2]);
});

test("those whose time is over together are ended a few a turn, all in the same round", () => {
  const { clock, all, sweep, trail } = stage(1_000, (n) => (n % 2 === 0 ? 0 : 1));
  sweep.start();
  clock.advance(SWEEP_MS);
  assert.deepEqual([trail.ended, trail.rounds, all.size], [500, 1, 500]);
  assert.ok(trail.mostInTurn <= 16, `${trail.mostInTurn} in one turn`);
  clock.advance(SWEEP_MS);
  assert.equal(all.size, 0);
});

test("nothing is looked at any more when it is stopped, in the middle of a round either", () => {
  const { clock, sweep, trail } = stage(100, () => 0);
  const defer = clock.defer.bind(clock);
  clock.defer = (run) => {
    sweep.stop();
    defer(run);
  };
  sweep.start();
  clock.advance(10 * SWEEP_MS);
  assert.deepEqual([trail.ended, trail.rounds], [16, 0]);
});
