/** The engine under a server, its lines and its adapter: against `socket.io` from npm and against ours, on every transport. */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Case, connected, next, type ReferenceSocket, runOnAll, type Stage } from "./testing/counterparts.ts";

type Engine = Stage["io"]["engine"];
type Answer = { status: number; headers: Headers; body: string };
type WithSession = IncomingMessage & { session: { name: string; seen: number }; _query: Record<string, string> };

const cases: Record<string, Case> = {};

/** What the engine says to a request that is none of a client's. */
async function ask(stage: Stage, query: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${stage.address}/socket.io/?${query}`, { ...init, headers: { connection: "close" } });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** Ends the session that an answer opened: the reference would keep its timers, and with them this process. */
async function leave(stage: Stage, opened: Answer): Promise<void> {
  const { sid } = JSON.parse(opened.body.slice(1)) as { sid: string };
  await ask(stage, `EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: "1" });
}

/** Over a link the edge has heard by then what the engine wants to see. */
const told = (stage: Stage) => stage.io.fetchSockets();

const openerOf = (stage: Stage) => (stage.client().io.opts.transports as string[])[0];

cases["engine.clientsCount counts lines"] = async (stage) => {
  assert.equal(stage.io.engine.clientsCount, 0);
  const [client, socket] = await stage.connect();
  await stage.connect();
  assert.equal(stage.io.engine.clientsCount, 2);
  const left = next(socket.conn, "close");
  client.disconnect();
  await left;
  assert.equal(stage.io.engine.clientsCount, 1);
};

cases["engine.generateId names sessions, at once or later; one that fails refuses the client"] = async (stage) => {
  let names = 0;
  stage.io.engine.generateId = (request: IncomingMessage) => {
    assert.match(request.url ?? "", /^\/socket\.io\/\?/);
    return ++names === 1 ? "first" : (Promise.resolve("second") as unknown as string);
  };
  await told(stage);
  const [, one] = await stage.connect();
  const [, two] = await stage.connect();
  const idOf = ({ conn }: ReferenceSocket) => (conn as unknown as { id: string }).id;
  assert.deepEqual([idOf(one), idOf(two)], ["first", "second"]);
  assert.notEqual(one.id, "first");
  const failed = next(stage.io.engine, "connection_error");
  stage.io.engine.generateId = () => {
    throw new Error("no more names");
  };
  await told(stage);
  const client = stage.client();
  client.connect();
  await next(client, "connect_error");
  const [{ code, message, context, req }] = await failed;
  assert.deepEqual(
    [code, message, context.name, context.error.message],
    [3, "Bad request", "ID_GENERATION_ERROR", "no more names"],
  );
  assert.equal(req._query.EIO, "4");
};

cases["engine middlewares run in order for every request; what they leave on it is on socket.request"] = async (
  stage,
) => {
  const trail: string[] = [];
  stage.io.engine.use((request: WithSession, response: ServerResponse, go: () => void) => {
    trail.push("first");
    request.session = { name: "Anna", seen: 0 };
    response.setHeader("x-first", "1");
    setImmediate(go);
  });
  stage.io.engine.use((request: WithSession, _response: ServerResponse, go: () => void) => {
    trail.push(request.session.name);
    go();
  });
  stage.io.use((socket, go) => {
    assert.equal((socket.request as WithSession).session.name, "Anna");
    go();
  });
  await told(stage);
  const [client, socket] = await stage.connect();
  assert.deepEqual(trail.slice(0, 2), ["first", "Anna"]);
  const request = socket.request as WithSession;
  assert.equal(request._query["EIO"], "4");
  assert.equal(request.method, "GET");
  assert.equal(request.headers.host, stage.address.slice("http://".length));
  assert.equal(socket.conn.request, request);
  assert.equal(socket.client.request, request);
  socket.on("visit", (done) => done(++(socket.request as WithSession).session.seen));
  assert.equal(await client.emitWithAck("visit"), 1);
  assert.equal(await client.emitWithAck("visit"), 2);
  const opened = await ask(stage, "EIO=4&transport=polling");
  assert.equal(opened.headers.get("x-first"), "1");
  await leave(stage, opened);
};

cases["an engine middleware may answer by itself, and one that fails refuses the request"] = async (stage) => {
  stage.io.engine.use((request: IncomingMessage, response: ServerResponse, go: (error?: unknown) => void) => {
    if (request.url?.includes("mine")) response.writeHead(401).end("who are you?");
    else go(request.url?.includes("bad") ? new Error("bad") : undefined);
  });
  await told(stage);
  const mine = await ask(stage, "EIO=4&transport=polling&mine");
  assert.deepEqual([mine.status, mine.body], [401, "who are you?"]);
  const failed = next(stage.io.engine, "connection_error");
  await told(stage);
  const bad = await ask(stage, "EIO=4&transport=polling&bad");
  assert.deepEqual([bad.status, JSON.parse(bad.body)], [400, { code: 3, message: "Bad request" }]);
  const [{ code, context }] = await failed;
  assert.deepEqual([code, context], [3, { name: "MIDDLEWARE_FAILURE" }]);
  await stage.connect();
};

cases["initial_headers come once per session and headers with every answer"] = async (stage) => {
  const engine = stage.io.engine as Engine;
  let initial = 0;
  engine.on("initial_headers", (headers: Record<string, unknown>, request: WithSession) => {
    initial++;
    headers["x-initial"] = "yes";
    headers["set-cookie"] = ["a=1", "b=2"];
    assert.equal(request._query["EIO"], "4");
  });
  engine.on("headers", (headers: Record<string, unknown>) => {
    headers["x-every"] = "yes";
  });
  await told(stage);
  const first = await ask(stage, "EIO=4&transport=polling");
  assert.deepEqual(
    [first.headers.get("x-initial"), first.headers.get("x-every"), first.headers.getSetCookie()],
    ["yes", "yes", ["a=1", "b=2"]],
  );
  assert.equal(initial, 1);
  const sid = JSON.parse(first.body.slice(1)).sid as string;
  const post = await ask(stage, `EIO=4&transport=polling&sid=${sid}`, { method: "POST", body: "40" });
  assert.deepEqual([post.headers.get("x-initial"), post.headers.get("x-every")], [null, "yes"]);
  await leave(stage, first);
  const before = initial;
  await stage.connect();
  assert.equal(initial, before + 1);
};

cases["connection_error says what was wrong with a request"] = async (stage) => {
  const errors: unknown[] = [];
  const all = new Promise<void>((resolve) => {
    stage.io.engine.on("connection_error", (error: Record<string, unknown>) => {
      assert.equal(typeof (error["req"] as IncomingMessage).url, "string");
      if (errors.push([error["code"], error["message"], error["context"]]) === 5) resolve();
    });
  });
  await told(stage);
  const answers = [
    await ask(stage, "EIO=4&transport=pigeon"),
    await ask(stage, "EIO=4&transport=polling&sid=unknown"),
    await ask(stage, "EIO=4&transport=polling", { method: "POST", body: "" }),
    await ask(stage, "EIO=4&transport=websocket"),
    await ask(stage, "EIO=3&transport=polling"),
  ];
  await all;
  assert.deepEqual(errors, [
    [0, "Transport unknown", { transport: "pigeon" }],
    [1, "Session ID unknown", { sid: "unknown" }],
    [2, "Bad handshake method", { method: "POST" }],
    [3, "Bad request", { name: "TRANSPORT_HANDSHAKE_ERROR" }],
    [5, "Unsupported protocol version", { protocol: 3 }],
  ]);
  assert.deepEqual(
    answers.map(({ status, body }) => [status, JSON.parse(body).code]),
    [0, 1, 2, 3, 5].map((code) => [400, code]),
  );
};

cases["a raw line is shown by the engine before its sockets, and its request can be let go"] = async (stage) => {
  const raw = next(stage.io.engine, "connection");
  const [, socket] = await stage.connect();
  const [line] = await raw;
  assert.ok(line === socket.conn);
  assert.equal(line.protocol, 4);
  assert.equal(line.readyState, "open");
  assert.match(line.remoteAddress, /127\.0\.0\.1$/);
  line.request = null;
  assert.equal(socket.conn.request, null);
};

cases["conn tells of packets both ways, and of drains"] = async (stage) => {
  const [client, socket] = await stage.connect();
  const came: unknown[] = [];
  const made: unknown[] = [];
  let flushes = 0;
  const drained = new Promise<void>((resolve) => socket.conn.on("drain", () => ++flushes > 0 && resolve()));
  socket.conn.on("packet", ({ type, data }) => type === "message" && came.push(data));
  socket.conn.on("packetCreate", ({ type, data }) => type === "message" && made.push(data));
  const data: unknown[] = [];
  socket.conn.on("data", (value) => data.push(value));
  socket.on("ask", (_value, done) => done("yes"));
  await client.emitWithAck("ask", Buffer.from([1, 2]));
  socket.emit("bin", Buffer.from([3]));
  await next(client, "bin");
  await drained;
  assert.deepEqual(came, ['51-0["ask",{"_placeholder":true,"num":0}]', Buffer.from([1, 2])]);
  assert.deepEqual(data, came);
  assert.deepEqual(
    made.map((value) => (typeof value === "string" ? value : Buffer.from(value as Uint8Array))),
    ['30["yes"]', '51-["bin",{"_placeholder":true,"num":0}]', Buffer.from([3])],
  );
};

cases["conn.close ends the line, and its reason is told to conn and sockets, in that order's reverse"] = async (
  stage,
) => {
  const [client, socket] = await stage.connect();
  const trail: unknown[] = [];
  socket.on("disconnecting", (reason) => trail.push(["disconnecting", reason]));
  socket.on("disconnect", (reason) => trail.push(["disconnect", reason]));
  const closed = new Promise<void>((resolve) =>
    socket.conn.on("close", (reason) => {
      trail.push(["close", reason]);
      resolve();
    }),
  );
  const gone = next(client, "disconnect");
  socket.conn.close();
  await closed;
  assert.match((await gone)[0], /^transport (close|error)$/);
  assert.deepEqual(trail, [
    ["disconnecting", "forced close"],
    ["disconnect", "forced close"],
    ["close", "forced close"],
  ]);
  assert.equal(socket.conn.readyState, "closed");
};

cases["a namespace that is left does not close the line"] = async (stage) => {
  stage.io.of("/admin");
  const [client, socket] = await stage.connect();
  let closed = false;
  socket.conn.on("close", () => {
    closed = true;
  });
  const left = next(socket, "disconnect");
  socket.disconnect();
  await left;
  const admin = client.io.socket("/admin");
  const arrived = next(stage.io.of("/admin"), "connection");
  admin.connect();
  const [other] = await arrived;
  assert.equal(other.conn, socket.conn);
  assert.deepEqual([closed, socket.conn.readyState], [false, "open"]);
};

cases["the adapter shows rooms and sids, and tells when they are made, joined, left and deleted"] = async (stage) => {
  const { adapter } = stage.io.of("/");
  const trail: unknown[] = [];
  for (const name of ["create-room", "join-room", "leave-room", "delete-room"]) {
    adapter.on(name, (...args: unknown[]) => trail.push([name, ...args]));
  }
  const [client, one] = await stage.connect();
  const [, two] = await stage.connect();
  one.join(["a", "b"]);
  one.join("a");
  two.join("a");
  assert.deepEqual([...adapter.rooms.keys()], [one.id, two.id, "a", "b"]);
  assert.deepEqual(adapter.rooms.get("a"), new Set([one.id, two.id]));
  assert.deepEqual(adapter.sids.get(one.id), new Set([one.id, "a", "b"]));
  assert.deepEqual(adapter.socketRooms(two.id), new Set([two.id, "a"]));
  assert.deepEqual(await adapter.sockets(new Set(["a"])), new Set([one.id, two.id]));
  assert.deepEqual(await adapter.sockets(new Set()), new Set([one.id, two.id]));
  two.leave("a");
  const left = next(one, "disconnect");
  client.disconnect();
  await left;
  assert.deepEqual(trail, [
    ["create-room", one.id],
    ["join-room", one.id, one.id],
    ["create-room", two.id],
    ["join-room", two.id, two.id],
    ["create-room", "a"],
    ["join-room", "a", one.id],
    ["create-room", "b"],
    ["join-room", "b", one.id],
    ["join-room", "a", two.id],
    ["leave-room", "a", two.id],
    ["leave-room", one.id, one.id],
    ["delete-room", one.id],
    ["leave-room", "a", one.id],
    ["delete-room", "a"],
    ["leave-room", "b", one.id],
    ["delete-room", "b"],
  ]);
  assert.deepEqual([...adapter.rooms.keys()], [two.id]);
  assert.equal(adapter.sids.has(one.id), false);
};

cases["an adapter sees a middleware's joins, and each namespace has its own"] = async (stage) => {
  stage.io.use((socket, go) => {
    socket.join("early");
    assert.ok(stage.io.of("/").adapter.rooms.get("early")?.has(socket.id));
    go();
  });
  const [, socket] = await stage.connect();
  assert.equal(stage.io.of("/admin").adapter.rooms.size, 0);
  stage.io.in("early").socketsLeave("early");
  assert.equal(stage.io.of("/").adapter.rooms.has("early"), false);
  stage.io.of("/").adapter.addAll(socket.id, new Set(["later"]));
  assert.ok(socket.rooms.has("later"));
  stage.io.of("/").adapter.del(socket.id, "later");
  assert.equal(socket.rooms.has("later"), false);
};

cases["handshake: all its properties"] = async (stage) => {
  const before = Date.now();
  const [, socket] = await stage.connect("/", {
    query: { colour: "blue" },
    auth: { token: "t" },
    extraHeaders: { "x-mine": "1" },
  });
  const { handshake } = socket;
  const { headers, time, address, xdomain, secure, issued, url, query, auth } = handshake;
  assert.equal(headers["x-mine"], "1");
  assert.equal(Date.parse(time), Math.floor(issued / 1000) * 1000);
  assert.match(time, /^\w{3} \w{3} \d{2} \d{4} /);
  assert.ok(issued >= before && issued <= Date.now());
  assert.match(address, /127\.0\.0\.1$/);
  assert.deepEqual([xdomain, secure], [false, false]);
  assert.match(url, /^\/socket\.io\/\?colour=blue&EIO=4&transport=/);
  assert.deepEqual([query["colour"], query["EIO"], query["transport"]], ["blue", "4", openerOf(stage)]);
  assert.deepEqual(auth, { token: "t" });
  assert.deepEqual(Object.keys(handshake).sort(), [
    "address",
    "auth",
    "headers",
    "issued",
    "query",
    "secure",
    "time",
    "url",
    "xdomain",
  ]);
};

cases["engine.close ends every line"] = async (stage) => {
  const [client] = await stage.connect();
  const gone = next(client, "disconnect");
  stage.io.engine.close();
  assert.match((await gone)[0], /^transport (close|error)$/);
};

cases["errors and messages of the engine are listed on its class"] = async (stage) => {
  const { errors, errorMessages } = stage.io.engine.constructor as unknown as {
    errors: Record<string, number>;
    errorMessages: Record<number, string>;
  };
  assert.equal(errorMessages[errors["UNKNOWN_SID"]!], "Session ID unknown");
  assert.deepEqual(Object.values(errors), [0, 1, 2, 3, 4, 5]);
  assert.equal(Object.keys(errorMessages).length, 6);
  assert.deepEqual(stage.io.engine.upgrades("polling").includes("websocket"), true);
  assert.deepEqual(stage.io.engine.upgrades("websocket"), []);
  assert.equal(stage.io.engine.opts.pingInterval, 25_000);
};

cases["an application's own listeners on the raw line see the upgrade"] = async (stage) => {
  const names: string[] = [];
  stage.io.on("connection", (socket: ReferenceSocket) => {
    socket.conn.on("upgrading", ({ name }) => names.push(`upgrading ${name}`));
    socket.conn.on("upgrade", ({ name }) => names.push(`upgrade ${name}`));
    socket.on("ask", (done) => done());
  });
  const client = stage.client();
  client.connect();
  await connected(client);
  const upgrades = (client.io.opts.transports as string[]).length === 2;
  if (upgrades && client.io.engine.transport.name === "polling") await next(client.io.engine as never, "upgrade");
  await client.emitWithAck("ask");
  if (upgrades) assert.equal(names.at(-1), "upgrade websocket");
  else assert.deepEqual(names, []);
};

runOnAll(cases);
