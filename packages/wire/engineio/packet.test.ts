import assert from "node:assert/strict";
import { test } from "node:test";
import { decodePayload, encodePayload } from "engine.io-parser";
import fc from "fast-check";
import {
  binaryForPolling,
  decodePacket,
  decodePayloadPacket,
  EngineErrorCode,
  type EnginePacket,
  encodeEngineError,
  encodeOpen,
  engineErrors,
  payloadSeparator,
} from "./index.ts";

/** All packets of a payload; the fault's code as the last element when it has one. */
function readPayload(payload: string): (EnginePacket | string)[] {
  const out: (EnginePacket | string)[] = [];
  for (let at = 0; at >= 0; ) {
    const { decoded, next } = decodePayloadPacket(payload, at);
    if (!decoded.ok) return [...out, decoded.fault];
    out.push(decoded.packet);
    at = next;
  }
  return out;
}

test("the open packet has exactly the keys of the protocol, in its order", () => {
  const opening = { pingTimeout: 20000, pingInterval: 25000, maxPayload: 1e6, upgrades: ["websocket"], sid: "abc" };
  assert.equal(
    encodeOpen(opening),
    '0{"sid":"abc","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
  );
});

test("each packet type is read with its data", () => {
  assert.deepEqual(decodePacket("2probe"), { ok: true, packet: { type: "2", text: "probe", binary: null } });
  assert.deepEqual(decodePacket("3"), { ok: true, packet: { type: "3", text: "", binary: null } });
  assert.deepEqual(decodePacket("4hello"), { ok: true, packet: { type: "4", text: "hello", binary: null } });
});

test("an unknown type is a fault", () => {
  for (const text of ["", "7", "9abc", "a", "bAQID", "\x1e", " 4"]) {
    assert.deepEqual(decodePacket(text), { ok: false, fault: "ENGINEIO_TYPE" }, text);
  }
});

test("a payload is read in order, binary among text", () => {
  assert.deepEqual(readPayload("4hello\x1ebAQIDBA==\x1e2"), [
    { type: "4", text: "hello", binary: null },
    { type: "4", text: "", binary: Buffer.of(1, 2, 3, 4) },
    { type: "2", text: "", binary: null },
  ]);
});

test("an empty packet ends a payload with a fault, as in the reference", () => {
  for (const payload of ["", "4a\x1e", "\x1e4a"]) {
    assert.equal(readPayload(payload).at(-1), "ENGINEIO_TYPE");
    assert.equal(decodePayload(payload).at(-1)?.type, "error");
  }
});

test("base64 that is not base64 is a fault", () => {
  for (const text of ["bAQ!D", "b====", "bA*", "b\u00e9\u00e9\u00e9\u00e9"])
    assert.deepEqual(readPayload(text), ["ENGINEIO_BASE64"], text);
  assert.deepEqual(readPayload("b"), [{ type: "4", text: "", binary: Buffer.alloc(0) }]);
  assert.deepEqual(readPayload("bAQ"), [{ type: "4", text: "", binary: Buffer.of(1) }]);
});

test("payloads are the reference's, both ways", () => {
  const item = fc.oneof(
    fc.string().filter((s) => !s.includes(payloadSeparator)),
    fc.uint8Array().map((b) => Buffer.from(b)),
  );
  fc.assert(
    fc.property(fc.array(item, { minLength: 1 }), (items) => {
      const ours = items.map((i) => (typeof i === "string" ? `4${i}` : binaryForPolling(i))).join(payloadSeparator);
      encodePayload(
        items.map((data) => ({ type: "message" as const, data })),
        (theirs: string) => assert.equal(ours, theirs),
      );
      const back = readPayload(ours).map((p) => (typeof p === "string" ? p : (p.binary ?? p.text)));
      assert.deepEqual(back, items);
    }),
  );
});

test("garbage never throws and always ends", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void readPayload(text)));
});

test("the error table is the protocol's", () => {
  assert.equal(encodeEngineError(EngineErrorCode.unknownSid), '{"code":1,"message":"Session ID unknown"}');
  assert.equal(encodeEngineError(EngineErrorCode.forbidden, "no"), '{"code":4,"message":"no"}');
  assert.deepEqual(
    Object.values(engineErrors).map((e) => e.status),
    [400, 400, 400, 400, 403, 400],
  );
});
