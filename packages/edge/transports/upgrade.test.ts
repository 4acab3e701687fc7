import assert from "node:assert/strict";
import { test } from "node:test";
import { Opcode } from "@tideway/wire/websocket";
import { outgoing, Stage } from "./testing.ts";

test("the probe is answered, the poll that waits is released at once, and traffic moves", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const poll = stage.poll(sid);
  const { stream } = stage.webSocket(sid);
  stream.received.splice(0);
  stream.send("2probe");
  assert.deepEqual(stream.received, ["3probe"]);
  assert.equal(poll.body, "6");
  assert.equal(connection.line.transport, "polling");
  // The client may poll once more before it has read the answer: that poll must not wait for a heartbeat.
  assert.equal(stage.poll(sid).body, "6");
  stream.send("5", "4moved");
  assert.equal(connection.line.transport, "websocket");
  assert.deepEqual(connection.heard, ["upgraded", "moved"]);
  connection.line.send(outgoing("back"));
  stage.clock.settle();
  assert.deepEqual(stream.received, ["3probe", "4back"]);
  assert.equal(stage.transports.counters.upgraded, 1);
});

test("packets that are queued while the client moves are neither lost nor doubled nor reordered", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const { line } = connection;
  line.send(outgoing("1"));
  stage.clock.settle();
  const { stream } = stage.webSocket(sid);
  stream.received.splice(0);
  stream.send("2probe");
  line.send(outgoing("2"));
  assert.equal(stage.poll(sid).body, "41\x1e42");
  line.send(outgoing("3"));
  stream.send("5");
  line.send(outgoing("4"));
  stage.clock.settle();
  assert.deepEqual(stream.received, ["3probe", "43", "44"]);
});

test("after the upgrade polls and POSTs get 400 and a second WebSocket is closed", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const { stream } = stage.webSocket(sid);
  stream.send("2probe", "5");
  assert.deepEqual([stage.poll(sid).status, stage.poll(sid).body], [400, '{"code":3,"message":"Bad request"}']);
  assert.equal(stage.post(sid, "4a").status, 400);
  const second = stage.webSocket(sid);
  assert.equal(second.status, 101);
  assert.deepEqual(second.stream.received.slice(1), ["close 1005"]);
  stream.send("4still here");
  assert.deepEqual(connection.heard, ["upgraded", "still here"]);
});

test("a second WebSocket during a probe is closed, and the first goes on", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const first = stage.webSocket(sid).stream;
  first.send("2probe");
  const second = stage.webSocket(sid).stream;
  assert.deepEqual(second.received.slice(1), ["close 1005"]);
  second.send("5");
  assert.deepEqual(connection.heard, []);
  first.send("5");
  assert.deepEqual(connection.heard, ["upgraded"]);
});

test("a session that began with a WebSocket takes no second one", () => {
  const stage = new Stage({ generateId: () => "abc" });
  stage.openWebSocket();
  assert.deepEqual(stage.webSocket("abc").stream.received.slice(1), ["close 1005"]);
});

test("upgrades that are not allowed are closed", () => {
  const stage = new Stage({ allowUpgrades: false });
  const { sid } = stage.openPolling();
  assert.deepEqual(stage.webSocket(sid).stream.received.slice(1), ["close 1005"]);
});

const failures: [what: string, fail: (stream: ReturnType<Stage["webSocket"]>["stream"], stage: Stage) => void][] = [
  ["says something else than a probe", (stream) => stream.send("4hello")],
  ["sends binary", (stream) => stream.send(Buffer.of(1))],
  ["breaks the framing", (stream) => void stream.emit("data", Buffer.of(0xff, 0xff))],
  ["closes", (stream) => stream.frame(Opcode.close)],
  ["breaks off", (stream) => stream.destroy()],
  ["never finishes within ten seconds", (_stream, stage) => stage.clock.advance(10_000)],
];

for (const [what, fail] of failures) {
  test(`a candidate that ${what} is closed, and the session goes on with polling`, () => {
    const stage = new Stage();
    const { sid, connection } = stage.openPolling();
    const { stream } = stage.webSocket(sid);
    stream.send("2probe");
    fail(stream, stage);
    assert.ok(stream.ended || stream.destroyed);
    const poll = stage.poll(sid);
    assert.equal(poll.done, false, "polls wait again");
    connection.line.send(outgoing("a"));
    stage.clock.settle();
    assert.equal(poll.body, "4a");
    assert.deepEqual(connection.heard, []);
    assert.equal(stage.webSocket(sid).stream.ended, false, "another may try");
  });
}

test("closing while the client moves is finished on the transport it moves to", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const { stream } = stage.webSocket(sid);
  stream.received.splice(0);
  stream.send("2probe");
  connection.line.send(outgoing("bye"));
  connection.line.close("forced server close");
  stage.clock.settle();
  stream.send("5");
  stage.clock.settle();
  assert.deepEqual(stream.received, ["3probe", "4bye", "close 1005"]);
  assert.deepEqual(connection.heard, ["closed: forced server close"]);
});

test("a session that ends takes its candidate along", () => {
  const stage = new Stage();
  const { sid } = stage.openPolling();
  const { stream } = stage.webSocket(sid);
  stage.poll(sid).vanish();
  assert.equal(stream.ended, true);
  stream.destroy();
  stage.clock.settle();
  assert.equal(stage.clock.pendingCount, 0);
});
