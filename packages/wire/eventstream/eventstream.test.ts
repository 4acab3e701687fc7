/** Written from WHATWG HTML §9.2: its grammar, its rules and its four examples; then whatever fast-check makes of them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  EventStreamDecoder,
  encodeComment,
  encodeMessage,
  encodePlace,
  encodeRetry,
  isEventName,
  type MessageParts,
} from "./index.ts";

/** Everything that a stream says, one line each; read in pieces of `size` bytes. */
function read(
  stream: string | Uint8Array,
  size = Number.POSITIVE_INFINITY,
  decoder = new EventStreamDecoder(),
): string[] {
  const bytes = typeof stream === "string" ? Buffer.from(stream) : stream;
  const out: string[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    decoder.write(bytes.subarray(at, at + size), {
      onMessage: ({ type, data, lastEventId }) => out.push(`${type} ${JSON.stringify(data)} id=${lastEventId}`),
      onRetry: (ms) => out.push(`retry ${ms}`),
      onComment: (text) => out.push(`comment ${JSON.stringify(text)}`),
    });
  }
  return out;
}

const table: readonly (readonly [rule: string, stream: string, heard: readonly string[]])[] = [
  ["a message is dispatched at its empty line", "data: YHOO\ndata: +2\ndata: 10\n\n", ['message "YHOO\\n+2\\n10" id=']],
  [
    "comments, ids and an id that is reset, as in the specification's second example",
    ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
    [
      'comment " test stream"',
      'message "first event" id=1',
      'message "second event" id=',
      'message " third event" id=',
    ],
  ],
  [
    "empty data, twice empty data, and data without an end",
    "data\n\ndata\ndata\n\ndata:",
    ['message "" id=', 'message "\\n" id='],
  ],
  [
    "one space behind the colon is dropped, and no more",
    "data:test\n\ndata: test\n\ndata:  test\n\n",
    ['message "test" id=', 'message "test" id=', 'message " test" id='],
  ],
  [
    "CR, LF and CRLF all end a line",
    "data: a\rdata: b\r\ndata: c\n\r\ndata: d\r\r",
    ['message "a\\nb\\nc" id=', 'message "d" id='],
  ],
  ["LF after CR is no empty line", "data: a\r\ndata: b\r\n\r\n", ['message "a\\nb" id=']],
  ["one BOM at the start is dropped", "\ufeffdata: a\n\n", ['message "a" id=']],
  ["a second BOM belongs to the field's name", "\ufeff\ufeffdata: a\n\ndata: b\n\n", ['message "b" id=']],
  ["a BOM within data stays", "data: \ufeffa\n\n", ['message "\ufeffa" id=']],
  ["an event's type holds for one message", "event: add\ndata: 1\n\ndata: 2\n\n", ['add "1" id=', 'message "2" id=']],
  [
    "the last type counts, and an empty one is none",
    "event: a\nevent: b\ndata: 1\n\nevent: a\nevent:\ndata: 2\n\n",
    ['b "1" id=', 'message "2" id='],
  ],
  ["a type without data dispatches nothing and is forgotten", "event: a\n\ndata: 1\n\n", ['message "1" id=']],
  ["an id without data is kept", "id: 7\n\ndata: 1\n\n", ['message "1" id=7']],
  ["an id holds until another comes", "id: 7\ndata: 1\n\ndata: 2\n\n", ['message "1" id=7', 'message "2" id=7']],
  ["an id with NUL is ignored", "id: 7\n\nid: 8\0\ndata: 1\n\n", ['message "1" id=7']],
  ["an empty id resets", "id: 7\ndata: 1\n\nid:\ndata: 2\n\n", ['message "1" id=7', 'message "2" id=']],
  ["retry is digits", "retry: 3000\n", ["retry 3000"]],
  ["retry with anything else is ignored", "retry: 3s\nretry: -1\nretry: 1.5\nretry:\nretry:  1\n", []],
  ["names are exact, and unknown fields are ignored", "Data: a\n data: b\ndata : c\nfoo: d\n\n", []],
  ["a line without a colon is a field with an empty value", "data\nid\nfoo\n\n", ['message "" id=']],
  ["only the first colon divides", "data: a: b\n\n", ['message "a: b" id=']],
  ["a comment within a message changes nothing", "data: a\n: b\ndata: c\n\n", ['comment " b"', 'message "a\\nc" id=']],
  ["bytes beyond ASCII", "event: größe\ndata: 水🌊\n\n", ['größe "水🌊" id=']],
];

for (const [rule, stream, heard] of table) {
  test(`reading: ${rule}`, () => {
    assert.deepEqual(read(stream), heard);
    for (const size of [1, 2, 3, 5]) assert.deepEqual(read(stream, size), heard, `in pieces of ${size}`);
  });
}

test("reading: what is not UTF-8 becomes U+FFFD", () => {
  assert.deepEqual(read(Buffer.from("data: \xff\n\n", "latin1")), ['message "\ufffd" id=']);
});

test("reading: the last id is that of the last complete message, as a reconnecting client sends it", () => {
  const decoder = new EventStreamDecoder();
  read("id: 1\ndata: a\n\nid: 2\ndata: b\n", 4, decoder);
  assert.equal(decoder.lastEventId, "1");
  read("\n", 1, decoder);
  assert.equal(decoder.lastEventId, "2");
});

test("reading: a new connection goes on with the id of the one before", () => {
  assert.deepEqual(read("data: a\n\n", 1, new EventStreamDecoder(100, "7")), ['message "a" id=7']);
});

test("reading: a message or a line beyond the bound ends it, and nothing of it is kept", () => {
  const sink = { onMessage: () => assert.fail("dispatched") };
  const line = new EventStreamDecoder(100);
  assert.equal(line.write(Buffer.from(`data: ${"x".repeat(200)}`), sink), false);
  assert.equal(line.write(Buffer.from("\n\n"), sink), false);
  const lines = new EventStreamDecoder(100);
  assert.equal(lines.write(Buffer.from("data: 0123456789\n".repeat(9)), sink), true);
  assert.equal(lines.write(Buffer.from("data: 0123456789\n"), sink), false);
});

test("making: fields in their order, each value behind one space", () => {
  assert.equal(encodeMessage({ id: "e.1", event: "said", data: '["hi"]' }), 'id: e.1\nevent: said\ndata: ["hi"]\n\n');
  assert.equal(encodeMessage({ data: "" }), "data: \n\n");
  assert.equal(encodeMessage({ data: "a\nb\r\nc\rd\n" }), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
  assert.equal(encodeMessage({ event: "", data: "a" }), "data: a\n\n");
  assert.equal(encodePlace("e.1"), "id: e.1\n\n");
  assert.equal(encodeRetry(3000), "retry: 3000\n\n");
  assert.equal(encodeComment(), ":\n\n");
  assert.equal(encodeComment("still\nhere"), ": still\n: here\n\n");
});

test("making: what a field cannot hold is the caller's fault, never a second field", () => {
  for (const id of ["a\nb", "a\rb", "a\0b"]) {
    assert.throws(() => encodeMessage({ id, data: "" }), RangeError);
    assert.throws(() => encodePlace(id), RangeError);
  }
  for (const event of ["a\nb", "a\r"]) {
    assert.throws(() => encodeMessage({ event, data: "" }), RangeError);
    assert.equal(isEventName(event), false);
  }
  assert.equal(isEventName(""), false);
  assert.equal(isEventName("größe: 1"), true);
  for (const ms of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) assert.throws(() => encodeRetry(ms), RangeError);
});

const wellFormed = fc.string({ unit: "binary" });
const oneLine = wellFormed.map((text) => text.replace(/[\r\n\0]/g, " "));
const parts: fc.Arbitrary<MessageParts> = fc.record(
  { id: oneLine, event: oneLine.filter((text) => text !== ""), data: wellFormed },
  { requiredKeys: ["data"] },
);

test("whatever is made is read back as it was, in pieces of any size, with comments and places between", () => {
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 8 }), oneLine, fc.integer({ min: 1, max: 64 }), (messages, note, size) => {
      let id = "";
      let stream = encodeRetry(5);
      const expected = ["retry 5"];
      for (const message of messages) {
        id = message.id ?? id;
        stream += encodeComment(note) + encodeMessage(message);
        const data = message.data.replace(/\r\n|\r/g, "\n");
        expected.push(`${message.event ?? "message"} ${JSON.stringify(data)} id=${id}`);
      }
      stream += encodePlace("end");
      const decoder = new EventStreamDecoder();
      const heard = read(stream, size, decoder).filter((line) => !line.startsWith("comment "));
      assert.deepEqual(heard, expected);
      assert.equal(decoder.lastEventId, "end");
    }),
  );
});

test("garbage in pieces is the same as garbage whole, and never throws", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .array(fc.constantFrom("data", "event", "id", "retry", ":", " ", "\r", "\n", "\r\n", "\0", "7", "\ufeff", "é"))
      .map((words) => Buffer.from(words.join(""))),
  );
  fc.assert(
    fc.property(bytes, fc.integer({ min: 1, max: 9 }), (stream, size) => {
      assert.deepEqual(read(stream, size), read(stream));
    }),
  );
});
