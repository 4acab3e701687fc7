/**
 * Every public name in socket.io's own declarations is here, or is in a list with the reason why not. The declarations are
 * read from the package, so that a version with a new name fails this test until somebody has looked at it.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { io as connectClient } from "socket.io-client";
import * as ours from "./index.ts";
import { next } from "./testing/counterparts.ts";

const require = createRequire(import.meta.url);
const folder = (name: string) => dirname(require.resolve(name));
const files = {
  server: join(folder("socket.io"), "index.d.ts"),
  namespace: join(folder("socket.io"), "namespace.d.ts"),
  socket: join(folder("socket.io"), "socket.d.ts"),
  socketTypes: join(folder("socket.io"), "socket-types.d.ts"),
  client: join(folder("socket.io"), "client.d.ts"),
  operator: join(folder("socket.io"), "broadcast-operator.d.ts"),
  engine: join(folder("engine.io"), "server.d.ts"),
  line: join(folder("engine.io"), "socket.d.ts"),
  transport: join(folder("engine.io"), "transport.d.ts"),
  adapter: join(folder("socket.io-adapter"), "in-memory-adapter.d.ts"),
};

/** Names of the public members of a class or an interface, out of declarations as the compiler writes them. */
function membersOf(file: string, name: string): string[] {
  const text = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const lines = text.split("\n");
  const head = new RegExp(`(?:class|interface) ${name}\\b`);
  const from = lines.findIndex((line) => head.test(line));
  assert.ok(from >= 0, `${name} is declared in ${file}`);
  const names = new Set<string>();
  for (let at = from + 1; lines[at] !== "}"; at++) {
    const match = /^ {4}((?:private|protected|static|readonly|abstract|get|set) )*(\w+)[?(<:]/.exec(lines[at]!);
    if (match === null || /^ {4}(private|protected) /.test(lines[at]!) || match[2] === "constructor") continue;
    names.add((lines[at]!.startsWith("    static ") ? "static " : "") + match[2]!);
  }
  return [...names];
}

const internal = "of socket.io's own, not documented";
const hubs = "the hub's work: it encodes, keeps sessions and counts answers";

/** What is deliberately not here, and why. */
const absent: Record<string, Record<string, string>> = {
  Server: {
    _parser: "the hub encodes: there is no parser in a server",
    encoder: "the hub encodes: there is no parser in a server",
    _opts: internal,
    _checkNamespace: internal,
    _connectTimeout: internal,
  },
  Namespace: { _ids: internal, _initAdapter: internal, _add: internal, _remove: internal },
  Socket: {
    _onconnect: internal,
    _onpacket: internal,
    _onerror: internal,
    _onclose: internal,
    _cleanup: internal,
    _error: internal,
  },
  Client: { _disconnect: internal, _remove: internal, _packet: internal },
  Engine: { onWebTransportSession: "WebTransport needs HTTP/3, which there is not" },
  Connection: { _readyState: internal, _maybeUpgrade: internal },
  Transport: {
    discard: internal,
    onRequest: internal,
    close: "`conn.close()` closes the line whatever its transport",
    send: "`conn.send()` sends whatever the transport",
    doClose: internal,
    "static upgradesTo": internal,
  },
  Adapter: { broadcastWithAck: hubs, persistSession: hubs, restoreSession: hubs, serverCount: hubs },
};

let server: ours.Server;
let subjects: Record<string, { instance: object; declared: string[] }>;
let close: () => Promise<void>;

before(async () => {
  server = new ours.Server(0);
  const http = server.httpServer!;
  if (!http.listening) await next(http as never, "listening");
  const { port } = http.address() as { port: number };
  const client = connectClient(`http://127.0.0.1:${port}`, { transports: ["websocket"], reconnection: false });
  const [socket] = (await next(server as never, "connection")) as [ours.Socket];
  close = async () => {
    client.disconnect();
    await server.close();
  };
  const remote = Reflect.construct(ours.RemoteSocket, [
    { name: "/", session: null, sockets: new Map(), _watchers: new Set() },
    { id: "x", handshake: socket.handshake, auth: "", rooms: [], data: "" },
  ]) as object;
  subjects = {
    Server: { instance: server, declared: membersOf(files.server, "Server") },
    Namespace: { instance: server.of("/"), declared: membersOf(files.namespace, "Namespace") },
    Socket: { instance: socket, declared: membersOf(files.socket, "Socket") },
    Client: { instance: socket.client, declared: membersOf(files.client, "Client") },
    BroadcastOperator: { instance: server.to("x"), declared: membersOf(files.operator, "BroadcastOperator") },
    RemoteSocket: { instance: remote, declared: membersOf(files.operator, "RemoteSocket") },
    Engine: {
      instance: server.engine,
      declared: [...membersOf(files.engine, "BaseServer"), ...membersOf(files.engine, "Server")],
    },
    Connection: { instance: socket.conn, declared: membersOf(files.line, "Socket") },
    Transport: { instance: socket.conn.transport, declared: membersOf(files.transport, "Transport") },
    Adapter: { instance: server.of("/").adapter, declared: membersOf(files.adapter, "Adapter") },
    Handshake: { instance: socket.handshake, declared: membersOf(files.socketTypes, "Handshake") },
  };
});
after(() => close());

suite("every public name", () => {
  for (const kind of [
    "Server",
    "Namespace",
    "Socket",
    "Client",
    "BroadcastOperator",
    "RemoteSocket",
    "Engine",
    "Connection",
    "Transport",
    "Adapter",
    "Handshake",
  ]) {
    test(kind, () => {
      const { instance, declared } = subjects[kind]!;
      const left = absent[kind] ?? {};
      const has = (name: string) =>
        name.startsWith("static ") ? name.slice(7) in instance.constructor : name in instance;
      assert.ok(declared.length > 2);
      assert.deepEqual(
        declared.filter((name) => !has(name)),
        declared.filter((name) => Object.hasOwn(left, name)),
      );
      assert.deepEqual(
        Object.keys(left).filter((name) => !declared.includes(name)),
        [],
        "what is left out is declared",
      );
    });
  }
});

/** How each option is held to: the file whose test does it, or why there is nothing to hold. */
const options: Record<string, string> = {
  path: "options.compatibility.test.ts",
  serveClient: "options.compatibility.test.ts",
  adapter: "options.test.ts",
  parser: "options.test.ts",
  connectTimeout: "options.compatibility.test.ts",
  connectionStateRecovery: "options.compatibility.test.ts",
  cleanupEmptyChildNamespaces: "options.compatibility.test.ts",
  destroyUpgrade: "options.test.ts",
  destroyUpgradeTimeout: "options.test.ts",
  addTrailingSlash: "options.compatibility.test.ts",
  pingTimeout: "options.compatibility.test.ts",
  pingInterval: "options.compatibility.test.ts",
  upgradeTimeout: "options.compatibility.test.ts",
  maxHttpBufferSize: "options.compatibility.test.ts",
  allowRequest: "options.compatibility.test.ts",
  transports: "options.compatibility.test.ts",
  allowUpgrades: "options.compatibility.test.ts",
  perMessageDeflate: "options.compatibility.test.ts",
  httpCompression: "options.compatibility.test.ts",
  wsEngine: "taken and not used: WebSockets are the hub's own",
  initialPacket: "options.test.ts",
  cookie: "options.compatibility.test.ts",
  cors: "options.compatibility.test.ts",
  allowEIO3: "options.test.ts",
};

test("every option is known", () => {
  const declared = [
    ...membersOf(files.server, "ServerOptions"),
    ...membersOf(files.engine, "AttachOptions"),
    ...membersOf(files.engine, "ServerOptions"),
  ];
  assert.deepEqual(new Set(declared), new Set(Object.keys(options)));
  for (const [name, where] of Object.entries(options)) {
    if (!where.endsWith(".test.ts")) continue;
    const text = readFileSync(new URL(where, import.meta.url), "utf8");
    assert.ok(text.includes(name), `${where} speaks of ${name}`);
  }
});

test("every exported class is exported, and every exported type compiles", () => {
  const reference = require("socket.io") as Record<string, unknown>;
  const imported:
    | [ours.DisconnectReason, Partial<ours.ServerOptions>, ours.ExtendedError, ours.Event, ours.DefaultEventsMap]
    | null = null;
  assert.equal(imported, null);
  for (const name of Object.keys(reference)) assert.equal(typeof (ours as Record<string, unknown>)[name], "function");
  for (const name of ["BroadcastOperator", "RemoteSocket"]) assert.ok(name in ours);
  // `require("socket.io")(3000)` is a way to make a server, too.
  const made = createRequire(import.meta.url)("./index.ts") as { Server: unknown } & ((port?: number) => ours.Server);
  assert.equal(made.Server, ours.Server);
  assert.ok(made() instanceof ours.Server);
});
