import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { test } from "node:test";
import { listenToErrors, withoutTable } from "./listener-table.ts";

const ignore = (): void => {};

/** What users can see of an emitter, by calls that change nothing. */
function seen(emitter: EventEmitter): unknown[] {
  const names = ["error", "a", "constructor", "toString", "__proto__", "newListener"];
  return [
    emitter.eventNames(),
    names.map((name) => emitter.listenerCount(name)),
    names.map((name) => emitter.listeners(name).length),
    names.map((name) => emitter.rawListeners(name).length),
    names.filter((name) => name !== "error" || emitter.listenerCount("error") > 0).map((name) => emitter.emit(name, 1)),
  ];
}

/** Each is done to an emitter of ours and to one of Node's. */
const deeds: readonly ((emitter: EventEmitter) => unknown)[] = [
  (emitter) => emitter.off("a", ignore),
  (emitter) => emitter.removeAllListeners("a"),
  (emitter) => emitter.on("a", ignore),
  (emitter) => emitter.on("a", ignore).prependListener("a", ignore).off("a", ignore),
  (emitter) => emitter.once("__proto__", ignore),
  (emitter) => emitter.prependOnceListener("constructor", ignore),
  (emitter) => emitter.on("removeListener", ignore).off("a", ignore),
  (emitter) => emitter.on("newListener", ignore).on("b", ignore),
  (emitter) => emitter.on("error", ignore),
  (emitter) => emitter.removeAllListeners("error"),
  (emitter) => emitter.off("error", ignore),
  (emitter) => emitter.setMaxListeners(1).getMaxListeners(),
  (emitter) => emitter.removeAllListeners(),
  (emitter) => emitter.on("toString", ignore),
];

for (const [name, ours, nodes] of [
  ["an emitter without a table", withoutTable, ignore],
  [
    "an emitter that listens to errors",
    (emitter: EventEmitter) => listenToErrors(emitter, ignore),
    (emitter: EventEmitter) => emitter.on("error", ignore),
  ],
] as const) {
  test(`${name} is Node's, whatever is done to it`, () => {
    // Each alone, each after all before it.
    for (let from = 0; from < deeds.length; from++) {
      for (const count of [1, deeds.length]) {
        const [a, b] = [new EventEmitter(), new EventEmitter()];
        ours(a);
        nodes(b);
        assert.deepEqual(seen(a), seen(b));
        for (const deed of deeds.slice(from, from + count)) {
          const [left, right] = [deed(a), deed(b)];
          if (typeof left === "number") assert.equal(left, right);
          assert.deepEqual(seen(a), seen(b), String(deed));
        }
      }
    }
  });
}

test("an error without a listener is still thrown, and events can be waited for", async () => {
  const emitter = new EventEmitter();
  withoutTable(emitter);
  assert.throws(() => emitter.emit("error", new Error("nobody listens")), /nobody listens/);
  const waited = once(emitter, "a");
  emitter.emit("a", 7);
  assert.deepEqual(await waited, [7]);
});
