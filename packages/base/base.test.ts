import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AssertionFault,
  answerErrors,
  assert as hold,
  listenFault,
  OperatorError,
  operatorErrors,
  renderError,
} from "./index.ts";
import { FakeClock, SeededRandom } from "./testing.ts";

test("an assertion that does not hold throws a fault of its own kind, one that holds does nothing", () => {
  hold(true, "fine");
  assert.throws(() => hold(false, "rooms and sockets agree"), AssertionFault);
});

test("an operator's error shows its code, where, what was seen, what is allowed and how to mend it", () => {
  const error = new OperatorError("CONFIG_INVALID", {
    where: "a.ts  listen[0].port",
    seen: "99999",
    allowed: "at most 65535",
    hint: "Change it.",
  });
  assert.equal(
    error.format(),
    "error CONFIG_INVALID: The configuration is not valid.\n  where    a.ts  listen[0].port\n  seen     99999\n  allowed  at most 65535\n  mend     Change it.",
  );
});

test("every code is upper case with its family's prefix, and every answer has a status that is an error", () => {
  for (const code of Object.keys(operatorErrors)) assert.match(code, /^(CONFIG|START|CONTROL|STORE)_[A-Z_]+$/);
  for (const [code, entry] of Object.entries(answerErrors)) {
    assert.match(code, /^HTTP_[A-Z_]+$/);
    assert.ok(entry.status >= 400 && entry.status <= 599, code);
  }
});

test("an error is JSON to those that accept JSON, a page to browsers, text otherwise", () => {
  const field = (fields: string[], name: string) => fields[fields.indexOf(name) + 1];
  const json = renderError("HTTP_UNAVAILABLE", "application/json", "service web");
  assert.equal(json.status, 503);
  assert.equal(field(json.fields, "content-type"), "application/json; charset=utf-8");
  assert.equal(field(json.fields, "retry-after"), "2");
  assert.equal((JSON.parse(json.body) as { error: { code: string } }).error.code, "HTTP_UNAVAILABLE");
  const page = renderError("HTTP_NOT_FOUND", "text/html,application/xhtml+xml,*/*;q=0.8", "<script>", "r-1");
  assert.match(page.body, /^<!doctype html>/);
  assert.ok(!page.body.includes("<script>"), "what comes from outside is escaped");
  assert.match(page.body, /Request r-1/);
  assert.match(renderError("HTTP_NOT_FOUND", "*/*").body, /^404 /);
});

test("the fake clock runs timers in order of their time, then of their making, and ends each tick", () => {
  const clock = new FakeClock();
  const trail: string[] = [];
  clock.after(20, () => trail.push("b"));
  clock.after(10, () => {
    trail.push("a");
    clock.defer(() => trail.push("end of a's tick"));
    clock.after(10, () => trail.push("c"));
  });
  clock.after(30, () => trail.push("never")).cancel();
  clock.advance(25);
  assert.deepEqual(trail, ["a", "end of a's tick", "b", "c"]);
  assert.equal(clock.now(), 25);
  assert.equal(clock.pendingCount, 0);
});

test("a seed repeats its run, and another seed gives another", () => {
  const run = (seed: number) =>
    Array.from({ length: 5 }, (_, i) =>
      i % 2 === 0 ? new SeededRandom(seed).id() : new SeededRandom(seed + i).fraction(),
    );
  assert.deepEqual(run(7), run(7));
  assert.notEqual(new SeededRandom(1).id(), new SeededRandom(2).id());
  assert.equal(new SeededRandom(3).id().length, 20);
});

test("an address that cannot be had is an operator's error by its cause, and the hint of who listens goes first", () => {
  const failed = (code: string) => Object.assign(new Error(`listen ${code}`), { code });
  const told = (code: string, hint?: string) => {
    const error = listenFault(failed(code), { host: "::1", port: 80, ...(hint !== undefined && { hint }) });
    assert.ok(error instanceof OperatorError);
    return error;
  };
  assert.equal(told("EADDRINUSE").code, "START_PORT_IN_USE");
  assert.equal(told("EACCES").code, "START_PORT_FORBIDDEN");
  assert.equal(told("EADDRNOTAVAIL").code, "START_ADDRESS_UNAVAILABLE");
  assert.equal(told("EADDRINUSE").details.where, "::1:80");
  assert.match(told("EADDRINUSE").details.hint, /port 80/);
  assert.equal(told("EADDRINUSE", "set PORT").details.hint, "set PORT");
  const other = failed("EMFILE");
  assert.equal(listenFault(other, { host: "::1", port: 80 }), other);
});
