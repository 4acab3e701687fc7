import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Decoder, Encoder } from "socket.io-parser";
import {
  appendOffset,
  decodePacket,
  encodeAck,
  encodeConnect,
  encodeConnectError,
  encodeDisconnect,
  encodeEvent,
  type Packet,
  PacketType,
} from "./index.ts";

function decoded(text: string): Packet {
  const result = decodePacket(text);
  assert.ok(result.ok, text);
  return result.packet;
}

/** The examples of the protocol's document, and what each says. */
const examples: [text: string, packet: Packet][] = [
  ["0", { type: PacketType.connect, attachments: 0, namespace: "/", id: null, json: "" }],
  ['0{"token":"123"}', { type: 0, attachments: 0, namespace: "/", id: null, json: '{"token":"123"}' }],
  ['0/admin,{"token":"123"}', { type: 0, attachments: 0, namespace: "/admin", id: null, json: '{"token":"123"}' }],
  ["0/admin", { type: 0, attachments: 0, namespace: "/admin", id: null, json: "" }],
  ["1/admin,", { type: 1, attachments: 0, namespace: "/admin", id: null, json: "" }],
  ['2["foo"]', { type: 2, attachments: 0, namespace: "/", id: null, json: '["foo"]' }],
  ['2/admin,["bar"]', { type: 2, attachments: 0, namespace: "/admin", id: null, json: '["bar"]' }],
  ['212["foo"]', { type: 2, attachments: 0, namespace: "/", id: 12, json: '["foo"]' }],
  ["3/admin,13[]", { type: 3, attachments: 0, namespace: "/admin", id: 13, json: "[]" }],
  ['4{"message":"No"}', { type: 4, attachments: 0, namespace: "/", id: null, json: '{"message":"No"}' }],
  [
    '51-["baz",{"_placeholder":true,"num":0}]',
    { type: 5, attachments: 1, namespace: "/", id: null, json: '["baz",{"_placeholder":true,"num":0}]' },
  ],
  [
    '52-/admin,7["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
    {
      type: 5,
      attachments: 2,
      namespace: "/admin",
      id: 7,
      json: '["baz",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
    },
  ],
  [
    '61-/admin,15["bar",{"_placeholder":true,"num":0}]',
    { type: 6, attachments: 1, namespace: "/admin", id: 15, json: '["bar",{"_placeholder":true,"num":0}]' },
  ],
];

for (const [text, packet] of examples) {
  test(`${text} is read as the protocol's document says`, () => assert.deepEqual(decoded(text), packet));
}

/** Wrong in the reference's eyes too, unless marked. */
const wrong: [text: string, code: string, stricter?: boolean][] = [
  ["", "SOCKETIO_TYPE", true],
  ["7", "SOCKETIO_TYPE"],
  ["9[]", "SOCKETIO_TYPE"],
  ["x", "SOCKETIO_TYPE"],
  ["-1", "SOCKETIO_TYPE"],
  ["٢[]", "SOCKETIO_TYPE"],
  ["5", "SOCKETIO_ATTACHMENTS"],
  ['5["a"]', "SOCKETIO_ATTACHMENTS"],
  ['5-["a"]', "SOCKETIO_ATTACHMENTS"],
  ['50-["a"]', "SOCKETIO_ATTACHMENTS"],
  ['5-1-["a"]', "SOCKETIO_ATTACHMENTS"],
  ['51.5-["a"]', "SOCKETIO_ATTACHMENTS"],
  ['51.0-["a"]', "SOCKETIO_ATTACHMENTS", true],
  ['501-["a"]', "SOCKETIO_ATTACHMENTS", true],
  ['51e0-["a"]', "SOCKETIO_ATTACHMENTS", true],
  ['51["a"]', "SOCKETIO_ATTACHMENTS"],
  ['511-["a"]', "SOCKETIO_ATTACHMENTS_MANY"],
  ['599999999999999999999-["a"]', "SOCKETIO_ATTACHMENTS_MANY"],
  ['6999-1["a"]', "SOCKETIO_ATTACHMENTS_MANY"],
  [`0/${"a".repeat(600)},`, "SOCKETIO_NAMESPACE", true],
  ["0/a\x1eb,", "SOCKETIO_NAMESPACE", true],
  ['299999999999999999999["a"]', "SOCKETIO_ID", true],
  ["3[]", "SOCKETIO_ID", true],
  ["2", "SOCKETIO_DATA", true],
  ["2{}", "SOCKETIO_DATA"],
  ['2"a"', "SOCKETIO_DATA"],
  ['2 ["a"]', "SOCKETIO_DATA", true],
  ['2-1["a"]', "SOCKETIO_DATA"],
  ["1{}", "SOCKETIO_DATA"],
  ["1 ", "SOCKETIO_DATA", true],
  ["0[]", "SOCKETIO_DATA"],
  ["0null", "SOCKETIO_DATA"],
  ["4[]", "SOCKETIO_DATA"],
  ["31{}", "SOCKETIO_DATA"],
];

for (const [text, code, stricter] of wrong) {
  test(`${JSON.stringify(text.slice(0, 40))} is refused as ${code}`, () => {
    const result = decodePacket(text);
    assert.equal(result.ok ? "accepted" : result.fault.code, code);
    if (stricter !== true) assert.throws(() => new Decoder().add(text), "the reference accepts it");
  });
}

test("encoders write what the reference writes", () => {
  const reference = new Encoder();
  const cases: [ours: string, theirs: Parameters<Encoder["encode"]>[0]][] = [
    [encodeConnect("/", '{"sid":"x"}'), { type: 0, nsp: "/", data: { sid: "x" } }],
    [encodeConnect("/admin", ""), { type: 0, nsp: "/admin" }],
    [encodeDisconnect("/"), { type: 1, nsp: "/" }],
    [encodeDisconnect("/admin"), { type: 1, nsp: "/admin" }],
    [encodeConnectError("/a", '{"message":"no"}'), { type: 4, nsp: "/a", data: { message: "no" } }],
    [encodeEvent("/", null, '["a",1]', 0), { type: 2, nsp: "/", data: ["a", 1] }],
    [encodeEvent("/b", 0, '["a"]', 0), { type: 2, nsp: "/b", id: 0, data: ["a"] }],
    [encodeAck("/b", 3, "[1]", 0), { type: 3, nsp: "/b", id: 3, data: [1] }],
    [
      encodeEvent("/b", 4, '["a",{"_placeholder":true,"num":0}]', 1),
      { type: 2, nsp: "/b", id: 4, data: ["a", Buffer.of(1)] },
    ],
    [encodeAck("/", 4, '[{"_placeholder":true,"num":0}]', 1), { type: 3, nsp: "/", id: 4, data: [Buffer.of(1)] }],
  ];
  for (const [ours, theirs] of cases) assert.equal(ours, reference.encode(theirs)[0]);
});

test("what is encoded is decoded to the same head", () => {
  const namespace = fc
    .string({ maxLength: 100 })
    .filter((s) => !/[,\x00-\x1f]/.test(s))
    .map((s) => (s === "" ? "/" : `/${s}`));
  const id = fc.option(fc.nat(), { nil: null });
  fc.assert(
    fc.property(namespace, id, fc.array(fc.jsonValue()), fc.nat(10), (nsp, number, args, attachments) => {
      const json = JSON.stringify(args);
      const event = decoded(encodeEvent(nsp, number, json, attachments));
      assert.deepEqual(event, { type: attachments > 0 ? 5 : 2, attachments, namespace: nsp, id: number, json });
      const ack = decoded(encodeAck(nsp, number ?? 0, json, attachments));
      assert.deepEqual(ack, { type: attachments > 0 ? 6 : 3, attachments, namespace: nsp, id: number ?? 0, json });
      assert.deepEqual(decoded(encodeDisconnect(nsp)), { type: 1, attachments: 0, namespace: nsp, id: null, json: "" });
    }),
  );
});

test("garbage is a value, and what is accepted the reference accepts or would only have parsed further", () => {
  const piece = fc.constantFrom(
    "0",
    "1",
    "2",
    "3",
    "5",
    "6",
    "-",
    "/",
    ",",
    "[",
    "]",
    "{",
    "}",
    '"a"',
    "a",
    "\x1e",
    " ",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 12 }).map((p) => p.join("")),
      ),
      (text) => {
        const result = decodePacket(text);
        if (!result.ok) return;
        let theirs: { nsp: string; id?: number } | null = null;
        const reference = new Decoder();
        reference.on("decoded", (packet: { nsp: string; id?: number }) => {
          theirs = packet;
        });
        try {
          reference.add(text);
        } catch {
          return; // The reference parses the JSON here; ours is checked in parseArguments.
        }
        if (theirs === null) return; // Waits for attachments.
        assert.equal((theirs as { nsp: string }).nsp, result.packet.namespace);
        assert.equal((theirs as { id?: number }).id ?? null, result.packet.id);
      },
    ),
    { numRuns: 500 },
  );
});

test("an offset is added as the last argument", () => {
  assert.equal(appendOffset('["foo",1]', 'a"b'), '["foo",1,"a\\"b"]');
});
