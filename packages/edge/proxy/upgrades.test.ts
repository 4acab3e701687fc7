import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import type { ByteStream } from "@tideway/base";
import { Tunnels } from "../tunnel/index.ts";
import type { Service } from "../upstream/index.ts";
import { type RawAnswer, type RawServer, SocketClock, type WatchedLog } from "../upstream/testing.ts";
import type { ProxyOptions, ProxyTarget } from "./index.ts";
import { ask, ok, open, raw, rig, until } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

/** Keeps what is written to it, until the test says that some has left. */
class SlowStream extends EventEmitter implements ByteStream {
  writableLength = 0;
  destroyed = false;

  write(bytes: Uint8Array | string): boolean {
    this.writableLength += bytes.length;
    return false;
  }

  destroy(): void {
    if (!this.destroyed) this.emit("close");
    this.destroyed = true;
  }

  end(): void {}
  pause(): void {}
  resume(): void {}
  cork(): void {}
  uncork(): void {}
}

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

  interface Upgraded {
    readonly client: Socket;
    readonly exchange: FakeExchange;
    readonly service: Service;
    readonly server: RawServer;
    readonly proxy: ProxyTarget;
    readonly log: WatchedLog;
  }

  async function upgraded(answer: RawAnswer, options: Partial<ProxyOptions> = {}): Promise<Upgraded> {
    const server = await raw(answer);
    const { proxy, service, log } = await rig([server], {}, options);
    const { client, stream } = await pair();
    const exchange = new FakeExchange({
      upgrade: "echo",
      fields: ["connection", "upgrade", "upgrade", "echo", "sec-x", "0"],
    });
    exchange.upgraded = { stream, head: Buffer.from("late") };
    proxy.handle(exchange);
    return { client, exchange, service, server, proxy, log };
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
    await assert.rejects(once(two.client, "end"), { code: "ECONNRESET" }, "what broke never looks like an end");
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

  for (const [status, framing, body] of [
    ["426 Upgrade Required", "content-length: 2", "no"],
    ["403 Forbidden", "transfer-encoding: chunked", "2\r\nno\r\n0\r\n\r\n"],
  ] as const) {
    it(`that the upstream does not take is answered as any request: ${status}`, async () => {
      const { exchange, service } = await upgraded((socket) =>
        socket.write(`HTTP/1.1 ${status}\r\nupgrade: echo\r\n${framing}\r\n\r\n${body}`),
      );
      assert.equal(await exchange.over, "end");
      assert.equal(exchange.status, Number.parseInt(status, 10));
      assert.equal(exchange.body, "no");
      assert.equal(service.status().instances[0]!.idle, 1, "its connection is used again");
    });
  }

  for (const [what, line] of [
    ["another protocol", "upgrade: other\r\n"],
    ["none at all", ""],
    ["two", "upgrade: echo, other\r\n"],
  ] as const) {
    it(`that is answered with 101 to ${what} is a 502, and that connection is gone`, async () => {
      const { exchange, proxy, service, log } = await upgraded((socket) =>
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\n${line}\r\nearly`),
      );
      assert.equal(await exchange.over, "end");
      assert.equal(exchange.status, 502);
      assert.ok(log.lines.some(({ fields }) => fields["fault"] === "malformed" && fields["instance"] === "i0"));
      assert.equal(proxy.tunnels.opened, 0);
      await until(() => service.status().instances[0]!.connections === 0);
    });
  }

  it("is answered whatever case the upstream writes the protocol in", async () => {
    const { exchange } = await upgraded((socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: Echo\r\n\r\n"),
    );
    assert.equal(await exchange.over, "upgrade");
  });

  it("with a body is an ordinary request: the switch would cut the body in two", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    const exchange = await ask(
      proxy,
      { method: "POST", upgrade: "echo", fields: ["connection", "upgrade", "upgrade", "echo"] },
      "body",
    );
    assert.equal(exchange.status, 200);
    assert.doesNotMatch(server.heads[0]!, /upgrade/i);
  });

  it("outlives the draining of its instance, which waits for it", async () => {
    const { client, exchange, service } = await upgraded(accepts);
    await exchange.over;
    const got = gather(client);
    let drained = false;
    service.drain("i0", () => {
      drained = true;
    });
    client.write("hello");
    await until(() => got.text === "earlylatehello");
    assert.equal(drained, false);
    client.end();
    await until(() => drained);
  });

  it("is counted, and so are its bytes", async () => {
    const { client, exchange, proxy } = await upgraded(accepts);
    await exchange.over;
    const got = gather(client);
    client.write("hello");
    await until(() => got.text === "earlylatehello");
    assert.deepEqual(
      { ...proxy.tunnels },
      { open: 1, opened: 1, idled: 0, bytesFromClients: 9, bytesFromUpstreams: 14 },
    );
    client.end();
    await until(() => proxy.tunnels.open === 0);
    assert.equal(proxy.tunnels.opened, 1);
  });

  it("is closed on both sides when no byte moves for its limit, not while one does", async () => {
    const clock = new SocketClock();
    const { client, exchange, proxy, server } = await upgraded(accepts, { clock, upgradeIdleMs: 1000 });
    await exchange.over;
    const got = gather(client);
    await until(() => got.text === "earlylate");
    for (let round = 0; round < 5; round++) {
      clock.advance(900);
      client.write("x");
      await until(() => got.text === `earlylate${"x".repeat(round + 1)}`);
    }
    clock.advance(900);
    assert.equal(proxy.tunnels.open, 1);
    assert.equal(exchange.upgraded!.stream.destroyed, false);
    const gone = assert.rejects(once(client, "end"), { code: "ECONNRESET" });
    clock.advance(600);
    await gone;
    await until(() => proxy.tunnels.open === 0 && server.sockets.size <= 1);
    assert.equal(proxy.tunnels.idled, 1);
    assert.equal(clock.pendingCount, 0, "no timer is left without a tunnel");
  });

  it("is not idle while its reader takes what waits for it, and is when it stops", () => {
    const clock = new SocketClock();
    const tunnels = new Tunnels(clock, 1000);
    const [client, upstream] = [new SlowStream(), new SlowStream()];
    tunnels.open(client, upstream);
    upstream.emit("data", Buffer.alloc(50_000));
    for (let round = 0; round < 4; round++) {
      client.writableLength -= 10_000;
      clock.advance(900);
      assert.equal(client.destroyed, false);
    }
    clock.advance(350);
    assert.equal(client.destroyed && upstream.destroyed, true);
    assert.equal(tunnels.counters.idled, 1);
  });

  it("has no limit of silence unless one is given", async () => {
    const clock = new SocketClock();
    const { client, exchange, proxy } = await upgraded(accepts, { clock });
    await exchange.over;
    const got = gather(client);
    assert.equal(clock.pendingCount, 0);
    clock.advance(24 * 60 * 60 * 1000);
    client.write("hello");
    await until(() => got.text === "earlylatehello");
    assert.equal(proxy.tunnels.open, 1);
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
