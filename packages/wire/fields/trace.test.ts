import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { readTrace, TraceSource, withoutTrace } from "./index.ts";

const id = "4bf92f3577b34da6a3ce929d0e0e4736";
const parent = "00f067aa0ba902b7";
const of = (...values: string[]) => ["accept", "*/*", ...values.flatMap((value) => ["traceparent", value])];

describe("a traceparent is valid", () => {
  for (const value of [
    `00-${id}-${parent}-01`,
    `00-${id}-${parent}-00`,
    `00-${id}-${parent}-ff`,
    `cc-${id}-${parent}-01`,
    `cc-${id}-${parent}-01-what-the-future-will-be-like`,
    `fe-${id}-${parent}-01-`,
  ])
    it(value, () => assert.equal(readTrace(of(value)), id));
});

/** Among them those of the specification's own test suite (w3c/trace-context, test/test.py). */
describe("a traceparent is invalid", () => {
  for (const value of [
    "",
    "00",
    `ff-${id}-${parent}-01`,
    `00-${"0".repeat(32)}-${parent}-01`,
    `00-${id}-${"0".repeat(16)}-01`,
    `00-${id.toUpperCase()}-${parent}-01`,
    `00-${id}-${parent.toUpperCase()}-01`,
    `00-${id}-${parent}-0A`,
    `0-${id}-${parent}-01`,
    `000-${id}-${parent}-01`,
    `00-${id}-${parent}-1`,
    `00-${id}-${parent}-001`,
    `00-${id}-${parent}-01-`,
    `00-${id}-${parent}-01-what-the-future-will-be-like`,
    `00-${id}-${parent}-01.what-the-future-will-be-like`,
    `cc-${id}-${parent}-01.what-the-future-will-be-not-like`,
    `00-${id.slice(1)}-${parent}-01`,
    `00-${id}a-${parent}-01`,
    `00-${id}-${parent.slice(1)}-01`,
    `00-${id}-${parent}a-01`,
    `00-${id.slice(0, 31)}.-${parent}-01`,
    `00_${id}_${parent}_01`,
    ` 00-${id}-${parent}-01`,
    `.0-${id}-${parent}-01`,
    `00-${id}-${parent}-.0`,
  ])
    it(JSON.stringify(value), () => assert.equal(readTrace(of(value)), ""));

  it("when there are two, even the same", () => {
    assert.equal(readTrace(of(`00-${id}-${parent}-01`, `00-${id}-${parent}-01`)), "");
  });

  it("when there is only a state", () => assert.equal(readTrace(["tracestate", "a=1"]), ""));
});

it("a request without a trace has none", () => {
  assert.equal(readTrace(["accept", "*/*"]), null);
  assert.equal(readTrace([]), null);
});

it("both fields can be taken out, and nothing else", () => {
  const fields = [
    "tracestate",
    "a=1",
    "accept",
    "traceparent",
    "traceparent",
    "x",
    "x",
    "tracestate",
    "tracestate",
    "b=2",
  ];
  assert.deepEqual(withoutTrace(fields), ["accept", "traceparent", "x", "tracestate"]);
});

describe("new traces", () => {
  const source = new TraceSource(new SeededRandom(1));
  const pairs = Array.from({ length: 20_000 }, () => source.next());

  it("are valid, and none comes twice", () => {
    for (const pair of pairs) assert.equal(readTrace(of(`00-${pair}-01`)), pair.slice(0, 32));
    assert.equal(new Set(pairs.map((pair) => pair.slice(0, 32))).size, pairs.length);
    assert.equal(new Set(pairs.map((pair) => pair.slice(33))).size, pairs.length);
  });

  it("differ in every digit alike: samplers that look at some bits see fair ones", () => {
    for (let at = 0; at < 49; at++) {
      if (at === 32) continue;
      const counts = new Map<string, number>();
      for (const pair of pairs) counts.set(pair[at]!, (counts.get(pair[at]!) ?? 0) + 1);
      assert.equal(counts.size, 16);
      // 20,000 throws of a die with 16 sides: 1,250 each, standard deviation 34.
      for (const [digit, count] of counts) assert.ok(Math.abs(count - 1250) < 6 * 34, `${digit} at ${at}: ${count}`);
    }
  });

  it("are others after another start", () => {
    assert.notEqual(new TraceSource(new SeededRandom(2)).next(), pairs[0]);
    assert.equal(new TraceSource(new SeededRandom(1)).next(), pairs[0]);
  });
});
