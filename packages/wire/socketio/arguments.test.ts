import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Encoder } from "socket.io-parser";
import { depthMax, encodeArguments, PacketAssembly, parseArguments, reservedEvents } from "./index.ts";

function parsed(json: string, attachments: readonly Uint8Array[] = [], role?: "event" | "answer"): unknown[] {
  const result = parseArguments(json, attachments, role);
  assert.ok(result.ok, result.ok ? "" : result.fault.code);
  return result.args;
}

function refused(json: string, attachments: readonly Uint8Array[] = [], role?: "event" | "answer"): string {
  const result = parseArguments(json, attachments, role);
  return result.ok ? "accepted" : result.fault.code;
}

const nested = (levels: number) => "[".repeat(levels) + "]".repeat(levels);
const placeholder = (num: unknown) => JSON.stringify({ _placeholder: true, num });

test("an event's name is a number or a string that is not reserved", () => {
  assert.deepEqual(parsed('["a",1]'), ["a", 1]);
  assert.deepEqual(parsed("[7]"), [7]);
  for (const name of reservedEvents) assert.equal(refused(JSON.stringify([name])), "SOCKETIO_EVENT");
  for (const json of ["[]", "[null]", "[true]", "[[]]", '[{"a":1}]']) assert.equal(refused(json), "SOCKETIO_EVENT");
  assert.equal(refused(`[${placeholder(0)}]`, [Buffer.of(1)]), "SOCKETIO_EVENT");
});

test("an answer's arguments may be anything", () => {
  assert.deepEqual(parsed("[]", [], "answer"), []);
  assert.deepEqual(parsed('["disconnect"]', [], "answer"), ["disconnect"]);
});

test("what is not a JSON array is a fault", () => {
  for (const json of ["", "[", "['a']", '["a"]x', '["a",]', "[NaN]", '["\\ud8"]'])
    assert.equal(refused(json), "SOCKETIO_JSON");
  for (const json of ["{}", '"a"', "null", "1"]) assert.equal(refused(json), "SOCKETIO_DATA");
});

test("placeholders are replaced at any depth", () => {
  const a = Buffer.from("a");
  const b = Buffer.from("b");
  const args = parsed(`["e",{"x":[${placeholder(1)}]},${placeholder(0)}]`, [a, b]);
  assert.equal(args[2], a);
  assert.equal((args[1] as { x: unknown[] }).x[0], b);
});

test("a placeholder that names no attachment, or one twice, is a fault", () => {
  const one = [Buffer.of(1)];
  for (const num of [1, -1, 0.5, "0", null, "length", 1e9, [0]]) {
    assert.equal(refused(`["e",${placeholder(num)}]`, one), "SOCKETIO_PLACEHOLDER", String(num));
  }
  assert.equal(refused('["e",{"_placeholder":true}]', one), "SOCKETIO_PLACEHOLDER");
  assert.equal(refused(`["e",${placeholder(0)},${placeholder(0)}]`, one), "SOCKETIO_PLACEHOLDER");
});

test("without attachments an object that looks like a placeholder is the user's own", () => {
  assert.deepEqual(parsed(`["e",${placeholder(0)}]`), ["e", { _placeholder: true, num: 0 }]);
});

test("a key __proto__ is data and touches no prototype", () => {
  const args = parsed(`["e",{"__proto__":{"polluted":true,"x":${placeholder(0)}}}]`, [Buffer.of(1)]);
  const value = args[1] as object;
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.ok(Object.hasOwn(value, "__proto__"));
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  const back = encodeArguments(["e", value]);
  assert.equal(back.json, `["e",{"__proto__":{"polluted":true,"x":${placeholder(0)}}}]`);
});

test("nesting is allowed up to the limit and refused beyond it, at any size", () => {
  assert.equal(refused(nested(depthMax), [], "answer"), "accepted");
  assert.equal(refused(nested(depthMax + 1), [], "answer"), "SOCKETIO_DEPTH");
  assert.equal(refused(nested(100_000)), "SOCKETIO_DEPTH");
  assert.equal(refused('{"a":'.repeat(100_000)), "SOCKETIO_DEPTH");
  assert.equal(refused(`["e",${'{"a":'.repeat(depthMax)}1${"}".repeat(depthMax)}]`), "SOCKETIO_DEPTH");
});

test("brackets inside strings do not count as nesting", () => {
  const text = '[{"\\'.repeat(3000);
  assert.deepEqual(parsed(JSON.stringify(["e", text])), ["e", text]);
  assert.deepEqual(parsed(JSON.stringify(["e", "\\".repeat(4001), "[".repeat(3000)])).length, 3);
});

test("binary of every kind is taken out, at any depth, in the reference's order and places", () => {
  const view = new Uint16Array([1, 2, 3]);
  const args = [
    "e",
    Buffer.from("buffer"),
    { deep: [new Uint8Array([1, 2]).buffer, { view }], when: new Date(0), none: null, undef: undefined },
    new DataView(new ArrayBuffer(4), 1, 2),
    { toJSON: () => ({ inner: Buffer.from("json") }) },
  ];
  const { json, attachments } = encodeArguments(args);
  const [text, ...buffers] = new Encoder().encode({ type: 2, nsp: "/", data: args });
  assert.equal(`5${attachments.length}-${json}`, text);
  assert.deepEqual(
    attachments.map((a) => Buffer.from(a).toString("hex")),
    buffers.map((b: ArrayBuffer | ArrayBufferView) =>
      (ArrayBuffer.isView(b) ? Buffer.from(b.buffer, b.byteOffset, b.byteLength) : Buffer.from(b)).toString("hex"),
    ),
  );
});

test("arguments without binary are plain JSON, and toJSON is honoured", () => {
  assert.deepEqual(encodeArguments(["e", { toJSON: () => ({ toJSON: () => 1, a: 2 }) }, new Date(0), undefined]), {
    json: JSON.stringify(["e", { toJSON: () => ({ toJSON: () => 1, a: 2 }) }, new Date(0), undefined]),
    attachments: [],
  });
});

test("a cycle is the caller's error, and a clear one", () => {
  const a: Record<string, unknown> = {};
  a["self"] = a;
  assert.throws(() => encodeArguments(["e", a]), /circular or nested deeper/);
});

test("any arguments with binaries come back equal", () => {
  const binary = fc.uint8Array({ maxLength: 20 }).map((b) => Buffer.from(b));
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue({ maxDepth: 1 }),
      binary,
      fc.array(tie("tree"), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie("tree"), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  // JSON has no negative zero, and an own key of that name alone would be taken for a placeholder.
  const json = (value: unknown) => !JSON.stringify(value).includes("_placeholder");
  fc.assert(
    fc.property(fc.array(tree.filter(json), { maxLength: 4 }), (rest) => {
      const args = ["e", ...rest];
      const once = encodeArguments(args);
      const twice = encodeArguments(parsed(once.json, once.attachments));
      assert.equal(twice.json, once.json);
      assert.deepEqual(twice.attachments, once.attachments);
    }),
  );
});

test("garbage never throws", () => {
  fc.assert(fc.property(fc.string(), (text) => void parseArguments(text, [Buffer.of(1)])));
});

test("a packet is whole when its last attachment came, and not before", () => {
  const assembly = new PacketAssembly();
  const first = assembly.text('52-["e"]');
  assert.deepEqual(first, { ok: true, packet: null, attachments: [] });
  const second = assembly.binary(Buffer.of(1));
  assert.ok(second.ok && second.packet === null);
  const third = assembly.binary(Buffer.of(2));
  assert.ok(third.ok);
  assert.equal(third.packet?.json, '["e"]');
  assert.deepEqual(third.attachments, [Buffer.of(1), Buffer.of(2)]);
  const next = assembly.text('2["f"]');
  assert.equal(next.ok && next.packet?.json, '["f"]');
});

test("a packet between attachments, and an attachment without a packet, are faults", () => {
  const assembly = new PacketAssembly();
  const stray = assembly.binary(Buffer.of(1));
  assert.equal(stray.ok ? "" : stray.fault.code, "SOCKETIO_BINARY_STRAY");
  assembly.text('51-["e"]');
  const early = assembly.text('2["f"]');
  assert.equal(early.ok ? "" : early.fault.code, "SOCKETIO_TEXT_EARLY");
});
