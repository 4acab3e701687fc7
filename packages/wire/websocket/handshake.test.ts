import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { acceptKey, checkHandshake, type HandshakeRequest } from "./index.ts";

const sha1 = (text: string) => hash("sha1", text, "base64");
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

function request(changes: Partial<HandshakeRequest> = {}, fields: string[] = []): HandshakeRequest {
  const base = ["host", "server.example.com", "sec-websocket-key", KEY, "sec-websocket-version", "13"];
  return { method: "GET", version: 11, upgrade: "websocket", fields: [...base, ...fields], ...changes };
}

test("RFC 6455 §1.3: the accept key of its example", () => {
  assert.equal(acceptKey(KEY, sha1), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});

test("a good request is accepted, and offered extensions are declined by silence", () => {
  const result = checkHandshake(
    request({}, ["sec-websocket-extensions", "permessage-deflate; client_max_window_bits"]),
    sha1,
  );
  assert.deepEqual(result, {
    ok: true,
    fields: ["sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="],
    deflateBits: 0,
  });
});

test("the first subprotocol offered is accepted", () => {
  const result = checkHandshake(
    request({}, ["sec-websocket-protocol", "chat, superchat", "sec-websocket-protocol", "x"]),
    sha1,
  );
  assert.ok(result.ok);
  assert.deepEqual(result.fields.slice(2), ["sec-websocket-protocol", "chat"]);
});

const fieldsWith = (key: string | null, version: string | null) => [
  ...(key === null ? [] : ["sec-websocket-key", key]),
  ...(version === null ? [] : ["sec-websocket-version", version]),
];

const bad: [what: string, request: HandshakeRequest, status: number][] = [
  ["POST", request({ method: "POST" }), 405],
  ["HTTP/1.0", request({ version: 10 }), 400],
  ["no upgrade", request({ upgrade: "" }), 400],
  ["another upgrade", request({ upgrade: "h2c" }), 400],
  ["no version", request({ fields: fieldsWith(KEY, null) }), 426],
  ["version 8", request({ fields: fieldsWith(KEY, "8") }), 426],
  ["two versions", request({}, ["sec-websocket-version", "13"]), 426],
  ["no key", request({ fields: fieldsWith(null, "13") }), 400],
  ["a key of 15 bytes", request({ fields: fieldsWith("AAAAAAAAAAAAAAAAAAAA", "13") }), 400],
  ["a key of 17 bytes", request({ fields: fieldsWith(Buffer.alloc(17).toString("base64"), "13") }), 400],
  ["a key with stray bits", request({ fields: fieldsWith("dGhlIHNhbXBsZSBub25jZR==", "13") }), 400],
  ["two keys", request({}, ["sec-websocket-key", KEY]), 400],
  ["a subprotocol that is no token", request({}, ["sec-websocket-protocol", "a b"]), 400],
  ["an empty subprotocol", request({}, ["sec-websocket-protocol", "a,,b"]), 400],
  ["a subprotocol twice", request({}, ["sec-websocket-protocol", "a, a"]), 400],
];

for (const [what, wrong, status] of bad) {
  test(`${what} is refused with ${status}`, () => {
    const result = checkHandshake(wrong, sha1);
    assert.equal(result.ok ? 101 : result.status, status);
    if (status === 426) assert.deepEqual(result.fields, ["sec-websocket-version", "13"]);
  });
}
