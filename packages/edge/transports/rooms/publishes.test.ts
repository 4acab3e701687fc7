/** Publishing into a room by POST. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient } from "@tideway/engine/hub/testing";
import { heard, parsed, RoomStage } from "./testing.ts";

test("an event is answered with its place after the commit, and reaches sockets and readers there", () => {
  const stage = new RoomStage();
  const client = new FakeClient(stage.hub).connect();
  stage.server.join(client.sid, "a");
  const stream = stage.stream();
  stage.store!.quick = false;
  const exchange = stage.publish({ event: "said", args: ["hi", { x: 1 }] });
  assert.equal(exchange.status, 0);
  stage.store!.release();
  stage.clock.settle();
  assert.equal(exchange.status, 201);
  assert.equal(exchange.field("content-type"), "application/json; charset=utf-8");
  const { offset, seq } = JSON.parse(exchange.body) as { offset: string; seq: number };
  assert.equal(seq, 1);
  client.read();
  assert.deepEqual([client.events, client.offset], [['["said","hi",{"x":1}]'], offset]);
  assert.deepEqual(heard(stream), [`said ["hi",{"x":1}] ${offset}`]);
  assert.equal(stage.asked.at(-1)?.event, "said");
});

test("arguments may be left out", () => {
  const stage = new RoomStage();
  assert.equal(stage.publish({ event: "ping" }).status, 201);
  assert.deepEqual(parsed(stage.poll("?after=0")).events[0]?.args, []);
});

test("the same key is the same answer, and one event; in another room it is another key", () => {
  const stage = new RoomStage();
  const keyed = (key: string, path = "/socket.io/rooms/a/events") =>
    stage.publish({ event: "said", args: [key] }, { path, fields: ["idempotency-key", key] });
  const first = keyed("k1");
  assert.equal(first.status, 201);
  const again = keyed("k1");
  assert.deepEqual([again.status, again.body], [201, first.body]);
  assert.notEqual(keyed("k2").body, first.body);
  assert.notEqual(keyed("k1", "/socket.io/rooms/b/events").body, first.body);
  assert.deepEqual(
    parsed(stage.poll("?after=0")).events.map(({ args }) => args[0]),
    ["k1", "k2"],
  );
});

test("a client's key is never one of the application's", () => {
  const stage = new RoomStage();
  stage.publish({ event: "said" }, { fields: ["idempotency-key", "box:1"] });
  stage.server.emit(["a"], ["the application's"], { key: "box:1" });
  stage.clock.settle();
  assert.equal(parsed(stage.poll("?after=0")).events.length, 2);
});

test("bytes come as base64 and are bytes to sockets", () => {
  const stage = new RoomStage();
  const client = new FakeClient(stage.hub).connect();
  stage.server.join(client.sid, "a");
  const { status } = stage.publish({ event: "file", args: [{ deep: [{ $binary: "AP8=" }] }, { $binary: "" }] });
  assert.equal(status, 201);
  const packet = client.line.sent.at(-1)!;
  assert.match(
    packet.text,
    /^52-\["file",\{"deep":\[\{"_placeholder":true,"num":0\}\]\},\{"_placeholder":true,"num":1\},/,
  );
  assert.deepEqual(
    packet.attachments.map((bytes) => [...bytes]),
    [[0, 255], []],
  );
  assert.deepEqual(parsed(stage.poll("?after=0")).events[0]?.args, [{ deep: [{ $binary: "AP8=" }] }, { $binary: "" }]);
});

test("what is no event is 400 with the place, and nothing is published", () => {
  const stage = new RoomStage();
  const deep = `{"event":"x","args":${"[".repeat(2_000)}${"]".repeat(2_000)}}`;
  const bad: [unknown, RegExp][] = [
    ["", /body: JSON/],
    ["{", /body: JSON/],
    ['{"event":"x"} x', /body: JSON/],
    ["[]", /body: a JSON object/],
    ["null", /body: a JSON object/],
    ['"x"', /body: a JSON object/],
    ["{}", /event: a text/],
    [{ event: "" }, /event: a text/],
    [{ event: 5 }, /event: a text/],
    [{ event: "x".repeat(513) }, /event: a text/],
    ['{"event":"\\ud800"}', /event: a text/],
    [{ event: "disconnect" }, /event: none of/],
    [{ event: "connect" }, /event: none of/],
    [{ event: "newListener" }, /event: none of/],
    [{ event: "tideway:gap" }, /event: none of/],
    [{ event: "x", args: {} }, /args: an array/],
    [{ event: "x", args: null }, /args: an array/],
    [{ event: "x", room: "b" }, /event and args, and nothing else/],
    [deep, /nested no deeper/],
    ['{"event":"x","args":[1e999]}', /args\[0\]: a number/],
    [{ event: "x", args: [{ _placeholder: true, num: 0 }] }, /args\[0\]: no member _placeholder/],
    [{ event: "x", args: [1, { $binary: "a" }] }, /args\[1\]\.\$binary: base64/],
    [{ event: "x", args: [{ $binary: 5 }] }, /args\[0\]\.\$binary: base64/],
    [Buffer.from('{"event":"\xff"}', "latin1"), /body: UTF-8/],
  ];
  for (const [body, message] of bad) {
    const exchange = stage.publish(body, { fields: ["accept", "application/json"] });
    assert.equal(exchange.status, 400, String(body).slice(0, 60));
    const { error } = JSON.parse(exchange.body) as { error: { code: string; message: string } };
    assert.equal(error.code, "HTTP_INVALID");
    assert.match(error.message, message);
  }
  assert.deepEqual(parsed(stage.poll("?after=0")).events, []);
});

test("a member __proto__ is data like any other", () => {
  const stage = new RoomStage();
  assert.equal(stage.publish('{"event":"x","args":[{"__proto__":{"admin":true}}]}').status, 201);
  assert.match(stage.poll("?after=0").body, /"args":\[\{"__proto__":\{"admin":true\}\}\]/);
  assert.equal(({} as { admin?: boolean }).admin, undefined);
});

test("the body is JSON by its type, and of a bounded size by length and by bytes", () => {
  const stage = new RoomStage({ messageBytesMax: 100 });
  const publish = (type: string) =>
    stage.request({ method: "POST", bodyLength: 13, fields: ["content-type", type] }).status;
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "application/json; charset=latin1",
  ]) {
    assert.equal(publish(type), 415, type);
  }
  assert.equal(stage.request({ method: "POST", bodyLength: 13 }).status, 415);
  for (const type of ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']) {
    assert.equal(publish(type), 0, `${type} is read`);
  }
  assert.equal(stage.publish({ event: "x".repeat(200) }).status, 413);
  const chunked = stage.publish({ event: "x".repeat(200) }, { bodyLength: -1 });
  assert.equal(chunked.status, 413);
});

test("keys are short ASCII", () => {
  const stage = new RoomStage();
  for (const key of ["", "a\tb", "ü", "x".repeat(256)]) {
    assert.equal(stage.publish({ event: "x" }, { fields: ["idempotency-key", key] }).status, 400, key);
  }
  assert.equal(stage.publish({ event: "x" }, { fields: ["idempotency-key", "x".repeat(255)] }).status, 201);
});

test("one address publishes so often in a second, and is told when it may again; private networks are not counted", () => {
  const stage = new RoomStage({ roomPublishesPerSecondMax: 3 });
  const statuses = (address: string) =>
    Array.from({ length: 5 }, () => stage.publish({ event: "x" }, { address }).status);
  assert.deepEqual(statuses("192.0.2.1"), [201, 201, 201, 429, 429]);
  assert.deepEqual(statuses("192.0.2.2"), [201, 201, 201, 429, 429]);
  assert.deepEqual(statuses("127.0.0.1"), [201, 201, 201, 201, 201]);
  assert.equal(stage.publish({ event: "x" }).field("retry-after"), "1");
  stage.clock.advance(1_000);
  assert.equal(stage.publish({ event: "x" }).status, 201);
});

test("bodies on their way in are bounded over all clients", () => {
  const stage = new RoomStage({ messageBytesMax: 40 * 1024 * 1024 });
  const begin = () =>
    stage.request({ method: "POST", bodyLength: 40 * 1024 * 1024, fields: ["content-type", "application/json"] });
  const first = begin();
  assert.equal(begin().status, 503);
  first.vanish();
  assert.equal(begin().status, 0);
});

test("a store that is full is 507, one that failed 503, an event too large for it 413: nothing is published", () => {
  for (const [code, status] of [
    ["STORE_FULL", 507],
    ["STORE_FAILED", 503],
    ["TOO_LARGE", 413],
  ] as const) {
    const stage = new RoomStage();
    stage.store!.append = (_namespace, _event, done) => done({ ok: false, fault: code });
    const stream = stage.stream();
    assert.equal(stage.publish({ event: "x" }).status, status);
    assert.deepEqual(heard(stream), []);
  }
});

test("a client that goes before its answer may have published: its key tells", () => {
  const stage = new RoomStage();
  stage.store!.quick = false;
  const body = JSON.stringify({ event: "x" });
  const fields = ["idempotency-key", "k"];
  const first = stage.publish(body, { fields });
  first.vanish();
  stage.store!.release();
  stage.store!.quick = true;
  assert.equal(first.status, 0);
  assert.equal(stage.publish(body, { fields }).status, 201);
  assert.equal(parsed(stage.poll("?after=0")).events.length, 1);
});

test("with nobody there to ask, a publish waits, and is then told to come again", () => {
  const stage = new RoomStage();
  stage.serverGone();
  const exchange = stage.publish({ event: "x" });
  stage.clock.advance(10_000);
  assert.deepEqual([exchange.status, exchange.field("retry-after")], [503, "2"]);
  const waiting = stage.publish({ event: "x" });
  stage.serverBack();
  assert.equal(waiting.status, 201);
});
