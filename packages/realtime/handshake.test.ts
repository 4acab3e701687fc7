import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { readHandshake } from "./handshake.ts";

const source = {
  headers: { host: "a.test", "x-a": "1" },
  address: "192.0.2.1",
  secure: false,
  xdomain: true,
  url: "/socket.io/?EIO=4&token=t",
  query: { EIO: "4", token: "t" },
  issued: Date.UTC(2026, 0, 2),
};
const whole = { ...source, time: new Date(source.issued).toString(), auth: { user: { id: 7 } } };

test("a handshake can be listed, copied, printed and sent, as if all of it were there", () => {
  const read = () => readHandshake(source, JSON.stringify(whole.auth));
  assert.deepEqual({ ...read() }, whole);
  assert.deepEqual(JSON.parse(JSON.stringify(read())), whole);
  assert.deepEqual(Object.keys(read()).sort(), Object.keys(whole).sort());
  assert.equal(inspect(read(), { sorted: true, depth: 3 }), inspect(whole, { sorted: true, depth: 3 }));
  assert.deepEqual(readHandshake(source, "").auth, {});
});

test("what a middleware writes on a handshake stays on it", () => {
  const handshake = readHandshake(source, JSON.stringify(whole.auth)) as unknown as Record<
    string,
    Record<string, unknown>
  >;
  handshake["auth"]!["role"] = "admin";
  handshake["query"]!["token"] = "other";
  handshake["headers"] = { host: "b.test" };
  handshake["extra"] = { mine: true };
  assert.deepEqual(handshake["auth"], { user: { id: 7 }, role: "admin" });
  assert.equal(handshake["query"]!["token"], "other");
  assert.deepEqual(handshake["headers"], { host: "b.test" });
  assert.deepEqual(handshake["extra"], { mine: true });
  assert.ok(delete handshake["auth"]);
  assert.equal(handshake["auth"], undefined);
});
