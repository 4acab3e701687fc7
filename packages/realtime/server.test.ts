/** What the server says to a hub, and does at a hub's word: over a real link, with a hub that only writes down. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, beforeEach, test } from "node:test";
import { silentLogger } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import { createLinkServer, type LinkServer } from "@tideway/edge/link";
import type { HubPort, ServerPort, ToHub, ToServer } from "@tideway/engine/hub";
import { Server } from "./index.ts";

const directory = mkdtempSync(join(tmpdir(), "tideway-realtime-"));
after(() => rmSync(directory, { recursive: true, force: true }));

class RecordingHub {
  readonly heard: ToHub[] = [];
  server: ServerPort | null = null;
  #watchers: (() => void)[] = [];

  readonly attach = (server: ServerPort): HubPort => {
    this.server = server;
    return {
      send: (message) => {
        this.heard.push(message);
        this.#wake();
      },
      gone: () => {
        this.server = null;
        this.#wake();
      },
    };
  };

  #wake(): void {
    for (const watcher of this.#watchers.splice(0)) watcher();
  }

  async until<T>(find: () => T | undefined | false): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined && found !== false) return found;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  heardOf<T extends ToHub["type"]>(type: T): Extract<ToHub, { type: T }>[] {
    return this.heard.filter((message) => message.type === type) as Extract<ToHub, { type: T }>[];
  }

  say(message: ToServer): void {
    this.server?.send(message);
  }
}

const connect = (extra: Partial<Extract<ToServer, { type: "connect" }>> = {}): ToServer => ({
  type: "connect",
  socket: "s1",
  connection: "c1",
  transport: "websocket",
  namespace: "/",
  handshake: { headers: {}, address: "::1", secure: false, xdomain: false, url: "/", query: {}, issued: 0 },
  auth: "{}",
  recovered: false,
  handover: false,
  rooms: [],
  data: "",
  ...extra,
});
const event = (seq: number, args: unknown[], ack: number | null = null): ToServer => ({
  type: "event",
  socket: "s1",
  seq,
  payload: { json: JSON.stringify(args), attachments: [] },
  ack,
});

let sockets = 0;
let path: string;
let hub: RecordingHub;
let link: LinkServer;
let io: Server;

beforeEach(async () => {
  path = join(directory, `${++sockets}.sock`);
  hub = new RecordingHub();
  link = await createLinkServer({ path, attach: hub.attach, clock: systemClock, logger: silentLogger });
  io = new Server({ link: link.address, instance: "web.7" });
  await hub.until(() => hub.heardOf("door")[0]);
});
afterEach(async () => {
  await io.close();
  await link.close();
});

test("says hello and what it wants of requests, accepts a client, and asks nothing of one that a middleware refused", async () => {
  assert.deepEqual(hub.heard.splice(0), [
    { type: "hello", instance: "web.7" },
    { type: "door", asks: false, hears: false, wishes: '{"path":"/socket.io"}' },
  ]);
  io.use((socket, next) => {
    if (socket.handshake.auth["ok"] === true) return next();
    next(Object.assign(new Error("no"), { data: { code: 1 } }));
  });
  hub.say(connect());
  hub.say(connect({ socket: "s2", auth: '{"ok":true}' }));
  await hub.until(() => hub.heard.length === 2);
  assert.deepEqual(hub.heard, [
    { type: "refuse", socket: "s1", message: "no", data: '{"code":1}' },
    { type: "accept", socket: "s2" },
  ]);
});

test("a middleware that throws refuses, and tells the client nothing of why", async () => {
  io.use(() => {
    throw new Error("password of the database");
  });
  const uncaught = takeUncaught();
  hub.say(connect());
  const refuse = await hub.until(() => hub.heardOf("refuse")[0]);
  assert.deepEqual(refuse, { type: "refuse", socket: "s1", message: "Internal error", data: "" });
  assert.equal((await uncaught).message, "password of the database");
});

test("what a handler does synchronously stands before done: join, emit, reply", async () => {
  io.on("connection", (socket) => {
    socket.on("move", (room, done) => {
      socket.join(room);
      io.to(room).emit("moved", room);
      done("ok");
    });
  });
  hub.say(connect());
  await hub.until(() => hub.heardOf("accept")[0]);
  hub.say(event(1, ["move", "kitchen"], 4));
  await hub.until(() => hub.heardOf("done")[0]);
  assert.deepEqual(
    hub.heard.slice(3).map((message) => message.type),
    ["join", "emit", "reply", "done"],
  );
  assert.deepEqual(hub.heardOf("reply")[0], {
    type: "reply",
    socket: "s1",
    ack: 4,
    payload: { json: '["ok"]', attachments: [] },
  });
});

test("an event whose handler throws is done all the same, and the others of its batch are handled", async () => {
  const handled: unknown[] = [];
  io.on("connection", (socket) => {
    socket.on("n", (n) => {
      if (n === 1) throw new Error("handler");
      handled.push(n);
    });
  });
  hub.say(connect());
  await hub.until(() => hub.heardOf("accept")[0]);
  const uncaught = takeUncaught();
  for (const n of [1, 2, 3]) hub.say(event(n, ["n", n]));
  assert.equal((await hub.until(() => hub.heardOf("done")[0])).seq, 3);
  assert.deepEqual(handled, [2, 3]);
  assert.equal((await uncaught).message, "handler");
});

test("a handover brings id, rooms and data, skips the middlewares and runs connection as recovered", async () => {
  io.use((_socket, next) => next(new Error("must not run")));
  const arrived = new Promise<unknown>((resolve) =>
    io.on("connection", (socket) => resolve([socket.id, [...socket.rooms], socket.data, socket.recovered])),
  );
  hub.say(connect({ recovered: true, handover: true, rooms: ["s1", "lobby"], data: '{"name":"Anna"}' }));
  assert.deepEqual(await arrived, ["s1", ["s1", "lobby"], { name: "Anna" }, true]);
  assert.deepEqual(await hub.until(() => hub.heardOf("accept")[0]), { type: "accept", socket: "s1" });
});

test("a change of socket.data is told once per turn: set, nested, after an await, replaced; not when it is the same", async () => {
  const steps: ((data: Record<string, unknown>) => unknown)[] = [
    (data) => {
      data["a"] = 1;
      data["b"] = { list: [1] };
    },
    (data) => (data["b"] as { list: number[] }).list.push(2),
    async (data) => {
      data["c"] = await new Promise((resolve) => setImmediate(() => resolve("late")));
    },
    (data) => {
      data["a"] = 1;
    },
    (data) => {
      delete data["a"];
    },
  ];
  io.on("connection", (socket) => {
    socket.on("step", async (index, done) => {
      await steps[index]?.(socket.data);
      done();
    });
    socket.on("replace", (done) => {
      socket.data = { fresh: true };
      done();
    });
  });
  hub.say(connect());
  await hub.until(() => hub.heardOf("accept")[0]);
  for (const [index] of steps.entries()) {
    hub.say(event(index + 1, ["step", index], index));
    await hub.until(() => hub.heardOf("reply")[index]);
  }
  hub.say(event(9, ["replace"], 9));
  await hub.until(() => hub.heardOf("data")[4]);
  assert.deepEqual(
    hub.heardOf("data").map(({ data }) => JSON.parse(data)),
    [
      { a: 1, b: { list: [1] } },
      { a: 1, b: { list: [1, 2] } },
      { a: 1, b: { list: [1, 2] }, c: "late" },
      { b: { list: [1, 2] }, c: "late" },
      { fresh: true },
    ],
  );
});

test("publish resolves with the receipt, rejects with the hub's code, and with HUB_LOST when the hub dies", async () => {
  const [good, full, lost] = [
    io.to("a").except("b").idempotencyKey("k1").publish("x", 1),
    io.publish("y"),
    io.of("/chat").publish("z"),
  ];
  const emits = await hub.until(() => hub.heardOf("emit").length === 3 && hub.heardOf("emit"));
  assert.deepEqual(emits[0], {
    type: "emit",
    to: { namespace: "/", rooms: ["a"], except: ["b"] },
    payload: { json: '["x",1]', attachments: [] },
    compress: true,
    volatile: false,
    answers: null,
    timeoutMs: 0,
    receipt: emits[0]!.receipt,
    key: "k1",
  });
  hub.say({ type: "published", receipt: emits[0]!.receipt!, offset: "o", seq: 4, duplicate: true });
  hub.say({ type: "unpublished", receipt: emits[1]!.receipt!, code: "STORE_FULL" });
  assert.deepEqual(await good, { offset: "o", seq: 4, duplicate: true });
  await assert.rejects(full, { name: "PublishError", code: "STORE_FULL" });
  const gone = assert.rejects(lost, { code: "HUB_LOST" });
  await link.close();
  await gone;
  await assert.rejects(io.volatile.publish("x"), TypeError);
});

test("questions asked while the hub is away are put to the next one, in their order among the emits", async () => {
  await link.close();
  await new Promise((resolve) => setImmediate(resolve));
  hub.heard.length = 0;
  const answers = [io.publish("one"), io.emit("two"), io.fetchSockets()];
  link = await createLinkServer({ path, attach: hub.attach, clock: systemClock, logger: silentLogger });
  const { request } = await hub.until(() => hub.heardOf("find")[0]);
  assert.deepEqual(
    hub.heardOf("emit").map(({ payload }) => payload.json),
    ['["one"]', '["two"]'],
  );
  hub.say({ type: "published", receipt: hub.heardOf("emit")[0]!.receipt!, offset: "o", seq: 1, duplicate: false });
  hub.say({ type: "found", request, sockets: [] });
  assert.deepEqual(await Promise.all(answers), [{ offset: "o", seq: 1, duplicate: false }, true, []]);
});

test("acknowledgements in flight end in an error when the hub dies, and so do the sockets", async () => {
  const ended: string[] = [];
  const results: Promise<unknown>[] = [];
  io.on("connection", (socket) => {
    socket.on("disconnect", (reason) => ended.push(reason));
    results.push(socket.emitWithAck("ask"), io.timeout(60_000).emitWithAck("ask"));
    for (const result of results) result.catch(() => {});
  });
  hub.say(connect());
  await hub.until(() => hub.heardOf("emit").length === 2);
  await link.close();
  await assert.rejects(results[0]!, { message: "socket has been disconnected" });
  await assert.rejects(results[1]!, { message: "operation has timed out" });
  assert.deepEqual(ended, ["transport close"]);
  assert.equal(io.sockets.sockets.size, 0);
  // And when a hub is back, so is the server.
  link = await createLinkServer({ path, attach: hub.attach, clock: systemClock, logger: silentLogger });
  hub.heard.length = 0;
  assert.deepEqual(await hub.until(() => hub.heard[0]), { type: "hello", instance: "web.7" });
});

test("close says leaving, ends the sockets here, and is then gone; nothing is closed at the hub", async () => {
  const ended: string[] = [];
  io.on("connection", (socket) => socket.on("disconnect", (reason) => ended.push(reason)));
  hub.say(connect());
  await hub.until(() => hub.heardOf("accept")[0]);
  const closing = io.close();
  await hub.until(() => hub.server === null);
  await closing;
  assert.deepEqual(hub.heard.at(-1), { type: "leaving" });
  assert.deepEqual(hub.heardOf("close"), []);
  assert.deepEqual(ended, ["server shutting down"]);
});

test("a namespace that a function is slow to allow does not take in a client that left meanwhile", async () => {
  const { promise: allowed, resolve: allow } = Promise.withResolvers<void>();
  const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
  io.of((_name, _auth, next) => {
    ask();
    allowed.then(() => next(null, true));
  });
  hub.say(connect({ namespace: "/slow" }));
  hub.say({ type: "disconnect", socket: "s1", reason: "transport close" });
  hub.say(connect({ socket: "s2" }));
  await asked;
  await hub.until(() => hub.heardOf("accept")[0]);
  allow();
  await allowed;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(hub.heardOf("accept"), [{ type: "accept", socket: "s2" }]);
  assert.equal(io.of("/slow").sockets.size, 0);
});

test("a function that throws allows no namespace, and keeps nobody else waiting", async () => {
  io.of(() => {
    throw new Error("matcher");
  });
  const uncaught = takeUncaught();
  hub.say(connect({ namespace: "/x" }));
  hub.say(connect({ socket: "s2" }));
  await hub.until(() => hub.heardOf("accept")[0]);
  assert.equal(hub.heardOf("refuse")[0]?.message, "Invalid namespace");
  assert.equal((await uncaught).message, "matcher");
});

test("local reaches the sockets of this server only, by their ids", async () => {
  hub.say(connect({ rooms: ["room"] }));
  hub.say(connect({ socket: "s2" }));
  await hub.until(() => hub.heardOf("accept")[1]);
  io.local.emit("all");
  io.to("room").local.emit("room");
  io.local.except("s2").emit("one");
  io.to("nobody").local.emit("none");
  await hub.until(() => hub.heardOf("emit")[2]);
  assert.deepEqual(
    hub.heardOf("emit").map(({ to }) => to.rooms),
    [["s1", "s2"], ["s1"], ["s1"]],
  );
});

/** Takes the next uncaught exception away from the test runner, which would blame the test. */
function takeUncaught(): Promise<Error> {
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  return new Promise((resolve) => {
    process.once("uncaughtException", (error) => {
      for (const listener of others) process.on("uncaughtException", listener);
      resolve(error);
    });
  });
}
