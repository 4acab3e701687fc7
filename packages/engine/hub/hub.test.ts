/** Coming in, going out, rooms, events and acknowledgements: the hub without recovery and handover. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, FakeLine, FakeServer, handshake, payloadOf, scene } from "./testing.ts";

function plain(options = {}) {
  const { hub, clock } = scene({ store: null, ...options });
  return { hub, clock, server: new FakeServer(hub) };
}

test("CONNECT is answered with the id that the server was told, which is not the line's", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect({ token: "t" });
  const [message] = server.take("connect");
  assert.equal(message?.socket, client.sid);
  assert.equal(message?.connection, client.line.id);
  assert.notEqual(client.sid, client.line.id);
  assert.equal(message?.auth, '{"token":"t"}');
  assert.equal(message?.recovered, false);
  assert.deepEqual(client.line.take(), [`0{"sid":"${client.sid}"}`]);
  hub.assertInvariants();
});

test("a refusal is a CONNECT_ERROR with its data, and the namespace can be asked for again", () => {
  const { hub, server } = plain();
  server.accepts = false;
  const client = new FakeClient(hub, "/x").connect();
  const [first] = server.take("connect");
  server.port.send({ type: "refuse", socket: first!.socket, message: "Invalid namespace", data: "" });
  assert.deepEqual(client.line.take(), ['4/x,{"message":"Invalid namespace"}']);
  client.line.say("0/x,{}");
  const [second] = server.take("connect");
  server.port.send({ type: "refuse", socket: second!.socket, message: 'no "way"', data: '{"a":1}' });
  assert.deepEqual(client.line.take(), ['4/x,{"message":"no \\"way\\"","data":{"a":1}}']);
  assert.equal(client.line.reason, null);
  assert.equal(hub.status().namespaces.length, 0, "a namespace that only a client named leaves nothing behind");
  hub.assertInvariants();
});

test("a client's event before it is in ends the connection", () => {
  const { hub, server } = plain();
  server.accepts = false;
  const client = new FakeClient(hub).connect();
  client.emit("early");
  assert.equal(client.line.reason, "forced server close");
  assert.deepEqual(
    server.heard.map((message) => message.type),
    ["connect", "disconnect"],
  );
  hub.assertInvariants();
});

test("a malformed packet, malformed auth, or a stray attachment ends the connection with 'parse error'", () => {
  for (const break_ of [
    (line: FakeLine) => line.say("9"),
    (line: FakeLine) => line.say("0/second,{nope"),
    (line: FakeLine) => line.connection?.binary(new Uint8Array(1)),
  ]) {
    const { hub, server } = plain();
    const client = new FakeClient(hub).connect();
    break_(client.line);
    assert.equal(client.line.reason, "parse error");
    assert.equal(server.take("disconnect")[0]?.reason, "parse error");
    assert.equal(hub.status().connections, 0);
    hub.assertInvariants();
  }
});

test("a second CONNECT to the same namespace ends the connection", () => {
  const { hub } = plain();
  const client = new FakeClient(hub).connect();
  client.line.say("0{}");
  assert.equal(client.line.reason, "forced server close");
});

test("one connection may be in several namespaces, and leaves them one by one", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.say("0/admin,{}");
  const [, admin] = client.line.sent;
  assert.match(admin!.text, /^0\/admin,\{"sid":"/);
  server.take("connect");
  client.line.say("1/admin,");
  const [gone] = server.take("disconnect");
  assert.equal(gone?.reason, "client namespace disconnect");
  assert.notEqual(gone?.socket, client.sid);
  assert.equal(client.line.reason, null);
  client.emit("still here");
  assert.equal(server.take("event")[0]?.socket, client.sid);
  hub.assertInvariants();
});

test("a connection without CONNECT is closed after the time for it, one that is in is not", () => {
  const { hub, clock } = plain();
  const idle = new FakeLine("idle");
  hub.open(idle, handshake);
  const client = new FakeClient(hub).connect();
  clock.advance(44_999);
  assert.equal(idle.reason, null);
  clock.advance(1);
  assert.equal(idle.reason, "forced server close");
  clock.advance(100_000);
  assert.equal(client.line.reason, null);
  assert.equal(clock.pendingCount, 0);
});

test("a client that came before any server waits for one, and no longer than the time for it", () => {
  const { hub, clock } = scene({ store: null });
  const early = new FakeClient(hub).connect();
  const server = new FakeServer(hub);
  early.read();
  assert.equal(early.connected, true);
  server.port.gone();
  const late = new FakeClient(hub).connect();
  clock.advance(45_000);
  assert.equal(late.line.reason, "forced server close");
  hub.assertInvariants();
});

test("a namespace that is not decided in time is refused, the others on the line stay", () => {
  const { hub, clock, server } = plain();
  const client = new FakeClient(hub).connect();
  server.accepts = false;
  client.line.take();
  client.line.say("0/slow,{}");
  clock.advance(45_000);
  assert.deepEqual(client.line.take(), ['4/slow,{"message":"timeout"}']);
  assert.equal(client.line.reason, null);
  hub.assertInvariants();
});

test("an emit reaches rooms less the excepted, each client once, with one encoding for all", () => {
  const { hub, server } = plain();
  const [a, b, c, d] = Array.from({ length: 4 }, () => new FakeClient(hub).connect()) as [
    FakeClient,
    FakeClient,
    FakeClient,
    FakeClient,
  ];
  server.join(a.sid, "x", "y");
  server.join(b.sid, "y");
  server.join(c.sid, "y", "muted");
  server.emit(["x", "y", a.sid], ["hi"], { to: { namespace: "/", rooms: ["x", "y", a.sid], except: ["muted"] } });
  for (const client of [a, b, c, d]) client.read();
  assert.deepEqual([a.events, b.events, c.events, d.events], [['["hi"]'], ['["hi"]'], [], []]);
  assert.equal(a.line.sent.at(-1), b.line.sent.at(-1));
  server.emit([], ["all"], { to: { namespace: "/", rooms: [], except: [d.sid] } });
  for (const client of [a, b, c, d]) client.read();
  assert.deepEqual([a.events.length, b.events.length, c.events.length, d.events.length], [2, 2, 1, 0]);
  server.emit([d.sid], ["one"]);
  assert.deepEqual(d.read().events, ['["one"]']);
  hub.assertInvariants();
});

test("a server's other change of rooms is told to the socket's own server, its own word is not repeated", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  const other = new FakeServer(hub, "two");
  server.join(client.sid, "own");
  assert.deepEqual(server.take("rooms"), []);
  other.join(client.sid, "a", "own");
  assert.deepEqual(server.take("rooms"), [{ type: "rooms", socket: client.sid, joined: ["a"], left: [] }]);
  server.port.send({ type: "leave", to: { namespace: "/", rooms: ["a"], except: [] }, rooms: ["own"] });
  assert.deepEqual(server.take("rooms"), [{ type: "rooms", socket: client.sid, joined: [], left: ["own"] }]);
  other.port.send({ type: "find", request: 7, to: { namespace: "/", rooms: ["a"], except: [] } });
  const [found] = other.take("found");
  assert.equal(found?.request, 7);
  assert.deepEqual(found?.sockets[0]?.rooms, [client.sid, "a"]);
  hub.assertInvariants();
});

test("a client's question is answered with its own packet id, once", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.take();
  client.line.say('217["ask",1]');
  const [event] = server.take("event");
  assert.equal(event?.payload.json, '["ask",1]');
  assert.notEqual(event?.ack, null);
  const reply = { type: "reply", socket: client.sid, ack: event!.ack!, payload: payloadOf("yes") } as const;
  server.port.send(reply);
  server.port.send(reply);
  assert.deepEqual(client.line.take(), ['317["yes"]']);
  client.line.say('51-18["bin",{"_placeholder":true,"num":0}]');
  client.line.connection?.binary(new Uint8Array([1, 2]));
  const [binary] = server.take("event");
  assert.deepEqual(binary?.payload.attachments, [new Uint8Array([1, 2])]);
  const payload = { json: '[{"_placeholder":true,"num":0}]', attachments: [new Uint8Array([9])] };
  server.port.send({ type: "reply", socket: client.sid, ack: binary!.ack!, payload });
  assert.equal(client.line.sent.at(-1)?.text, '61-18[{"_placeholder":true,"num":0}]');
  assert.deepEqual(client.line.sent.at(-1)?.attachments, [new Uint8Array([9])]);
});

test("answers are passed on one by one, and the end says who is missing: timed out or gone", () => {
  const { hub, clock, server } = plain();
  const [a, b, c] = Array.from({ length: 3 }, () => new FakeClient(hub).connect()) as [
    FakeClient,
    FakeClient,
    FakeClient,
  ];
  server.heard.length = 0;
  server.emit([], ["ask"], { answers: 5, timeoutMs: 1000 });
  const id = /^2(\d+)\["ask"\]$/.exec(a.line.sent.at(-1)!.text)?.[1];
  a.line.say(`3${id}["A"]`);
  a.line.say(`3${id}["again"]`);
  b.drop();
  assert.deepEqual(
    server.heard.filter((message) => message.type !== "disconnect"),
    [{ type: "answer", emit: 5, socket: a.sid, payload: payloadOf("A") }],
  );
  server.heard.length = 0;
  clock.advance(1000);
  c.line.say(`3${id}["late"]`);
  assert.deepEqual(server.heard, [{ type: "answered", emit: 5, expected: 3, missing: 2 }]);
  server.heard.length = 0;
  server.emit(["nobody"], ["ask"], { answers: 6 });
  assert.deepEqual(server.take("answered"), [{ type: "answered", emit: 6, expected: 0, missing: 0 }]);
  server.emit([c.sid], ["ask"], { answers: 7, timeoutMs: 50_000 });
  c.line.say(`3${Number(id) + 1}[]`);
  assert.deepEqual(server.heard.at(-1), { type: "answered", emit: 7, expected: 1, missing: 0 });
  assert.equal(hub.status().questions, 0);
  clock.advance(0);
  assert.equal(clock.pendingCount, 0, "a question that is over leaves no timer");
});

test("beyond its bound a server's oldest question is given up", () => {
  const { hub, server } = plain({ limits: { answersMax: 2 } });
  new FakeClient(hub).connect();
  for (const answers of [1, 2, 3]) server.emit([], ["ask"], { answers });
  assert.deepEqual(server.take("answered"), [{ type: "answered", emit: 1, expected: 1, missing: 1 }]);
  assert.equal(hub.status().questions, 2);
});

test("a server's close of a namespace sends DISCONNECT, and what the client had under way does no harm", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.take();
  server.port.send({ type: "close", to: { namespace: "/", rooms: [client.sid], except: [] }, connection: false });
  assert.deepEqual(client.line.take(), ["1"]);
  assert.equal(server.take("disconnect")[0]?.reason, "server namespace disconnect");
  client.emit("under way");
  client.line.say("1");
  assert.equal(client.line.reason, null);
  client.line.say("0{}");
  assert.equal(server.take("connect").length, 1);
  hub.assertInvariants();
});

test("a server's close of a connection ends all its sockets without DISCONNECT: the client may come back", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.say("0/admin,{}");
  client.line.take();
  server.port.send({ type: "close", to: { namespace: "/", rooms: [client.sid], except: [] }, connection: true });
  assert.deepEqual(client.line.take(), []);
  assert.equal(client.line.reason, "forced server close");
  assert.equal(server.take("disconnect").length, 2);
  assert.equal(hub.status().connections, 0);
  hub.assertInvariants();
});

test("an expelled client is told in each namespace before its line ends, and so stays away", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.say("0/admin,{}");
  client.line.take();
  server.port.send({ type: "expel", to: { namespace: "/", rooms: [client.sid], except: [] } });
  assert.deepEqual(client.line.take(), ["1", "1/admin,"]);
  assert.equal(client.line.reason, "forced server close");
  assert.deepEqual(
    server.take("disconnect").map(({ reason }) => reason),
    ["server namespace disconnect", "server namespace disconnect"],
  );
  assert.equal(hub.status().connections, 0);
  hub.assertInvariants();
});

test("a new socket goes to the least loaded server", () => {
  const { hub, server } = plain();
  const other = new FakeServer(hub, "two");
  for (let i = 0; i < 6; i++) new FakeClient(hub).connect();
  assert.equal(server.take("connect").length, 3);
  assert.equal(other.take("connect").length, 3);
});

test("an upgrade is told once to each server that holds a socket of the connection", () => {
  const { hub, server } = plain();
  const client = new FakeClient(hub).connect();
  client.line.say("0/admin,{}");
  client.line.transport = "websocket";
  client.line.connection?.upgraded("websocket");
  assert.deepEqual(server.take("upgraded"), [{ type: "upgraded", connection: client.line.id, transport: "websocket" }]);
});

test("closing the hub closes every line with 'server shutting down' and leaves no timer", () => {
  const { hub, clock, server } = plain();
  const client = new FakeClient(hub).connect();
  const idle = new FakeLine("idle");
  hub.open(idle, handshake);
  hub.close();
  assert.equal(client.line.reason, "server shutting down");
  assert.equal(idle.reason, "server shutting down");
  assert.equal(server.take("disconnect")[0]?.reason, "server shutting down");
  const late = new FakeLine("late");
  hub.open(late, handshake);
  assert.equal(late.reason, "server shutting down");
  assert.equal(clock.pendingCount, 0);
});

test("a server that calls back from within a message finds the hub in order", () => {
  const { hub, server } = plain();
  const [a, b] = [new FakeClient(hub).connect(), new FakeClient(hub).connect()];
  server.onMessage = (message) => {
    if (message.type !== "event") return;
    server.join(message.socket, "talkers");
    server.emit(["talkers"], ["heard", message.payload.json]);
    server.port.send({ type: "close", to: { namespace: "/", rooms: [b.sid], except: [] }, connection: true });
    hub.assertInvariants();
  };
  a.emit("hello");
  assert.deepEqual(a.read().events, ['["heard","[\\"hello\\"]"]']);
  assert.equal(b.line.reason, "forced server close");
  hub.assertInvariants();
});

test("without a store a publish has a receipt with a place, and volatile ones take none", () => {
  const { server } = plain();
  server.emit([], ["a"], { receipt: 1 });
  server.emit([], ["v"], { volatile: true });
  server.emit([], ["b"], { receipt: 2 });
  const [first, second] = server.take("published");
  assert.deepEqual([first?.seq, second?.seq], [1, 2]);
  assert.notEqual(first?.offset, second?.offset);
});

test("an emit that is too large is not taken, and its server is told", () => {
  const { hub, server } = plain({ limits: { emitBytesMax: 200 } });
  const client = new FakeClient(hub).connect();
  server.emit([], ["x".repeat(200)], { receipt: 1 });
  assert.deepEqual(server.take("unpublished"), [{ type: "unpublished", receipt: 1, code: "TOO_LARGE" }]);
  assert.deepEqual(client.read().events, []);
});

test("what a client has not been told is in comes after its CONNECT", () => {
  const { hub, server } = plain();
  server.accepts = false;
  const client = new FakeClient(hub).connect();
  const [message] = server.take("connect");
  server.emit([message!.socket], ["private"]);
  server.join(message!.socket, "room");
  server.emit(["room"], ["in room"]);
  server.emit([], ["not yet for it"]);
  assert.deepEqual(client.line.take(), []);
  server.port.send({ type: "accept", socket: message!.socket });
  assert.deepEqual(client.line.take(), [`0{"sid":"${message!.socket}"}`, '2["private"]', '2["in room"]']);
});
