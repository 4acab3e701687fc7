/** What is bounded, and what happens at each bound. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, FakeLine, FakeServer, handshake, payloadOf, recovering, scene } from "./testing.ts";

test("connections: one too many is closed at once, and there is room again when one has gone", () => {
  const { hub } = scene({ limits: { connectionsMax: 2 } });
  new FakeServer(hub);
  const [first, second] = [new FakeClient(hub).connect(), new FakeClient(hub).connect()];
  const third = new FakeClient(hub).connect();
  assert.deepEqual([first.connected, second.connected, third.connected], [true, true, false]);
  assert.equal(third.line.reason, "forced close");
  assert.equal(hub.status().counters.refusedConnections, 1);
  first.drop();
  third.connect();
  assert.equal(third.connected, true);
  hub.assertInvariants();
});

test("namespaces of one connection: the CONNECT for one too many ends it", () => {
  const { hub } = scene({ limits: { namespacesPerConnectionMax: 2 } });
  new FakeServer(hub);
  const line = new FakeLine("line");
  line.connection = hub.open(line, handshake);
  line.say("0/a,");
  line.say("0/b,");
  assert.equal(line.reason, null);
  line.say("1/b,");
  line.say("0/c,");
  assert.equal(line.reason, null, "one that was left does not count");
  line.say("0/d,");
  assert.equal(line.reason, "forced server close");
  hub.assertInvariants();
});

test("attachments: a packet that announces too many ends the connection before the first has come", () => {
  const { hub } = scene({ limits: { attachmentsMax: 2 } });
  const server = new FakeServer(hub);
  const client = new FakeClient(hub).connect();
  const place = (num: number) => `{"_placeholder":true,"num":${num}}`;
  client.line.say(`52-["two",${place(0)},${place(1)}]`);
  for (const byte of [1, 2]) client.line.connection?.binary(Uint8Array.of(byte));
  assert.equal(server.take("event")[0]?.payload.attachments.length, 2);
  client.line.say(`53-["three",${place(0)},${place(1)},${place(2)}]`);
  assert.equal(client.line.reason, "parse error");
});

test("acknowledgements: the oldest is forgotten without harm, unless its answer comes after all: then its client's line ends", () => {
  const { hub } = scene({ limits: { acknowledgementsMax: 2 } });
  const server = new FakeServer(hub);
  const client = new FakeClient(hub).connect();
  for (const id of [7, 8, 9]) client.line.say(`2${id}["ask"]`);
  const [first, second, third] = server.take("event");
  const reply = (ack: number | null | undefined) =>
    server.port.send({ type: "reply", socket: client.sid, ack: ack!, payload: payloadOf("yes") });
  client.line.take();
  for (const event of [second, third]) reply(event?.ack);
  assert.deepEqual(client.line.take(), ['38["yes"]', '39["yes"]']);
  reply(third?.ack);
  assert.equal(client.line.reason, null, "an answer that was given twice is none of these");
  reply(first?.ack);
  assert.equal(client.line.reason, "transport close");
  assert.equal(hub.status().counters.unanswered, 1);
  hub.assertInvariants();
});

for (const recovery of [true, false]) {
  test(`rooms of one socket: it is not put into more, its server is told, and recovery agrees (${recovery})`, () => {
    const { hub, server } = recovering({ recovery, limits: { roomsPerSocketMax: 3 } });
    const client = new FakeClient(hub).connect();
    const { sid } = client;
    server.join(sid, "a", "b");
    assert.deepEqual(server.take("rooms"), []);
    server.join(sid, "b", sid, "c", "d");
    assert.deepEqual(server.take("rooms"), [{ type: "rooms", socket: sid, joined: [], left: ["d"] }]);
    server.emit(["c"], ["in c"]);
    server.emit(["d"], ["in d"]);
    assert.deepEqual(client.read().events, ['["in c"]']);
    server.leave(sid, "a");
    server.join(sid, "d");
    assert.deepEqual(server.take("rooms"), []);
    server.emit(["d"], ["in d now"]);
    assert.deepEqual(client.read().events, ['["in c"]', '["in d now"]']);
    assert.equal(hub.status().counters.refusedJoins, 1);
    if (recovery) {
      client.drop();
      for (const room of ["a", "b", "c", "d"]) server.emit([room], [`missed in ${room}`]);
      client.connect();
      const missed = ["b", "c", "d"].map((room) => `["missed in ${room}"]`);
      assert.deepEqual(client.events.slice(2), missed);
    }
    hub.assertInvariants();
  });
}

test("emits that wait for the store: one too many is refused as STORE_FULL, and not delivered when the others are", () => {
  const { hub, server, store } = recovering({ limits: { pendingBytesMax: 1_400 } });
  const client = new FakeClient(hub).connect();
  store.quick = false;
  for (const receipt of [1, 2, 3]) server.emit([], [`${receipt}`, "x".repeat(450)], { receipt });
  server.emit([], ["volatile", "x".repeat(450)], { volatile: true, receipt: 4 });
  assert.deepEqual(server.take("unpublished"), [
    { type: "unpublished", receipt: 3, code: "STORE_FULL" },
    { type: "unpublished", receipt: 4, code: "STORE_FULL" },
  ]);
  store.release();
  assert.deepEqual(
    server.take("published").map(({ receipt }) => receipt),
    [1, 2],
  );
  assert.deepEqual(
    client.read().events.map((event) => JSON.parse(event)[0]),
    ["1", "2"],
  );
  store.quick = true;
  server.emit([], ["5"], { receipt: 5 });
  assert.deepEqual(
    server.take("published").map(({ receipt }) => receipt),
    [5],
    "there is room again",
  );
  hub.assertInvariants();
});

test("one emit larger than all that may wait is taken when nothing waits", () => {
  const { hub, server } = recovering({ limits: { pendingBytesMax: 100 } });
  const client = new FakeClient(hub).connect();
  server.emit([], ["large", "x".repeat(450)]);
  assert.equal(client.read().events.length, 1);
  hub.assertInvariants();
});

test("data of a socket: longer than may be, it is not kept, and what was there before stays", () => {
  const { hub, server } = recovering({ limits: { dataLengthMax: 20 } });
  const client = new FakeClient(hub).connect();
  const kept = JSON.stringify({ name: "Anna" });
  server.port.send({ type: "data", socket: client.sid, data: kept });
  server.port.send({ type: "data", socket: client.sid, data: JSON.stringify({ name: "x".repeat(20) }) });
  const next = new FakeServer(hub, "two");
  server.port.gone();
  assert.deepEqual(
    next.take("connect").map(({ data }) => data),
    [kept],
  );
  hub.assertInvariants();
});

test("what is held back until CONNECT is answered: volatile goes first, then the line is closed as a slow consumer", () => {
  const { hub, server } = recovering({ limits: { holdBackBytesMax: 1_000 } });
  server.accepts = false;
  const client = new FakeClient(hub).connect();
  const { socket } = server.take("connect")[0]!;
  server.emit([socket], ["volatile", "x".repeat(450)], { volatile: true });
  server.emit([socket], ["first", "x".repeat(450)]);
  server.emit([socket], ["second", "x".repeat(450)]);
  assert.equal(client.line.reason, null);
  server.port.send({ type: "accept", socket });
  assert.deepEqual(
    client.read().events.map((event) => JSON.parse(event)[0]),
    ["first", "second"],
  );
  const other = new FakeClient(hub).connect();
  const late = server.take("connect")[0]!;
  for (let n = 0; n < 3; n++) server.emit([late.socket], [n, "x".repeat(450)]);
  assert.equal(other.line.reason, "slow consumer");
  assert.equal(hub.status().counters.overflows, 1);
  hub.assertInvariants();
});

test("events that a recovery looks at: beyond their number the session is a new one", () => {
  for (const [missed, recovered] of [
    [5, true],
    [6, false],
  ] as const) {
    const { hub, server } = recovering({ limits: { recoveryEventsMax: 5 } });
    const client = new FakeClient(hub).connect();
    client.drop();
    for (let n = 0; n < missed; n++) server.emit(["elsewhere"], [n]);
    client.connect();
    assert.equal(client.recovered, recovered, `${missed} missed`);
    assert.equal(hub.status().counters.unrecoveredTooMuch, recovered ? 0 : 1);
    hub.assertInvariants();
  }
});

test("names: a private id that is too long is nobody's, and a namespace's ends the connection", () => {
  const { hub, server, store } = recovering({ limits: { pidLengthMax: 10, namespaceLengthMax: 10 } });
  let asked = 0;
  const { loadSession } = store;
  store.loadSession = (...args) => {
    asked++;
    loadSession(...args);
  };
  const client = new FakeClient(hub);
  client.pid = "x".repeat(11);
  client.offset = "a.1";
  client.connect();
  assert.deepEqual([client.connected, client.recovered, asked], [true, false, 0]);
  assert.equal(server.take("connect")[0]?.recovered, false);
  const line = new FakeLine("line");
  line.connection = hub.open(line, handshake);
  line.say(`0/${"x".repeat(9)},`);
  assert.equal(line.reason, null);
  line.say(`0/${"x".repeat(10)},`);
  assert.equal(line.reason, "parse error");
});
