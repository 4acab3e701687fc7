/**
 * `npm test [-- PATH …]`: all `*.test.ts` through Node's own runner, the unit tests side by side, those of the whole system
 * after them and one by one, under one summary. A test that hangs fails; so does a file that does not end.
 */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { run } from "node:test";
import { spec, type TestEvent } from "node:test/reporters";
import { pathToFileURL } from "node:url";
import { findTests } from "./testing/files.ts";
import { merge, type Outcome } from "./testing/merge.ts";

const root = resolve(import.meta.dirname, "..");
const testLimitMs = 120_000;

const { unit, system } = findTests(root, process.argv.slice(2));
if (unit.length + system.length === 0) {
  process.stderr.write(`No *.test.ts at ${process.argv.slice(2).join(" ") || "all"}.\n`);
  process.exit(1);
}

const stop = new AbortController();
// Not `once`: below npm a Ctrl+C arrives twice, and the second one would end this process before its tests have ended.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    stop.abort();
    process.exitCode = 1;
  });
}

function start(files: readonly string[], concurrency: number): () => AsyncIterable<TestEvent> {
  return () =>
    run({
      cwd: root,
      files: files.map((file) => resolve(root, file)),
      concurrency,
      timeout: testLimitMs,
      signal: stop.signal,
      execArgv: ["--import", pathToFileURL(resolve(root, "scripts/testing/deadline.mjs")).href],
    }) as AsyncIterable<TestEvent>;
}

const outcome: Outcome = { failed: false, tests: 0 };
const runs = [start(unit, Math.max(2, availableParallelism())), start(system, 1)];
const events = merge(
  runs.filter((_, index) => [unit, system][index]!.length > 0),
  outcome,
);
await pipeline(Readable.from(events), new spec(), process.stdout, { end: false });
if (outcome.failed || outcome.tests === 0) process.exitCode = 1;
