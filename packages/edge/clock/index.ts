/**
 * Front door of `edge/clock`: the system's clock and randomness, behind the interfaces of `base`. The one place where
 * running code reads them.
 */
import { randomBytes, randomFillSync } from "node:crypto";
import type { Clock, Random, Timer } from "@tideway/base";

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs: number, run: () => void): Timer {
    const timer = setTimeout(run, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  defer(run: () => void): void {
    setImmediate(run);
  },
};

/** The time of this turn; -1 when nobody has asked in it. */
let turnNow = -1;
let turnWall = 0;

function look(): void {
  turnNow = systemClock.now();
  turnWall = systemClock.wall();
  setImmediate(endTurn);
}

function endTurn(): void {
  turnNow = -1;
}

/**
 * The same, but looked at once per turn of the event loop, as nginx does it: within a turn time stands still. For rooms that
 * ask with every request, of which one turn brings many; not for measuring what happens within a turn.
 */
export const loopClock: Clock = {
  ...systemClock,
  now() {
    if (turnNow === -1) look();
    return turnNow;
  },
  wall() {
    if (turnNow === -1) look();
    return turnWall;
  },
};

export const systemRandom: Random = {
  bytes: (length: number) => randomBytes(length),
  fraction: () => Math.random(),
  id: (bytes = 15) => nextRandom(bytes).toString("base64url"),
};

/** Random bytes for many ids, drawn at once: one draw costs as much as twenty ids. Each byte is used once. */
const drawn = Buffer.alloc(4096);
let used = drawn.length;

function nextRandom(bytes: number): Buffer {
  if (bytes > drawn.length) return randomBytes(bytes);
  if (used + bytes > drawn.length) {
    randomFillSync(drawn);
    used = 0;
  }
  used += bytes;
  return drawn.subarray(used - bytes, used);
}
