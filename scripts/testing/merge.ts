/**
 * Joins the event streams of several test runs into one, so that the runner's own reporter prints one summary at the end;
 * before it goes what was left out. Knows nothing of processes or files.
 */
import type { TestEvent } from "node:test/reporters";
import { missingPrefix } from "../requires.ts";

const counted = ["tests", "suites", "passed", "failed", "cancelled", "skipped", "todo"] as const;
/** The runner's words for the counts above. */
const words = { passed: "pass", failed: "fail" } as Record<string, string>;

export interface Outcome {
  failed: boolean;
  tests: number;
}

/** Passes on all events but each run's totals, and ends with the totals of all. `outcome` is filled at the end. */
export async function* merge(
  runs: Iterable<() => AsyncIterable<TestEvent>>,
  outcome: Outcome,
): AsyncGenerator<TestEvent> {
  const totals = Object.fromEntries(counted.map((name) => [name, 0]));
  const leftOut: string[] = [];
  let durationMs = 0;
  for (const start of runs) {
    for await (const event of start()) {
      if (event.type === "test:diagnostic" && event.data.file === undefined) continue;
      if (event.type === "test:summary" && event.data.file === undefined) {
        const counts: Record<string, number> = event.data.counts;
        for (const name of counted) totals[name]! += counts[name] ?? 0;
        durationMs += event.data.duration_ms;
        if (!event.data.success) outcome.failed = true;
        continue;
      }
      if (
        event.type === "test:pass" &&
        typeof event.data.skip === "string" &&
        event.data.skip.startsWith(missingPrefix)
      ) {
        leftOut.push(`${event.data.file ?? ""}: ${event.data.name} (${event.data.skip})`);
      }
      yield event;
    }
  }
  if (leftOut.length > 0) {
    yield diagnostic(`left out for want of a Debian package, ${leftOut.length} in all:`);
    for (const line of leftOut) yield diagnostic(`  ${line}`);
  }
  for (const name of counted) yield diagnostic(`${words[name] ?? name} ${totals[name]}`);
  yield diagnostic(`duration_ms ${durationMs}`);
  outcome.tests = totals["tests"]!;
}

function diagnostic(message: string): TestEvent {
  return { type: "test:diagnostic", data: { message, nesting: 0, level: "info" } } as TestEvent;
}
