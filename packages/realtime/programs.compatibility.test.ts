/**
 * Whole programs in the style of Socket.IO's documentation, each run twice as a process: as it is, and with `socket.io` changed
 * to `@tideway/realtime` and nothing else. Stock clients use them; what they saw must be what is written here.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { suite, test } from "node:test";
import { type Socket as Client, io, type ManagerOptions, type SocketOptions } from "socket.io-client";
import { next, transports } from "./testing/counterparts.ts";

interface Program {
  /** Listens on a free port and prints it. */
  readonly source: string;
  readonly commonjs?: true;
  /** Uses it, and says what came of it. */
  use(visit: (namespace?: string, options?: Partial<ManagerOptions & SocketOptions>) => Client): Promise<unknown>;
  readonly sees: unknown;
}

/** For those who ask the same server by plain HTTP. */
const addressOf = (client: Client) => (client.io as unknown as { uri: string }).uri;

const programs: Record<string, Program> = {};

programs["get started: a chat on express"] = {
  source: `
    import express from "express";
    import { createServer } from "node:http";
    import { Server } from "socket.io";

    const app = express();
    const server = createServer(app);
    const io = new Server(server);

    app.get("/", (req, res) => res.send("<h1>Hello world</h1>"));

    io.on("connection", (socket) => {
      socket.broadcast.emit("hi");
      socket.on("chat message", (msg, callback) => {
        io.emit("chat message", msg, socket.handshake.auth.serverOffset ?? 0);
        callback?.();
      });
      socket.on("disconnect", () => io.emit("bye"));
    });

    server.listen(0, () => console.log(server.address().port));
  `,
  async use(visit) {
    const one = visit();
    await next(one, "connect");
    const greeted = next(one, "hi");
    const two = visit("/", { auth: { serverOffset: 7 } });
    await greeted;
    const heard = next(one, "chat message");
    await two.emitWithAck("chat message", "hello");
    const said = await heard;
    const left = next(one, "bye");
    two.disconnect();
    return [said, await left, await (await fetch(addressOf(one))).text()];
  },
  sees: [["hello", 7], [], "<h1>Hello world</h1>"],
};

programs["private messages: users, sessions, rooms of one's own"] = {
  source: `
    import { createServer } from "node:http";
    import { Server } from "socket.io";

    const httpServer = createServer();
    const io = new Server(httpServer, { cors: { origin: "http://localhost:8080" } });
    const sessions = new Map();

    io.use(async (socket, next) => {
      const sessionID = socket.handshake.auth.sessionID;
      if (sessionID) {
        const session = sessions.get(sessionID);
        if (session) {
          socket.sessionID = sessionID;
          socket.username = session.username;
          return next();
        }
      }
      const username = socket.handshake.auth.username;
      if (!username) return next(new Error("invalid username"));
      socket.sessionID = "session of " + username;
      socket.username = username;
      next();
    });

    io.on("connection", async (socket) => {
      sessions.set(socket.sessionID, { username: socket.username, connected: true });
      socket.emit("session", { sessionID: socket.sessionID });
      socket.join(socket.username);
      const users = [];
      for (const [id, other] of io.of("/").sockets) users.push(other.username);
      socket.emit("users", users.sort());
      socket.broadcast.emit("user connected", { username: socket.username });
      socket.on("private message", ({ content, to }) => {
        socket.to(to).to(socket.username).emit("private message", { content, from: socket.username, to });
      });
      socket.on("disconnect", async () => {
        const matchingSockets = await io.in(socket.username).allSockets();
        if (matchingSockets.size === 0) socket.broadcast.emit("user disconnected", socket.username);
      });
    });

    httpServer.listen(0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const nobody = visit();
    const [refused] = await next(nobody, "connect_error");
    const anna = visit("/", { auth: { username: "anna" } });
    const [session] = await next(anna, "session");
    const came = next(anna, "user connected");
    const ben = visit("/", { auth: { username: "ben" } });
    const users = next(ben, "users");
    const known = [await came, await users];
    // A second window of the same person, by the session.
    const again = visit("/", { auth: session });
    await next(again, "users");
    const told = [next(anna, "private message"), next(again, "private message")];
    ben.emit("private message", { content: "psst", to: "anna" });
    const heard = await Promise.all(told);
    const gone = next(anna, "user disconnected");
    again.disconnect();
    ben.disconnect();
    return [refused.message, session, known, heard, await gone];
  },
  sees: [
    "invalid username",
    { sessionID: "session of anna" },
    [[{ username: "ben" }], [["anna", "ben"]]],
    [[{ content: "psst", from: "ben", to: "anna" }], [{ content: "psst", from: "ben", to: "anna" }]],
    ["ben"],
  ],
};

programs["a session of the engine's middlewares, on request and in headers"] = {
  source: `
    import { Server } from "socket.io";
    import { createServer } from "node:http";

    const sessions = new Map();
    const session = (req, res, next) => {
      const id = /sid=(\\w+)/.exec(req.headers.cookie ?? "")?.[1] ?? "fresh";
      if (!sessions.has(id)) sessions.set(id, { count: 0 });
      req.session = sessions.get(id);
      res.setHeader("x-session", id);
      next();
    };
    const httpServer = createServer();
    const io = new Server(httpServer);
    io.engine.use(session);
    let names = 0;
    io.engine.generateId = (req) => "line" + ++names;
    io.engine.on("initial_headers", (headers, req) => {
      headers["x-initial"] = req.url.length > 0;
    });
    io.engine.on("connection_error", (err) => {
      last = { code: err.code, message: err.message, context: err.context };
    });
    let last = null;

    // only for authenticated users
    io.engine.use((req, res, next) => {
      const isHandshake = req._query.sid === undefined;
      if (!isHandshake || req.headers.authorization === "letmein") return next();
      res.writeHead(401);
      res.end();
    });

    io.on("connection", (socket) => {
      const req = socket.request;
      socket.emit("line", socket.conn.id, socket.conn.transport.name.length > 0, io.engine.clientsCount);
      socket.on("my event", (done) => {
        req.session.count++;
        done(req.session.count, last);
      });
    });
    httpServer.listen(0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const stranger = visit();
    await next(stranger, "connect_error");
    const extraHeaders = { authorization: "letmein", cookie: "sid=abc" };
    const client = visit("/", { extraHeaders });
    const line = await next(client, "line");
    const once = await client.emitWithAck("my event");
    const answer = await fetch(`${addressOf(client)}/socket.io/?EIO=4&transport=polling&sid=none`, {
      headers: extraHeaders,
    });
    const [count, error] = await new Promise<unknown[]>((resolve) =>
      client.emit("my event", (...args: unknown[]) => resolve(args)),
    );
    return [line, once, count, error, answer.status, answer.headers.get("x-session")];
  },
  sees: [["line1", true, 1], 1, 2, { code: 1, message: "Session ID unknown", context: { sid: "none" } }, 400, "abc"],
};

programs["CommonJS: namespaces on demand, middlewares of all kinds, acknowledgements with a time-out"] = {
  commonjs: true,
  source: `
    const io = require("socket.io")(0, { pingInterval: 10000 });
    io.httpServer.on("listening", () => console.log(io.httpServer.address().port));

    const workspaces = io.of(/^\\/workspace-\\d+$/);
    workspaces.use((socket, next) => {
      if (socket.handshake.auth.token === "abcd") return next();
      const err = new Error("not authorized");
      err.data = { content: "Please retry later" };
      next(err);
    });
    workspaces.on("connection", (socket) => {
      const log = [];
      socket.use(([event, ...args], next) => {
        if (event === "forbidden") return next(new Error("unauthorized event"));
        next();
      });
      socket.on("error", (err) => socket.emit("refused", err.message));
      socket.onAny((event) => log.push(event));
      socket.prependAny((event) => log.push("first " + event));
      socket.onAnyOutgoing((event) => log.push("out " + event));
      socket.on("log", (cb) => cb(log));
      socket.on("join", async (room, cb) => {
        await socket.join(room);
        cb([...socket.rooms].length, socket.nsp.name);
      });
      socket.on("ask all", async (room, cb) => {
        try {
          cb(await socket.nsp.to(room).timeout(2000).emitWithAck("question", 1));
        } catch (err) {
          cb(err.message, err.responses);
        }
      });
      socket.on("ask me", (cb) => {
        socket.timeout(50).emit("unanswered", (err) => cb(err instanceof Error, err.message));
      });
      socket.on("count", async (cb) => cb((await socket.nsp.fetchSockets()).length));
      socket.on("kick", () => socket.nsp.in("lobby").disconnectSockets(true));
    });
  `,
  async use(visit) {
    const refused = visit("/workspace-1");
    const [error] = await next(refused, "connect_error");
    const lost = visit("/elsewhere");
    const [unknown] = await next(lost, "connect_error");
    const options = { auth: { token: "abcd" } };
    const [one, two] = [visit("/workspace-7", options), visit("/workspace-7", options)];
    const many = (client: Client, ...args: unknown[]) =>
      new Promise<unknown[]>((resolve) =>
        client.emit(...(args as [string]), (...answer: unknown[]) => resolve(answer)),
      );
    const joined = [await many(one, "join", "lobby"), await many(two, "join", "lobby")];
    for (const client of [one, two]) client.on("question", (n, done) => done(n + 1));
    const answers = await many(one, "ask all", "lobby");
    const timedOut = await many(one, "ask me");
    const dropped = next(one, "refused");
    one.emit("forbidden");
    const why = await dropped;
    const count = await many(one, "count");
    const log = await many(one, "log");
    const gone = [next(one, "disconnect"), next(two, "disconnect")];
    two.emit("kick");
    const reasons = (await Promise.all(gone)).map(([reason]) => reason);
    return [error.message, error.data, unknown.message, joined, answers, timedOut, why, count, log, reasons];
  },
  sees: [
    "not authorized",
    { content: "Please retry later" },
    "Invalid namespace",
    [
      [2, "/workspace-7"],
      [2, "/workspace-7"],
    ],
    [[2, 2]],
    [true, "operation has timed out"],
    ["unauthorized event"],
    [2],
    [
      [
        "first join",
        "join",
        "first ask all",
        "ask all",
        "out question",
        "first ask me",
        "ask me",
        "out unanswered",
        "first forbidden",
        "forbidden",
        "out refused",
        "first count",
        "count",
        "first log",
        "log",
      ],
    ],
    ["io server disconnect", "io server disconnect"],
  ],
};

for (const [name, change] of [
  ["socket.io", (source: string) => source],
  ["tideway", (source: string) => source.replaceAll('"socket.io"', '"@tideway/realtime"')],
] as const) {
  suite(name, { concurrency: 2 }, () => {
    for (const [rule, program] of Object.entries(programs)) {
      for (const [transport, clientOptions] of transports) {
        test(`${rule} (${transport})`, { timeout: 30_000 }, () => run(program, change, clientOptions));
      }
    }
  });
}

async function run(
  program: Program,
  change: (source: string) => string,
  clientOptions: Partial<ManagerOptions & SocketOptions>,
): Promise<void> {
  const kind = program.commonjs ? "--input-type=commonjs" : "--input-type=module";
  const child = spawn(process.execPath, [kind, "--eval", change(program.source)], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const clients: Client[] = [];
  try {
    const [port] = (await once(createInterface(child.stdout), "line")) as [string];
    const seen = await program.use((namespace = "/", options = {}) => {
      const address = `http://127.0.0.1:${port}${namespace === "/" ? "" : namespace}`;
      const client = io(address, { forceNew: true, reconnection: false, ...clientOptions, ...options });
      clients.push(client);
      return client;
    });
    assert.deepEqual(seen, program.sees);
  } finally {
    for (const client of clients) client.disconnect();
    child.kill();
    await once(child, "exit");
  }
}
