/** An own hub on an http.Server: constructor forms, what is left alone, options, and what the store keeps. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { Server, type ServerOptions } from "./index.ts";
import { outbox } from "./outbox.ts";
import { type ClientOptions, connected, next, transports } from "./testing/counterparts.ts";

async function open(
  options?: Partial<ServerOptions>,
  http = createServer(),
): Promise<{ io: Server; http: HttpServer; address: string }> {
  const io = new Server(http, options);
  if (!http.listening) {
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
  }
  return { io, http, address: addressOf(http) };
}
const addressOf = (http: HttpServer) => `http://127.0.0.1:${(http.address() as AddressInfo).port}/`;

async function joinAt(address: string, options: ClientOptions = {}): Promise<Client> {
  const client = connectClient(address, { forceNew: true, reconnection: false, ...options });
  await connected(client);
  return client;
}

/** The status of an upgrade request, or "closed". */
function tryUpgrade(address: string, path: string): Promise<number | "closed"> {
  return new Promise((resolve) => {
    const sent = request(new URL(path, address), { headers: { connection: "Upgrade", upgrade: "websocket" } });
    sent.on("upgrade", (response, socket) => {
      socket.destroy();
      resolve(response.statusCode ?? 0);
    });
    sent.on("response", (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sent.on("error", () => resolve("closed"));
    sent.end();
  });
}

test("new Server(port), new Server(options).listen(port) and .attach(server), several servers for one hub", async () => {
  const byPort = new Server(0);
  await once(byPort.httpServer!, "listening");
  const one = await joinAt(addressOf(byPort.httpServer as HttpServer));
  one.disconnect();
  await byPort.close();

  const io = new Server({ path: "/live" });
  const first = createServer();
  io.attach(first);
  io.listen(0);
  first.listen(0, "127.0.0.1");
  await Promise.all([once(first, "listening"), once(io.httpServer!, "listening")]);
  const clients = [
    await joinAt(addressOf(first), { path: "/live" }),
    await joinAt(addressOf(io.httpServer as HttpServer), { path: "/live" }),
  ];
  const heard = clients.map((client) => next(client, "both"));
  io.emit("both");
  await Promise.all(heard);
  for (const client of clients) client.disconnect();
  await io.close();
  await new Promise((resolve) => first.close(resolve));
});

test("an Express function in place of a server is refused with a hint", () => {
  assert.throws(() => new Server().attach((() => {}) as never), /pass a http\.Server/);
});

test("other requests and other upgrades of the http.Server stay its own; an upgrade of nobody is closed", async () => {
  const http = createServer((incoming, response) => response.end(`mine: ${incoming.url}`));
  http.on("upgrade", (incoming, socket) => {
    if (incoming.url === "/other") socket.end("HTTP/1.1 418 Teapot\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  });
  const { io, address } = await open({}, http);
  for (const path of ["/", "/socket.iox", "/socket.io"]) {
    assert.equal(await (await fetch(new URL(path, address))).text(), `mine: ${path}`);
  }
  assert.equal(await tryUpgrade(address, "/other"), 418);
  assert.equal(await tryUpgrade(address, "/nobody"), "closed");
  assert.equal(
    await tryUpgrade(address, "/socket.io/?EIO=4&transport=websocket"),
    426,
    "no version: refused by the transports",
  );
  assert.equal((await fetch(new URL("/socket.io/?EIO=3&transport=polling", address))).status, 400);
  const client = await joinAt(address);
  client.disconnect();
  await io.close();
});

test("allowRequest gets Node's own request, on every transport, and its word is told to the client", async () => {
  const seen: unknown[] = [];
  const { io, address } = await open({
    allowRequest(incoming, decide) {
      seen.push([incoming.method, incoming.socket.remoteAddress, incoming.headers["x-pass"]]);
      decide("no pass", incoming.headers["x-pass"] === "yes");
    },
  });
  for (const [, options] of transports) {
    const client = await joinAt(address, { ...options, extraHeaders: { "x-pass": "yes" } });
    client.disconnect();
    await assert.rejects(joinAt(address, options));
  }
  assert.deepEqual(seen[0], ["GET", "127.0.0.1", "yes"]);
  assert.equal(seen.length, 6);
  const refused = await fetch(new URL("/socket.io/?EIO=4&transport=polling", address));
  assert.deepEqual([refused.status, await refused.json()], [403, { code: 4, message: "no pass" }]);
  await io.close();
});

test("cors, path, cookie, pingInterval and maxHttpBufferSize have Socket.IO's names and effects", async () => {
  const { io, address } = await open({
    path: "/live/",
    cors: { origin: "http://friend.test", credentials: true },
    cookie: true,
    pingInterval: 1234,
    maxHttpBufferSize: 1000,
  });
  const answer = await fetch(new URL("/live/?EIO=4&transport=polling", address), {
    headers: { origin: "http://friend.test" },
  });
  assert.equal(answer.headers.get("access-control-allow-origin"), "http://friend.test");
  assert.match(answer.headers.get("set-cookie") ?? "", /^io=.*HttpOnly/);
  const hello = JSON.parse((await answer.text()).slice(1));
  assert.deepEqual([hello.pingInterval, hello.maxPayload], [1234, 1000]);
  const stranger = await fetch(new URL("/live/?EIO=4&transport=polling", address), {
    headers: { origin: "http://foe.test" },
  });
  assert.equal(stranger.status, 403);
  const client = await joinAt(address, { path: "/live", transports: ["websocket"] });
  const gone = next(client, "disconnect");
  client.emit("big", "x".repeat(2000));
  assert.match((await gone)[0], /^transport/);
  await io.close();
});

for (const [transport, options] of transports) {
  test(`with connectionStateRecovery a client that comes back misses nothing (${transport})`, async () => {
    const { io, address } = await open({ connectionStateRecovery: {} });
    io.on("connection", (socket) => {
      if (socket.recovered) return;
      socket.join("room");
      socket.data.visits = 1;
    });
    const client = await joinAt(address, {
      ...options,
      reconnection: true,
      reconnectionDelay: 10,
      reconnectionDelayMax: 20,
    });
    const heard: unknown[] = [];
    client.on("n", (n: number) => heard.push(n));
    const first = next(client, "n");
    io.to("room").emit("n", 1);
    await first;
    const id = client.id;
    const left = next(io.sockets.sockets.get(id!)!, "disconnect");
    client.io.engine.close();
    await left;
    io.to("room").emit("n", 2);
    io.to("other").emit("n", 99);
    io.to("room").emit("n", 3);
    await next(client, "connect");
    assert.equal(client.recovered, true);
    assert.equal(client.id, id);
    const fourth = new Promise<void>((resolve) => client.on("n", (n: number) => n === 4 && resolve()));
    io.to("room").emit("n", 4);
    await fourth;
    assert.deepEqual(heard, [1, 2, 3, 4]);
    const [socket] = await io.fetchSockets();
    assert.deepEqual(socket?.data, { visits: 1 });
    client.disconnect();
    await io.close();
  });
}

test("with durability disk a publish is committed when it resolves, and its key is known after a restart", async () => {
  const data = mkdtempSync(join(tmpdir(), "tideway-disk-"));
  after(() => rmSync(data, { recursive: true, force: true }));
  const before = new Server(createServer(), { durability: "disk", data });
  const first = await before.to("room").idempotencyKey("k").publish("n", 1);
  await before.close();
  const io = new Server(createServer(), { durability: "disk", data });
  const again = await io.to("room").idempotencyKey("k").publish("n", 1);
  const next_ = await io.to("room").publish("n", 2);
  assert.deepEqual(again, { ...first, duplicate: true });
  assert.equal(next_.seq, first.seq + 1);
  await io.close();
});

test("an outbox publishes through a real server, once for two relays, to clients", async () => {
  const database = new DatabaseSync(":memory:");
  const executor = {
    execute: async (sql: string, parameters: readonly unknown[]) =>
      database.prepare(sql).all(...(parameters as string[])),
  };
  const { io, address } = await open({ durability: "memory" });
  io.on("connection", (socket) => void socket.join("room"));
  const client = await joinAt(address);
  const heard: number[] = [];
  const all = new Promise<void>((resolve) =>
    client.on("n", (n: number) => {
      heard.push(n);
      if (n === 49) resolve();
    }),
  );
  const box = outbox({ dialect: "sqlite" });
  await box.migrate(executor);
  const relays = [box.relay(io, executor), box.relay(io, executor)];
  for (let n = 0; n < 50; n++) await box.add(executor, { room: "room", event: "n", args: [n] });
  box.wake();
  await all;
  for (const relay of relays) await relay.close();
  assert.deepEqual(
    heard,
    Array.from({ length: 50 }, (_, n) => n),
  );
  client.disconnect();
  await io.close();
});
