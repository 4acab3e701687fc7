/**
 * Typed programs before TypeScript's own compiler, once with `socket.io`'s types and once with ours: what must compile does with
 * both, and each wrong line is refused by both, and by no more of the program than that line.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("../../", import.meta.url));

const right = `
import { createServer } from "node:http";
import {
  type BroadcastOperator,
  type DefaultEventsMap,
  type DisconnectReason,
  type ExtendedError,
  type Namespace,
  type RemoteSocket,
  Server,
  type ServerOptions,
  type Socket,
} from "socket.io";

interface ServerToClientEvents {
  noArg: () => void;
  basicEmit: (a: number, b: string, c: Buffer) => void;
  withAck: (d: string, callback: (e: number) => void) => void;
  optional: (a?: number) => void;
  message: (text: string) => void;
}
interface ClientToServerEvents {
  hello: () => void;
  ask: (question: string, callback: (answer: number) => void) => void;
  move: (from: { x: number }, to: { x: number }) => void;
}
interface InterServerEvents {
  ping: () => void;
  cached: (key: string, callback: (known: boolean) => void) => void;
}
interface SocketData {
  name: string;
  age: number;
}

const httpServer = createServer();
const options: Partial<ServerOptions> = {
  path: "/socket.io/", serveClient: true, connectTimeout: 1, pingInterval: 1, pingTimeout: 1, upgradeTimeout: 1,
  maxHttpBufferSize: 1e8, transports: ["polling", "websocket"], allowUpgrades: true, perMessageDeflate: { threshold: 1 },
  httpCompression: true, cookie: { name: "io", sameSite: "lax" }, cors: { origin: ["https://a.example", /b/], credentials: true },
  connectionStateRecovery: { maxDisconnectionDuration: 1, skipMiddlewares: true }, cleanupEmptyChildNamespaces: true,
  addTrailingSlash: false,
  allowRequest: (req, callback) => callback(null, req.headers.origin === undefined),
};
const io = new Server<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>(httpServer, options);
type AppSocket = Socket<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>;
type AppNamespace = Namespace<ClientToServerEvents, ServerToClientEvents, InterServerEvents, SocketData>;
const nsp: AppNamespace = io.of("/typed");
const byPattern: AppNamespace = io.of(/^\\/dynamic-\\d+$/);
const byFunction: AppNamespace = io.of((name, auth, next) => next(null, name === auth["name"]));
const audience: BroadcastOperator<ServerToClientEvents, SocketData> = io.to("a") as never;

io.use((socket, next) => {
  const data: Partial<SocketData> = socket.data;
  const err: ExtendedError = Object.assign(new Error("no"), { data: { content: data.name } });
  next(socket.handshake.auth["ok"] === true ? undefined : err);
});
io.on("connection", (socket) => {
  const handle: (socket: AppSocket) => void = () => {};
  handle(socket);
  socket.emit("noArg");
  socket.emit("basicEmit", 1, "2", Buffer.from([3]));
  socket.emit("optional");
  socket.emit("withAck", "4", (e) => e.toFixed());
  socket.send("text");
  socket.timeout(5).emit("withAck", "4", (err: Error, e) => [err.message, e.toFixed()]);
  socket.on("hello", () => {});
  socket.once("ask", (question, callback) => callback(question.length));
  socket.on("disconnect", (reason: DisconnectReason, description) => [reason, description]);
  socket.on("disconnecting", (reason) => [reason, ...socket.rooms].join());
  socket.on("error", (err) => err.message);
  socket.onAny((event: string, ...args: unknown[]) => [event, args]);
  socket.prependAny((event: "hello" | "ask", ...args: string[]) => [event, args]);
  socket.onAnyOutgoing((event, ...args) => [event, args]);
  socket.use(([event, ...args], next) => next(args.length > 1 ? new Error(event) : undefined));
  socket.join("a");
  socket.join(["b", "c"]);
  socket.to("a").except("b").emit("basicEmit", 1, "2", Buffer.alloc(0));
  socket.volatile.compress(false).emit("noArg");
  socket.broadcast.local.emit("noArg");
  socket.data.name = "Anna";
  socket.disconnect(true);
  const { id, connected, recovered, handshake, conn, request, nsp: own } = socket;
  return [id, connected, recovered, handshake.headers.cookie, handshake.query["a"], conn.transport.name, request.url, own.name];
});
const answers = async (socket: AppSocket) => {
  const one: number = await socket.emitWithAck("withAck", "4");
  const timed: number = await socket.timeout(5).emitWithAck("withAck", "4");
  const all: number[] = await io.timeout(5).emitWithAck("withAck", "4");
  const some: number[] = await nsp.to("a").timeout(5).emitWithAck("withAck", "4");
  const remotes: RemoteSocket<ServerToClientEvents, SocketData>[] = await io.in("a").fetchSockets();
  const known: boolean[] = await io.serverSideEmitWithAck("cached", "key");
  for (const remote of remotes) {
    remote.emit("noArg");
    remote.join("x");
    remote.leave("x");
    remote.disconnect();
    remote.data.age.toFixed();
  }
  return [one, timed, all, some, known];
};
io.timeout(5).emit("withAck", "4", (err, responses) => [err.message, responses.map((n) => n + 1)]);
io.emit("basicEmit", 1, "2", Buffer.alloc(0));
io.socketsJoin("a");
io.in("a").socketsLeave(["b"]);
io.disconnectSockets(true);
io.serverSideEmit("ping");
io.serverSideEmit("cached", "key", (err, known) => [err.message, known.map((one) => !one)]);
io.on("ping", () => {});
io.on("cached", (key, callback) => callback(key === ""));
io.on("new_namespace", (namespace) => namespace.name);
io.engine.on("connection_error", (err: { code: number }) => err.code);
io.engine.use((_req: unknown, _res: unknown, next: () => void) => next());
io.engine.generateId = () => "x";
nsp.adapter.on("join-room", (room: string, id: string) => [room, id]);
nsp.sockets.forEach((socket) => socket.data.age);
const closed: Promise<void> = io.close();

const untyped = new Server();
untyped.on("connection", (socket) => {
  socket.on("anything", (a, b, done) => done(a + b));
  socket.emit("whatever", 1, { two: 2 }, () => {});
  socket.data.anything = 1;
});
const two = new Server<ClientToServerEvents, ServerToClientEvents>(3000);
two.of("/x").on("connection", (socket) => socket.emit("noArg"));
const defaults: Server<DefaultEventsMap, DefaultEventsMap, DefaultEventsMap, any> = new Server();
export const all = [byPattern, byFunction, audience, answers, closed, defaults];
declare const socket: AppSocket;
`;

/** Each is the last line of the program above. */
const wrong: Readonly<Record<string, string>> = {
  "an event that is not sent to clients": `socket.emit("hello");`,
  "an argument that is missing": `socket.emit("basicEmit", 1, "2");`,
  "an argument of another type": `socket.emit("basicEmit", "1", "2", Buffer.alloc(0));`,
  "an argument too many": `socket.emit("noArg", 1);`,
  "an event that does not come from clients": `socket.on("noArg", () => {});`,
  "once, too": `socket.once("basicEmit", () => {});`,
  "a listener that expects another type": `socket.on("ask", (question: number) => question);`,
  "an answer of another type": `socket.on("ask", (_question, callback) => callback("1"));`,
  "a reason that is none": `socket.on("disconnect", (reason) => reason === "tired");`,
  "data of another type": `socket.data.age = "7";`,
  "data that there is not": `socket.data.email = "a@b";`,
  "an acknowledgement of all without a time-out": `io.emit("withAck", "4", () => {});`,
  "an acknowledgement of many without a time-out": `io.to("a").emit("withAck", "4", (e: number) => e);`,
  "a promise of an answer to what has none": `socket.emitWithAck("basicEmit", 1, "2");`,
  "a promised answer of another type": `socket.emitWithAck("withAck", "4").then((e: string) => e);`,
  "answers of many taken for one": `io.timeout(1).emitWithAck("withAck", "4").then((e: number) => e);`,
  "a time-out's callback without its error": `socket.timeout(1).emit("withAck", "4", (e: number) => e);`,
  "an event that servers do not send": `io.serverSideEmit("hello");`,
  "an event between servers, wrongly": `io.serverSideEmit("cached", 7, () => {});`,
  "an event that servers do not hear": `io.on("noArg", () => {});`,
  "a broadcast, wrongly": `socket.to("a").emit("basicEmit", 1);`,
  "a broadcast of what is not sent": `socket.broadcast.emit("ask", "a", () => {});`,
  "data of a remote socket": `io.fetchSockets().then(([remote]) => remote!.data.email);`,
  "an emit of a remote socket": `io.fetchSockets().then(([remote]) => remote!.emit("hello"));`,
  "sockets that were not waited for": `io.fetchSockets().length;`,
  "a room that is a number": `io.to(5).emit("noArg");`,
  "no room": `socket.join();`,
  "an id that is set": `socket.id = "x";`,
  "a text for an error": `io.use((_socket, next) => next("no"));`,
  "a text for an error in a socket's middleware": `socket.use((_event, next) => next("no"));`,
  "a text for a flag": `socket.disconnect("yes");`,
  "a text for a time": `io.timeout("1");`,
  "an option of another type": `new Server({ pingInterval: "1" });`,
  "an option that there is not": `new Server({ pingIntervall: 1 });`,
  "an unknown transport": `new Server({ transports: ["pigeon"] });`,
  "five type parameters": `new Server<{}, {}, {}, {}, {}>();`,
  "a text where the message is another": `socket.send(7);`,
  "a name that there is not": `socket.emitt("noArg");`,
  "a callback of another kind": `io.close(5);`,
};

type Library = "socket.io" | "@tideway/realtime";
const libraries: readonly Library[] = ["socket.io", "@tideway/realtime"];
const rightLines = right.split("\n").length;

suite("typed programs", () => {
  let folder: string;
  /** Lines that were refused, by library and program. */
  const refused = new Map<string, number[]>();
  let output = "";

  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tideway-types-"));
    symlinkSync(join(repository, "node_modules"), join(folder, "node_modules"));
    writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
    for (const library of libraries) {
      const place = library === "socket.io" ? "theirs" : "ours";
      mkdirSync(join(folder, place));
      const write = (name: string, text: string) =>
        writeFileSync(join(folder, place, `${name}.ts`), text.replace('from "socket.io"', `from "${library}"`));
      write("right", right);
      for (const [index, line] of Object.values(wrong).entries()) write(`wrong-${index}`, `${right}${line}\n`);
    }
    const options = { noUnusedLocals: false, noUnusedParameters: false, noEmit: true };
    const config = {
      extends: join(repository, "tsconfig.json"),
      compilerOptions: options,
      include: ["theirs", "ours"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(repository, "node_modules/.bin/tsc");
    const { stdout, error } = spawnSync(tsc, ["-p", folder, "--pretty", "false"], { cwd: folder, encoding: "utf8" });
    if (error !== undefined) throw error;
    output = stdout;
    for (const [, file, line] of stdout.matchAll(/^(\S+\/\S+)\.ts\((\d+),\d+\): error/gm)) {
      refused.set(file!, [...(refused.get(file!) ?? []), Number(line)]);
    }
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  for (const library of libraries) {
    const place = library === "socket.io" ? "theirs" : "ours";
    test(`what must compile compiles with ${library}`, () => {
      assert.deepEqual(refused.get(`${place}/right`) ?? [], [], output.slice(0, 4_000));
    });
    for (const [index, [rule, line]] of Object.entries(wrong).entries()) {
      test(`${rule} is refused with ${library}`, () => {
        assert.deepEqual([...new Set(refused.get(`${place}/wrong-${index}`) ?? [])], [rightLines], line);
      });
    }
  }
});
