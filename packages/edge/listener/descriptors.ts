/**
 * How many descriptors the process may have, and whether they run out. A proxied request takes two, and files, logs and
 * stores want some as well.
 *
 * At the limit the system accepts nothing: libuv takes what waits and closes it without a word, and tells nobody. So the
 * lowest free descriptor is asked for now and then, by opening one: it tells how far the limit is, whoever uses them up.
 */
import { closeSync, openSync, readFileSync } from "node:fs";

const SHARE = 0.4;
const UNKNOWN = 4_096;
const LARGEST = 100_000;
/** Beyond this part of the limit no connection is held that is not in use: the rest is for upstreams, files, the console. */
const SHORT_SHARE = 0.9;
/** Connections accepted between two looks, at most. A look takes some 10 µs. */
const LOOK_EVERY = 16;

/** Connections that the process may hold unless told otherwise. */
export function connectionsShare(): number {
  const limit = descriptorLimit();
  return limit === 0 ? UNKNOWN : Math.min(LARGEST, Math.max(16, Math.floor(limit * SHARE)));
}

export class Descriptors {
  #limit = descriptorLimit();
  #accepted = 0;
  /** The last look found that they run out. */
  short = false;

  /** A connection was accepted. */
  used(): void {
    if (++this.#accepted >= LOOK_EVERY) this.look();
  }

  /** Looks how many are left. */
  look(): void {
    this.#accepted = 0;
    const lowest = lowestFree();
    this.short = lowest === -1 || (this.#limit > 0 && lowest >= this.#limit * SHORT_SHARE);
  }

  /** Reads the limit anew: `prlimit` moves it while the process runs. */
  refresh(): void {
    this.#limit = descriptorLimit();
    this.look();
  }
}

/** -1 when there is none. */
function lowestFree(): number {
  try {
    const descriptor = openSync("/dev/null", "r");
    closeSync(descriptor);
    return descriptor;
  } catch (error) {
    // Without that file, as on Windows, nothing is known, and nothing runs out that could be seen.
    const { code } = error as NodeJS.ErrnoException;
    return code === "EMFILE" || code === "ENFILE" ? -1 : 0;
  }
}

/** 0 when it cannot be read, which takes a descriptor: when there is none left, the last one known holds. */
let lastLimit = 0;
function descriptorLimit(): number {
  try {
    const match = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
    if (match !== null) lastLimit = Number(match[1]);
  } catch {
    // Not Linux, or no descriptor left.
  }
  return lastLimit;
}
