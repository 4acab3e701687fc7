import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ExchangeEnd } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { Service } from "../upstream/index.ts";
import { type RawAnswer, SocketClock, WatchedLog } from "../upstream/testing.ts";
import { createProxy } from "./index.ts";
import { ask, ok, open, raw, rig, until } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

describe("an upstream that misbehaves", () => {
  const bad: Record<string, RawAnswer> = {
    "dies before the head": (socket) => socket.destroy(),
    "closes before the head": (socket) => socket.end(),
    "dies in the head": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
    "sends garbage": (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "switches protocols unasked": (socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "sends both length and chunks": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "sends two lengths": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    "folds a field": (socket) => socket.write("HTTP/1.1 200 OK\r\nx-a: 1\r\n b\r\ncontent-length: 0\r\n\r\n"),
    "ends lines with LF": (socket) => socket.write("HTTP/1.1 200 OK\ncontent-length: 0\n\n"),
    "floods the head": (socket) => socket.write(`HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(64 * 1024)}\r\n\r\n`),
    "invents a status": (socket) => socket.write("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
    "speaks HTTP/2": (socket) => socket.write("HTTP/2 200\r\n\r\n"),
  };
  for (const [what, answer] of Object.entries(bad)) {
    it(`${what}: 502 that names the service and no address; the connection is gone`, async () => {
      const server = await raw(answer);
      const { proxy, service } = await rig([server]);
      const exchange = await ask(proxy, { method: "POST", fields: ["accept", "application/json"] }, "x");
      assert.equal(await exchange.over, "end");
      assert.equal(exchange.status, 502);
      assert.equal(exchange.field("retry-after"), "1");
      assert.match(exchange.body, /"code":"HTTP_BAD_UPSTREAM".*service web/);
      assert.ok(!exchange.body.includes("127.0.0.1") && !exchange.body.includes(String(server.port)));
      assert.equal(exchange.bodyLength, exchange.body.length);
      assert.equal(service.status().instances[0]!.connections, 0);
      assert.equal(service.status().instances[0]!.active, 0);
    });
  }

  const cut: Record<string, RawAnswer> = {
    "closes in a body with a length": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
    "closes in a chunk": (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc"),
    "closes between chunks": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "closes in the trailers": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-a"),
    "breaks the framing of chunks": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef"),
  };
  for (const [what, answer] of Object.entries(cut)) {
    it(`${what}: the client's connection breaks, and nothing is repeated`, async () => {
      const server = await raw(answer);
      const { proxy, service } = await rig([server]);
      const exchange = await ask(proxy);
      assert.equal(await exchange.over, "abort");
      assert.equal(exchange.status, 200);
      assert.equal(server.heads.length, 1);
      assert.equal(service.status().instances[0]!.connections, 0);
    });
  }

  it("answers with anything at all: every exchange ends once, and nothing stays under way", async () => {
    const random = new SeededRandom(20);
    const good = [
      ok,
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: 1\r\n\r\n",
      "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.0 404 No\r\nconnection: close\r\n\r\nbody",
      "HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 7\r\n\r\n",
    ];
    const server = await raw((socket) => {
      const bytes = Buffer.from(good[Math.floor(random.fraction() * good.length)]!);
      for (let i = Math.floor(random.fraction() * 4); i > 0; i--)
        bytes[Math.floor(random.fraction() * bytes.length)] = Math.floor(random.fraction() * 256);
      const cutAt = random.fraction() < 0.5 ? bytes.length : Math.floor(random.fraction() * bytes.length);
      socket.end(bytes.subarray(0, cutAt));
    });
    const { proxy, service } = await rig([server], { eject: { failures: 1e9 } }, { retriesMax: 0 });
    const ends = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const exchange = await ask(proxy, { method: i % 3 === 0 ? "HEAD" : "GET" });
      const how = `${await exchange.over} ${exchange.status === 502 ? 502 : ""}`;
      ends.set(how, (ends.get(how) ?? 0) + 1);
      assert.equal(service.status().instances[0]!.active, 0);
    }
    assert.deepEqual([...ends.keys()].sort(), ["abort ", "end ", "end 502"]);
  });

  it("is reset in a body that lasts until close: the client's connection breaks", async () => {
    const server = await raw((socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nabc"));
    const { proxy } = await rig([server]);
    const exchange = new FakeExchange();
    exchange.onWrite = () => [...server.sockets].at(-1)!.resetAndDestroy();
    proxy.handle(exchange);
    assert.equal(await exchange.over, "abort");
  });

  it("does not answer in time: 504", async () => {
    const clock = new SocketClock();
    const server = await raw(() => {});
    const log = new WatchedLog();
    const service = new Service({ name: "web", clock, random: new SeededRandom(1), logger: log });
    open.unshift(service);
    service.add({ id: "a", host: "127.0.0.1", port: server.port });
    await log.state("a", "up");
    const exchange = new FakeExchange();
    createProxy({ service, logger: log, clock }).handle(exchange);
    await until(() => server.heads.length === 1);
    clock.advance(61_000);
    await exchange.over;
    assert.equal(exchange.status, 504);
    assert.equal(server.heads.length, 1);
  });
});

describe("an answer that overtakes its request", () => {
  it("leaves a connection that is not used again, be the rest of the request on its way already", async () => {
    const server = await raw((socket) => {
      socket.pause();
      socket.write(ok);
    });
    const { proxy, service } = await rig([server]);
    const exchange = new FakeExchange({ method: "POST", bodyLength: 20_000_000 });
    proxy.handle(exchange);
    exchange.send(Buffer.alloc(20_000_000));
    assert.equal(await exchange.over, "end");
    assert.equal(exchange.status, 200);
    assert.equal(service.status().instances[0]!.connections, 0);
  });
});

describe("no instance", () => {
  it("none there, none expected: 503 at once, with Retry-After", async () => {
    const { proxy } = await rig([]);
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 503);
    assert.equal(exchange.field("retry-after"), "2");
    assert.match(exchange.body, /service web/);
  });

  it("one is starting: the request waits, its body with it, and is served", async () => {
    const server = await raw(() => {});
    const { proxy, service } = await rig([], { managed: true });
    const exchange = new FakeExchange({ method: "POST", bodyLength: 100_000 });
    proxy.handle(exchange);
    exchange.handler!.onBody(Buffer.alloc(60_000));
    assert.ok(!exchange.paused);
    exchange.handler!.onBody(Buffer.alloc(40_000));
    assert.ok(exchange.paused, "over the bound the client is not read");
    const resumed = new Promise<void>((resolve) => {
      exchange.onResume = resolve;
    });
    service.add({ id: "i0", host: "127.0.0.1", port: server.port });
    await resumed;
    exchange.handler!.onBodyEnd([]);
    await until(() => server.heads.length === 1);
    for (const socket of server.sockets) socket.write(ok);
    await exchange.over;
    assert.equal(exchange.status, 200);
  });

  it("a client that leaves while it waits leaves the queue", async () => {
    const { proxy, service } = await rig([], { managed: true });
    const exchange = new FakeExchange();
    proxy.handle(exchange);
    assert.equal(service.status().waiting, 1);
    exchange.handler!.onClose(ExchangeEnd.gone);
    assert.equal(service.status().waiting, 0);
  });
});
