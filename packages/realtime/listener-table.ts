/**
 * Memory of EventEmitters of which there are as many as clients. Node gives each a table for listeners at once, as a dictionary:
 * 184 bytes, filled or not, of an idle connection's 8,000. `_events` and `_eventsCount` are how Node's own subclasses (net.Socket,
 * the streams) lay theirs out, and every method of EventEmitter is at home with a table that is not there yet.
 */
import type { EventEmitter } from "node:events";

interface Inside {
  _events: Record<string, unknown> | undefined;
  _eventsCount: number;
}

/** Leaves out the table until there is a first listener. To be called in the constructor: listeners are forgotten. */
export function withoutTable(emitter: EventEmitter): void {
  const inside = emitter as unknown as Inside;
  inside._events = undefined;
  inside._eventsCount = 0;
}

/** Without a prototype, as Node's: the names of events are anybody's. */
class ErrorTable {
  error: () => void;

  constructor(listener: () => void) {
    this.error = listener;
  }
}
Object.setPrototypeOf(ErrorTable.prototype, null);
delete (ErrorTable.prototype as { constructor?: unknown }).constructor;

/** The same as `emitter.on("error", listener)` right after its construction, and room for a few more. */
export function listenToErrors(emitter: EventEmitter, listener: () => void): void {
  const inside = emitter as unknown as Inside;
  inside._events = new ErrorTable(listener) as unknown as Record<string, unknown>;
  inside._eventsCount = 1;
}

/** The one listener of `name`, as `rawListeners` has it, without a list made for it; null when there are several, or none. */
export function onlyListener(emitter: EventEmitter, name: string): ((...args: never[]) => unknown) | null {
  const found = (emitter as unknown as Inside)._events?.[name];
  return typeof found === "function" ? (found as (...args: never[]) => unknown) : null;
}
