/** Programs as applications are: with sign-in, types, files, and clients that come back. */
import type { Socket as Client } from "socket.io-client";
import { next } from "../counterparts.ts";
import { addressOf, type Program } from "./program.ts";

export const applications: Record<string, Program> = {};

applications["sign in by HTTP: one session of express and of the engine, with a cookie"] = {
  alone: "sessions are in the process's memory",
  source: `
    import express from "express";
    import { createServer } from "node:http";
    import { randomUUID } from "node:crypto";
    import { Server } from "socket.io";

    const app = express();
    const httpServer = createServer(app);
    const sessions = new Map();

    // In the manner of express-session: the cookie is set when the head is written, the session is kept at the end.
    const sessionMiddleware = (req, res, next) => {
      const id = /connect\\.sid=([\\w-]+)/.exec(req.headers.cookie ?? "")?.[1];
      req.sessionID = sessions.has(id) ? id : randomUUID();
      req.session = { ...sessions.get(id), ip: req.socket.remoteAddress !== undefined };
      const { writeHead, end } = res;
      res.writeHead = function (...args) {
        if (req.sessionID !== id) res.setHeader("Set-Cookie", "connect.sid=" + req.sessionID + "; Path=/; HttpOnly");
        res.writeHead = writeHead;
        return res.writeHead(...args);
      };
      res.end = function (...args) {
        sessions.set(req.sessionID, req.session);
        res.end = end;
        return res.end(...args);
      };
      setImmediate(next);
    };
    app.use(sessionMiddleware);
    app.post("/login", (req, res) => {
      req.session.user = { username: "john" };
      res.status(204).end();
    });
    app.post("/logout", (req, res) => {
      io.to("session:" + req.sessionID).disconnectSockets();
      sessions.delete(req.sessionID);
      res.end = Object.getPrototypeOf(res).end;
      res.status(204).end();
    });

    const io = new Server(httpServer);
    const onlyForHandshake = (middleware) => (req, res, next) => {
      const isHandshake = req._query.sid === undefined;
      if (isHandshake) middleware(req, res, next);
      else next();
    };
    io.engine.use(onlyForHandshake(sessionMiddleware));
    io.engine.use((req, res, next) => {
      res.setHeader("X-Content-Type-Options", "nosniff");
      next();
    });
    io.engine.use(
      onlyForHandshake((req, res, next) => {
        if (req.session.user || req.headers["x-guest"]) return next();
        res.writeHead(401, { "Content-Type": "text/plain" });
        res.end("sign in first");
      }),
    );
    io.use((socket, next) => {
      socket.data.user = socket.request.session.user?.username ?? "guest";
      next();
    });
    io.on("connection", (socket) => {
      const req = socket.request;
      socket.join("session:" + req.sessionID);
      socket.emit("welcome", socket.data.user, req.session.ip, req.method, req.headers["x-guest"] ?? "none");
    });
    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const stranger = visit();
    await next(stranger, "connect_error");
    const polled = await fetch(`${addressOf(stranger)}/socket.io/?EIO=4&transport=polling`);
    const refused = [polled.status, await polled.text(), polled.headers.get("x-content-type-options")];
    const guest = visit("/", { extraHeaders: { "x-guest": "yes" } });
    const welcomed = await next(guest, "welcome");
    const opened = await fetch(`${addressOf(guest)}/socket.io/?EIO=4&transport=polling`, {
      headers: { "x-guest": "1" },
    });
    const cookies = opened.headers.getSetCookie().map((cookie) => cookie.replace(/=[\w-]+/, "=…"));
    const head = [opened.status, cookies, opened.headers.get("x-content-type-options")];
    await opened.text();
    const login = await fetch(`${addressOf(guest)}/login`, { method: "POST" });
    const cookie = login.headers.getSetCookie()[0]!.split(";", 1)[0]!;
    const john = visit("/", { extraHeaders: { cookie } });
    const known = await next(john, "welcome");
    const gone = next(john, "disconnect");
    await fetch(`${addressOf(john)}/logout`, { method: "POST", headers: { cookie } });
    return [refused, welcomed, head, known, (await gone)[0]];
  },
  sees: [
    [401, "sign in first", "nosniff"],
    ["guest", true, "GET", "yes"],
    [200, ["connect.sid=…; Path=/; HttpOnly"], "nosniff"],
    ["john", true, "GET", "none"],
    "io server disconnect",
  ],
};

applications["typed events in TypeScript: rooms, acknowledgements, data"] = {
  kind: "module-typescript",
  source: `
    import { createServer } from "node:http";
    import { Server, type Socket } from "socket.io";

    interface ServerToClientEvents {
      noArg: () => void;
      basicEmit: (a: number, b: string, c: Buffer) => void;
      withAck: (d: string, callback: (e: number) => void) => void;
    }
    interface ClientToServerEvents {
      hello: (name: string, callback: (rooms: string[]) => void) => void;
      ask: (room: string, callback: (answers: number[]) => void) => void;
      names: (callback: (names: string[]) => void) => void;
      move: (from: string, to: string, callback: (count: number) => void) => void;
    }
    interface InterServerEvents {
      ping: () => void;
    }
    interface SocketData {
      name: string;
      age: number;
    }
    type AppSocket = Socket<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>;

    const httpServer = createServer();
    const io = new Server<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>(httpServer, {
      connectTimeout: 10_000,
    });
    const register = (io: Server, socket: AppSocket) => {
      socket.on("hello", async (name, callback) => {
        socket.data.name = name;
        await socket.join(["people", "person " + name]);
        socket.emit("noArg");
        socket.emit("basicEmit", 1, "2", Buffer.from([3]));
        callback([...socket.rooms].filter((room) => room !== socket.id));
      });
      socket.on("ask", async (room, callback) => {
        callback(await io.to(room).timeout(5000).emitWithAck("withAck", "4"));
      });
      socket.on("names", async (callback) => {
        callback((await io.in("people").fetchSockets()).map((remote) => remote.data.name).sort());
      });
      socket.on("move", async (from, to, callback) => {
        io.in(from).socketsJoin(to);
        io.in(to).socketsLeave(from);
        callback((await io.in(to).fetchSockets()).length);
      });
    };
    io.on("connection", (socket) => register(io as unknown as Server, socket));
    httpServer.listen(process.env.PORT ?? 0, () => console.log((httpServer.address() as { port: number }).port));
  `,
  async use(visit) {
    const people = [visit(), visit(), visit()];
    const [one] = people as [Client];
    const said = [next(one, "noArg"), next(one, "basicEmit")];
    const rooms = [];
    for (const [index, person] of people.entries()) {
      person.on("withAck", (d: string, callback: (e: number) => void) => callback(Number(d) + index));
      rooms.push(await person.emitWithAck("hello", `p${index}`));
    }
    const [, [a, b, c]] = (await Promise.all(said)) as [unknown, [number, string, Uint8Array]];
    const answers = ((await one.emitWithAck("ask", "people")) as number[]).sort();
    const names = await one.emitWithAck("names");
    const moved = await one.emitWithAck("move", "person p1", "elsewhere");
    const none = await one.emitWithAck("ask", "person p1");
    return [rooms, [a, b, [...c]], answers, names, moved, none];
  },
  sees: [[0, 1, 2].map((index) => ["people", `person p${index}`]), [1, "2", [3]], [4, 5, 6], ["p0", "p1", "p2"], 1, []],
};

applications["files: uploaded with an acknowledgement, sent on with what belongs to them"] = {
  source: `
    import { createServer } from "node:http";
    import { createHash } from "node:crypto";
    import { mkdtempSync, rmSync } from "node:fs";
    import { readFile, writeFile } from "node:fs/promises";
    import { tmpdir } from "node:os";
    import { join } from "node:path";
    import { Server } from "socket.io";

    const folder = mkdtempSync(join(tmpdir(), "upload-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    process.on("SIGTERM", () => process.exit());
    const httpServer = createServer();
    const io = new Server(httpServer, { maxHttpBufferSize: 1e6 });
    io.on("connection", (socket) => {
      socket.on("upload", async (file, callback) => {
        if (!Buffer.isBuffer(file)) return callback({ message: "no file" });
        const path = join(folder, String(Math.random()));
        await writeFile(path, file);
        const kept = await readFile(path);
        callback({ message: "success", bytes: kept.length, sha: createHash("sha256").update(kept).digest("hex") });
      });
      socket.on("share", (file, callback) => {
        socket.broadcast.emit("shared", { ...file, from: socket.handshake.auth.name, thumbnails: [file.content, Buffer.alloc(0)] });
        callback();
      });
    });
    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
  `,
  async use(visit) {
    const [anna, ben] = [visit("/", { auth: { name: "Anna" } }), visit()];
    await Promise.all([next(anna, "connect"), next(ben, "connect")]);
    const file = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 251));
    const uploaded = await anna.emitWithAck("upload", file);
    const refused = await anna.emitWithAck("upload", "text");
    const heard = next(ben, "shared");
    await anna.emitWithAck("share", { name: "a.bin", content: file.subarray(10, 15) });
    const [shared] = (await heard) as [{ content: Uint8Array; thumbnails: Uint8Array[] } & Record<string, unknown>];
    const plain = { ...shared, content: [...shared.content], thumbnails: shared.thumbnails.map((bytes) => [...bytes]) };
    return [uploaded, refused, plain];
  },
  sees: [
    { message: "success", bytes: 300_000, sha: "b1cf7538cf80d01efe3e0b8e45dc930048a138c7b6f8c4aff08f478e4695e631" },
    { message: "no file" },
    { name: "a.bin", content: [70, 77, 84, 91, 98], from: "Anna", thumbnails: [[70, 77, 84, 91, 98], []] },
  ],
};

applications["state recovery: a client that comes back has its rooms, its data and what it missed"] = {
  recovers: true,
  source: `
    import { createServer } from "node:http";
    import { Server } from "socket.io";

    const httpServer = createServer();
    const io = new Server(httpServer, {
      connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true },
    });
    let middlewares = 0;
    io.use((socket, next) => {
      middlewares++;
      next();
    });
    io.on("connection", (socket) => {
      if (!socket.recovered) {
        socket.join("lobby");
        socket.data.since = "the beginning";
      }
      socket.on("say", (text, callback) => {
        socket.to("lobby").emit("said", text);
        callback();
      });
      socket.on("state", (callback) => callback(socket.recovered, socket.data.since, socket.rooms.has("lobby"), middlewares));
    });
    httpServer.listen(process.env.PORT ?? 0, () => console.log(httpServer.address().port));
  `,
  alone: "it counts in the process's memory",
  async use(visit) {
    const [anna, ben] = [visit("/", { reconnection: true, reconnectionDelay: 100 }), visit()];
    await Promise.all([next(anna, "connect"), next(ben, "connect")]);
    const heard: unknown[] = [];
    anna.on("said", (text) => heard.push(text));
    const first = next(anna, "said");
    await ben.emitWithAck("say", "one");
    await first;
    const stateOf = () => new Promise<unknown[]>((resolve) => anna.emit("state", (...all: unknown[]) => resolve(all)));
    const [, , , before] = await stateOf();
    const { id } = anna;
    const back = next(anna, "connect");
    anna.io.engine.close();
    await ben.emitWithAck("say", "two");
    await back;
    await ben.emitWithAck("say", "three");
    const [recovered, since, inRoom, after] = await stateOf();
    return [anna.recovered, anna.id === id, heard, recovered, since, inRoom, after === before];
  },
  sees: [true, true, ["one", "two", "three"], true, "the beginning", true, true],
};
