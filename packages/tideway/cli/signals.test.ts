import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { onStopSignals } from "./signals.ts";

test("one Ctrl+C that npm passes on is one request to stop; a later one stops at once", () => {
  const clock = new FakeClock();
  const source = new EventEmitter();
  const heard: string[] = [];
  const forget = onStopSignals(
    { clock, onFirst: (signal) => heard.push(signal), onAgain: () => heard.push("again") },
    source,
  );
  source.emit("SIGINT", "SIGINT");
  clock.advance(30);
  source.emit("SIGINT", "SIGINT");
  assert.deepEqual(heard, ["SIGINT"]);
  clock.advance(1_000);
  source.emit("SIGTERM", "SIGTERM");
  assert.deepEqual(heard, ["SIGINT", "again"]);
  forget();
  assert.deepEqual(source.eventNames(), []);
});
