/** A client that comes back: what it gets, in which order, and when it is told that nothing is missing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, FakeServer, recovering, scene } from "./testing.ts";

/** Nothing is kept at hand: everything missed is read from the store. */
const fromStore = { recentBytesMax: 0 };

test("with recovery CONNECT holds a pid, and every plain event an offset, volatile ones too", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  assert.equal(typeof client.pid, "string");
  client.line.take();
  server.emit([], ["a", 1]);
  server.emit([], ["v"], { volatile: true });
  server.emit([], ["q"], { answers: 1 });
  const [plain, volatile, question] = client.line.take();
  const offset = /^2\["a",1,"([^"]+)"\]$/.exec(plain!)?.[1];
  assert.ok(offset);
  assert.equal(volatile, `2["v","${offset}"]`, "a volatile event carries the place behind the last stored one");
  assert.match(question!, /^2\d+\["q"\]$/, "one that wants an answer carries none: its last argument is a function");
});

test("CONNECT with the same sid and pid comes first, then what was missed, then what is live", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  const { sid, pid } = client;
  server.join(sid, "room");
  server.emit(["room"], ["seen"]);
  client.drop();
  server.emit(["room"], ["missed", 1]);
  server.emit(["other"], ["not its own"]);
  server.emit([], ["missed", 2]);
  server.take("connect");
  client.connect();
  assert.deepEqual(
    client.line.sent.map((packet) => packet.text.replace(/,"[^"]*"\]$/, "]").slice(0, 20)),
    [`0{"sid":"${sid}","pid"`.slice(0, 20), '2["missed",1]', '2["missed",2]'],
  );
  assert.equal(client.recovered, true);
  assert.deepEqual([client.sid, client.pid], [sid, pid]);
  const [connect] = server.take("connect");
  assert.equal(connect?.recovered, true);
  assert.equal(connect?.handover, false);
  assert.deepEqual(connect?.rooms, [sid, "room"]);
  server.emit(["room"], ["live"]);
  assert.deepEqual(client.read().events, ['["seen"]', '["missed",1]', '["missed",2]', '["live"]']);
  hub.assertInvariants();
});

test("trap: a slow middleware during recovery neither loses nor doubles what comes meanwhile", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  client.drop();
  server.emit([], ["missed"]);
  server.accepts = false;
  server.heard.length = 0;
  client.connect();
  server.emit([], ["meanwhile", 1]);
  server.emit([], ["meanwhile", 2], { volatile: true });
  assert.deepEqual(client.line.sent, []);
  server.port.send({ type: "accept", socket: server.take("connect")[0]!.socket });
  server.emit([], ["after"]);
  client.read();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["missed"]', '["meanwhile",1]', '["meanwhile",2]', '["after"]']);
  hub.assertInvariants();
});

test("trap: a client that has received nothing yet is recovered from where its session began", () => {
  const { hub, server } = recovering();
  server.emit([], ["before its time"]);
  const client = new FakeClient(hub).connect();
  assert.equal(client.offset, undefined);
  client.vanish();
  server.emit([], ["lost on the way"]);
  client.drop();
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["lost on the way"]']);
});

test("trap: a volatile event does not overwrite the offset with something else", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  server.emit([], ["one"]);
  server.emit([], ["note", "a trailing string"], { volatile: true });
  client.drop();
  server.emit([], ["two"]);
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["one"]', '["note","a trailing string"]', '["two"]']);
});

test("trap: a reconnect before the loss was noticed takes over from the ghost, whose line is closed quietly", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  const { sid } = client;
  server.join(sid, "room");
  client.read();
  const old = client.line;
  client.vanish();
  server.emit(["room"], ["into the void"]);
  server.heard.length = 0;
  client.connect();
  assert.equal(client.recovered, true);
  assert.equal(client.sid, sid);
  assert.deepEqual(client.events, ['["into the void"]']);
  assert.equal(old.reason, "transport close");
  assert.ok(!old.sent.some((packet) => packet.text.startsWith("1")), "no DISCONNECT");
  assert.deepEqual(
    server.heard.map((message) => message.type),
    ["disconnect", "connect"],
  );
  old.connection?.closed("ping timeout");
  server.emit(["room"], ["live"]);
  assert.deepEqual(client.read().events, ['["into the void"]', '["live"]']);
  assert.equal(hub.status().counters.ghosts, 1);
  hub.assertInvariants();
});

test("trap: a second and a third recovery send nothing again", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  const expected: string[] = [];
  for (let round = 1; round <= 3; round++) {
    client.drop();
    server.emit([], ["missed", round]);
    client.connect();
    assert.equal(client.recovered, true);
    server.emit([], ["live", round]);
    client.read();
    expected.push(`["missed",${round}]`, `["live",${round}]`);
  }
  client.drop();
  client.connect();
  assert.deepEqual(client.events, expected);
});

test("two attempts with the same pid at once: the later one wins, the earlier line is closed", () => {
  const { hub, server, store } = recovering();
  const client = new FakeClient(hub).connect();
  client.drop();
  server.emit([], ["missed"]);
  store.quick = false;
  client.connect();
  const first = client.line;
  client.connect();
  store.release();
  store.release();
  client.read();
  assert.equal(first.reason, "transport close");
  assert.deepEqual(first.sent, []);
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["missed"]']);
  hub.assertInvariants();
});

test("events before a join are not delivered on recovery, those between join and leave are", () => {
  const { hub, server } = recovering();
  const client = new FakeClient(hub).connect();
  client.vanish();
  server.emit(["room"], ["before"]);
  server.join(client.sid, "room");
  server.emit(["room"], ["inside"]);
  server.leave(client.sid, "room");
  server.emit(["room"], ["after"]);
  server.join(client.sid, "room");
  server.emit(["room"], ["inside again"]);
  server.emit([], ["excepted"], { to: { namespace: "/", rooms: [], except: ["room"] } });
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["inside"]', '["inside again"]']);
});

test("an event for a socket that had not been told it is in is found again after a loss", () => {
  const { hub, server } = recovering();
  server.emit([], ["long ago"]);
  server.accepts = false;
  const client = new FakeClient(hub).connect();
  const socket = server.take("connect")[0]!.socket;
  server.emit([socket], ["welcome"]);
  server.emit([], ["not for it yet"]);
  server.port.send({ type: "accept", socket });
  client.read(1);
  assert.equal(client.connected, true);
  client.vanish();
  server.accepts = true;
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["welcome"]']);
});

test("memberships that are forgotten make an old offset unprovable, not wrong", () => {
  const { hub, server } = recovering({ limits: { pastMembershipsMax: 2 } });
  const client = new FakeClient(hub).connect();
  server.emit([], ["seen"]);
  client.read();
  client.vanish();
  for (const room of ["a", "b", "c", "d"]) {
    server.join(client.sid, room);
    server.emit([room], [room]);
    server.leave(client.sid, room);
  }
  const { pid } = client;
  client.connect();
  assert.equal(client.recovered, false);
  assert.notEqual(client.pid, pid);
});

for (const [what, spoil] of [
  ["an offset of another stream", (client: FakeClient) => (client.offset = `other${client.offset}`)],
  ["an offset from the future", (client: FakeClient) => (client.offset = client.offset?.replace(/\..*$/, ".zz"))],
  ["an offset that is none", (client: FakeClient) => (client.offset = "just a string")],
  ["a pid that nobody has", (client: FakeClient) => (client.pid = "nobody's")],
  ["a pid that is too long", (client: FakeClient) => (client.pid = "x".repeat(10_000))],
] as const) {
  test(`${what} gives a new session, and the server is told so`, () => {
    const { hub, server } = recovering();
    const client = new FakeClient(hub).connect();
    server.emit([], ["one"]);
    client.drop();
    server.emit([], ["two"]);
    const { sid, pid } = client;
    spoil(client);
    server.heard.length = 0;
    client.connect();
    assert.equal(client.connected, true);
    assert.equal(client.recovered, false);
    assert.notEqual(client.sid, sid);
    assert.notEqual(client.pid, pid);
    assert.deepEqual(client.events, ['["one"]']);
    assert.deepEqual(server.take("connect")[0]?.rooms, []);
    server.emit([], ["three"]);
    assert.deepEqual(client.read().events, ['["one"]', '["three"]']);
    hub.assertInvariants();
  });
}

test("what retention has taken cannot be proved: a new session", () => {
  const { hub, server } = recovering({ limits: fromStore }, { retentionBytes: 500 });
  const client = new FakeClient(hub).connect();
  server.emit([], ["seen"]);
  client.drop();
  for (let i = 0; i < 20; i++) server.emit([], ["missed", i]);
  client.connect();
  assert.equal(client.recovered, false);
  assert.deepEqual(client.events, ['["seen"]']);
  hub.assertInvariants();
});

for (const limits of [fromStore, {}])
  test("more missed than a line may hold gives a new session instead of an endless loop", () => {
    const { hub, server } = recovering({ limits: { ...limits, recoveryBytesMax: 1000 } });
    const client = new FakeClient(hub).connect();
    client.drop();
    for (let i = 0; i < 20; i++) server.emit([], ["x".repeat(100)]);
    client.connect();
    assert.equal(client.recovered, false);
    server.emit([], ["live"]);
    assert.deepEqual(client.read().events, ['["live"]']);
    hub.assertInvariants();
  });

test("what is at hand is one packet for all who come back, and only what is older is read from the store", () => {
  const { hub, server, store } = recovering({ limits: { recentBytesMax: 1000 } });
  const [away, other] = [new FakeClient(hub).connect(), new FakeClient(hub).connect()];
  away.drop();
  other.drop();
  for (let i = 0; i < 10; i++) server.emit([], ["e", i]);
  const read = store.read;
  const reads: number[] = [];
  store.read = (namespace, after, limit, done) => {
    reads.push(after);
    read(namespace, after, limit, done);
  };
  away.connect();
  assert.equal(away.events.length, 10);
  assert.deepEqual(reads, [0]);
  other.connect();
  assert.equal(other.events.length, 10);
  assert.deepEqual(reads, [0, 0]);
  assert.ok(away.line.sent.includes(other.line.sent.at(-1)!));
  assert.ok(!away.line.sent.includes(other.line.sent[1]!));
  away.drop();
  server.emit([], ["e", 10]);
  away.connect();
  assert.equal(away.events.length, 11);
  assert.equal(reads.length, 2, "a short gap needs no disk");
  hub.assertInvariants();
});

for (const { bytes, once, each } of [
  { bytes: 1024 * 1024, once: [8, 6, 4, 2, 0], each: [] },
  // Five events: what is older is read by each client for itself.
  { bytes: 1_500, once: [8, 6, 4], each: [0, 2, 4] },
]) {
  test(`after a hub was killed thousands share what was read once: its last events, as many as ${bytes} bytes hold`, () => {
    const limits = { recoveryReadEvents: 2, recentBytesMax: bytes };
    const { hub, server, store, clock, random } = recovering({ limits });
    const clients = Array.from({ length: 20 }, () => new FakeClient(hub).connect());
    for (let i = 1; i <= 10; i++) server.emit(i % 2 === 0 ? [clients[i]!.sid] : [], ["e", i]);
    hub.close();
    const reads: number[] = [];
    const read = store.read;
    store.read = (namespace, after, limit, done) => {
      reads.push(after);
      read(namespace, after, limit, done);
    };
    const { hub: again } = scene({ store, clock, random, limits });
    const next = new FakeServer(again);
    for (const client of clients) Object.assign(client, { hub: again }).connect();
    next.emit([], ["live"]);
    for (const [i, client] of clients.entries()) {
      assert.equal(client.recovered, true);
      const own = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter((seq) => seq % 2 === 1 || seq === i);
      assert.deepEqual(client.read().events, [...own.map((seq) => `["e",${seq}]`), '["live"]']);
    }
    assert.deepEqual(reads, [...once, ...clients.flatMap(() => each)]);
    again.assertInvariants();
  });
}

test("a long gap is read in pieces", () => {
  const { hub, server } = recovering({ limits: { ...fromStore, recoveryReadEvents: 3 } });
  const client = new FakeClient(hub).connect();
  client.drop();
  for (let i = 0; i < 10; i++) server.emit([], ["e", i]);
  client.connect();
  assert.equal(client.recovered, true);
  assert.equal(client.events.length, 10);
});

test("a session ends with the client's or the server's word, not with a lost line", () => {
  for (const end of ["client", "server"] as const) {
    const { hub, server } = recovering();
    const client = new FakeClient(hub).connect();
    if (end === "client") client.line.say("1");
    else {
      const to = { namespace: "/", rooms: [client.sid], except: [] };
      server.port.send({ type: "close", to, connection: false });
    }
    client.drop();
    client.connect();
    assert.equal(client.recovered, false);
  }
});

test("rooms and data survive the hub's end: another hub on the same store takes the client up", () => {
  const first = recovering();
  const client = new FakeClient(first.hub).connect();
  first.server.join(client.sid, "a", "b");
  first.server.leave(client.sid, "b");
  first.server.port.send({ type: "data", socket: client.sid, data: '{"name":"ann"}' });
  first.server.emit(["a"], ["one"]);
  client.read();
  first.server.emit(["a"], ["two"]);
  const { hub } = scene({ store: first.memory, clock: first.clock, random: first.random });
  const server = new FakeServer(hub, "new");
  const back = new FakeClient(hub);
  Object.assign(back, { pid: client.pid, offset: client.offset });
  back.connect();
  assert.equal(back.recovered, true);
  assert.deepEqual(back.events, ['["two"]']);
  const [connect] = server.take("connect");
  assert.deepEqual([connect?.rooms, connect?.data], [[client.sid, "a"], '{"name":"ann"}']);
  hub.assertInvariants();
});

test("a gap that retention takes whole before it is read is not looked for for ever: a new session", () => {
  const { hub, server, store } = recovering({ limits: { recentBytesMax: 0 } }, { retentionBytes: 500 });
  const client = new FakeClient(hub).connect();
  client.drop();
  server.emit([], ["missed"]);
  store.quick = false;
  client.connect();
  server.emit([], ["before the client is in its rooms"]);
  // The record is there, and the client's turn comes after that event; meanwhile the store takes many more.
  store.release(1);
  for (let n = 0; n < 20; n++) server.emit([], [`later ${n}`]);
  while (store.waiting > 0) store.release(1);
  assert.deepEqual([client.read().connected, client.recovered], [true, false]);
  assert.equal(hub.status().counters.unrecoveredTrimmed, 1);
  hub.assertInvariants();
});
