/** What is ours to say about options that the reference has no test for, or that we refuse; and other engines' sockets. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { test } from "node:test";
import { Server as ForeignEngine } from "engine.io";
import { io as connectClient } from "socket.io-client";
import { WebSocket } from "ws";
import { Server } from "./index.ts";
import { next } from "./testing/counterparts.ts";

test("an adapter is taken, not used, and a warning says so", async () => {
  const warned = once(process, "warning");
  const adapter = () => {};
  const io = new Server();
  assert.equal(io.adapter(), undefined);
  assert.equal(io.adapter(adapter), io);
  assert.equal(io.adapter(), adapter);
  const [{ code, message }] = await warned;
  assert.deepEqual(
    [code, message],
    ["TIDEWAY_ADAPTER", "the adapter is not used: servers that share a Tideway hub need none"],
  );
  await io.close();
});

test("what cannot be served is refused when the server is made", () => {
  assert.throws(() => new Server({ parser: {} }), /`parser` is not supported/);
  assert.throws(() => new Server({ cors: (() => {}) as object }), /`cors` as a function of the request/);
  assert.throws(() => new Server({ allowEIO3: true }), /`allowEIO3` is not supported/);
  const io = new Server({ allowEIO3: false });
  assert.throws(() => io.attachApp({}), /attachApp\(\) is not supported/);
  return io.close();
});

test("initialPacket is the first message of every line", async () => {
  const http = createServer().listen(0, "127.0.0.1");
  await once(http, "listening");
  const io = new Server(http, { initialPacket: "welcome" });
  const socket = new WebSocket(
    `ws://127.0.0.1:${(http.address() as AddressInfo).port}/socket.io/?EIO=4&transport=websocket`,
  );
  const heard: string[] = [];
  await new Promise<void>((resolve) => socket.on("message", (data) => heard.push(String(data)) === 2 && resolve()));
  assert.equal(heard[1], "4welcome");
  socket.terminate();
  await io.close();
});

test("destroyUpgrade: an upgrade that nobody answers is closed, unless the option says no", async () => {
  const open = async (destroyUpgrade: boolean) => {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const io = new Server(http, { destroyUpgrade, destroyUpgradeTimeout: 50 });
    const stranger = connect((http.address() as AddressInfo).port, "127.0.0.1");
    stranger.write("GET /other HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n");
    const [, theirs] = (await once(http, "upgrade")) as [unknown, Socket];
    return { io, stranger, theirs };
  };
  const spared = await open(false);
  const closed = await open(true);
  // By now the first one's time is over as well.
  closed.stranger.resume();
  await once(closed.stranger, "end");
  assert.deepEqual([closed.theirs.writableEnded, spared.theirs.writableEnded], [true, false]);
  for (const { io, stranger, theirs } of [spared, closed]) {
    stranger.destroy();
    theirs.destroy();
    await io.close();
  }
});

for (const transports of [["polling"], ["websocket"], ["polling", "websocket"]]) {
  test(`bind: clients of another Engine.IO server are ours, by ${transports.join(" and ")}`, async () => {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const engine = new ForeignEngine();
    engine.attach(http, { path: "/socket.io" });
    const io = new Server();
    io.bind(engine as never);
    const client = connectClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, {
      transports,
      reconnection: false,
    });
    const [socket] = await next(io as never, "connection");
    socket.on("double", (bytes: Buffer, done: (bytes: Buffer) => void) => done(Buffer.concat([bytes, bytes])));
    const doubled = await client.emitWithAck("double", Buffer.from("ab"));
    assert.equal(Buffer.from(doubled).toString(), "abab");
    assert.equal(socket.request.headers.host, socket.handshake.headers.host);
    const left = next(socket, "disconnect");
    client.disconnect();
    assert.match((await left)[0], /client namespace disconnect|transport close/);
    await io.close();
    engine.close();
    http.close();
  });
}
