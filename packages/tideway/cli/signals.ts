/**
 * SIGTERM and SIGINT, as one request to stop and, when it comes again, to stop at once. Owns telling those two apart: below
 * npm one Ctrl+C arrives twice, from the terminal and passed on by npm, and is one request.
 */
import type { EventEmitter } from "node:events";
import { closeSync, openSync } from "node:fs";
import type { Clock } from "@tideway/base";

/** A person presses no key twice in this time; npm passes a signal on within some milliseconds. */
const echoMs = 400;
const signals = ["SIGTERM", "SIGINT"] as const;

export interface StopRequests {
  readonly clock: Clock;
  onFirst(signal: NodeJS.Signals): void;
  onAgain(): void;
}

/** Listens on `source`, the process unless a test says otherwise; returns what ends it. */
export function onStopSignals(requests: StopRequests, source: EventEmitter = process): () => void {
  let firstAt: number | null = null;
  const heard = (signal: NodeJS.Signals): void => {
    if (firstAt === null) {
      firstAt = requests.clock.now();
      requests.onFirst(signal);
    } else if (requests.clock.now() - firstAt >= echoMs) {
      requests.onAgain();
    }
  };
  for (const signal of signals) source.on(signal, heard);
  return () => {
    for (const signal of signals) source.off(signal, heard);
  };
}

/**
 * SIGHUP has two meanings: an operator's wish to reload, and the end of the terminal that the process runs in. After the
 * latter nobody could stop it by Ctrl+C any more, so it counts as a request to stop. Returns what ends the listening.
 */
export function onHangUp(onReload: () => void, onTerminalGone: () => void): () => void {
  const heldTerminal = hasTerminal();
  const heard = (): void => {
    if (heldTerminal && !hasTerminal()) onTerminalGone();
    else onReload();
  };
  process.on("SIGHUP", heard);
  return () => process.off("SIGHUP", heard);
}

/** `/dev/tty` is the process's own terminal; it cannot be opened without one, nor after its end. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}
