/** Programs as Socket.IO's documentation has them. */
import type { Socket as Client } from "socket.io-client";
import { next } from "../counterparts.ts";
import { addressOf, type Program } from "./program.ts";

/** A server may be used more than once: what it keeps is kept apart. */
let visits = 0;

export const documentation: Record<string, Program> = {};

documentation["get started: a chat on express"] = {
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

    server.listen(process.env.PORT ?? 0, () => console.log(server.address().port));
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

documentation["private messages: users, sessions, rooms of one's own"] = {
  alone: "users and sessions are in the process's memory",
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

    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
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

documentation["a session of the engine's middlewares, on request and in headers"] = {
  alone: "sessions are in the process's memory",
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
      socket.emit("line", socket.conn.id, socket.conn.transport.name.length > 0, io.engine.clientsCount >= 1);
      socket.on("my event", (done) => {
        req.session.count++;
        done(req.session.count, last);
      });
    });
    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const stranger = visit();
    await next(stranger, "connect_error");
    const sid = `s${++visits}`;
    const extraHeaders = { authorization: "letmein", cookie: `sid=${sid}` };
    const client = visit("/", { extraHeaders });
    const line = await next(client, "line");
    const once = await client.emitWithAck("my event");
    const answer = await fetch(`${addressOf(client)}/socket.io/?EIO=4&transport=polling&sid=none`, {
      headers: extraHeaders,
    });
    const [count, error] = await new Promise<unknown[]>((resolve) =>
      client.emit("my event", (...args: unknown[]) => resolve(args)),
    );
    const named = /^line\d+$/.test(line[0]);
    return [named, line.slice(1), once, count, error, answer.status, answer.headers.get("x-session") === sid];
  },
  sees: [true, [true, true], 1, 2, { code: 1, message: "Session ID unknown", context: { sid: "none" } }, 400, true],
};

documentation["CommonJS: namespaces on demand, middlewares of all kinds, acknowledgements with a time-out"] = {
  kind: "commonjs",
  source: `
    const io = require("socket.io")(Number(process.env.PORT ?? 0), { pingInterval: 10000 });
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

documentation["options of the server: heartbeat, cookie, CORS, allowRequest, headers"] = {
  source: `
    import { createServer } from "node:http";
    import { Server } from "socket.io";

    const httpServer = createServer();
    const io = new Server(httpServer, {
      pingInterval: 12345,
      pingTimeout: 6789,
      maxHttpBufferSize: 5555,
      cookie: { name: "my-cookie", httpOnly: true, sameSite: "strict", maxAge: 86400 },
      cors: { origin: [/\\.example\\.com$/, "http://localhost:8080"], allowedHeaders: ["my-custom-header"], credentials: true },
      allowRequest: (req, callback) => {
        callback(req.headers["x-bad"] ? "go away" : null, !req.headers["x-bad"]);
      },
    });
    io.engine.on("initial_headers", (headers, req) => {
      headers["test"] = "123";
      headers["set-cookie"] = "mycookie=456";
    });
    io.engine.on("headers", (headers, req) => {
      headers["test"] = "789";
    });
    io.on("connection", (socket) => {
      socket.on("origin", (callback) => callback(socket.handshake.headers.origin, socket.handshake.xdomain));
    });
    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const client = visit("/", { extraHeaders: { origin: "https://www.example.com" } });
    const page = await new Promise((resolve) => client.emit("origin", (...all: unknown[]) => resolve(all)));
    const url = `${addressOf(client)}/socket.io/?EIO=4&transport=polling`;
    const ask = async (headers: Record<string, string>, method = "GET") => {
      const answer = await fetch(url, { method, headers });
      const names = ["access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-headers"];
      return {
        status: answer.status,
        body: await answer.text(),
        cors: names.map((name) => answer.headers.get(name)),
        cookies: answer.headers.getSetCookie(),
        test: answer.headers.get("test"),
      };
    };
    const opened = await ask({ origin: "http://localhost:8080" });
    const { sid: _, maxPayload: __, ...terms } = JSON.parse(opened.body.slice(1));
    // The reference lets this header put out the cookie that the option sets; ours sends both.
    const cookies = opened.cookies.filter((cookie) => !cookie.startsWith("my-cookie="));
    const refused = await ask({ "x-bad": "yes" });
    const preflight = await ask(
      { origin: "https://a.example.com", "access-control-request-method": "POST" },
      "OPTIONS",
    );
    return [
      page,
      [opened.status, opened.cors.slice(0, 2), cookies, opened.test, terms],
      [refused.status, refused.body],
      [preflight.status, preflight.cors],
    ];
  },
  sees: [
    ["https://www.example.com", true],
    [
      200,
      ["http://localhost:8080", "true"],
      ["mycookie=456"],
      "789",
      { upgrades: ["websocket"], pingInterval: 12345, pingTimeout: 6789 },
    ],
    [403, '{"code":4,"message":"go away"}'],
    [204, ["https://a.example.com", "true", "my-custom-header"]],
  ],
};
