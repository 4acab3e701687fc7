/** With a slow disk: what goes in first takes effect first, and what is committed is what was delivered. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, recovering } from "./testing.ts";

test("with a slow disk CONNECT waits for its record, and what is emitted to the socket comes after it", () => {
  const { hub, server, store } = recovering();
  store.quick = false;
  const client = new FakeClient(hub).connect();
  const [connect] = server.take("connect");
  server.emit([connect!.socket], ["v"], { volatile: true });
  server.emit([connect!.socket], ["stored"]);
  store.release(1);
  assert.deepEqual(client.line.take(), [], "the stream is open, the record is not committed");
  store.release(1);
  const texts = client.line.take();
  assert.match(texts[0]!, /^0\{"sid"/);
  assert.match(texts[1]!, /^2\["v",/);
  assert.equal(texts.length, 2);
  store.release(1);
  assert.match(client.line.take()[0]!, /^2\["stored",/);
});

test("with a slow disk everything leaves in the order in which it went in", () => {
  const { hub, server, store } = recovering();
  const client = new FakeClient(hub).connect();
  const { sid } = client;
  client.line.take();
  store.quick = false;
  client.line.say('20["ask"]');
  const ack = server.take("event")[0]!.ack!;
  server.emit([], ["e", 1]);
  server.emit([], ["v"], { volatile: true });
  server.emit(["room"], ["before the join"]);
  server.join(sid, "room");
  server.emit(["room"], ["e", 2]);
  server.port.send({ type: "reply", socket: sid, ack, payload: { json: "[1]", attachments: [] } });
  server.leave(sid, "room");
  server.emit(["room"], ["after the leave"]);
  server.port.send({ type: "find", request: 1, to: { namespace: "/", rooms: [], except: [] } });
  server.port.send({ type: "close", to: { namespace: "/", rooms: [sid], except: [] }, connection: false });
  assert.deepEqual(client.line.take(), []);
  hub.assertInvariants();
  store.release();
  assert.deepEqual(
    client.line.take().map((text) => text.replace(/,"[^"]*"\]$/, "]")),
    ['2["e",1]', '2["v"]', '2["e",2]', "30[1]", "1"],
  );
  assert.deepEqual(server.take("found")[0]?.sockets[0]?.rooms, [sid]);
  hub.assertInvariants();
});

test("with a slow disk the stored memberships are those that the events were delivered by", () => {
  const { hub, server, store } = recovering();
  const client = new FakeClient(hub).connect();
  client.vanish();
  store.quick = false;
  server.emit(["room"], ["before"]);
  server.join(client.sid, "room");
  server.emit(["room"], ["inside"]);
  server.join(client.sid, "other");
  server.leave(client.sid, "room");
  server.emit(["room"], ["after"]);
  server.emit(["other"], ["other"]);
  store.release();
  store.quick = true;
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["inside"]', '["other"]']);
});

test("with a slow disk a selector's change of rooms holds back what is emitted after it", () => {
  const { hub, server, store } = recovering();
  const client = new FakeClient(hub).connect();
  client.vanish();
  store.quick = false;
  server.emit([], ["first"]);
  server.port.send({ type: "join", to: { namespace: "/", rooms: [], except: [] }, rooms: ["all"] });
  server.emit(["all"], ["second"]);
  server.join(client.sid, "own");
  server.emit(["own"], ["third"]);
  assert.equal(store.waiting, 1, "only the first is with the store");
  store.release();
  store.release();
  hub.assertInvariants();
  store.quick = true;
  client.connect();
  assert.deepEqual(client.events, ['["first"]', '["second"]', '["third"]']);
});

test("a publish is answered after its commit, and a known key with the first one's place", () => {
  const { hub, server, store } = recovering();
  const client = new FakeClient(hub).connect();
  store.quick = false;
  server.emit([], ["one"], { receipt: 1, key: "k" });
  server.emit([], ["one again"], { receipt: 2, key: "k" });
  assert.deepEqual(server.take("published"), []);
  store.release();
  const [first, second] = server.take("published");
  assert.equal(first?.duplicate, false);
  assert.deepEqual([second?.duplicate, second?.seq, second?.offset], [true, first?.seq, first?.offset]);
  assert.deepEqual(client.read().events, ['["one"]']);
});

test("a store without room refuses the emit, and the records it had no room for go before the next event", () => {
  const { hub, server, memory } = recovering();
  const client = new FakeClient(hub).connect();
  server.emit([], ["warm"]);
  client.read();
  const { append, saveSession } = memory;
  memory.append = (_namespace, _event, done) => done({ ok: false, fault: "STORE_FULL" });
  memory.saveSession = (_record, done) => done(false);
  server.heard.length = 0;
  server.emit([], ["no room"], { receipt: 1 });
  assert.deepEqual(server.take("unpublished"), [{ type: "unpublished", receipt: 1, code: "STORE_FULL" }]);
  server.join(client.sid, "room");
  const refused = new FakeClient(hub).connect();
  assert.equal(refused.connected, true, "a client comes in all the same");
  assert.equal(refused.pid, undefined, "but is not promised recovery");
  client.vanish();
  Object.assign(memory, { append, saveSession });
  server.emit(["room"], ["room again"]);
  client.connect();
  assert.equal(client.recovered, true);
  assert.deepEqual(client.events, ['["warm"]', '["room again"]']);
  hub.assertInvariants();
});
