/** Every case runs against `socket.io` from npm and against ours, by polling, by WebSocket and across the upgrade. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { connected, heardUntil, next, type ReferenceSocket, Stage, servers, transports } from "./counterparts.ts";

type Case = (stage: Stage) => Promise<void>;
const cases: Record<string, Case> = {};

cases["a client's id, query, auth and headers reach the server"] = async (stage) => {
  const [client, socket] = await stage.connect("/", {
    query: { colour: "blue" },
    auth: { token: "t", nested: { list: [1, null] } },
    extraHeaders: { "x-test": "yes" },
  });
  assert.equal(client.connected && socket.connected, true);
  assert.equal(socket.handshake.query["colour"], "blue");
  assert.equal(socket.handshake.query["EIO"], "4");
  assert.deepEqual(socket.handshake.auth, { token: "t", nested: { list: [1, null] } });
  assert.equal(socket.handshake.headers["x-test"], "yes");
  assert.equal(socket.handshake.secure, false);
  assert.equal(socket.handshake.xdomain, false);
  assert.match(socket.handshake.address, /127\.0\.0\.1/);
  assert.match(socket.handshake.url, /^\/socket\.io\/\?/);
  assert.equal(typeof socket.handshake.issued, "number");
  assert.match(socket.handshake.time, /\d{4}/);
  assert.equal(socket.nsp.name, "/");
  assert.equal(socket.recovered, false);
  assert.deepEqual([...socket.rooms], [socket.id]);
};

cases["values of every JSON type and binary at any depth pass both ways"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const values = [1, -0.5, "é\u2028😀", true, null, [], {}, { a: [{ b: null }] }];
  socket.on("echo", (...args) => socket.emit("back", ...args));
  client.emit("echo", ...values, Buffer.from([1, 2]), { deep: [Buffer.alloc(0), new Uint8Array([3])] });
  const back = await next(client, "back");
  assert.deepEqual(back.slice(0, values.length), values);
  assert.deepEqual(Buffer.from(back[8]), Buffer.from([1, 2]));
  assert.deepEqual(
    back[9].deep.map((bytes: Uint8Array) => [...bytes]),
    [[], [3]],
  );
  client.emit("echo", Buffer.from("one at last"));
  const [bytes] = await next(socket, "echo");
  assert.ok(Buffer.isBuffer(bytes) && bytes.toString() === "one at last");
};

cases["undefined, Date and Map arrive as JSON makes them"] = async (stage) => {
  const [client, socket] = await stage.connect();
  socket.emit("odd", undefined, new Date(0), new Map([[1, 2]]), { gone: undefined, kept: 1 });
  assert.deepEqual(await next(client, "odd"), [null, "1970-01-01T00:00:00.000Z", {}, { kept: 1 }]);
};

cases["a client's acknowledgement is answered once, with all arguments, also later"] = async (stage) => {
  const [client, socket] = await stage.connect();
  socket.on("ask", (question, done) => {
    setImmediate(() => {
      done(question, Buffer.from([7]), 3);
      done("again");
    });
  });
  const [question, bytes, number] = await new Promise<unknown[]>((resolve) =>
    client.emit("ask", "?", (...args: unknown[]) => resolve(args)),
  );
  assert.deepEqual([question, [...(bytes as Uint8Array)], number], ["?", [7], 3]);
};

cases["a server's acknowledgement: callback, promise, time-out"] = async (stage) => {
  const [client, socket] = await stage.connect();
  client.on("ask", (value: number, done: (...args: number[]) => void) => done(value + 1, value + 2));
  client.on("ignore", () => {});
  const callback = await new Promise((resolve) => socket.emit("ask", 1, (...args: number[]) => resolve(args)));
  assert.deepEqual(callback, [2, 3]);
  assert.equal(await socket.emitWithAck("ask", 5), 6);
  assert.equal(await socket.timeout(5_000).emitWithAck("ask", 6), 7);
  const timed = await new Promise((resolve) =>
    socket.timeout(5_000).emit("ask", 1, (...args: unknown[]) => resolve(args)),
  );
  assert.deepEqual(timed, [null, 2, 3]);
  await assert.rejects(socket.timeout(20).emitWithAck("ignore"), { message: "operation has timed out" });
};

cases["rooms: to, in, several, except, once each, and never oneself by socket.to"] = async (stage) => {
  const [a, serverA] = await stage.connect();
  const [b, serverB] = await stage.connect();
  const [c, serverC] = await stage.connect();
  serverA.join(["red", "blue"]);
  serverB.join("red");
  serverC.join("blue");
  assert.deepEqual([...serverA.rooms], [serverA.id, "red", "blue"]);
  const all = Promise.all([a, b, c].map((client) => heardUntil(client, "end")));
  const { io } = stage;
  io.to("red").emit("1 red");
  io.in("red").in("blue").emit("2 either");
  io.to(["red", "blue"]).except("blue").emit("3 red not blue");
  serverA.to("red").emit("4 red but a");
  serverA.broadcast.emit("5 all but a");
  serverA.except("red").emit("6 not red, not a");
  io.to(serverB.id).emit("7 b");
  serverA.leave("red");
  io.to("red").emit("8 red");
  io.except([serverA.id, serverB.id]).emit("9 c");
  io.emit("end");
  const heard = (await all).map((events) => events.map(([name]) => String(name).slice(0, 1)).join(""));
  assert.deepEqual(heard, ["12e", "1234578e", "2569e"]);
};

cases["events of all kinds keep their order towards one client"] = async (stage) => {
  const [client, socket] = await stage.connect();
  client.on("n", (...args: unknown[]) => {
    const done = args.at(-1);
    if (typeof done === "function") done();
  });
  const heard = heardUntil(client, "end");
  for (let n = 0; n < 40; n++) {
    if (n % 4 === 0) socket.emit("n", n);
    else if (n % 4 === 1) stage.io.emit("n", n);
    else if (n % 4 === 2) socket.emit("n", n, () => {});
    else socket.emit("n", n, Buffer.from([n]));
  }
  socket.emit("end");
  const numbers = (await heard).slice(0, -1).map(([, n]) => n as number);
  assert.deepEqual(
    numbers,
    Array.from({ length: 40 }, (_, n) => n),
  );
};

cases["a client's events keep their order, those sent before the connection included"] = async (stage) => {
  const client = stage.client();
  for (let n = 0; n < 10; n++) client.emit("n", n);
  const heard: number[] = [];
  const done = new Promise<void>((resolve) => {
    stage.io.once("connection", (socket) => {
      socket.on("n", (n) => {
        heard.push(n);
        if (n === 19) resolve();
      });
    });
  });
  client.connect();
  await connected(client);
  for (let n = 10; n < 20; n++) client.emit("n", n, n % 2 === 0 ? Buffer.from([n]) : n);
  await done;
  assert.deepEqual(
    heard,
    Array.from({ length: 20 }, (_, n) => n),
  );
};

cases["broadcast acknowledgements: all answers, or an error with those that came"] = async (stage) => {
  const [a] = await stage.connect();
  const [b] = await stage.connect();
  a.on("ask", (done: (v: string) => void) => done("a"));
  b.on("ask", (done: (v: string) => void) => done("b"));
  a.on("half", (done: (v: string) => void) => done("a"));
  const answers = await stage.io.timeout(5_000).emitWithAck("ask");
  assert.deepEqual(answers.toSorted(), ["a", "b"]);
  const [error, some] = await new Promise<[Error, unknown]>((resolve) =>
    stage.io.timeout(30).emit("half", (...args: [Error, unknown]) => resolve(args)),
  );
  assert.equal(error.message, "operation has timed out");
  assert.deepEqual(some, ["a"]);
  const failure = await stage.io
    .timeout(30)
    .emitWithAck("half")
    .catch((reason) => reason);
  assert.deepEqual([failure.message, failure.responses], ["operation has timed out", ["a"]]);
  assert.deepEqual(await stage.io.to("nobody").timeout(1_000).emitWithAck("ask"), []);
};

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
  client.on("message", (value: unknown) => messages.push(value));
  socket.send(1);
  stage.io.send(2);
  stage.io.local.emit("message", 3);
  socket.compress(false).emit("message", 4);
  await heardUntilAcknowledged(socket);
  assert.deepEqual(messages, [1, 2, 3, 4]);
  const heard = next(client, "maybe");
  socket.volatile.emit("maybe", 5);
  assert.deepEqual(await heard, [5]);
  const received = next(socket, "message");
  client.send("up");
  assert.deepEqual(await received, ["up"]);
};

async function heardUntilAcknowledged(socket: ReferenceSocket): Promise<void> {
  // A client without a listener never answers: a known time-out is as good as an answer for what came before it.
  await socket
    .timeout(30)
    .emitWithAck("nobody listens")
    .catch(() => {});
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

/** The reference keeps a timer of 30 s here, and with it this process. */
const notOnReference = "a server that ends the line (polling)";

for (const [server, make] of servers) {
  suite(server, { concurrency: 4 }, () => {
    for (const [transport, options] of transports) {
      for (const [rule, run] of Object.entries(cases)) {
        if (server === "socket.io" && `${rule} (${transport})` === notOnReference) continue;
        test(`${rule} (${transport})`, { timeout: 10_000 }, async () => {
          const stage = await Stage.open(make, options);
          try {
            await run(stage);
          } finally {
            await stage.close();
          }
        });
      }
    }
  });
}
