/** Polls and long polls of a room: what they are answered, and when. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { MemoryStore } from "@tideway/engine/hub";
import { parsed, RoomStage } from "./testing.ts";

const names = (stage: { events: { event: string }[] }) => stage.events.map(({ event }) => event);

test("a poll is answered at once: events with offset, name, arguments and time; where to go on; no gap", () => {
  const stage = new RoomStage();
  stage.emit("a", "said", "hi", { x: [1, null] });
  stage.emit("b", "other");
  stage.emit("a", "left");
  const exchange = stage.poll("?after=0");
  assert.equal(exchange.status, 200);
  assert.equal(exchange.field("content-type"), "application/json; charset=utf-8");
  assert.equal(exchange.field("cache-control"), "no-store");
  const { events, next, gap } = parsed(exchange);
  assert.deepEqual(events, [
    { offset: events[0]!.offset, event: "said", args: ["hi", { x: [1, null] }], at: stage.clock.wall() },
    { offset: next, event: "left", args: [], at: stage.clock.wall() },
  ]);
  assert.equal(gap, false);
  assert.deepEqual(names(parsed(stage.poll(`?after=${events[0]!.offset}`))), ["left"]);
  assert.deepEqual(parsed(stage.poll(`?after=${next}`)), { events: [], next, gap: false });
});

test("without a place a poll begins now, and says where that is", () => {
  const stage = new RoomStage();
  stage.emit("a", "before");
  const { events, next } = parsed(stage.poll());
  assert.deepEqual(events, []);
  stage.emit("a", "behind");
  assert.deepEqual(names(parsed(stage.poll(`?after=${next}`))), ["behind"]);
});

test("a long poll waits for the first event, and is answered at the end of its tick with all that came in it", () => {
  const stage = new RoomStage();
  const exchange = stage.poll("?wait=25");
  stage.clock.advance(20_000);
  assert.equal(exchange.done, false);
  assert.equal(stage.transports.counters.longPolls, 1);
  stage.server.emit(["b"], ["other"]);
  stage.server.emit(["a"], ["now"], { volatile: true });
  stage.server.emit(["a"], ["1"]);
  stage.server.emit(["a"], ["2"]);
  assert.equal(exchange.done, false);
  stage.clock.settle();
  const { events, next, gap } = parsed(exchange);
  assert.deepEqual([names({ events }), gap], [["1", "2"], false]);
  assert.equal(next, events[1]!.offset);
  assert.equal(stage.transports.counters.longPolls, 0);
});

test("a long poll that nothing comes for is answered empty when its time is over, 60 s at most", () => {
  for (const [wait, ms] of [
    ["25", 25_000],
    ["60", 60_000],
    ["999999999", 60_000],
  ] as const) {
    const stage = new RoomStage();
    const exchange = stage.poll(`?wait=${wait}`);
    stage.emit("b", "other");
    stage.clock.advance(ms - 1);
    assert.equal(exchange.done, false);
    stage.clock.advance(1);
    const { events, next } = parsed(exchange);
    assert.deepEqual(events, []);
    stage.emit("a", "1");
    assert.deepEqual(names(parsed(stage.poll(`?after=${next}`))), ["1"]);
  }
});

test("a long poll with something to say says it at once, a gap as well", () => {
  const stage = new RoomStage();
  const { next } = parsed(stage.poll());
  stage.emit("a", "1");
  assert.deepEqual(names(parsed(stage.poll(`?wait=25&after=${next}`))), ["1"]);
  const gap = parsed(stage.poll("?wait=25&after=another.5"));
  assert.deepEqual([names(gap), gap.gap], [["1"], true]);
  const empty = parsed(stage.request({ path: "/socket.io/rooms/empty/events", query: "?wait=25&after=another.5" }));
  assert.deepEqual([empty.events, empty.gap], [[], true]);
});

test("what does not fit one answer is the next one's: by number, and by bytes", () => {
  const stage = new RoomStage();
  for (let n = 0; n < 2_500; n++) stage.server.emit(["a"], [`${n}`]);
  const seen: string[] = [];
  let after = "0";
  const sizes: number[] = [];
  for (;;) {
    const { events, next } = parsed(stage.poll(`?after=${after}`));
    if (events.length === 0) break;
    sizes.push(events.length);
    seen.push(...names({ events }));
    after = next;
  }
  assert.deepEqual(sizes, [1_000, 1_000, 500]);
  assert.deepEqual(
    seen,
    Array.from({ length: 2_500 }, (_, n) => `${n}`),
  );
  assert.equal(parsed(stage.poll("?after=0&limit=7")).events.length, 7);
  assert.equal(parsed(stage.poll("?after=0&limit=5000")).events.length, 1_000);
  const large = new RoomStage();
  for (let n = 0; n < 5; n++) large.server.emit(["a"], [`${n}`, "x".repeat(400_000)]);
  assert.deepEqual(names(parsed(large.poll("?after=0"))), ["0", "1", "2"]);
});

test("a long poll gets no more than fits, and the rest with the next", () => {
  const stage = new RoomStage();
  const exchange = stage.poll("?wait=25&limit=3");
  for (let n = 0; n < 5; n++) stage.server.emit(["a"], [`${n}`]);
  stage.clock.settle();
  const first = parsed(exchange);
  assert.deepEqual(names(first), ["0", "1", "2"]);
  assert.deepEqual(names(parsed(stage.poll(`?wait=25&limit=3&after=${first.next}`))), ["3", "4"]);
});

test("a poll that has looked at much that is not its room's is answered with nothing and a place further on", () => {
  const clock = new FakeClock();
  const store = new MemoryStore({ clock, random: new SeededRandom(1) });
  const stage = new RoomStage({}, { store, limits: { recentBytesMax: 0 } });
  for (let n = 0; n < 12_000; n++) stage.server.emit(["b"], ["other"]);
  stage.server.emit(["a"], ["found"]);
  const first = parsed(stage.poll("?after=0&wait=25"));
  assert.deepEqual(first.events, []);
  assert.deepEqual(names(parsed(stage.poll(`?after=${first.next}&wait=25`))), ["found"]);
});

test("HEAD is a poll's head: its fields and its length, no body, no waiting", () => {
  const stage = new RoomStage();
  stage.emit("a", "said");
  const get = stage.poll("?after=0");
  const head = stage.poll("?after=0&wait=25", { method: "HEAD" });
  assert.deepEqual([head.status, head.body, head.length], [200, "", get.body.length]);
});

test("bytes are base64 in JSON, at any depth, and what only looks like a placeholder stays what it is", () => {
  const stage = new RoomStage();
  stage.server.emit(["a"], [], {
    payload: {
      json: '["file",{"in":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0},{"_placeholder":true,"num":9}]',
      attachments: [Buffer.from("one"), new Uint8Array([0, 255])],
    },
  });
  stage.emit("a", "plain", { _placeholder: true, num: 0 });
  const { events } = parsed(stage.poll("?after=0"));
  assert.deepEqual(events[0]!.args, [
    { in: [{ $binary: "AP8=" }] },
    { $binary: "b25l" },
    { _placeholder: true, num: 9 },
  ]);
  assert.deepEqual(events[1]!.args, [{ _placeholder: true, num: 0 }]);
});

test("names are told as they are, whatever they hold", () => {
  const stage = new RoomStage();
  const odd = ['"', "\\", '\\"', "a\nb", "", "水", "tideway:gap", "a,b"];
  for (const name of odd) stage.emit("a", name, 1);
  stage.emit("a", 5 as unknown as string, 1);
  stage.emit("a", 6 as unknown as string);
  const { events } = parsed(stage.poll("?after=0"));
  assert.deepEqual(names({ events }), [...odd, 5, 6]);
  assert.deepEqual(events.at(-2)!.args, [1]);
  assert.deepEqual(events.at(-1)!.args, []);
});

test("a client that goes while it waits leaves nothing behind", () => {
  const stage = new RoomStage();
  const exchange = stage.poll("?wait=25");
  exchange.vanish();
  stage.emit("a", "1");
  stage.clock.advance(60_000);
  assert.equal(exchange.status, 0);
  assert.equal(stage.transports.counters.longPolls, 0);
});

test("when the server stops, a poll that waits is answered with its place; new ones are told to come again", () => {
  const stage = new RoomStage();
  const exchange = stage.poll("?wait=25");
  stage.transports.close();
  assert.deepEqual(parsed(exchange).events, []);
  const late = stage.poll("?wait=25");
  assert.deepEqual([late.status, late.field("retry-after")], [503, "2"]);
});

test("a poll that waits is answered when its client must be asked about again", () => {
  const stage = new RoomStage();
  const exchange = stage.poll("?wait=25");
  stage.rule = () => false;
  stage.server.port.send({ type: "open", namespace: "/", rooms: true, recall: true });
  stage.clock.settle();
  const { next } = parsed(exchange);
  assert.equal(stage.poll(`?wait=25&after=${next}`).status, 404);
});

test("rooms and namespaces are named by the path and the query, whatever they hold", () => {
  const stage = new RoomStage();
  const room = "chat/1 ünï?#%";
  stage.server.emit([room], ["here"]);
  stage.clock.settle();
  const path = `/socket.io/rooms/${encodeURIComponent(room)}/events`;
  assert.deepEqual(names(parsed(stage.request({ path, query: "?after=0" }))), ["here"]);
  assert.equal(stage.asked.at(-1)?.room, room);
  stage.server.port.send({ type: "open", namespace: "/news", rooms: true, recall: false });
  stage.server.emit(["a"], ["there"], { to: { namespace: "/news", rooms: ["a"], except: [] } });
  stage.clock.settle();
  for (const nsp of ["/news", "news", "%2Fnews"]) {
    assert.deepEqual(names(parsed(stage.poll(`?after=0&nsp=${nsp}`))), ["there"]);
  }
  assert.deepEqual(names(parsed(stage.poll("?after=0"))), []);
});

test("without a store a poll gets what came since the last one, and a gap where that is not at hand any more", () => {
  const stage = new RoomStage({}, { store: null, limits: { recentBytesMax: 2_000 } });
  const { next } = parsed(stage.poll());
  stage.emit("a", "1");
  const answer = parsed(stage.poll(`?after=${next}`));
  assert.deepEqual([names(answer), answer.gap], [["1"], false]);
  for (let n = 2; n < 30; n++) stage.emit("a", `${n}`);
  const late = parsed(stage.poll(`?after=${next}`));
  assert.equal(late.gap, true);
  assert.equal(late.events.at(-1)?.event, "29");
});
