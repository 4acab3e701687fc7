/** What is bounded, and what happens at each bound. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, FakeLine, FakeServer, handshake, recovering, scene } from "./testing.ts";

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
