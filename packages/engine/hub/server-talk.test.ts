/** Servers that speak with each other: who hears, who answers, and what becomes of a question nobody answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Hub } from "./hub.ts";
import { FakeServer, payloadOf } from "./testing.ts";

function stage(limits = {}) {
  const clock = new FakeClock();
  const hub = new Hub({ clock, random: new SeededRandom(1), store: null, limits });
  const [one, two, three] = ["one", "two", "three"].map((name) => new FakeServer(hub, name));
  return { clock, hub, one: one!, two: two!, three: three! };
}

function say(server: FakeServer, answers: number | null, timeoutMs = 5_000): void {
  server.port.send({ type: "server-emit", namespace: "/", payload: payloadOf("hello", 1), answers, timeoutMs });
}

function asked(server: FakeServer): number {
  return server.take("server-event")[0]!.ask!;
}

test("all others hear it, the one that said it does not", () => {
  const { one, two, three } = stage();
  say(one, null);
  const told = { type: "server-event", namespace: "/", payload: payloadOf("hello", 1), ask: null };
  assert.deepEqual([two.heard, three.heard, one.heard], [[told], [told], []]);
});

test("every answer is passed on, and the last ends the question", () => {
  const { one, two, three } = stage();
  say(one, 7);
  two.port.send({ type: "server-reply", ask: asked(two), payload: payloadOf("a") });
  const ask = asked(three);
  three.port.send({ type: "server-reply", ask, payload: payloadOf("b") });
  three.port.send({ type: "server-reply", ask, payload: payloadOf("again") });
  assert.deepEqual(one.heard, [
    { type: "answer", emit: 7, socket: "", payload: payloadOf("a") },
    { type: "answer", emit: 7, socket: "", payload: payloadOf("b") },
    { type: "answered", emit: 7, expected: 2, missing: 0 },
  ]);
});

test("nobody else is there: answered at once", () => {
  const { hub, one, two, three } = stage();
  two.port.gone();
  three.port.send({ type: "leaving" });
  say(one, 7);
  assert.deepEqual(one.heard, [{ type: "answered", emit: 7, expected: 0, missing: 0 }]);
  hub.assertInvariants();
});

test("a time-out, a server that goes, and the one that asked going itself", () => {
  const { clock, one, two, three } = stage();
  say(one, 7);
  two.port.send({ type: "server-reply", ask: asked(two), payload: payloadOf("a") });
  clock.advance(5_000);
  assert.deepEqual(one.take("answered"), [{ type: "answered", emit: 7, expected: 2, missing: 1 }]);
  three.port.send({ type: "server-reply", ask: asked(three), payload: payloadOf("late") });
  assert.deepEqual(one.heard, []);

  say(one, 8);
  two.port.send({ type: "server-reply", ask: asked(two), payload: payloadOf("a") });
  three.port.gone();
  assert.deepEqual(one.take("answered"), [{ type: "answered", emit: 8, expected: 2, missing: 1 }]);

  say(one, 9);
  one.port.gone();
  two.port.send({ type: "server-reply", ask: asked(two), payload: payloadOf("a") });
  clock.advance(5_000);
  assert.deepEqual(one.heard, []);
});

test("a server's questions are bounded: the oldest is given up", () => {
  const { one } = stage({ serverAnswersMax: 2 });
  for (const emit of [1, 2, 3]) say(one, emit, 0);
  assert.deepEqual(one.heard, [{ type: "answered", emit: 1, expected: 2, missing: 2 }]);
});

test("what is too large is passed on to nobody, and whoever waits is told", () => {
  const { one, two } = stage({ emitBytesMax: 50 });
  say(one, 7);
  assert.deepEqual([one.heard, two.heard], [[{ type: "answered", emit: 7, expected: 1, missing: 1 }], []]);
});
