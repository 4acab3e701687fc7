/** Requests in, answers out: framing, order, persistence, interim responses, upgrades. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { ByteStream, Exchange } from "@tideway/base";
import { answer, eventually, get, post, Recording, startRig, tick } from "./testing.ts";

const DATE = "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

async function heardFor(context: TestContext, request: string, target: (exchange: Exchange) => void): Promise<string> {
  const rig = await startRig(context, target);
  const client = await rig.client();
  client.socket.end(request, "latin1");
  return client.untilEnd();
}

test("an answer, byte by byte", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, "pong", 200, ["content-type", "text/plain"]));
  const client = await rig.client();
  client.say(get());
  await client.hears("pong");
  const id = rig.records[0]!.id;
  assert.equal(
    client.heard,
    "HTTP/1.1 200 OK\r\n" +
      "content-type: text/plain\r\n" +
      "content-length: 4\r\n" +
      DATE +
      `x-request-id: ${id}\r\n` +
      "\r\n" +
      "pong",
  );
  assert.match(id, /^[\w-]{8}-1$/);
});

test("a head and a small body written in one tick leave in one write, whoever writes them", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("a"));
    process.nextTick(() => exchange.write(Buffer.from("b")));
    queueMicrotask(() => {
      exchange.write(Buffer.from("c"));
      exchange.end(["x-sum", "1"]);
    });
  });
  const client = await rig.client();
  client.say(get());
  await client.hears("x-sum");
  assert.equal(client.pieces.length, 1);
  assert.match(
    client.heard,
    /transfer-encoding: chunked\r\n[\s\S]*\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nx-sum: 1\r\n\r\n$/,
  );
});

test("a head alone does not wait for its body", async (context) => {
  const rig = await startRig(context, (exchange) => exchange.respond(200, ["content-type", "text/event-stream"], -1));
  const client = await rig.client();
  client.say(get());
  await client.hears("\r\n\r\n");
});

test("pipelined requests are answered in order, and the next one starts only after the last answer", async (context) => {
  const waiting: Exchange[] = [];
  const rig = await startRig(context, (exchange) => waiting.push(exchange));
  const client = await rig.client();
  client.say(get("/1") + post("body") + get("/3"));
  for (const path of ["/1", "/", "/3"]) {
    await eventually(() => waiting.length === 1);
    await tick();
    assert.equal(waiting.length, 1, "no second exchange while one is open");
    const exchange = waiting.shift()!;
    assert.equal(exchange.head.path, path);
    exchange.accept(new Recording());
    await tick();
    answer(exchange, `<${path}>`);
  }
  await client.hears("</3>");
  assert.deepEqual(client.heard.match(/<[^>]*>/g), ["</1>", "</>", "</3>"]);
});

test("answers to requests that came in one read leave in one write", async (context) => {
  const rig = await startRig(context, (exchange) => answer(exchange, exchange.head.path));
  const client = await rig.client();
  client.say(Array.from({ length: 20 }, (_, i) => get(`/${i}`)).join(""));
  await client.hears("/19");
  assert.equal(client.pieces.length, 1);
});

test("a request that comes one byte at a time is whole in the end", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    handler.until(() => handler.ended).then(() => answer(exchange, handler.body));
  });
  const client = await rig.client();
  for (const char of "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n") {
    client.say(char);
    await tick();
  }
  await client.hears("hello");
  assert.deepEqual(handler.trailers, ["x", "1"]);
});

for (const [what, request, connection] of [
  ["HTTP/1.1 goes on", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""],
  ["Connection: close ends it", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "connection: close\r\n"],
  ["HTTP/1.0 ends it", "GET / HTTP/1.0\r\n\r\n", "connection: close\r\n"],
  ["HTTP/1.0 goes on when asked", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "connection: keep-alive\r\n"],
] as const) {
  test(`persistence: ${what}`, async (context) => {
    const rig = await startRig(context, (exchange) => answer(exchange, "pong"));
    const client = await rig.client();
    client.say(request);
    const head = (await client.hears("pong")).split("\r\n\r\n")[0]!;
    assert.equal((/^connection: .*$/m.exec(head + "\r\n")?.[0] ?? "").trim(), connection.trim());
    if (connection === "connection: close\r\n") await client.untilEnd();
    else {
      client.say(request);
      await client.hears((heard) => heard.split("pong").length === 3);
    }
  });
}

for (const [method, status, announced, framing] of [
  ["HEAD", 200, 5, "content-length: 5"],
  ["HEAD", 200, -1, ""],
  ["GET", 204, 0, ""],
  ["GET", 304, 99, ""],
  ["POST", 200, 0, "content-length: 0"],
] as const) {
  test(`${method} answered ${status} with length ${announced} has no body, and the connection goes on`, async (context) => {
    const rig = await startRig(context, (exchange) => {
      if (exchange.head.path === "/next") return answer(exchange, "next");
      exchange.respond(status, [], announced);
      if (announced !== 0) exchange.write(Buffer.from("hello"));
      exchange.end();
    });
    const client = await rig.client();
    client.say(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n${get("/next")}`);
    const [first, second] = (await client.hears(/next$/)).split("HTTP/1.1 ").slice(1);
    assert.ok(first!.endsWith("\r\n\r\n"), "nothing behind the head");
    assert.equal(/content-length: \d+|transfer-encoding/.exec(first!)?.[0] ?? "", framing);
    assert.ok(second!.startsWith("200 OK"));
  });
}

test("an answer of unknown length to HTTP/1.0 ends with the connection, without chunks", async (context) => {
  const heard = await heardFor(context, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", (exchange) => {
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("until close"));
    exchange.end(["x", "dropped"]);
  });
  assert.match(heard, /connection: close\r\n\r\nuntil close$/);
  assert.ok(!heard.includes("chunked"));
});

test("interim responses go before the answer, and never to HTTP/1.0", async (context) => {
  const target = (exchange: Exchange): void => {
    exchange.inform(103, ["link", "</a.css>"]);
    answer(exchange, "pong");
  };
  assert.match(
    await heardFor(context, get(), target),
    /^HTTP\/1.1 103 Early Hints\r\nlink: <\/a.css>\r\n\r\nHTTP\/1.1 200 OK\r\n/,
  );
  assert.match(await heardFor(context, "GET / HTTP/1.0\r\n\r\n", target), /^HTTP\/1.1 200 OK\r\n/);
});

test("what an upstream said of its own connection does not reach the client", async (context) => {
  const fields = [
    "connection",
    "x",
    "x-request-id",
    "theirs",
    "keep-alive",
    "timeout=1",
    "date",
    "theirs",
    "server",
    "s",
  ];
  const heard = await heardFor(context, get(), (exchange) => answer(exchange, "", 200, fields));
  const names = heard.split("\r\n").map((line) => line.split(":")[0]);
  assert.deepEqual(names, ["HTTP/1.1 200 OK", "date", "server", "content-length", "x-request-id", "", ""]);
  assert.ok(heard.includes("date: theirs") && !heard.includes("x-request-id: theirs"));
});

test("an upgrade hands over the socket with what had already arrived, at once or later", async (context) => {
  for (const later of [false, true]) {
    const taken: { stream: ByteStream; head: Uint8Array }[] = [];
    const rig = await startRig(context, (exchange) => {
      assert.equal(exchange.head.upgrade, "websocket");
      exchange.accept(new Recording());
      const take = (): void => void taken.push(exchange.upgrade(["sec-websocket-accept", "x"]));
      if (later) setImmediate(() => setImmediate(take));
      else take();
    });
    const client = await rig.client();
    client.say(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\n") + "early");
    await client.hears("\r\n\r\n");
    assert.match(
      client.heard,
      /^HTTP\/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\nupgrade: websocket\r\nconnection: Upgrade\r\nx-request-id: .*\r\n\r\n$/,
    );
    const { stream, head } = taken[0]!;
    assert.equal(Buffer.from(head).toString(), "early");
    assert.equal(rig.listener.counters.connections, 0, "the listener forgot it");
    client.say("more");
    const data = new Promise<Buffer>((resolve) => stream.on("data", resolve));
    assert.equal((await data).toString(), "more");
    stream.write("back", "latin1");
    await client.hears("back");
    assert.equal(rig.records[0]!.status, 101);
    stream.destroy();
  }
});

test("bytes that come between an upgrade and its new owner's first listener are not lost", async (context) => {
  let stream: ByteStream | undefined;
  const rig = await startRig(context, (exchange) => {
    ({ stream } = exchange.upgrade(null));
    stream.write("own head\r\n\r\n");
  });
  const client = await rig.client();
  client.say(get("/", "Connection: Upgrade\r\nUpgrade: x\r\n"));
  await client.hears("own head");
  client.say("patience");
  for (let i = 0; i < 20; i++) await tick();
  assert.equal((await new Promise<Buffer>((resolve) => stream!.on("data", resolve))).toString(), "patience");
  stream!.destroy();
});

test("each request leaves one record, each connection one line", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.service = "web";
    exchange.instance = "web-1";
    exchange.route = "a.test/";
    exchange.accept(new Recording());
    rig.clock.advance(5);
    exchange.respond(201, [], 4);
    rig.clock.advance(2);
    exchange.write(Buffer.from("four"));
    exchange.end();
  });
  const client = await rig.client();
  const request = post("hello", "User-Agent: curl\r\nReferer: http://a.test/?secret\r\n");
  client.socket.end(request);
  await client.untilClosed();
  await eventually(() => rig.log.some((line) => line.message === "connection closed"));
  const { id, ...record } = rig.records[0]!;
  assert.equal(rig.records.length, 1);
  assert.match(id, /-1$/);
  assert.deepEqual(record, {
    at: rig.clock.wall() - 7,
    method: "POST",
    host: "a.test",
    path: "/",
    version: 11,
    route: "a.test/",
    status: 201,
    bytesIn: 5,
    bytesOut: 4,
    wireBytesIn: request.length,
    wireBytesOut: client.heard.length,
    durationMs: 7,
    headMs: 5,
    service: "web",
    instance: "web-1",
    trace: "",
    address: "127.0.0.1",
    peer: "127.0.0.1",
    fault: "",
    reason: "",
    upgraded: false,
    head: record.head,
  });
  const line = rig.log.find((entry) => entry.message === "connection closed")!;
  assert.equal(line.fields["requests"], 1);
  assert.equal(line.fields["bytesOut"], client.heard.length);
  const { bytesIn, bytesOut } = rig.listener.counters;
  assert.deepEqual([bytesIn, bytesOut], [request.length, client.heard.length]);
});
