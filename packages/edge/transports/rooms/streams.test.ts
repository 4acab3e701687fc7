/** Server-sent events of a room: history, what comes, places, slow clients and ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { heard, lastEventId, parsed, RoomStage } from "./testing.ts";

const names = (lines: string[]) => lines.map((line) => line.split(" ")[0]);

test("a stream is told when to come back, where it begins, and then each event with its place", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  assert.equal(exchange.status, 200);
  assert.equal(exchange.field("content-type"), "text/event-stream; charset=utf-8");
  assert.equal(exchange.field("cache-control"), "no-store, no-transform");
  assert.equal(exchange.field("x-accel-buffering"), "no");
  assert.match(exchange.body, /^retry: [123]\d{3}\n\nid: [\w-]+\.0\n\n$/);
  stage.emit("a", "said", "hi", { x: 1 });
  stage.emit("b", "other");
  stage.emit("a", "left");
  const [said, left] = heard(exchange);
  assert.match(said!, /^said \["hi",\{"x":1\}\] [\w-]+\.1$/);
  assert.match(left!, /^left \[\] [\w-]+\.3$/);
  assert.equal(stage.transports.counters.sse, 1);
});

test("what came while a client was away is the first that it gets, once", () => {
  const stage = new RoomStage();
  const first = stage.stream();
  stage.emit("a", "1");
  const place = lastEventId(first);
  first.vanish();
  stage.emit("a", "2");
  const second = stage.stream("", place);
  stage.emit("a", "3");
  assert.deepEqual(names(heard(second)), ["2", "3"]);
  assert.equal(lastEventId(second), parsed(stage.poll()).next);
});

test("a client that got nothing yet comes back to where it began, not to another now", () => {
  const stage = new RoomStage();
  const first = stage.stream();
  const place = lastEventId(first);
  first.vanish();
  stage.emit("a", "1");
  assert.deepEqual(names(heard(stage.stream("", place))), ["1"]);
});

test("the place that a client comes back with is nearer than the one in its address", () => {
  const stage = new RoomStage();
  stage.emit("a", "1");
  stage.emit("a", "2");
  const first = stage.stream("?after=0&limit=1");
  assert.deepEqual(names(heard(first)), ["1", "2"], "a stream has no end to page to");
  assert.deepEqual(heard(stage.stream("?after=0", lastEventId(first))), []);
});

test("history goes out page by page, a page in a tick, and then the stream follows", () => {
  const stage = new RoomStage();
  for (let n = 0; n < 1_000; n++) stage.server.emit([n % 10 === 0 ? "b" : "a"], [`${n}`]);
  const exchange = stage.stream("?after=0");
  stage.emit("a", "live");
  const expected = Array.from({ length: 1_000 }, (_, n) => `${n}`).filter((_, n) => n % 10 > 0);
  assert.deepEqual(names(heard(exchange)), [...expected, "live"]);
});

test("events that take effect while history is read come behind it, once", () => {
  const stage = new RoomStage({}, { limits: { recentBytesMax: 0 } });
  stage.emit("a", "1");
  stage.store!.quick = false;
  const exchange = stage.stream("?after=0");
  stage.server.emit(["a"], ["2"]);
  stage.server.emit(["a"], ["3"]);
  for (let n = 0; n < 20; n++) {
    stage.store!.release(1);
    stage.clock.settle();
  }
  assert.deepEqual(names(heard(exchange)), ["1", "2", "3"]);
});

test("a gap is an event of its own, before what is left; with nothing left the stream goes on from now", () => {
  const stage = new RoomStage();
  stage.emit("a", "1");
  const exchange = stage.stream("", "another.7");
  const [gap, one] = heard(exchange);
  assert.equal(gap, 'tideway:gap {"after":"another.7"} ');
  assert.match(one!, /^1 /);
  const empty = stage.stream("", "nonsense", { path: "/socket.io/rooms/empty/events" });
  assert.deepEqual(names(heard(empty)), ["tideway:gap"]);
  assert.equal(lastEventId(empty), parsed(stage.poll()).next);
  assert.equal(stage.transports.counters.roomGaps, 2);
});

test("volatile events reach the streams that are there, without a place", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  const place = lastEventId(exchange);
  stage.server.emit(["a"], ["cursor", 1], { volatile: true });
  stage.clock.settle();
  assert.deepEqual(heard(exchange), [`cursor [1] ${place}`]);
});

test("names that cannot stand on a line, or are not the application's to give, are the first argument of tideway:event", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  for (const name of ["a\nb", "", "tideway:gap", "\ud800"]) stage.emit("a", name, 1);
  stage.emit("a", "a\r");
  stage.emit("a", "größe: 水", 1);
  assert.deepEqual(
    heard(exchange).map((line) => line.slice(0, line.lastIndexOf(" "))),
    [
      'tideway:event ["a\\nb",1]',
      'tideway:event ["",1]',
      'tideway:event ["tideway:gap",1]',
      'tideway:event ["\\ud800",1]',
      'tideway:event ["a\\r"]',
      "größe: 水 [1]",
    ],
  );
});

test("many streams get one event by one write each, of bytes that are made once", () => {
  const stage = new RoomStage();
  const written: Uint8Array[] = [];
  const exchanges = Array.from({ length: 5 }, () => stage.stream());
  for (const exchange of exchanges) {
    exchange.write = (chunk) => {
      written.push(chunk);
      return true;
    };
  }
  stage.emit("a", "1");
  stage.server.emit(["a"], ["2"]);
  stage.server.emit(["a"], ["3"]);
  stage.clock.settle();
  assert.equal(written.length, 10);
  assert.equal(new Set(written).size, 2, "one for each tick");
});

test("a heartbeat tells a quiet room's stream how far it has come; where nothing came it is a comment", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  const before = exchange.body;
  stage.clock.advance(15_000);
  assert.equal(exchange.body, `${before}:\n\n`);
  for (let n = 0; n < 5; n++) stage.emit("b", "other");
  stage.clock.advance(15_000);
  assert.equal(lastEventId(exchange), parsed(stage.poll()).next);
  assert.deepEqual(heard(exchange), []);
});

test("a client that does not read is given no more than fits, goes on from its place when it does, and misses nothing", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  exchange.stuck = true;
  stage.emit("a", "0");
  const held = exchange.body.length;
  for (let n = 1; n < 500; n++) stage.emit("a", `${n}`, "x".repeat(1_000));
  assert.equal(exchange.body.length, held, "nothing is queued for it");
  exchange.stuck = false;
  exchange.handler.onDrain();
  stage.clock.settle();
  stage.emit("a", "live");
  assert.deepEqual(names(heard(exchange)), [...Array.from({ length: 500 }, (_, n) => `${n}`), "live"]);
});

test("a client that takes nothing for 30 s is cut off, and can come back to where it was", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  exchange.stuck = true;
  stage.emit("a", "1");
  stage.clock.advance(29_999);
  assert.equal(exchange.aborted, false);
  stage.clock.advance(1);
  assert.equal(exchange.aborted, true);
  assert.equal(stage.transports.counters.slowConsumers, 1);
  assert.equal(stage.transports.counters.sse, 0);
  stage.emit("a", "2");
  assert.deepEqual(names(heard(stage.stream("", lastEventId(exchange)))), ["2"]);
});

test("more in one tick than may wait for a client is given from the log, whole and once", () => {
  const stage = new RoomStage({ outQueueBytesMax: 10_000 });
  const exchange = stage.stream();
  for (let n = 0; n < 100; n++) stage.server.emit(["a"], [`${n}`, "x".repeat(1_000)]);
  stage.server.emit(["a"], ["now"], { volatile: true });
  stage.clock.settle();
  stage.emit("a", "live");
  assert.deepEqual(names(heard(exchange)), [...Array.from({ length: 100 }, (_, n) => `${n}`), "live"]);
});

test("an application that is deployed meanwhile is not noticed", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  stage.serverGone();
  stage.clock.advance(5_000);
  stage.serverBack();
  stage.emit("a", "lost with the server that is gone");
  assert.deepEqual(heard(exchange), []);
  stage.hub.rooms.publish("/", "a", { json: '["behind"]', attachments: [] }, null, () => {});
  stage.clock.settle();
  assert.deepEqual(names(heard(exchange)), ["behind"]);
  assert.equal(exchange.done, false);
});

test("while nobody can say whether it may, a stream is empty and says when to come again: no EventSource gives up", () => {
  const stage = new RoomStage();
  stage.serverGone();
  const exchange = stage.stream();
  assert.equal(exchange.status, 0);
  stage.clock.advance(10_000);
  assert.deepEqual([exchange.status, exchange.body, exchange.done], [200, "retry: 5000\n\n", true]);
  const waiting = stage.stream();
  stage.serverBack();
  stage.server.port.send({ type: "leaving" });
  assert.match(waiting.body, /^retry: /);
  assert.equal(waiting.done, false);
});

test("when the server stops, streams end with what they have; those that come then are told to come again", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  stage.server.emit(["a"], ["1"]);
  stage.transports.close();
  assert.deepEqual(names(heard(exchange)), ["1"]);
  assert.deepEqual([exchange.done, exchange.aborted], [true, false]);
  const late = stage.stream();
  assert.deepEqual([late.status, late.body, late.done], [200, "retry: 5000\n\n", true]);
});

test("a stream whose client must be asked about again ends, and is refused if the answer is no", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  stage.rule = () => false;
  stage.server.port.send({ type: "open", namespace: "/", rooms: true, recall: true });
  stage.clock.settle();
  assert.equal(exchange.done, true);
  assert.equal(stage.stream("", lastEventId(exchange)).status, 404);
});

test("a stream ends after an hour or a little less, so that its client is asked about again", () => {
  const stage = new RoomStage();
  const exchange = stage.stream();
  stage.clock.advance(54 * 60_000 - 15_000);
  assert.equal(exchange.done, false);
  stage.clock.advance(6 * 60_000 + 30_000);
  assert.deepEqual([exchange.done, exchange.aborted], [true, false]);
});

test("each stream's life is one line of the log", () => {
  const stage = new RoomStage();
  const exchange = stage.stream("", "another.1");
  stage.emit("a", "1");
  stage.clock.advance(1_000);
  exchange.vanish();
  const [fields, text] = stage.logged.at(-1)!;
  assert.equal(text, "room stream closed");
  assert.deepEqual(fields, {
    address: "192.0.2.1",
    namespace: "/",
    room: "a",
    reason: "transport close",
    forMs: 1_000,
    events: 1,
    gaps: 1,
    bytesOut: exchange.body.length,
  });
});
