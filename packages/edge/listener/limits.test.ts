/** Limits of time and number: what waits too long, or is too many, goes. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { type Exchange, limits, OperatorError, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createListener } from "./index.ts";
import { answer, eventually, get, Recording, startRig, tick } from "./testing.ts";

test("a head that is not whole 10 s after its first byte is a 408", async (context) => {
  const rig = await startRig(context, () => assert.fail("reached a target"));
  const client = await rig.client();
  client.say("GET / HTTP/1.1\r\nHost: a\r\n");
  await eventually(() => rig.listener.counters.connections === 1);
  for (let i = 0; i < 20; i++) await tick();
  rig.clock.advance(9_000);
  client.say("X: slow\r\n");
  for (let i = 0; i < 20; i++) await tick();
  assert.equal(client.heard, "");
  rig.clock.advance(2_000);
  assert.match(await client.untilEnd(), /^HTTP\/1.1 408 [\s\S]*connection: close/);
  assert.equal(rig.records[0]!.fault, "HEAD_TIMEOUT");
  const line = rig.log.find((entry) => entry.fields["code"] === "HEAD_TIMEOUT");
  assert.deepEqual([line?.fields["rule"], line?.fields["section"]], [19, "RFC 9110 §15.5.9"]);
});

test("the head's time counts from its first byte, not from the last answer", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
  const client = await rig.client();
  client.say(get());
  await client.hears("pong");
  rig.clock.advance(60_000);
  client.say("GET / HTTP/1.1\r\n");
  for (let i = 0; i < 20; i++) await tick();
  rig.clock.advance(5_000);
  client.say("Host: a\r\n\r\n");
  await client.hears((heard) => heard.split("pong").length === 3);
});

test("a connection that rests, whose last heads are let go, is answered as before", async (context) => {
  const seen: unknown[] = [];
  const rig = await startRig(context, (exchange) => {
    seen.push([exchange.head.fields, exchange.head.memo !== undefined]);
    answer(exchange, "pong");
  });
  const client = await rig.client();
  const ask = async (): Promise<void> => {
    const before = seen.length;
    client.say(get());
    await client.hears((heard) => heard.split("pong").length === before + 2);
  };
  for (let i = 0; i < 3; i++) await ask();
  rig.clock.advance(3_000);
  for (let i = 0; i < 3; i++) await ask();
  const fields = ["host", "a.test"];
  assert.deepEqual(
    seen,
    [false, true, true, false, true, true].map((remembered) => [fields, remembered]),
  );
});

test("a connection that is idle for 75 s is closed without a word", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
  const client = await rig.client();
  client.say(get());
  await client.hears("pong");
  rig.clock.advance(74_000);
  client.say(get());
  await client.hears((heard) => heard.split("pong").length === 3);
  rig.clock.advance(74_000);
  assert.equal(client.ended, false);
  rig.clock.advance(2_000);
  assert.match(await client.untilEnd(), /pong$/);
});

async function body(context: TestContext, accept: (exchange: Exchange, handler: Recording) => void) {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => accept(exchange, handler));
  const client = await rig.client();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
  await eventually(() => rig.listener.counters.requests === 1);
  return { rig, handler, client };
}

test("a body that makes no progress for 10 s is given up as stalled, with a 408", async (context) => {
  const { rig, handler, client } = await body(context, (exchange, recording) => exchange.accept(recording));
  rig.clock.advance(11_000);
  assert.match(await client.untilEnd(), /^HTTP\/1.1 408 /);
  assert.equal(handler.closed, "stalled");
  assert.equal(rig.records[0]!.fault, "STALLED");
  const line = rig.log.find((entry) => entry.fields["code"] === "STALLED");
  assert.deepEqual([line?.fields["rule"], line?.fields["section"]], [20, "RFC 9110 §15.5.9"]);
});

test("a body that makes progress goes on, however long it takes", async (context) => {
  const { rig, handler, client } = await body(context, (exchange, recording) => exchange.accept(recording));
  for (let i = 1; i <= 9; i++) {
    client.say("x".repeat(11_000));
    await handler.until(() => handler.bytes === i * 11_000);
    rig.clock.advance(9_000);
  }
  assert.equal(handler.closed, "");
});

test("a body trickling below 1 KiB/s is given up", async (context) => {
  const { rig, handler, client } = await body(context, (exchange, recording) => exchange.accept(recording));
  for (let i = 1; i <= 11 && handler.closed === ""; i++) {
    client.say("x".repeat(100));
    await handler.until(() => handler.bytes === i * 100);
    rig.clock.advance(1_000);
  }
  assert.equal(handler.closed, "stalled");
});

test("a body that the target does not want yet is no stall of the client", async (context) => {
  const { rig, handler, client } = await body(context, (exchange, recording) => {
    exchange.accept(recording);
    exchange.pause();
  });
  rig.clock.advance(60_000);
  await tick();
  assert.equal(handler.closed, "");
  assert.equal(client.ended, false);
});

test("a response that its client does not read for 60 s is given up as stalled", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    exchange.respond(200, [], -1);
    const piece = Buffer.alloc(1024 * 1024);
    for (let i = 0; i < 32; i++) exchange.write(piece);
  });
  const client = await rig.client();
  client.socket.pause();
  client.say(get());
  await eventually(() => rig.listener.counters.requests === 1);
  for (let i = 0; i < 50; i++) await tick();
  for (let i = 0; i < 59; i++) rig.clock.advance(1_000);
  assert.equal(handler.closed, "");
  rig.clock.advance(3_000);
  assert.equal(handler.closed, "stalled");
});

test("a response without anything to send may be quiet for ever", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    exchange.respond(200, [], -1);
  });
  const client = await rig.client();
  client.say(get());
  await client.hears("\r\n\r\n");
  for (let i = 0; i < 100; i++) rig.clock.advance(60_000);
  assert.equal(handler.closed, "");
});

test("a quiet response to a client that closed its sending side is given up as gone", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    exchange.respond(200, [], -1);
  });
  const client = await rig.client({ allowHalfOpen: true });
  client.socket.end(get());
  await client.hears("\r\n\r\n");
  for (let i = 0; i < 20; i++) await tick();
  rig.clock.advance(4_000);
  assert.equal(handler.closed, "");
  rig.clock.advance(3_000);
  assert.equal(handler.closed, "gone");
});

test("over the connection limit the oldest idle connections make room", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"), { connectionsMax: 3 });
  const clients = [];
  for (let i = 0; i < 3; i++) {
    const client = await rig.client();
    client.say(get());
    await client.hears("pong");
    clients.push(client);
    rig.clock.advance(1_000);
  }
  clients[0]!.say(get());
  await clients[0]!.hears((heard) => heard.split("pong").length === 3);
  const fourth = await rig.client();
  fourth.say(get());
  await fourth.hears("pong");
  await clients[1]!.untilClosed();
  assert.deepEqual([clients[0]!.closed, clients[2]!.closed], [false, false], "only the longest idle one went");
  assert.equal(rig.listener.counters.shed, 1);
});

test("a connection that came just now is not closed for the next one: its request may be on its way", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong"), { connectionsMax: 1 });
  const first = await rig.client();
  await eventually(() => rig.listener.counters.connections === 1);
  rig.clock.advance(499);
  assert.match(await (await rig.client()).untilEnd(), /^HTTP\/1.1 503 /);
  first.say(get());
  await first.hears("pong");
  rig.clock.advance(500);
  const later = await rig.client();
  later.say(get());
  await later.hears("pong");
  await first.untilClosed();
});

test("over the connection limit, with none idle, a new client gets a 503 and is closed", async (context) => {
  const rig = await startRig(context, (exchange) => exchange.accept(new Recording()), { connectionsMax: 1 });
  const first = await rig.client();
  first.say(get());
  await eventually(() => rig.listener.counters.requests === 1);
  const second = await rig.client();
  assert.match(await second.untilEnd(), /^HTTP\/1.1 503 [\s\S]*retry-after: 2\r\n[\s\S]*connection: close/);
  assert.equal(first.closed, false);
});

test("close: idle connections go, an open exchange ends with Connection: close, and nobody new gets in", async (context) => {
  let exchange: Exchange | undefined;
  const rig = await startRig(context, (given) => {
    if (given.head.path === "/idle") return answer(given, "pong");
    exchange = given;
    given.accept(new Recording());
  });
  const idle = await rig.client();
  idle.say(get("/idle"));
  await idle.hears("pong");
  const busy = await rig.client();
  busy.say(get());
  await eventually(() => exchange !== undefined);
  let closed = false;
  const closing = rig.listener.close({ graceMs: 5_000 }).then(() => {
    closed = true;
  });
  await idle.untilEnd();
  await assert.rejects(rig.client(), { code: "ECONNREFUSED" });
  assert.equal(closed, false);
  answer(exchange!, "last");
  assert.match(await busy.untilEnd(), /connection: close\r\n[\s\S]*last$/);
  await closing;
});

test("close: what is not done in time is broken off as stopping", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => exchange.accept(handler));
  const client = await rig.client();
  client.say(get());
  await handler.until(() => handler.ended);
  const closing = rig.listener.close({ graceMs: 5_000 });
  rig.clock.advance(4_900);
  assert.equal(handler.closed, "");
  rig.clock.advance(200);
  await closing;
  assert.equal(handler.closed, "stopping");
  await client.untilClosed();
});

test("close leaves no timer behind", async (context) => {
  const rig = await startRig(context, () => {});
  await rig.listener.close({ graceMs: 5_000 });
  rig.clock.advance(10_000);
  assert.equal(rig.clock.pendingCount, 0);
});

function listenerAt(host: string, port: number, hint?: string) {
  const base = { clock: new FakeClock(), random: new SeededRandom(1), logger: silentLogger, limits, onExchange() {} };
  return createListener(hint === undefined ? { ...base, host, port } : { ...base, host, port, hint });
}

test("a port that is taken is an operator's error that names port and way out", async (context) => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  context.after(() => new Promise((resolve) => taken.close(resolve)));
  const address = taken.address();
  assert.ok(typeof address === "object" && address !== null);
  const { port } = address;
  for (const hint of [undefined, "set PORT"]) {
    const error = await listenerAt("127.0.0.1", port, hint)
      .listen()
      .then(
        () => assert.fail("listened"),
        (e: unknown) => e,
      );
    assert.ok(error instanceof OperatorError);
    assert.equal(error.code, "START_PORT_IN_USE");
    assert.equal(error.details.where, `127.0.0.1:${port}`);
    assert.match(error.details.hint, hint === undefined ? new RegExp(`${port}`) : /^set PORT$/);
  }
});

test("an address that is not this machine's is an operator's error", async () => {
  const error = await listenerAt("192.0.2.1", 0)
    .listen()
    .then(
      () => assert.fail("listened"),
      (e: unknown) => e,
    );
  assert.ok(error instanceof OperatorError);
  assert.equal(error.code, "START_ADDRESS_UNAVAILABLE");
});
