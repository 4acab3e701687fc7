import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import type { RawAnswer } from "../upstream/testing.ts";
import { ask, ok, open, raw, rig, until } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

describe("retries", () => {
  const dies: RawAnswer = (socket) => socket.destroy();
  const answers: RawAnswer = (socket) => socket.write(ok);

  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
    it(`${method} is sent to another instance when the first dies before its answer`, async () => {
      const [bad, good] = [await raw(dies), await raw(answers)];
      const { proxy } = await rig([bad, good]);
      const exchange = await ask(proxy, { method });
      assert.equal(exchange.status, 200);
      assert.equal(exchange.instance, "i1");
      assert.deepEqual([bad.heads.length, good.heads.length], [1, 1]);
    });
  }

  it("POST is not repeated once it may have arrived", async () => {
    const [bad, good] = [await raw(dies), await raw(answers)];
    const { proxy } = await rig([bad, good]);
    assert.equal((await ask(proxy, { method: "POST" }, "x")).status, 502);
    assert.equal(good.heads.length, 0);
  });

  it("POST with Idempotency-Key is repeated, with its body", async () => {
    const bodies: string[] = [];
    const bad = await raw(dies);
    const good = createServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
        if (!text.endsWith("hello world")) return;
        bodies.push(text.split("\r\n\r\n")[1]!);
        socket.write(ok);
      });
    }).listen(0, "127.0.0.1");
    await once(good, "listening");
    open.push(good);
    const { proxy } = await rig([bad, good.address() as { port: number }]);
    const exchange = await ask(proxy, { method: "POST", fields: ["idempotency-key", "k"] }, "hello ", "world");
    assert.equal(exchange.status, 200);
    assert.deepEqual(bodies, ["hello world"]);
  });

  it("POST to an instance that refuses the connection goes to another: nothing had arrived", async () => {
    const [bad, good] = [await raw(answers), await raw(answers)];
    const { proxy, service } = await rig([bad, good]);
    await bad.close();
    const exchange = await ask(proxy, { method: "POST" }, "x");
    assert.equal(exchange.status, 200);
    assert.equal(exchange.instance, "i1");
    assert.equal(service.status().instances[0]!.active, 0);
  });

  it("a body over the bound is not repeated", async () => {
    const bad = await raw(() => {});
    const good = await raw(answers);
    const { proxy } = await rig([bad, good], {}, { replayBytesMax: 1000 });
    const exchange = new FakeExchange({ method: "PUT", bodyLength: 3000 });
    proxy.handle(exchange);
    exchange.handler!.onBody(Buffer.alloc(1500));
    await until(() => bad.heads.length === 1);
    for (const socket of bad.sockets) socket.destroy();
    await exchange.over;
    assert.equal(exchange.status, 502);
    assert.equal(good.heads.length, 0);
  });

  it("at most two, each at an instance that was not tried", async () => {
    const servers = [await raw(dies), await raw(dies), await raw(dies), await raw(answers)];
    const { proxy } = await rig(servers);
    assert.equal((await ask(proxy)).status, 502);
    assert.deepEqual(
      servers.map((server) => server.heads.length),
      [1, 1, 1, 0],
    );
  });

  it("a lone instance is asked again, on a fresh connection: a kept one may have been closed just then", async () => {
    const server = await raw((socket, _head, index) => (index === 1 ? socket.destroy() : socket.write(ok)));
    const { proxy, service } = await rig([server]);
    assert.equal((await ask(proxy)).status, 200);
    assert.equal((await ask(proxy)).status, 200);
    assert.equal(server.heads.length, 3);
    assert.equal(service.status().instances[0]!.state, "up");
  });

  it("not once an interim response was passed on: that is a byte of the response", async () => {
    const bad = await raw((socket) => socket.end("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"));
    const good = await raw(answers);
    const { proxy } = await rig([bad, good]);
    const exchange = await ask(proxy);
    assert.deepEqual([exchange.interims, exchange.status], [[103], 502]);
    assert.equal(good.heads.length, 0);
  });

  it("none once the budget is spent", async () => {
    const server = await raw(dies);
    const { proxy, service } = await rig([server], { eject: { failures: 1e9 }, retryBudget: 0 });
    while (service.takeRetry());
    assert.equal((await ask(proxy)).status, 502);
    assert.equal(server.heads.length, 1);
  });
});
