/** Answers that a dead server owed: they end in an answer of another server or with the line, never in silence. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, FakeServer, payloadOf, recovering } from "./testing.ts";

const question = '27["ask"]';

/** A client with one question at the server `one`, which has handled it, and a client with none. */
function asked(answer: "owed" | "given" | "unhandled") {
  const { hub, server } = recovering();
  const [client, other] = [new FakeClient(hub).connect(), new FakeClient(hub).connect()];
  server.handles = answer !== "unhandled";
  server.take("event");
  client.line.take();
  client.line.say(question);
  const [event] = server.take("event");
  const next = new FakeServer(hub, "two");
  const reply = (from: FakeServer, ack: number) =>
    from.port.send({ type: "reply", socket: client.sid, ack, payload: payloadOf("yes") });
  if (answer === "given") reply(server, event!.ack!);
  return { hub, server, next, client, other, event: event!, reply };
}

test("a server that dies after a handler and before its answer: the asker's line ends, and it is recovered", () => {
  const { hub, server, next, client, other } = asked("owed");
  server.port.gone();
  assert.equal(client.line.reason, "transport close");
  assert.equal(other.line.reason, null, "nobody else's line ends");
  assert.deepEqual(next.take("event"), [], "the event is not handled twice");
  assert.equal(hub.status().counters.unanswered, 1);
  const { sid } = client;
  next.emit([sid], ["meanwhile"]);
  client.drop();
  client.connect();
  assert.deepEqual([client.recovered, client.sid, client.events], [true, sid, ['["meanwhile"]']]);
  const returns = next.take("connect").map(({ socket, recovered }) => [socket, recovered]);
  assert.deepEqual(returns, [[sid, true]]);
  hub.assertInvariants();
});

test("an answer that was given, and a question that was not yet handled, keep the line", () => {
  const given = asked("given");
  given.server.port.gone();
  assert.equal(given.client.line.reason, null);
  assert.deepEqual(given.client.line.take(), ['37["yes"]']);

  const { server, next, client, reply, hub } = asked("unhandled");
  server.port.gone();
  assert.equal(client.line.reason, null);
  const [again] = next.take("event");
  reply(next, again!.ack!);
  assert.deepEqual(client.line.take(), ['37["yes"]']);
  next.port.gone();
  assert.equal(client.line.reason, null, "it owes nothing any more");
  hub.assertInvariants();
});

test("a server that leaves may still answer; what it owes when it is gone ends the line", () => {
  const first = asked("owed");
  first.server.port.send({ type: "leaving" });
  assert.equal(first.client.line.reason, null);
  first.reply(first.server, first.event.ack!);
  first.server.port.gone();
  assert.deepEqual(first.client.line.take(), ['37["yes"]']);
  assert.equal(first.client.line.reason, null);

  const second = asked("owed");
  second.server.port.send({ type: "leaving" });
  second.server.port.gone();
  assert.equal(second.client.line.reason, "transport close");
  second.hub.assertInvariants();
});

test("events behind the lost answer are handled by the next server, and the client comes back to it", () => {
  const { hub, server, next, client } = asked("owed");
  server.handles = false;
  client.line.say('2["later"]');
  server.port.gone();
  assert.equal(client.line.reason, "transport close");
  assert.deepEqual(
    next.take("event").map(({ payload }) => payload.json),
    ['["later"]'],
  );
  client.connect();
  assert.equal(client.recovered, true);
  hub.assertInvariants();
});
