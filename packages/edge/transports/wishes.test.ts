/** What an application in another process may wish for: its words over the link, and what becomes of words that are none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { TransportsOptions } from "./options.ts";
import { decodeWishes, encodeWishes, granted } from "./wishes.ts";

test("what is wished for arrives as it was said, patterns and dates among it", () => {
  const wishes = {
    path: "/live",
    transports: ["websocket"],
    allowUpgrades: false,
    pingIntervalMs: 1_000,
    pingTimeoutMs: 2_000,
    upgradeTimeoutMs: 3_000,
    messageBytesMax: 5_000_000,
    cors: { origin: ["https://a.example", /\.b\.example$/i], credentials: true, methods: ["GET"] },
    cookie: { name: "io", expires: new Date(0), secure: true },
  } as const;
  assert.deepEqual(decodeWishes(encodeWishes(wishes)), wishes);
  assert.deepEqual(decodeWishes(encodeWishes({ cors: { origin: /x/ }, cookie: true })), {
    cors: { origin: /x/ },
    cookie: true,
  });
});

test("what cannot be sent or is not to be wished for is left out; CORS by a function allows nobody more", () => {
  const text = encodeWishes({
    cors: { origin: () => {} },
    sessionsMax: 5,
    origins: "any",
  } as Partial<TransportsOptions>);
  assert.equal(text, "{}");
  assert.deepEqual(decodeWishes('{"sessionsMax":5,"origins":"any","__proto__":{"path":"/x"}}'), {});
});

test("words that are none are passed over, and what is no rule allows nobody", () => {
  for (const text of [
    "",
    "[]",
    "null",
    "7",
    "{",
    '{"pingIntervalMs":0}',
    '{"pingTimeoutMs":"1"}',
    '{"transports":["x"]}',
  ])
    assert.deepEqual(decodeWishes(text), {}, text);
  for (const origin of [null, 7, {}, { pattern: "(", flags: "" }, ["a", 7], [["a"]]])
    assert.deepEqual(
      decodeWishes(JSON.stringify({ cors: { origin } })),
      { cors: { origin: false } },
      JSON.stringify(origin),
    );
  assert.deepEqual(decodeWishes('[{"path":"/a","pingIntervalMs":1},7,{"path":"/b"}]'), {
    path: "/b",
    pingIntervalMs: 1,
  });
  assert.deepEqual(decodeWishes('{"messageBytesMax":999999999}'), { messageBytesMax: 16 * 1024 * 1024 });
});

test("what is fixed stays, and another path is said and not taken", () => {
  const warned: unknown[] = [];
  const logger = { ...silentLogger, warn: (fields: unknown) => warned.push(fields) };
  const options: TransportsOptions = {
    clock: new FakeClock(),
    random: new SeededRandom(1),
    pingIntervalMs: 10_000,
    pingTimeoutMs: 20_000,
    fixed: new Set(["pingIntervalMs"]),
    open: () => assert.fail(),
  };
  const wishes = encodeWishes({ path: "/other/", pingIntervalMs: 1, pingTimeoutMs: 2 });
  const { pingIntervalMs, pingTimeoutMs, path } = granted(options, wishes, logger as never, "/socket.io");
  assert.deepEqual([pingIntervalMs, pingTimeoutMs, path], [10_000, 2, undefined]);
  assert.deepEqual(warned, [{ path: "/socket.io", wished: "/other/" }]);
  granted(options, encodeWishes({ path: "/socket.io/" }), logger as never, "/socket.io");
  assert.equal(warned.length, 1);
});
