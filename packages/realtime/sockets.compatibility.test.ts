/** How sockets come, are found and end: against `socket.io` from npm and against ours, on every transport. */
import assert from "node:assert/strict";
import { type Case, connected, heardUntil, next, type ReferenceSocket, runOnAll } from "./testing/counterparts.ts";

const cases: Record<string, Case> = {};

cases["namespace middlewares run in order and may refuse, with data"] = async (stage) => {
  const trail: unknown[] = [];
  stage.io.use((socket, go) => {
    trail.push("first", socket.connected, stage.io.sockets.sockets.has(socket.id));
    setImmediate(go);
  });
  stage.io.use((socket, go) => {
    trail.push("second");
    if (socket.handshake.auth["pass"] === true) return go();
    const error: Error & { data?: unknown } = new Error("not you");
    error.data = { code: 7, why: ["no"] };
    go(error);
  });
  stage.io.on("connection", () => trail.push("connection"));
  const refused = stage.client("/", { auth: { pass: false } });
  refused.connect();
  const [error] = await next(refused, "connect_error");
  assert.deepEqual([error.message, error.data], ["not you", { code: 7, why: ["no"] }]);
  assert.equal(refused.connected, false);
  await stage.connect("/", { auth: { pass: true } });
  const half = ["first", false, false, "second"];
  assert.deepEqual(trail, [...half, ...half, "connection"]);
};

cases["joins and data of a middleware hold afterwards"] = async (stage) => {
  stage.io.use((socket, go) => {
    socket.join("early");
    socket.data.name = "Anna";
    go();
  });
  const [client, socket] = await stage.connect();
  assert.ok(socket.rooms.has("early"));
  const heard = next(client, "hello");
  stage.io.to("early").emit("hello", socket.data.name);
  assert.deepEqual(await heard, ["Anna"]);
};

cases["conn.close ends the line from whichever namespace is left on it"] = async (stage) => {
  stage.io.of("/admin");
  const [client] = await stage.connect();
  const admin = client.io.socket("/admin");
  const arrived = new Promise<ReferenceSocket>((resolve) => stage.io.of("/admin").once("connection", resolve));
  admin.connect();
  const socket = await arrived;
  const left = new Promise((resolve) => stage.io.sockets.sockets.get(client.id!)!.once("disconnect", resolve));
  client.disconnect();
  await left;
  const gone = next(admin, "disconnect");
  socket.conn.close();
  assert.equal((await gone)[0], "transport close");
};

cases["a socket's middleware sees each event, may drop it and report an error"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const seen: unknown[] = [];
  socket.use(([event, ...args], go) => {
    seen.push([event, ...args]);
    go(event === "bad" ? new Error("unwanted") : undefined);
  });
  socket.on("bad", () => seen.push("never"));
  const failed = next(socket, "error");
  const good = next(socket, "good");
  client.emit("bad", 1);
  client.emit("good", 2);
  assert.equal((await failed)[0].message, "unwanted");
  assert.deepEqual(await good, [2]);
  assert.deepEqual(seen, [
    ["bad", 1],
    ["good", 2],
  ]);
};

cases["an unknown namespace is refused, and the client's other namespaces live on"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const other = client.io.socket("/nowhere");
  other.connect();
  const [error] = await next(other, "connect_error");
  assert.equal(error.message, "Invalid namespace");
  const still = next(client, "still");
  socket.emit("still");
  await still;
};

cases["namespaces are apart, and share the client's line"] = async (stage) => {
  stage.io.of("/admin");
  const [client, socket] = await stage.connect();
  const admin = client.io.socket("/admin");
  const arrived = next(stage.io.of("/admin"), "connection");
  admin.connect();
  const [adminSocket] = await arrived;
  await connected(admin);
  assert.notEqual(adminSocket.id, socket.id);
  assert.equal(adminSocket.conn, socket.conn);
  adminSocket.join("room");
  socket.join("room");
  const [heardMain, heardAdmin] = [heardUntil(client, "end"), heardUntil(admin, "end")];
  stage.io.to("room").emit("main");
  stage.io.of("/admin").to("room").emit("admin");
  stage.io.emit("end");
  stage.io.of("admin").emit("end");
  assert.deepEqual(
    (await heardMain).map(([name]) => name),
    ["main", "end"],
  );
  assert.deepEqual(
    (await heardAdmin).map(([name]) => name),
    ["admin", "end"],
  );
  const left = next(adminSocket, "disconnect");
  admin.disconnect();
  assert.deepEqual((await left)[0], "client namespace disconnect");
  assert.equal(socket.connected, true);
};

cases["namespaces by pattern and by function come with their parent's middlewares and listeners"] = async (stage) => {
  const made: string[] = [];
  stage.io.on("new_namespace", (namespace) => made.push(namespace.name));
  const parent = stage.io.of(/^\/room-\d+$/);
  parent.use((socket, go) => go(socket.nsp.name === "/room-13" ? new Error("unlucky") : undefined));
  const byPattern = next(parent as unknown as ReferenceSocket, "connection");
  stage.io.of((name, auth, go) => go(null, name === "/by-function" && auth["ok"] === true));
  const first = stage.client("/room-1");
  first.connect();
  await connected(first);
  const [socket] = await byPattern;
  assert.equal(socket.nsp.name, "/room-1");
  const unlucky = stage.client("/room-13");
  unlucky.connect();
  assert.equal((await next(unlucky, "connect_error"))[0].message, "unlucky");
  const second = stage.client("/by-function", { auth: { ok: true } });
  second.connect();
  await connected(second);
  const third = stage.client("/by-nothing", { auth: { ok: true } });
  third.connect();
  assert.equal((await next(third, "connect_error"))[0].message, "Invalid namespace");
  assert.deepEqual(made, ["/room-1", "/room-13", "/by-function"]);
  const heard = next(first, "to all");
  parent.emit("to all", 1);
  assert.deepEqual(await heard, [1]);
};

cases["catch-all listeners, in and out"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const trail: unknown[] = [];
  const second = (event: string, ...args: unknown[]) => trail.push(["second", event, args.length]);
  socket.onAny(second);
  socket.prependAny((event) => trail.push(["first", event]));
  socket.onAnyOutgoing((event, ...args) => trail.push(["out", event, ...args]));
  socket.on("ping me", (done) => done());
  await client.emitWithAck("ping me");
  socket.offAny(second);
  assert.equal(socket.listenersAny().length, 1);
  await client.emitWithAck("ping me");
  socket.emit("told", 1);
  assert.deepEqual(trail, [
    ["first", "ping me"],
    ["second", "ping me", 1],
    ["first", "ping me"],
    ["out", "told", 1],
  ]);
  socket.offAny();
  socket.offAnyOutgoing();
  assert.deepEqual([socket.listenersAny(), socket.listenersAnyOutgoing()], [[], []]);
};

cases["catch-all listeners for what goes out hear broadcasts that reach their socket, and no others"] = async (
  stage,
) => {
  const [client, socket] = await stage.connect();
  const [, other] = await stage.connect();
  const trail: unknown[] = [];
  socket.onAnyOutgoing((event, ...args) => trail.push([event, ...args]));
  socket.join("room");
  const done = next(client, "end");
  stage.io.emit("all", 1);
  stage.io.to("room").emit("room", 2);
  stage.io.to("elsewhere").emit("elsewhere");
  stage.io.except("room").emit("but the room");
  other.to("room").emit("from the other", 3);
  other.broadcast.emit("broadcast");
  socket.broadcast.emit("not to oneself");
  socket.emit("end");
  await done;
  assert.deepEqual(trail, [["all", 1], ["room", 2], ["from the other", 3], ["broadcast"], ["end"]]);
};

cases["a client that leaves: disconnecting still has the rooms, disconnect has none"] = async (stage) => {
  const [client, socket] = await stage.connect();
  socket.join("room");
  const leaving = new Promise((resolve) =>
    socket.on("disconnecting", (reason) => resolve([reason, [...socket.rooms]])),
  );
  const left = new Promise((resolve) =>
    socket.on("disconnect", (reason) => resolve([reason, socket.connected, socket.rooms.size])),
  );
  client.disconnect();
  assert.deepEqual(await leaving, ["client namespace disconnect", [socket.id, "room"]]);
  assert.deepEqual(await left, ["client namespace disconnect", false, 0]);
};

cases["a server that ends a socket: the client knows who did it"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const [gone, left] = [next(client, "disconnect"), next(socket, "disconnect")];
  socket.disconnect();
  assert.equal(socket.connected, false);
  assert.equal((await left)[0], "server namespace disconnect");
  assert.equal((await gone)[0], "io server disconnect");
};

cases["a server that ends the line"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const [gone, left] = [next(client, "disconnect"), next(socket, "disconnect")];
  socket.disconnect(true);
  assert.equal((await left)[0], "server namespace disconnect");
  assert.equal((await gone)[0], "io server disconnect");
};

cases["a line that breaks is a transport's end"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const left = next(socket, "disconnect");
  client.io.engine.close();
  assert.equal((await left)[0], "transport close");
};

cases["fetchSockets, socketsJoin, socketsLeave, disconnectSockets"] = async (stage) => {
  const [a, serverA] = await stage.connect();
  const [, serverB] = await stage.connect();
  serverA.data.name = "a";
  serverB.data.name = "b";
  serverA.join("room");
  const inRoom = await stage.io.in("room").fetchSockets();
  assert.deepEqual(
    inRoom.map(({ id, data, rooms }) => [id, data.name, [...rooms]]),
    [[serverA.id, "a", [serverA.id, "room"]]],
  );
  assert.equal((await stage.io.fetchSockets()).length, 2);
  assert.equal((await stage.io.except("room").fetchSockets())[0]?.id, serverB.id);
  assert.deepEqual(await stage.io.in("nobody").fetchSockets(), []);
  stage.io.socketsJoin(["all", "more"]);
  stage.io.in(serverB.id).socketsLeave("more");
  assert.equal((await stage.io.in("all").fetchSockets()).length, 2);
  assert.deepEqual(
    (await stage.io.in("more").fetchSockets()).map(({ id }) => id),
    [serverA.id],
  );
  assert.ok(serverA.rooms.has("more") && serverB.rooms.has("all") && !serverB.rooms.has("more"));
  const heard = next(a, "to one");
  inRoom[0]?.emit("to one", 1);
  assert.deepEqual(await heard, [1]);
  const gone = next(a, "disconnect");
  stage.io.in("room").disconnectSockets();
  assert.equal((await gone)[0], "io server disconnect");
  assert.deepEqual(
    (await stage.io.fetchSockets()).map(({ id }) => id),
    [serverB.id],
  );
};

cases["reserved names are refused when they are sent"] = async (stage) => {
  const [, socket] = await stage.connect();
  for (const name of ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]) {
    assert.throws(() => socket.emit(name), { message: `"${name}" is a reserved event name` });
    assert.throws(() => stage.io.emit(name), { message: `"${name}" is a reserved event name` });
  }
};

cases["send and message, volatile to an idle client, local"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const messages: unknown[] = [];
  const four = new Promise<void>((resolve) => {
    client.on("message", (value: unknown) => messages.push(value) === 4 && resolve());
  });
  socket.send(1);
  stage.io.send(2);
  stage.io.local.emit("message", 3);
  socket.compress(false).emit("message", 4);
  await four;
  assert.deepEqual(messages, [1, 2, 3, 4]);
  const heard = next(client, "maybe");
  await untilIdle(heard, () => socket.volatile.emit("maybe", 5));
  assert.deepEqual(await heard, [5]);
  const received = next(socket, "message");
  client.send("up");
  assert.deepEqual(await received, ["up"]);
};

/**
 * A polling client asks again after each answer; only then is there somebody to take a volatile event, and how long that takes
 * is the machine's affair: said again and again until it was heard.
 */
async function untilIdle(heard: Promise<unknown>, say: () => void): Promise<void> {
  say();
  const again = setInterval(say, 50);
  try {
    await heard;
  } finally {
    clearInterval(again);
  }
}

cases["conn shows the transport, its id and its upgrade"] = async (stage) => {
  const client = stage.client();
  const named = new Promise<[string, string]>((resolve) => {
    stage.io.once("connection", (socket) => {
      const before = socket.conn.transport.name;
      if (before === "websocket" || (client.io.opts.transports as string[]).length === 1) resolve([before, before]);
      else socket.conn.once("upgrade", () => resolve([before, socket.conn.transport.name]));
    });
  });
  client.connect();
  await connected(client);
  const [before, after] = await named;
  const offered = client.io.opts.transports as string[];
  assert.equal(before, offered[0]);
  assert.equal(after, offered.at(-1));
};

cases["an event to nobody and one to a socket that left do nothing"] = async (stage) => {
  const [client, socket] = await stage.connect();
  assert.equal(stage.io.to("nobody").emit("x"), true);
  const left = next(socket, "disconnect");
  client.disconnect();
  await left;
  assert.equal(socket.emit("x"), true);
  socket.join("room");
  assert.equal(socket.rooms.size, 0);
  assert.deepEqual(await stage.io.in("room").fetchSockets(), []);
};

cases["close ends every client and the http.Server"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const [gone, left] = [next(client, "disconnect"), next(socket, "disconnect")];
  await stage.io.close();
  assert.equal((await left)[0], "server shutting down");
  assert.match((await gone)[0], /^transport (close|error)$/, "the client reconnects after either");
  assert.equal(stage.http.listening, false);
};

runOnAll(cases);
