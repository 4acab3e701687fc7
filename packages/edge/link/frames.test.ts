import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBatch, decodeHello, encodeBatch, encodeBeat, encodeHello, FrameKind, readFrame } from "./frames.ts";
import type { LinkMessage, Payload, ToHub, ToServer } from "./messages.ts";
import { toHubShapes, toServerShapes } from "./shapes.ts";

const max = 1 << 20;
const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record<T>(model, { noNullPrototype: true });
/** Text as JSON.stringify makes it: well-formed Unicode. */
const text = fc.string({ unit: "binary", maxLength: 12 }).map((value) => value.toWellFormed());
const texts = fc.array(text, { maxLength: 3 });
const count = fc.nat();
const payload: fc.Arbitrary<Payload> = record({
  json: fc.json().map((value) => value.toWellFormed()),
  attachments: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 3 }),
});
const to = record({ namespace: text, rooms: texts, except: texts });
const orNull = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: null });

const toHub = fc.oneof(
  record({ type: fc.constant("hello" as const), instance: text }),
  record({ type: fc.constant("accept" as const), socket: text }),
  record({ type: fc.constant("refuse" as const), socket: text, message: text, data: text }),
  record({
    type: fc.constant("emit" as const),
    to,
    payload,
    volatile: fc.boolean(),
    compress: fc.boolean(),
    answers: orNull(count),
    timeoutMs: count,
    receipt: orNull(count),
    key: orNull(text),
  }),
  record({
    type: fc.constant("server-emit" as const),
    namespace: text,
    payload,
    answers: orNull(count),
    timeoutMs: count,
  }),
  record({ type: fc.constant("server-reply" as const), ask: count, payload }),
  record({ type: fc.constant("reply" as const), socket: text, ack: count, payload }),
  record({ type: fc.constant("join" as const), to, rooms: texts }),
  record({ type: fc.constant("close" as const), to, connection: fc.boolean() }),
  record({
    type: fc.constant("watch" as const),
    namespace: text,
    room: text,
    by: text,
    graceMs: count,
    members: fc.array(text),
  }),
  record({ type: fc.constant("unwatch" as const), namespace: text, room: text }),
  record({ type: fc.constant("find" as const), request: count, to }),
  record({ type: fc.constant("data" as const), socket: text, data: text }),
  record({ type: fc.constant("done" as const), seq: count }),
  fc.constant({ type: "leaving" as const }),
  record({ type: fc.constant("where" as const), request: count, namespace: text }),
  record({
    type: fc.constant("open" as const),
    namespace: text,
    rooms: fc.boolean(),
    recall: fc.boolean(),
  }),
  record({
    type: fc.constant("permitted" as const),
    ask: count,
    allowed: fc.boolean(),
    forAll: fc.boolean(),
  }),
) satisfies fc.Arbitrary<ToHub>;

const handshake = record({
  headers: fc.dictionary(fc.string({ maxLength: 5 }), fc.oneof(text, texts), { noNullPrototype: true }),
  address: text,
  secure: fc.boolean(),
  xdomain: fc.boolean(),
  url: text,
  query: fc.dictionary(fc.string({ maxLength: 5 }), text, { noNullPrototype: true }),
  issued: count,
});
const toServer = fc.oneof(
  record({ type: fc.constant("present" as const), namespace: text, room: text, members: fc.array(text) }),
  record({
    type: fc.constant("presence" as const),
    namespace: text,
    room: text,
    member: text,
    here: fc.boolean(),
    first: fc.boolean(),
  }),
  record({ type: fc.constant("server-event" as const), namespace: text, payload, ask: orNull(count) }),
  record({
    type: fc.constant("connect" as const),
    socket: text,
    connection: text,
    transport: fc.constantFrom("polling" as const, "websocket" as const),
    namespace: text,
    handshake,
    auth: text,
    recovered: fc.boolean(),
    handover: fc.boolean(),
    rooms: texts,
    data: text,
  }),
  record({ type: fc.constant("event" as const), socket: text, seq: count, payload, ack: orNull(count) }),
  record({ type: fc.constant("answer" as const), emit: count, socket: text, payload }),
  record({ type: fc.constant("place" as const), request: count, offset: text }),
  record({
    type: fc.constant("permit" as const),
    ask: count,
    namespace: text,
    room: text,
    action: fc.constantFrom("read" as const, "publish" as const),
    event: text,
    handshake,
  }),
  record({ type: fc.constant("answered" as const), emit: count, expected: count, missing: count }),
  record({ type: fc.constant("disconnect" as const), socket: text, reason: fc.constant("ping timeout" as const) }),
  record({ type: fc.constant("rooms" as const), socket: text, joined: texts, left: texts }),
  record({ type: fc.constant("upgraded" as const), connection: text, transport: fc.constant("websocket" as const) }),
  record({
    type: fc.constant("published" as const),
    receipt: count,
    offset: text,
    seq: count,
    duplicate: fc.boolean(),
  }),
  record({ type: fc.constant("unpublished" as const), receipt: count, code: fc.constant("STORE_FULL" as const) }),
  record({
    type: fc.constant("found" as const),
    request: count,
    sockets: fc.array(record({ id: text, handshake, auth: text, rooms: texts, data: text }), { maxLength: 2 }),
  }),
) satisfies fc.Arbitrary<ToServer>;

function bodyOf(frame: Buffer): Buffer {
  const reading = readFrame(frame, 0, max);
  assert.equal(reading.state, "whole");
  if (reading.state !== "whole") throw new Error("unreachable");
  assert.equal(reading.next, frame.length, "a frame's length covers it exactly");
  return reading.value.body;
}

test("every batch of either direction comes back as it was sent", () => {
  fc.assert(
    fc.property(fc.array(toHub, { maxLength: 5 }), (messages) => {
      const decoded = decodeBatch(bodyOf(encodeBatch(messages)), toHubShapes);
      assert.deepEqual(decoded.state === "whole" ? decoded.value : decoded, messages);
    }),
  );
  fc.assert(
    fc.property(fc.array(toServer, { maxLength: 5 }), (messages) => {
      const decoded = decodeBatch(bodyOf(encodeBatch(messages)), toServerShapes);
      assert.deepEqual(decoded.state === "whole" ? decoded.value : decoded, messages);
    }),
  );
});

test("a frame cut anywhere is short, never whole and never a fault", () => {
  fc.assert(
    fc.property(fc.array(toHub, { minLength: 1, maxLength: 3 }), (messages) => {
      const frame = encodeBatch(messages);
      for (let length = 0; length < frame.length; length++) {
        const reading = readFrame(frame.subarray(0, length), 0, max);
        assert.equal(reading.state, "short");
        assert.ok(reading.state === "short" && reading.needs > length && reading.needs <= frame.length);
      }
    }),
    { numRuns: 30 },
  );
});

test("a batch's body cut anywhere but between messages is a fault", () => {
  fc.assert(
    fc.property(toHub, (message) => {
      const body = bodyOf(encodeBatch([message]));
      for (let length = 1; length < body.length; length++) {
        assert.equal(decodeBatch(body.subarray(0, length), toHubShapes).state, "fault");
      }
    }),
    { numRuns: 50 },
  );
});

test("garbage is a fault value, never an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      readFrame(Buffer.from(bytes), 0, max);
      decodeBatch(Buffer.from(bytes), toServerShapes);
      decodeHello(Buffer.from(bytes));
    }),
  );
});

test("one changed byte never yields a message of another shape", () => {
  fc.assert(
    fc.property(toHub, fc.nat(), fc.integer({ min: 1, max: 255 }), (message, position, change) => {
      const body = Buffer.from(bodyOf(encodeBatch([message])));
      const at = position % body.length;
      body[at] = body[at]! ^ change;
      const decoded = decodeBatch(body, toHubShapes);
      if (decoded.state !== "whole") return;
      for (const found of decoded.value) assert.ok(toHubShapes.get(found.type), "only known types come out");
    }),
  );
});

const malformed: [string, unknown][] = [
  ["an unknown type", { type: "drop-tables" }],
  ["a message of the other direction", { type: "disconnect", socket: "s", reason: "parse error" }],
  ["a missing field", { type: "accept" }],
  ["a field too many", { type: "accept", socket: "s", extra: 1 }],
  ["a field of another type", { type: "accept", socket: 7 }],
  ["a negative count", { type: "done", seq: -1 }],
  ["a fraction for a count", { type: "done", seq: 1.5 }],
  ["no object", 7],
  ["null", null],
  ["a list", [{ type: "leaving" }]],
  ["a type inherited from Object", { type: "constructor" }],
];
for (const [what, head] of malformed) {
  test(`${what} voids the batch`, () => {
    const text = Buffer.from(JSON.stringify(head));
    const body = Buffer.concat([Buffer.alloc(4), text]);
    body.writeUInt32BE(text.length, 0);
    assert.equal(decodeBatch(body, toHubShapes).state, "fault");
  });
}

test("the bytes of a frame are those of the layout", () => {
  assert.deepEqual([...encodeBeat()], [0, 0, 0, 1, FrameKind.beat]);
  assert.deepEqual([...encodeHello(1)], [0, 0, 0, 7, FrameKind.hello, ...Buffer.from("TDWL"), 0, 1]);
  const message: ToHub = {
    type: "reply",
    socket: "s",
    ack: 3,
    payload: { json: '["é"]', attachments: [new Uint8Array([9, 8])] },
  };
  const head = Buffer.from('{"type":"reply","socket":"s","ack":3}');
  const expected = Buffer.concat([
    Buffer.from([0, 0, 0, 1 + 4 + head.length + 4 + 6 + 2 + 4 + 2]), // length
    Buffer.from([FrameKind.batch]), // kind
    Buffer.from([0, 0, 0, head.length]), // head's length
    head,
    Buffer.from([0, 0, 0, 6]), // payload's length
    Buffer.from('["é"]'), // not encoded again
    Buffer.from([0, 1]), // one attachment
    Buffer.from([0, 0, 0, 2]), // its length
    Buffer.from([9, 8]), // raw
  ]);
  assert.deepEqual(encodeBatch([message]), expected);
});

test("a length of zero, one over the limit, an unknown kind and a wrong magic are faults", () => {
  const fault = (bytes: number[]) => {
    const reading = readFrame(Buffer.from(bytes), 0, 64);
    return reading.state === "fault" ? reading.fault : reading.state;
  };
  assert.equal(fault([0, 0, 0, 0, 2]), "length");
  assert.equal(fault([0, 0, 0, 65, 2]), "length");
  assert.equal(fault([0, 0, 0, 64, 2]), "short");
  assert.equal(fault([0, 0, 0, 1, 9]), "kind");
  assert.equal(fault([...Buffer.from("GET / HTTP/1.1\r\n")]), "length");
  assert.equal(decodeHello(Buffer.from("TDWX\0\x01")).state, "fault");
});

test("a text that is not UTF-8 is a fault", () => {
  const body = Buffer.from([0, 0, 0, 2, 0xc3, 0x28]);
  const decoded = decodeBatch<LinkMessage>(body, toHubShapes);
  assert.ok(decoded.state === "fault" && decoded.fault === "text");
});
