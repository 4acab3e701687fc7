import assert from "node:assert/strict";
import { test } from "node:test";
import { outgoing, Stage } from "./testing.ts";

test("a handshake by polling is answered with exactly the protocol's keys", () => {
  const stage = new Stage();
  const exchange = stage.request();
  assert.equal(exchange.status, 200);
  assert.equal(exchange.field("content-type"), "text/plain; charset=UTF-8");
  assert.equal(exchange.field("cache-control"), "no-store");
  assert.equal(exchange.field("set-cookie"), undefined);
  assert.equal(exchange.field("access-control-allow-origin"), undefined);
  const match =
    /^0\{"sid":"([\w-]{4}\.[\w-]{20})","upgrades":\["websocket"\],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000\}$/;
  assert.match(exchange.body, match);
  assert.equal(stage.transports.clientsCount, 1);
});

test("session ids of one node share its name and nothing else", () => {
  const stage = new Stage({ nodeId: "n1" });
  const [a, b] = [stage.openPolling().sid, stage.openPolling().sid];
  assert.ok(a.startsWith("n1.") && b.startsWith("n1."));
  assert.notEqual(a, b);
});

test("no upgrade is offered when none is allowed, or no WebSocket is spoken", () => {
  assert.match(new Stage({ allowUpgrades: false }).request().body, /"upgrades":\[\]/);
  assert.match(new Stage({ transports: ["polling"] }).request().body, /"upgrades":\[\]/);
});

test("a poll waits, and is answered at the end of the tick with all that is queued, binary in base64", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const poll = stage.poll(sid);
  connection.line.send(outgoing("one"));
  connection.line.send(outgoing("two", [Buffer.of(1, 2, 3, 4)]));
  connection.line.send(outgoing("drei €"));
  assert.equal(poll.done, false);
  stage.clock.settle();
  assert.equal(poll.body, "4one\x1e4two\x1ebAQIDBA==\x1e4drei €");
});

test("packets that come between two polls wait for the second", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  connection.line.send(outgoing("one"));
  stage.clock.settle();
  assert.equal(stage.poll(sid).body, "4one");
});

test("a payload is no longer than maxPayload, but holds at least one packet", () => {
  const stage = new Stage({ messageBytesMax: 10 });
  const { sid, connection } = stage.openPolling();
  for (const text of ["aaa", "bbb", "ccc", "d".repeat(30), "eee"]) connection.line.send(outgoing(text));
  assert.deepEqual(
    [1, 2, 3, 4].map(() => stage.poll(sid).body),
    ["4aaa\x1e4bbb", "4ccc", `4${"d".repeat(30)}`, "4eee"],
  );
});

test("a POST's packets reach the hub in order, binary among text, and the answer is ok", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const post = stage.post(sid, "4hello\x1ebAQIDBA==\x1e4€");
  assert.deepEqual(connection.heard, ["hello", "hex:01020304", "€"]);
  assert.equal(post.status, 200);
  assert.equal(post.body, "ok");
  assert.equal(post.field("content-type"), "text/html");
});

test("an overlapping poll ends the session: the first gets 1, the second 400, the next 400", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const first = stage.poll(sid);
  const second = stage.poll(sid);
  assert.equal(first.body, "1");
  assert.equal(second.status, 400);
  const third = stage.poll(sid);
  assert.deepEqual([third.status, third.body], [400, '{"code":1,"message":"Session ID unknown"}']);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: transport error"]);
  assert.equal(stage.transports.clientsCount, 0);
});

test("an aborted poll ends the session", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  stage.poll(sid).vanish();
  assert.equal(stage.poll(sid).status, 400);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: transport error"]);
});

test("an aborted POST ends the session, and so does one that overlaps another", () => {
  const stage = new Stage();
  const one = stage.openPolling();
  const query = `?EIO=4&transport=polling&sid=${one.sid}`;
  stage.request({ method: "POST", query, bodyLength: 5 }).vanish();
  assert.equal(stage.poll(one.sid).status, 400);

  const two = stage.openPolling();
  const slow = stage.request({ method: "POST", query: `?EIO=4&transport=polling&sid=${two.sid}`, bodyLength: 5 });
  const poll = stage.poll(two.sid);
  assert.equal(stage.post(two.sid, "4a").status, 400);
  assert.deepEqual([poll.body, slow.status], ["1", 400]);
  // What still arrives of the body, and its end, is nobody's.
  slow.handler.onBody(Buffer.from("4late"));
  slow.handler.onBodyEnd([]);
  stage.clock.settle();
  assert.deepEqual(two.connection.heard, ["closed: transport error"]);
});

test("a client's close by POST releases the poll with 6 and ends the session", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const poll = stage.poll(sid);
  const post = stage.post(sid, "4last\x1e1\x1e4never");
  assert.deepEqual([poll.body, post.body], ["6", "ok"]);
  assert.equal(stage.poll(sid).status, 400);
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["last", "closed: transport close"]);
});

const badBodies: [what: string, body: string | Uint8Array, fields: string[], reason: string][] = [
  ["an unknown packet type", "abc", [], "parse error"],
  ["an empty body", "", [], "parse error"],
  ["an empty packet at the end", "4a\x1e", [], "parse error"],
  ["a ping from the client", "2", [], "transport error"],
  ["base64 that is none", "bA!!", [], "parse error"],
  ["bytes that are not UTF-8", Buffer.of(0x34, 0xff), [], "parse error"],
  ["an octet-stream", "4a", ["content-type", "application/octet-stream"], "transport error"],
];

for (const [what, body, fields, reason] of badBodies) {
  test(`${what} in a POST is answered with 400 and ends the session`, () => {
    const stage = new Stage();
    const { sid, connection } = stage.openPolling();
    const poll = stage.poll(sid);
    assert.equal(stage.post(sid, body, fields).status, 400);
    assert.equal(poll.body, "1");
    assert.equal(stage.poll(sid).status, 400);
    stage.clock.settle();
    assert.equal(connection.heard.at(-1), `closed: ${reason}`);
  });
}

test("a body over the limit is 413, announced or not, and one of exactly the limit is taken", () => {
  const stage = new Stage({ messageBytesMax: 100 });
  const one = stage.openPolling();
  assert.equal(stage.post(one.sid, `4${"x".repeat(99)}`).status, 200);
  assert.equal(stage.post(one.sid, `4${"x".repeat(100)}`).status, 413);
  assert.equal(stage.poll(one.sid).status, 400);

  const two = stage.openPolling();
  const chunked = stage.request({ method: "POST", query: `?EIO=4&transport=polling&sid=${two.sid}`, bodyLength: -1 });
  for (let i = 0; i < 100; i++) chunked.handler.onBody(Buffer.from("4"));
  assert.equal(chunked.done, false);
  chunked.handler.onBody(Buffer.from("4"));
  assert.equal(chunked.status, 413);
  chunked.handler.onBody(Buffer.from("4"));
  chunked.handler.onBodyEnd([]);
  assert.equal(two.connection.heard.length, 0);
});

test("closing lets the queue out with the poll that waits, and says 1 to the next", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const poll = stage.poll(sid);
  connection.line.send(outgoing("bye"));
  connection.line.close("forced server close");
  connection.line.send(outgoing("never"));
  stage.clock.settle();
  assert.equal(poll.body, "4bye");
  assert.deepEqual(connection.heard, ["closed: forced server close"]);
  assert.equal(stage.poll(sid).body, "1");
  assert.equal(stage.poll(sid).status, 400);
  assert.equal(stage.clock.pendingCount, 0);
});

test("closing waits for the next poll, but not for ever; what comes meanwhile is not heard", () => {
  const stage = new Stage();
  const one = stage.openPolling();
  one.connection.line.close("forced server close");
  stage.clock.settle();
  assert.equal(stage.post(one.sid, "4x").status, 200);
  assert.equal(stage.poll(one.sid).body, "1");
  assert.deepEqual(one.connection.heard, ["closed: forced server close"]);

  const two = stage.openPolling();
  two.connection.line.close("forced server close");
  stage.clock.advance(10_000);
  assert.equal(stage.poll(two.sid).status, 400);
  assert.equal(stage.clock.pendingCount, 0);
});

test("the hub may close a line while it is being opened", () => {
  const stage = new Stage({
    open: (line) => {
      line.close("forced server close");
      return { text() {}, binary() {}, upgraded() {}, closed() {} };
    },
  });
  const { body } = stage.request();
  assert.match(body, /^0\{.*\}$/);
  assert.equal(stage.poll(JSON.parse(body.slice(1)).sid).body, "1");
  stage.clock.settle();
  assert.equal(stage.transports.clientsCount, 0);
});

test("a ping is sent after the interval and a pong starts the next; silence ends the session at interval + timeout", () => {
  const stage = new Stage({ pingIntervalMs: 300, pingTimeoutMs: 200 });
  const { sid, connection } = stage.openPolling();
  const first = stage.poll(sid);
  stage.clock.advance(299);
  assert.equal(first.done, false);
  stage.clock.advance(1);
  assert.equal(first.body, "2");
  stage.clock.advance(100);
  stage.post(sid, "3");
  const second = stage.poll(sid);
  stage.clock.advance(300);
  assert.equal(second.body, "2");
  const third = stage.poll(sid);
  stage.clock.advance(199);
  assert.equal(third.done, false);
  stage.clock.advance(1);
  assert.equal(third.body, "1");
  assert.deepEqual(connection.heard, ["closed: ping timeout"]);
  assert.equal(stage.clock.pendingCount, 0);
});

test("a packet while a ping is out buys the pong its timeout once more, and only once", () => {
  const stage = new Stage({ pingIntervalMs: 300, pingTimeoutMs: 200 });
  const { sid, connection } = stage.openPolling();
  stage.clock.advance(400);
  stage.post(sid, "4a");
  stage.clock.advance(150);
  stage.post(sid, "4b");
  stage.clock.advance(49);
  assert.deepEqual(connection.heard, ["a", "b"]);
  stage.clock.advance(1);
  assert.deepEqual(connection.heard, ["a", "b", "closed: ping timeout"]);
});

test("over the bound volatile packets go first, then the session is closed as slow", () => {
  const stage = new Stage({ outQueueBytesMax: 100 });
  const { sid, connection } = stage.openPolling();
  const { line } = connection;
  line.send(outgoing("v".repeat(40), [], true));
  line.send(outgoing("a".repeat(40)));
  line.send(outgoing("b".repeat(40)));
  assert.equal(stage.transports.counters.volatileDropped, 1);
  line.send(outgoing("w".repeat(40), [], true));
  assert.equal(stage.transports.counters.volatileDropped, 2);
  line.send(outgoing("c".repeat(21)));
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: slow consumer"]);
  assert.equal(stage.transports.counters.slowConsumers, 1);
  assert.equal(stage.poll(sid).status, 400);
});

test("one packet larger than the bound still goes when nothing else waits", () => {
  const stage = new Stage({ outQueueBytesMax: 100 });
  const { sid, connection } = stage.openPolling();
  connection.line.send(outgoing("x".repeat(500)));
  assert.equal(stage.poll(sid).body.length, 501);
});

test("stopping ends every session, answers polls that wait, and refuses new ones", () => {
  const stage = new Stage();
  const { sid, connection } = stage.openPolling();
  const poll = stage.poll(sid);
  stage.transports.close();
  assert.equal(poll.body, "1");
  stage.clock.settle();
  assert.deepEqual(connection.heard, ["closed: server shutting down"]);
  assert.equal(stage.request().status, 503);
  assert.equal(stage.clock.pendingCount, 0);
});
