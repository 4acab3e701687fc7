import assert from "node:assert/strict";
import { test } from "node:test";
import type { TestEvent } from "node:test/reporters";
import { merge, type Outcome } from "./merge.ts";

type Counts = { tests: number; passed: number; failed: number; skipped: number };

function summary({ tests, passed, failed, skipped }: Counts): TestEvent {
  const counts = { tests, passed, failed, skipped, cancelled: 0, todo: 0, suites: 1, topLevel: tests };
  return { type: "test:summary", data: { success: failed === 0, counts, duration_ms: 5, file: undefined } } as never;
}

function total(message: string): TestEvent {
  return { type: "test:diagnostic", data: { message, nesting: 0 } } as never;
}

function pass(name: string, skip?: string): TestEvent {
  return { type: "test:pass", data: { name, skip, file: "a.test.ts" } } as never;
}

async function messages(runs: readonly (readonly TestEvent[])[]): Promise<{ lines: string[]; outcome: Outcome }> {
  const outcome: Outcome = { failed: false, tests: 0 };
  const starts = runs.map(
    (events) =>
      async function* () {
        yield* events;
      },
  );
  const lines: string[] = [];
  for await (const event of merge(starts, outcome)) {
    lines.push(event.type === "test:diagnostic" ? event.data.message : event.type);
  }
  return { lines, outcome };
}

const one = { tests: 2, passed: 1, failed: 0, skipped: 1 };

test("the totals of several runs are added up, and stand once at the end", async () => {
  const { lines, outcome } = await messages([
    [pass("a"), total("tests 2"), summary(one)],
    [pass("b"), total("tests 2"), summary(one)],
  ]);
  assert.deepEqual(lines, [
    "test:pass",
    "test:pass",
    ...["tests 4", "suites 2", "pass 2", "fail 0", "cancelled 0", "skipped 2", "todo 0", "duration_ms 10"],
  ]);
  assert.deepEqual(outcome, { failed: false, tests: 4 });
});

test("one failed run fails the whole, whatever follows", async () => {
  const { outcome } = await messages([[summary({ ...one, failed: 1 })], [summary(one)]]);
  assert.equal(outcome.failed, true);
});

test("what was left out for want of a package is named before the totals; other reasons are not", async () => {
  const { lines } = await messages([[pass("a", "needs Debian's package wrk"), pass("b", "no IPv6"), summary(one)]]);
  assert.deepEqual(lines.slice(2, 5), [
    "left out for want of a Debian package, 1 in all:",
    "  a.test.ts: a (needs Debian's package wrk)",
    "tests 2",
  ]);
});
