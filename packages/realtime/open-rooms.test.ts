/** `io.open`: what application code says, over real HTTP, with stock clients beside it. The hub's part is tested there. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { request as ask } from "undici";
import { type Handshake, type RoomPattern, type RoomRules, Server } from "./index.ts";
import { next } from "./testing/counterparts.ts";
import { Edge } from "./testing/edge.ts";
import { RoomClient } from "./testing/room-client.ts";

interface Scene {
  readonly io: Server;
  readonly origin: string;
  room(name: string, headers?: Record<string, string>): RoomClient;
  connect(namespace?: string, auth?: object): Promise<Client>;
}

async function open(t: TestContext, options: ConstructorParameters<typeof Server>[1] = {}): Promise<Scene> {
  const http = createServer();
  const io = new Server(http, options);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const clients: Client[] = [];
  t.after(async () => {
    for (const client of clients) client.disconnect();
    http.closeAllConnections();
    await io.close();
  });
  return {
    io,
    origin,
    room: (name, headers) => new RoomClient(origin, name, headers),
    async connect(namespace = "/", auth = {}) {
      const client = connectClient(origin + namespace, { forceNew: true, reconnection: false, auth });
      clients.push(client);
      await next(client, "connect");
      return client;
    },
  };
}

test("patterns: a text, a text with stars, a regular expression; each for the whole name", async (t) => {
  const { io, room } = await open(t);
  const table: [RoomPattern, string[], string[]][] = [
    ["news", ["news"], ["new", "newss", "News", "a news"]],
    ["chat:*", ["chat:1", "chat:a:b", "chat:\n", "chat:*"], ["chat:", "chat", "xchat:1"]],
    ["*:log", ["a:log", "::log"], [":log", "a:logs"]],
    ["a*b*c", ["a1b2c", "abbbc", "a\nb\nc"], ["abc", "abbc", "a1b2c3", "acb1c1"]],
    ["**", ["ab", "abc"], ["a"]],
    [/user-\d+/, ["user-1", "user-42"], ["user-", "xuser-1", "user-1x", "user-1\nuser-2"]],
    [/^a$|b/m, ["a", "b"], ["x\na", "ab", "a\nb"]],
    [/é+/iu, ["É", "éé"], ["e"]],
  ];
  for (const [pattern, matching, others] of table) {
    const opened = io.open(pattern, { read: true });
    for (const name of matching) assert.equal((await room(name).get()).status, 200, `${pattern} matches ${name}`);
    for (const name of others) assert.equal((await room(name).get()).status, 404, `${pattern} does not match ${name}`);
    opened.close();
    assert.equal((await room(matching[0]!).get()).status, 404, "closed");
  }
});

test("patterns and rules that mean nothing are refused when they are given", async (t) => {
  const { io } = await open(t);
  const bad: [unknown, unknown, RegExp][] = [
    ["", { read: true }, /name the rooms/],
    [5, { read: true }, /name the rooms/],
    [/a/g, { read: true }, /stateful/],
    [/a/y, { read: true }, /stateful/],
    ["a", {}, /who may/],
    ["a", { read: "yes" }, /`read` is a boolean or a function, not string/],
    ["a", { read: true, publish: 1 }, /`publish` is a boolean or a function, not number/],
  ];
  for (const [pattern, rules, message] of bad) {
    assert.throws(() => io.open(pattern as RoomPattern, rules as RoomRules), message);
  }
  assert.throws(() => io.of(/^\/x-/).open("a", { read: true }), /parent namespaces/);
});

test("rules: booleans, functions, promises; any pattern that matches may allow, whatever their order; anything but true is a no", async (t) => {
  const { io, room } = await open(t);
  const seen: Handshake[] = [];
  io.open("a*", { read: false });
  io.open("ab*", { read: async (handshake) => handshake.headers["x-token"] === "good" });
  io.open("abc*", { read: (handshake) => seen.push(handshake) > 0 && handshake.query["open"] === "1" });
  io.open("abcd*", { read: true });
  io.open("odd", { read: () => "yes" as unknown as boolean });
  const status = async (name: string, query = "", headers = {}) => (await room(name).get(query, headers)).status;
  assert.equal(await status("axe"), 404);
  assert.equal(await status("abx"), 404);
  assert.equal(await status("abx", "", { "x-token": "good" }), 200);
  assert.equal(await status("abcx", "?open=1"), 200);
  assert.equal(await status("abcdx"), 200);
  assert.equal(await status("odd"), 404);
  const [handshake] = seen;
  assert.deepEqual(handshake?.auth, {});
  assert.deepEqual([handshake?.address, handshake?.query["open"], handshake?.xdomain], ["127.0.0.1", "1", false]);
  assert.match(handshake!.url, /^\/socket\.io\/rooms\/abcx\/events\?open=1$/);
});

test("a rule that throws, or rejects, is a no, and a warning that is given once", async (t) => {
  const warned: object[] = [];
  const logger = { debug() {}, info() {}, warn: (fields: object) => void warned.push(fields), error() {} };
  const { io, room } = await open(t, { logger });
  io.open("sync", {
    read() {
      throw new Error("no token");
    },
  });
  io.open("async", { read: async () => Promise.reject(new Error("no token")) });
  const warning = once(process, "warning");
  const answers = [await room("sync").get(), await room("async").get(), await room("never opened").get()];
  const bodies = await Promise.all(answers.map((answer) => answer.text()));
  for (const answer of answers) assert.equal(answer.status, 404);
  assert.equal(new Set(bodies).size, 1, "nobody can tell them apart");
  assert.equal((await warning)[0].code, "TIDEWAY_ROOM_RULE");
  assert.equal(warned.length, 2);
});

test("publishing: who may is asked with the event's name; sockets and readers get it; the same key publishes once", async (t) => {
  for (const durability of ["none", "memory"] as const) {
    await t.test(durability, async (t) => {
      const { io, room, connect } = await open(t, { durability });
      io.open("chat:*", { read: true, publish: (_handshake, _room, event) => event === "say" });
      io.on("connection", (socket) => socket.join("chat:1"));
      const client = await connect();
      const chat = room("chat:1");
      const stream = await chat.stream();
      const heard = next(client, "say");
      assert.equal((await chat.publish("shout", [])).status, 404);
      const first = await chat.publish("say", ["hi", { $binary: "AP8=" }], "k1");
      assert.equal(first.status, 201);
      const place = (await first.json()) as { offset: string; seq: number };
      const again = await chat.publish("say", ["hi", { $binary: "AP8=" }], "k1");
      assert.deepEqual([again.status, await again.json()], [201, place]);
      const [text, bytes, offset] = await heard;
      assert.deepEqual([text, Buffer.from(bytes).toString("hex")], ["hi", "00ff"]);
      assert.equal(offset, durability === "none" ? undefined : place.offset);
      assert.deepEqual(await stream.take(1), [
        { type: "say", data: '["hi",{"$binary":"AP8="}]', lastEventId: place.offset },
      ]);
      assert.equal((await chat.poll("?after=0")).events.length, 1);
    });
  }
});

test("a reader gets what was sent to its room by name, and nothing that was sent to all", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  io.open("a", { read: true });
  io.to("a").emit("to a");
  io.emit("to all", "a secret of those who are signed in");
  io.to(["b", "a"]).emit("to both");
  io.to("b").emit("to b");
  await io.publish("to all, too");
  const { events } = await room("a").poll("?after=0");
  assert.deepEqual(
    events.map(({ event }) => event),
    ["to a", "to both"],
  );
});

test("namespaces have rooms of their own, by `nsp`", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  io.of("/x").open("a", { read: true, publish: true });
  io.of("/x").to("a").emit("in x");
  assert.equal((await room("a").get("?after=0")).status, 404);
  const { events } = await room("a").poll("?after=0&nsp=/x");
  assert.deepEqual(
    events.map(({ event }) => event),
    ["in x"],
  );
});

test("a place taken before a page was made is where its stream goes on", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  io.open("a", { read: true });
  io.to("a").emit("before");
  const offset = await io.offset();
  io.to("a").emit("behind");
  const { events } = await room("a").poll(`?after=${offset}`);
  assert.deepEqual(
    events.map(({ event }) => event),
    ["behind"],
  );
});

test("a socket joins an opened room by itself when it may read it, is told where that was, and may leave it", async (t) => {
  const { io, connect, room } = await open(t, { durability: "memory", connectionStateRecovery: {} });
  const seen: unknown[] = [];
  io.open("chat:*", {
    read: async (handshake, name, socket) => {
      seen.push(socket?.data.user);
      return handshake.auth["rooms"]?.includes(name) === true;
    },
  });
  io.on("connection", (socket) => {
    socket.data.user = "ada";
    socket.on("tideway:join", () => assert.fail("it is not the application's"));
  });
  const client = await connect("/", { rooms: ["chat:1"] });
  io.to("chat:1").emit("said", "before");
  for (const name of ["chat:2", "other", 5, null, "x".repeat(600)]) {
    assert.deepEqual(await client.emitWithAck("tideway:join", name), { ok: false });
  }
  const joined = await client.emitWithAck("tideway:join", "chat:1");
  assert.equal(joined.ok, true);
  assert.deepEqual(seen, ["ada", "ada"]);
  const heard = next(client, "said");
  io.to("chat:1").emit("said", "behind");
  const [text, offset] = await heard;
  assert.equal(text, "behind");
  io.open("chat:1", { read: true });
  const { events } = await room("chat:1").poll(`?after=${joined.offset}`);
  assert.deepEqual(
    events.map((event) => [event.args, event.offset]),
    [[["behind"], offset]],
  );
  assert.deepEqual(await client.emitWithAck("tideway:leave", "other"), { ok: false });
  assert.deepEqual(await client.emitWithAck("tideway:leave", "chat:1"), { ok: true });
  assert.deepEqual(await io.in("chat:1").fetchSockets(), []);
});

test("where no rooms were opened, tideway:join is an event like any other", async (t) => {
  const { io, connect } = await open(t);
  io.on("connection", (socket) => socket.on("tideway:join", (room, done) => done(`mine: ${room}`)));
  assert.equal(await (await connect()).emitWithAck("tideway:join", "a"), "mine: a");
});

test("when rights change, those who read are asked about again, and come back to where they were", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  let allowed = true;
  const opened = io.open("a", { read: () => allowed });
  const stream = await room("a").stream();
  io.to("a").emit("1");
  await io.offset();
  allowed = false;
  opened.recheck();
  const messages: string[] = [];
  for await (const { type } of stream) messages.push(type);
  assert.deepEqual(messages, ["1"]);
  const refused = await room("a").stream({ lastEventId: stream.decoder.lastEventId });
  assert.equal(refused.response.status, 404);
  allowed = true;
  io.to("a").emit("2");
  const again = await room("a").stream({ lastEventId: stream.decoder.lastEventId });
  assert.deepEqual(
    (await again.take(1)).map(({ type }) => type),
    ["2"],
  );
});

test("middlewares of the engine and `allowRequest` see these requests, as all others", async (t) => {
  const { io, room } = await open(t, {
    allowRequest: (request, decide) => decide(null, request.headers["x-blocked"] === undefined),
  });
  const seen: string[] = [];
  io.engine.use((request, _response, done) => {
    seen.push(request.url ?? "");
    done();
  });
  io.open("a", { read: true });
  assert.equal((await room("a").get()).status, 200);
  assert.equal((await room("a").get("", { "x-blocked": "1" })).status, 403);
  assert.deepEqual(seen, ["/socket.io/rooms/a/events", "/socket.io/rooms/a/events"]);
});

test("over a link they see them as well, and answer where they want to", async (t) => {
  const http = createServer();
  const edge = Edge.open(http);
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { url } = new RoomClient(`http://127.0.0.1:${(http.address() as AddressInfo).port}`, "a");
  const io = new Server({
    link: edge.address,
    allowRequest: (request, decide) => decide(null, request.headers["x-blocked"] === undefined),
  });
  t.after(async () => {
    await io.close();
    await edge.close();
  });
  io.engine.use((request, response, done) => {
    response.setHeader("x-seen", request.url ?? "");
    if (request.headers["x-teapot"] === undefined) done();
    else response.writeHead(418).end("short and stout");
  });
  io.open("a", { read: true, publish: true });
  const allowed = await fetch(`${url}?after=0`);
  assert.deepEqual([allowed.status, allowed.headers.get("x-seen")], [200, "/socket.io/rooms/a/events?after=0"]);
  assert.equal((await fetch(url, { headers: { "x-blocked": "1" } })).status, 403);
  const teapot = await fetch(url, { headers: { "x-teapot": "1" } });
  assert.deepEqual([teapot.status, await teapot.text()], [418, "short and stout"]);
  const headers = { "content-type": "application/json" };
  const published = await fetch(url, { method: "POST", headers, body: JSON.stringify({ event: "x" }) });
  assert.equal(published.status, 201);
});

test("curl -N prints each event as it comes", { skip: requires("curl") }, async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  io.open("a", { read: true });
  const curl = spawn("curl", ["-sN", "-H", "Accept: text/event-stream", `${room("a").url}?after=0`]);
  t.after(() => curl.kill());
  const lines: string[] = [];
  const reader = createInterface({ input: curl.stdout }).on("line", (line) => lines.push(line));
  const until = async (wanted: string) => {
    while (!lines.includes(wanted)) await once(reader, "line");
  };
  for (let n = 1; n <= 3; n++) {
    io.to("a").emit("tick", n);
    await until(`data: [${n}]`);
  }
  assert.deepEqual(
    lines.filter((line) => /^(event|data):/.test(line)),
    [1, 2, 3].flatMap((n) => ["event: tick", `data: [${n}]`]),
  );
});

test("undici: a long poll is answered by the event that ends it; HEAD and OPTIONS say what there is", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  io.open("a", { read: true });
  const { url } = room("a");
  const { next: place } = await room("a").poll();
  const asked = ask(`${url}?wait=30&after=${place}`);
  await room("a").poll();
  io.to("a").emit("ping");
  const { statusCode, body } = await asked;
  const { events } = (await body.json()) as { events: { event: string }[] };
  assert.deepEqual([statusCode, events[0]?.event], [200, "ping"]);
  const head = await ask(url, { method: "HEAD" });
  assert.deepEqual([head.statusCode, await head.body.text()], [200, ""]);
  const options = await ask(url, { method: "OPTIONS" });
  assert.deepEqual([options.statusCode, options.headers["allow"]], [204, "GET, HEAD, POST, OPTIONS"]);
});

test("a server that closes ends its streams and its polls", async (t) => {
  const { io, room } = await open(t, { durability: "memory" });
  const asked = new EventEmitter();
  io.open("a", { read: (handshake) => asked.emit("asked", handshake.url) || true });
  const stream = await room("a").stream();
  const polling = once(asked, "asked");
  const poll = room("a").poll("?wait=60");
  await polling;
  const reading = stream.take(1);
  // Answered behind it: the one that was asked about waits by now.
  await room("a").poll();
  const closed = io.close();
  assert.deepEqual(await reading, []);
  assert.deepEqual((await poll).events, []);
  await closed;
});
