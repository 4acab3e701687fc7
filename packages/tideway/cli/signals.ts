/**
 * SIGTERM and SIGINT, as one request to stop and, when it comes again, to stop at once. Owns telling those two apart: below
 * npm one Ctrl+C arrives twice, from the terminal and passed on by npm, and is one request.
 */
import type { EventEmitter } from "node:events";
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
