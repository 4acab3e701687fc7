import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { JSON_DEPTH_MAX, parseJson } from "./json.ts";

function placeOf(text: string): string {
  const result = parseJson(text);
  assert.equal(result.ok, false);
  return result.ok ? "" : `${result.line}:${result.column} ${result.what}`;
}

test("a fault is named with its line and column", () => {
  assert.equal(placeOf('{"a": 1,}'), "1:9 a key in quotation marks is missing");
  assert.equal(placeOf('{\n  "a": 1\n  "b": 2\n}'), "3:3 a comma or } is missing");
  assert.equal(placeOf('{"a" 1}'), "1:6 a colon is missing");
  assert.equal(placeOf("[1, nope]"), "1:5 not a value");
  assert.equal(placeOf(""), "1:1 a value is missing");
  assert.equal(placeOf('{"a": "x'), "1:9 the string does not end");
  assert.equal(placeOf('"a\\x"'), "1:3 not an escape sequence");
  assert.equal(placeOf('"a\nb"'), "1:3 a control character in a string must be escaped");
  assert.equal(placeOf("1 2"), "1:3 something follows the value");
});

test("duplicate keys are refused, however they are spelled", () => {
  assert.equal(placeOf('{"a": 1, "a": 2}'), "1:10 this key stands here twice");
  assert.equal(placeOf('{"a": 1, "\\u0061": 2}'), "1:10 this key stands here twice");
  assert.equal(parseJson('{"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]}').ok, true);
});

test("depth is bounded without using up the stack", () => {
  assert.equal(parseJson("[".repeat(JSON_DEPTH_MAX) + "]".repeat(JSON_DEPTH_MAX)).ok, true);
  assert.match(placeOf("[".repeat(JSON_DEPTH_MAX + 1)), /^1:17 deeper than 16 levels$/);
  assert.match(placeOf("[".repeat(100_000) + "]".repeat(100_000)), /deeper/);
  assert.match(placeOf('{"a":'.repeat(100_000)), /deeper/);
});

test("__proto__ is a key like any other and touches no prototype", () => {
  const result = parseJson('{"__proto__": {"polluted": true}}');
  assert.equal(result.ok, true);
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("every JSON text is read as JSON.parse reads it", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 2), (text, indent) => {
      const pretty = JSON.stringify(JSON.parse(text), null, indent);
      const result = parseJson(pretty);
      assert.deepEqual(result, { ok: true, value: JSON.parse(pretty) });
    }),
  );
});

test("what JSON.parse refuses is refused, and never throws", () => {
  const noise = fc.string({ unit: fc.constantFrom(...'[]{}",:\\u0e.-+1 \ntruefalsn'.split("")), maxLength: 24 });
  fc.assert(
    fc.property(noise, (text) => {
      let valid = true;
      try {
        JSON.parse(text);
      } catch {
        valid = false;
      }
      const result = parseJson(text);
      if (!valid) assert.equal(result.ok, false, text);
      else assert.ok(result.ok || result.what === "this key stands here twice", text);
    }),
    { numRuns: 2000 },
  );
});
