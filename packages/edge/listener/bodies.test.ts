/** Bodies both ways: back-pressure, Expect, answers that come early, targets that fail. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exchange } from "@tideway/base";
import { answer, eventually, get, post, Recording, startRig, tick } from "./testing.ts";

const MiB = 1024 * 1024;

test("a paused target holds the client back, and gets every byte once it goes on", async (context) => {
  const handler = new Recording();
  let exchange: Exchange | undefined;
  const rig = await startRig(context, (given) => {
    exchange = given;
    given.accept(handler);
    given.pause();
  });
  const client = await rig.client();
  const total = 24 * MiB;
  client.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${total}\r\n\r\n`);
  const piece = Buffer.alloc(MiB, 0x61);
  for (let i = 0; i < 24; i++) client.socket.write(piece);
  await eventually(() => exchange !== undefined);
  for (let i = 0; i < 200; i++) await tick();
  assert.equal(handler.bytes, 0, "nothing is delivered while paused");
  assert.ok(client.socket.writableLength > 8 * MiB, "the bytes wait at the client, not here");
  exchange!.resume();
  await handler.until(() => handler.bytes > 2 * MiB);
  exchange!.pause();
  const before = handler.bytes;
  for (let i = 0; i < 50; i++) await tick();
  assert.equal(handler.bytes, before, "a pause within a body holds at once");
  exchange!.resume();
  await handler.until(() => handler.ended);
  assert.equal(handler.bytes, total);
  answer(exchange!, "done");
  await client.hears("done");
});

test("a target that pauses within onBody gets no further piece, not even of what was read together", async (context) => {
  const told: string[] = [];
  const rig = await startRig(context, (exchange) => {
    exchange.accept({
      onBody(chunk) {
        told.push(Buffer.from(chunk).toString());
        exchange.pause();
        setImmediate(() => exchange.resume());
      },
      onBodyEnd() {
        told.push("end");
        answer(exchange, "done");
      },
      onDrain() {},
      onClose() {},
    });
  });
  const client = await rig.client();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
  await client.hears("done");
  assert.deepEqual(told, ["a", "b", "c", "end"]);
});

test("a client that does not read makes write say no, and onDrain comes when it reads again", async (context) => {
  const handler = new Recording();
  let exchange: Exchange | undefined;
  const piece = Buffer.alloc(64 * 1024, 0x62);
  let written = 0;
  const fill = (): void => {
    while (written < 64 * MiB) {
      written += piece.length;
      if (!exchange!.write(piece)) return;
    }
    exchange!.end();
  };
  const rig = await startRig(context, (given) => {
    exchange = given;
    given.accept(handler);
    given.respond(200, [], 64 * MiB);
    fill();
  });
  const client = await rig.client();
  client.socket.pause();
  client.say(get());
  await eventually(() => written > 0);
  let last = -1;
  while (handler.drains !== last) {
    last = handler.drains;
    for (let i = 0; i < 50; i++) await tick();
    if (handler.drains !== last) fill();
  }
  assert.ok(written < 32 * MiB, `the source stopped after ${written} bytes`);
  handler.onDrain = fill;
  let received = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (chunk) => {
    received += chunk.length;
  });
  client.socket.resume();
  fill();
  await eventually(() => received > 64 * MiB);
  assert.ok(received - 64 * MiB < 300, "every byte came, once, behind one head");
  assert.equal(rig.records[0]!.bytesOut, 64 * MiB);
});

test("a client that pipelines and does not read is answered only so far", async (context) => {
  const page = "x".repeat(10_000);
  const rig = await startRig(context, (exchange) => answer(exchange, page));
  const client = await rig.client();
  client.socket.pause();
  const many = 20_000;
  client.say(get("/").repeat(many));
  await eventually(() => rig.listener.counters.requests > 0);
  let last = -1;
  while (rig.listener.counters.requests !== last) {
    last = rig.listener.counters.requests;
    for (let i = 0; i < 50; i++) await tick();
  }
  assert.ok(last < many / 4, `${last} requests were answered into nowhere`);
  let received = 0;
  client.socket.removeAllListeners("data");
  client.socket.on("data", (chunk) => {
    received += chunk.length;
  });
  client.socket.resume();
  await eventually(() => rig.listener.counters.requests === many && received > many * page.length);
});

test("100 Continue is sent when the target reads the body, not before", async (context) => {
  const handler = new Recording();
  let exchange: Exchange | undefined;
  const rig = await startRig(context, (given) => {
    exchange = given;
  });
  const client = await rig.client();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  await eventually(() => exchange !== undefined);
  exchange!.pause();
  exchange!.accept(handler);
  for (let i = 0; i < 10; i++) await tick();
  assert.equal(client.heard, "", "accepted but paused: nobody reads");
  exchange!.resume();
  await client.hears("HTTP/1.1 100 Continue\r\n\r\n");
  client.say("hello");
  await handler.until(() => handler.ended);
  assert.equal(handler.body, "hello");
  answer(exchange!, "done");
  await client.hears(/HTTP\/1.1 200 OK[\s\S]*done$/);
});

test("100 Continue is left out when the body is already coming", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    handler.until(() => handler.ended).then(() => answer(exchange, "done"));
  });
  const client = await rig.client();
  client.say(post("hello", "Expect: 100-continue\r\n"));
  assert.match(await client.hears("done"), /^HTTP\/1.1 200 OK/);
});

test("a body that was never asked for ends the connection after the answer", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "no", 413));
  const client = await rig.client();
  client.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  const heard = await client.untilEnd();
  assert.match(heard, /^HTTP\/1.1 413 [\s\S]*connection: close\r\n[\s\S]*no$/);
});

test("a client that is still sending sees an early answer, and no reset", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.accept(new Recording());
    setImmediate(() => answer(exchange, "too large", 413));
  });
  const client = await rig.client({ allowHalfOpen: true });
  client.say(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${64 * MiB}\r\n\r\n`);
  for (let i = 0; i < 4; i++) client.socket.write(Buffer.alloc(MiB));
  const heard = await client.untilEnd();
  assert.match(heard, /^HTTP\/1.1 413 [\s\S]*connection: close[\s\S]*too large$/);
  assert.equal(client.error, "");
  client.socket.end();
  await client.untilClosed();
  assert.equal(client.error, "");
});

test("a small unread body is thrown away and the connection goes on", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, exchange.head.path));
  const client = await rig.client();
  client.say("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel");
  await client.hears("/1");
  client.say(`lo${get("/2")}`);
  await client.hears("/2");
  assert.equal(rig.records[0]!.bytesIn, 5);
});

test("an answer while chunks are still coming is followed by the next request's", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, exchange.head.path));
  const client = await rig.client();
  client.say("POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  await client.hears("/1");
  client.say(`2\r\nde\r\n0\r\n\r\n${get("/2")}`);
  await client.hears("/2");
});

test("a target that throws is a 500 and a line in the log, wherever it throws", async (context) => {
  const fail = (): never => {
    throw new Error("broken target");
  };
  const idle = { onBody() {}, onBodyEnd() {}, onDrain() {}, onClose() {} };
  const targets: Record<string, (exchange: Exchange) => void> = {
    "/handle": fail,
    "/body": (exchange) => exchange.accept({ ...idle, onBody: fail }),
    "/end": (exchange) => exchange.accept({ ...idle, onBodyEnd: fail }),
    "/fields": (exchange) => exchange.respond(200, ["location", "/\r\nset-cookie: x"], 0),
    "/early": (exchange) => exchange.inform(103, ["link", "\n"]),
    "/wide": (exchange) => exchange.respond(200, ["location", "/\u010a"], 0),
  };
  const rig = await startRig(context, (exchange) => targets[exchange.head.path]!(exchange));
  for (const path of Object.keys(targets)) {
    const client = await rig.client();
    client.say(`POST ${path} HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Length: 1\r\n\r\nx`);
    const heard = await client.untilEnd();
    assert.match(
      heard,
      /^HTTP\/1.1 500 Internal Server Error\r\n[\s\S]*connection: close\r\n[\s\S]*"HTTP_INTERNAL"/,
      path,
    );
    assert.ok(!heard.includes("broken target") && !heard.includes("set-cookie"), "nothing of the fault is told");
  }
  assert.equal(rig.log.filter((line) => line.message === "a target failed").length, 6);
  assert.deepEqual(
    rig.records.map((record) => record.status),
    [500, 500, 500, 500, 500, 500],
  );
});

for (const [what, rest] of [
  ["longer than announced", (exchange: Exchange) => exchange.write(Buffer.alloc(6))],
  ["shorter than announced", (exchange: Exchange) => exchange.end()],
  ["aborted", (exchange: Exchange) => exchange.abort()],
  ["ended with trailers that cannot be sent", (exchange: Exchange) => exchange.end(["x", "\n"])],
] as const) {
  test(`an answer that is ${what} breaks the connection, so that it never looks whole`, async (context) => {
    const handler = new Recording();
    const rig = await startRig(context, (exchange) => {
      exchange.accept(handler);
      exchange.respond(200, [], what.includes("trailers") ? -1 : 5);
      exchange.write(Buffer.from("abc"));
      setImmediate(() => setImmediate(() => rest(exchange)));
    });
    const client = await rig.client();
    client.say(get());
    await client.untilClosed();
    assert.equal(client.error, "ECONNRESET");
    assert.equal(handler.closed, "", "the target did it itself");
  });
}

test("an answer to HTTP/1.0 that is aborted is a reset, for its end would look like the end of its body", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("abc"));
    setImmediate(() => setImmediate(() => exchange.abort()));
  });
  const client = await rig.client();
  client.say("GET / HTTP/1.0\r\n\r\n");
  await client.untilClosed();
  assert.equal(client.error, "ECONNRESET");
});

test("a client that goes away ends the exchange once, and every later call does nothing", async (context) => {
  const handler = new Recording();
  let exchange: Exchange | undefined;
  const rig = await startRig(context, (given) => {
    exchange = given;
    given.accept(handler);
    given.respond(200, [], -1);
  });
  const client = await rig.client();
  client.say(get());
  await client.hears("\r\n\r\n");
  client.socket.resetAndDestroy();
  await handler.until(() => handler.closed !== "");
  assert.equal(handler.closed, "gone");
  assert.equal(exchange!.write(Buffer.from("x")), true);
  exchange!.pause();
  exchange!.resume();
  exchange!.inform(103, []);
  exchange!.end();
  exchange!.abort();
  const { stream } = exchange!.upgrade(null);
  assert.equal(stream.destroyed, true);
  assert.equal(rig.records[0]!.status, 200);
});

test("a client that goes away before its answer is recorded as 499", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => exchange.accept(handler));
  const client = await rig.client();
  client.say(get());
  await handler.until(() => handler.ended);
  client.socket.resetAndDestroy();
  await handler.until(() => handler.closed === "gone");
  assert.equal(rig.records[0]!.status, 499);
});

test("a body that is cut off by the client's end is never told as whole", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => exchange.accept(handler));
  const client = await rig.client();
  client.socket.end("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhel");
  await handler.until(() => handler.closed !== "");
  assert.deepEqual([handler.closed, handler.ended, handler.body], ["gone", false, "hel"]);
});

test("a client that closed its sending side still gets its answer", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.accept(new Recording());
    for (let i = 0, next = (): void => void (i++ < 20 ? setImmediate(next) : answer(exchange, "late")); i === 0; )
      next();
  });
  const client = await rig.client({ allowHalfOpen: true });
  client.socket.end(get());
  assert.match(await client.untilEnd(), /late$/);
});
