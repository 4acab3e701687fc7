/**
 * Front door of `edge/clock`: the system's clock and randomness, behind the interfaces of `base`. The one place where
 * running code reads them.
 */
import { randomBytes } from "node:crypto";
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

export const systemRandom: Random = {
  bytes: (length: number) => randomBytes(length),
  fraction: () => Math.random(),
  id: (bytes = 15) => randomBytes(bytes).toString("base64url"),
};
