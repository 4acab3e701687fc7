/** Servers that come and go: their sockets stay, and what they had not handled is handled by others. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ToServer } from "./contract.ts";
import { FakeClient, FakeServer, handshake, payloadOf, scene } from "./testing.ts";

const eventsOf = (messages: readonly ToServer[]) =>
  messages.flatMap((message) => (message.type === "event" ? [message.payload.json] : []));

test("a server that dies loses its sockets to another, with rooms and data; the clients see nothing", () => {
  const { hub } = scene();
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  one.join(client.sid, "room");
  one.port.send({ type: "data", socket: client.sid, data: '{"n":1}' });
  const two = new FakeServer(hub, "two");
  client.line.take();
  one.port.gone();
  assert.deepEqual(two.take("connect"), [
    {
      type: "connect",
      socket: client.sid,
      connection: client.line.id,
      transport: "websocket",
      namespace: "/",
      handshake,
      auth: "{}",
      recovered: true,
      handover: true,
      rooms: [client.sid, "room"],
      data: '{"n":1}',
    },
  ]);
  assert.deepEqual(client.line.take(), []);
  assert.equal(client.line.reason, null);
  two.emit(["room"], ["still in the room"]);
  client.emit("to the new one");
  assert.deepEqual(eventsOf(two.heard), ['["to the new one"]']);
  assert.equal(client.read().events.length, 1);
  hub.assertInvariants();
});

test("what a dead server had not handled goes to the next, in order, before what is newer", () => {
  const { hub } = scene();
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  one.handles = false;
  for (const n of [1, 2, 3]) client.emit("e", n);
  const [first] = one.take("event");
  one.port.send({ type: "done", seq: first!.seq });
  one.port.gone();
  client.emit("e", 4);
  const two = new FakeServer(hub, "two");
  client.emit("e", 5);
  assert.deepEqual(eventsOf(two.heard), ['["e",2]', '["e",3]', '["e",4]', '["e",5]']);
  assert.equal(two.heard[0]?.type, "connect");
  hub.assertInvariants();
});

test("a question that a dead server had not handled is answered by the next", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  client.line.take();
  one.handles = false;
  client.line.say('23["ask"]');
  one.port.gone();
  const two = new FakeServer(hub, "two");
  const [event] = two.take("event");
  two.port.send({ type: "reply", socket: client.sid, ack: event!.ack!, payload: payloadOf("yes") });
  assert.deepEqual(client.line.take(), ['33["yes"]']);
});

test("a server that leaves hands over at once, is given nothing new, and may still answer", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  client.line.say('21["ask"]');
  const ack = one.take("event")[0]!.ack!;
  one.port.send({ type: "leaving" });
  const waiting = new FakeClient(hub).connect();
  assert.equal(waiting.connected, false, "nobody is there to ask");
  const two = new FakeServer(hub, "two");
  one.heard.length = 0;
  client.emit("for the new one");
  client.line.take();
  one.port.send({ type: "reply", socket: client.sid, ack, payload: payloadOf("late") });
  one.emit([client.sid], ["bye"], { receipt: 9 });
  assert.deepEqual(client.line.take(), ['31["late"]', '2["bye"]']);
  assert.deepEqual(eventsOf(two.heard), ['["for the new one"]']);
  assert.equal(waiting.read().connected, true);
  assert.deepEqual(
    one.heard.map((message) => message.type),
    ["published"],
  );
  one.port.gone();
  hub.assertInvariants();
});

test("when nobody comes in time the lines are closed, without DISCONNECT, and the sessions can be recovered", () => {
  const { hub, clock } = scene({ handoverMs: 30_000 });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  client.line.take();
  one.port.gone();
  clock.advance(29_999);
  assert.equal(client.line.reason, null);
  clock.advance(1);
  assert.equal(client.line.reason, "forced server close");
  assert.deepEqual(client.line.take(), []);
  hub.assertInvariants();
  const two = new FakeServer(hub, "two");
  two.emit([], ["meanwhile"]);
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["meanwhile"]']);
});

test("a server that takes the socket but never says so has no longer than the others", () => {
  const { hub, clock } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  const two = new FakeServer(hub, "two");
  two.accepts = false;
  one.port.gone();
  client.emit("waits");
  clock.advance(30_000);
  assert.equal(client.line.reason, "forced server close");
  assert.deepEqual(eventsOf(two.heard), []);
  assert.equal(two.take("disconnect").length, 1);
  hub.assertInvariants();
});

test("a server that refuses a handover makes the client come back and ask properly", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  client.line.take();
  const two = new FakeServer(hub, "two");
  two.accepts = false;
  one.port.gone();
  two.port.send({ type: "refuse", socket: client.sid, message: "no", data: "" });
  assert.equal(client.line.reason, "forced server close");
  assert.deepEqual(client.line.take(), []);
  hub.assertInvariants();
});

test("beyond its bound the queue of a socket without a server closes the connection instead of losing silently", () => {
  const { hub } = scene({ store: null, limits: { handoverQueueBytesMax: 1000 } });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  one.port.gone();
  client.emit("x".repeat(500));
  assert.equal(client.line.reason, null);
  client.emit("y".repeat(500));
  assert.equal(client.line.reason, "forced close");
  hub.assertInvariants();
  const two = new FakeServer(hub, "two");
  assert.deepEqual(
    two.heard.map((message) => message.type),
    ["connect", "event", "event", "disconnect"],
    "what had been taken is still handled",
  );
  hub.assertInvariants();
});

test("a client that goes while nobody serves it is not forgotten with its last words", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  one.port.gone();
  client.emit("save this");
  client.drop();
  hub.assertInvariants();
  assert.equal(hub.status().lingering, 1);
  const two = new FakeServer(hub, "two");
  assert.deepEqual(
    two.heard.map((message) => message.type),
    ["connect", "event", "disconnect"],
  );
  assert.equal(hub.status().lingering, 0);
  hub.assertInvariants();
});

test("events that a server got from a client that has gone are handled by the next one too", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  one.handles = false;
  const client = new FakeClient(hub).connect();
  client.emit("a");
  client.emit("b");
  client.drop();
  const two = new FakeServer(hub, "two");
  one.port.gone();
  assert.deepEqual(
    two.heard.map((message) => message.type),
    ["connect", "event", "event", "disconnect"],
  );
  hub.assertInvariants();
});

test("a client that comes back finds its last words with it", () => {
  const { hub } = scene();
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  one.port.gone();
  client.emit("one");
  client.drop();
  client.connect();
  const two = new FakeServer(hub, "two");
  client.read();
  assert.equal(client.recovered, true);
  client.emit("two");
  assert.deepEqual(eventsOf(two.heard), ['["one"]', '["two"]']);
  assert.equal(two.take("connect").length, 1);
  assert.equal(hub.status().lingering, 0);
  hub.assertInvariants();
});

test("a socket whose server dies before it has decided is put to another, as new", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  one.accepts = false;
  const client = new FakeClient(hub).connect();
  const two = new FakeServer(hub, "two");
  one.port.gone();
  client.read();
  assert.equal(client.connected, true);
  const [connect] = two.take("connect");
  assert.deepEqual([connect?.handover, connect?.recovered], [false, false]);
  hub.assertInvariants();
});

test("the dead server's questions are dropped, and a late answer harms nobody", () => {
  const { hub } = scene({ store: null });
  const one = new FakeServer(hub, "one");
  const client = new FakeClient(hub).connect();
  client.line.take();
  one.emit([], ["ask"], { answers: 1, timeoutMs: 1000 });
  const id = /^2(\d+)/.exec(client.line.take()[0]!)?.[1];
  const two = new FakeServer(hub, "two");
  one.port.gone();
  client.line.say(`3${id}[]`);
  assert.equal(client.line.reason, null);
  assert.equal(hub.status().questions, 0);
  assert.deepEqual(two.take("answer"), []);
});

test("a server that never handles what it gets makes its busiest client's line end, not memory", () => {
  const { hub } = scene({ store: null, limits: { unhandledBytesMax: 2000 } });
  const one = new FakeServer(hub, "one");
  one.handles = false;
  const client = new FakeClient(hub).connect();
  for (let i = 0; i < 10 && client.line.reason === null; i++) client.emit("x".repeat(500));
  assert.equal(client.line.reason, "forced close");
  assert.ok(hub.status().servers[0]!.unhandledBytes <= 2000);
  hub.assertInvariants();
});

test("words of two visits of one client, left with two dead servers, are handled once and in order", () => {
  const { hub } = scene();
  const one = new FakeServer(hub, "one");
  one.handles = false;
  const client = new FakeClient(hub).connect();
  one.join(client.sid, "room");
  client.emit("a");
  client.drop();
  new FakeClient(hub).connect();
  const two = new FakeServer(hub, "two");
  two.handles = false;
  client.connect();
  assert.equal(client.recovered, true);
  client.emit("b");
  client.drop();
  assert.deepEqual(eventsOf(two.heard), ['["b"]'], "the second visit is with the second server");
  two.accepts = false;
  one.port.gone();
  two.port.gone();
  hub.assertInvariants();
  const three = new FakeServer(hub, "three");
  assert.deepEqual(eventsOf(three.heard), ['["a"]', '["b"]']);
  const about = three.heard.filter((message) => "socket" in message && message.socket === client.sid);
  assert.deepEqual(
    about.map((message) => message.type),
    ["connect", "event", "event", "disconnect"],
  );
  assert.deepEqual(about[0]?.type === "connect" && about[0].rooms, [client.sid, "room"]);
  assert.equal(hub.status().lingering, 0);
  hub.assertInvariants();
});
