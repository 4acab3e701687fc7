import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import type { Service } from "../upstream/index.ts";
import type { RawAnswer, RawServer } from "../upstream/testing.ts";
import { ask, ok, open, raw, rig, until } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

describe("an upgrade", () => {
  const accepts: RawAnswer = (socket) => {
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => socket.write(chunk));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\nsec-x: 1\r\n\r\nearly");
  };

  async function pair(): Promise<{ client: Socket; stream: Socket }> {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const client = createConnection({
      port: (server.address() as { port: number }).port,
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    const [stream] = (await once(server, "connection")) as [Socket];
    open.unshift({ close: () => client.destroy() }, { close: () => stream.destroy() });
    return { client, stream };
  }

  async function upgraded(
    answer: RawAnswer,
  ): Promise<{ client: Socket; exchange: FakeExchange; service: Service; server: RawServer }> {
    const server = await raw(answer);
    const { proxy, service } = await rig([server]);
    const { client, stream } = await pair();
    const exchange = new FakeExchange({
      upgrade: "echo",
      fields: ["connection", "upgrade", "upgrade", "echo", "sec-x", "0"],
    });
    exchange.upgraded = { stream, head: Buffer.from("late") };
    proxy.handle(exchange);
    return { client, exchange, service, server };
  }

  function gather(socket: Socket): { text: string } {
    const gathered = { text: "" };
    socket.on("data", (chunk) => {
      gathered.text += chunk.toString();
    });
    return gathered;
  }

  it("passes bytes both ways, those behind the heads first, and a closed half", async () => {
    const { client, exchange, service, server } = await upgraded(accepts);
    assert.equal(await exchange.over, "upgrade");
    assert.match(server.heads[0]!, /\r\nconnection: upgrade\r\nupgrade: echo\r\n/);
    assert.deepEqual(exchange.fields, ["sec-x", "1", "upgrade", "echo"]);
    const got = gather(client);
    client.write("hello");
    await until(() => got.text === "earlylatehello");
    assert.equal(service.status().instances[0]!.active, 1);
    client.end("bye");
    await once(client, "end");
    assert.equal(got.text, "earlylatehellobye");
    await until(() => service.status().instances[0]!.active === 0);
  });

  it("a client that is gone ends the upstream, and the other way round", async () => {
    const one = await upgraded(accepts);
    await one.exchange.over;
    one.client.destroy();
    await until(() => one.service.status().instances[0]!.connections === 0);
    const two = await upgraded(accepts);
    await two.exchange.over;
    two.client.resume();
    for (const socket of two.server.sockets) socket.resetAndDestroy();
    await once(two.client, "end");
  });

  it("64 MiB echo, while the client reads slowly, and little in between", async () => {
    const { client, exchange } = await upgraded(accepts);
    await exchange.over;
    const total = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(256 * 1024);
    let sent = 0;
    let got = 0;
    const push = () => {
      while (sent < total) {
        sent += chunk.length;
        if (!client.write(chunk)) return;
      }
      client.end();
    };
    client.on("drain", push);
    let queuedMost = 0;
    client.on("data", (bytes) => {
      got += bytes.length;
      queuedMost = Math.max(queuedMost, exchange.upgraded!.stream.writableLength);
      client.pause();
      setImmediate(() => client.resume());
    });
    push();
    await once(client, "end");
    assert.equal(got, total + "earlylate".length);
    assert.ok(queuedMost <= 256 * 1024, `${queuedMost}`);
  });

  it("that the upstream does not take is answered as any request", async () => {
    const { exchange } = await upgraded((socket) =>
      socket.write("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno"),
    );
    assert.equal(await exchange.over, "end");
    assert.equal(exchange.status, 426);
  });

  it("to h2c is not offered: it would hide requests", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    await ask(proxy, {
      upgrade: "h2c",
      fields: ["connection", "upgrade, http2-settings", "upgrade", "h2c", "http2-settings", "x"],
    });
    assert.doesNotMatch(server.heads[0]!, /upgrade|h2c|http2/i);
  });
});
