import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { endToEndFields, field, formatHttpDate, joinedField, parseHttpDate } from "./index.ts";
import { listElements } from "./list.ts";

test("field finds the first line of a name and nothing else", () => {
  const fields = ["a", "1", "b", "a", "a", "2"];
  assert.equal(field(fields, "a"), "1");
  assert.equal(field(fields, "b"), "a");
  assert.equal(field(fields, "1"), undefined);
  assert.equal(field([], "a"), undefined);
});

test("repeated lines make one list value, in order", () => {
  assert.equal(joinedField(["accept", "a", "x", "y", "accept", "b"], "accept"), "a, b");
  assert.equal(joinedField(["cookie", "", "cookie", "b=1"], "cookie", "; "), "; b=1");
  assert.equal(joinedField([], "accept"), "");
});

for (const [value, expected] of [
  ["", []],
  ["a", ["a"]],
  ["a,b", ["a", "b"]],
  [" a ,\tb , ", ["a", "b"]],
  [",,a,,", ["a"]],
  ['"x,y", z', ['"x,y"', "z"]],
  ['"x\\",y",z', ['"x\\",y"', "z"]],
  ['"open, z', ['"open, z']],
  ['"open\\', ['"open\\']],
] as const) {
  test(`the elements of ${JSON.stringify(value)} are ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(listElements(value), expected);
  });
}

test("elements come back from a joined list", () => {
  const element = fc.stringMatching(/^[a-z0-9;=.*/-]{1,12}$/);
  fc.assert(
    fc.property(fc.array(element), (elements) => assert.deepEqual(listElements(elements.join(" , ")), elements)),
  );
});

test("hop-by-hop fields, framing and what Connection names are not forwarded", () => {
  const received = [
    ...[
      "host",
      "a.test",
      "connection",
      "X-Secret, keep-alive",
      "x-secret",
      "1",
      "keep-alive",
      "timeout=5",
      "te",
      "trailers",
    ],
    ...[
      "transfer-encoding",
      "chunked",
      "upgrade",
      "h2c",
      "proxy-connection",
      "close",
      "content-length",
      "5",
      "accept",
      "*/*",
    ],
    ...["connection", "x-second", "x-second", "2", "accept", "b"],
  ];
  assert.deepEqual(endToEndFields(received), ["host", "a.test", "accept", "*/*", "accept", "b"]);
  assert.equal(received.length, 26, "the received list is left as it was");
});

const now = Date.UTC(2026, 0, 1);

test("the three forms of a date are read to the same moment", () => {
  const moment = Date.UTC(1994, 10, 6, 8, 49, 37);
  assert.equal(parseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT", now), moment);
  assert.equal(parseHttpDate("Sunday, 06-Nov-94 08:49:37 GMT", now), moment);
  assert.equal(parseHttpDate("Sun Nov  6 08:49:37 1994", now), moment);
});

test("a two-digit year more than 50 years ahead lies in the past", () => {
  assert.equal(parseHttpDate("Friday, 01-Jan-76 00:00:00 GMT", now), Date.UTC(2076, 0, 1));
  assert.equal(parseHttpDate("Friday, 01-Jan-77 00:00:00 GMT", now), Date.UTC(1977, 0, 1));
});

for (const text of [
  ...[
    "",
    "0",
    "-1",
    "yesterday",
    "2026-01-01T00:00:00Z",
    "Sun, 06 Nov 1994 08:49:37 +0000",
    "Sun, 6 Nov 1994 08:49:37 GMT",
  ],
  ...[
    "Sun, 31 Feb 2021 08:49:37 GMT",
    "Sun, 06 Nox 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    " Sun, 06 Nov 1994 08:49:37 GMT",
  ],
]) {
  test(`${JSON.stringify(text)} is no date`, () => assert.equal(parseHttpDate(text, now), undefined));
}

test("a leap second is a date", () => {
  assert.equal(parseHttpDate("Sat, 31 Dec 2016 23:59:60 GMT", now), Date.UTC(2017, 0, 1));
});

test("every date that is written is read back", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4_102_444_800 }), (seconds) => {
      assert.equal(parseHttpDate(formatHttpDate(seconds * 1000), now), seconds * 1000);
    }),
  );
});
