/** Clients' requests over a link: shown to the application's process, which judges them; and what that process is asked itself. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, test } from "node:test";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import type { Server, Socket } from "./index.ts";
import { Server as OurServer } from "./index.ts";
import { type ClientOptions, connected, next } from "./testing/counterparts.ts";
import { Edge } from "./testing/edge.ts";

type Marked = IncomingMessage & { by: string; cookieSeen: string | undefined };

let http: HttpServer;
let edge: Edge;
let url: string;
let servers: Server[];
let clients: Client[];

beforeEach(async () => {
  http = createServer();
  edge = Edge.open(http, { connectionStateRecovery: {} });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  servers = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  for (const server of servers) await server.close();
  await edge.close();
});

function start(set: (io: Server) => void): Server {
  const io = edge.join();
  set(io);
  servers.push(io);
  return io;
}

function visit(options: ClientOptions = {}): Client {
  const client = connectClient(url, { forceNew: true, reconnection: false, transports: ["websocket"], ...options });
  clients.push(client);
  return client;
}

/** A process whose middleware leaves its name on each request, and says so to whoever asks. */
const marking = (name: string) => (io: Server) => {
  io.engine.use((request, _response, go) => {
    Object.assign(request, { by: name, cookieSeen: request.headers.cookie });
    setImmediate(go);
  });
  io.on("connection", (socket: Socket) => {
    const { by, cookieSeen } = socket.request as Marked;
    socket.on("who", (done) => done(name, by, cookieSeen));
  });
};

/** Resolves when so many have come. */
function requests(server: HttpServer, event: "request" | "upgrade", count: number): Promise<void> {
  return new Promise((resolve) => {
    let left = count;
    server.on(event, () => --left === 0 && resolve());
  });
}

const whoHas = (client: Client) =>
  new Promise<unknown[]>((resolve) => client.emit("who", (...all: unknown[]) => resolve(all)));

test("the process that let a client in gets its socket, with the request as its middlewares left it; both get as many", async () => {
  const both = ["a", "b"].map((name) => start(marking(name)));
  await Promise.all(both.map((server) => server.fetchSockets()));
  const seen: unknown[][] = [];
  for (let n = 0; n < 6; n++) {
    const client = visit({ transports: n % 2 === 0 ? ["websocket"] : ["polling"], extraHeaders: { cookie: `n=${n}` } });
    await connected(client);
    seen.push(await whoHas(client));
  }
  for (const [index, [name, by, cookie]] of seen.entries()) assert.deepEqual([by, cookie], [name, `n=${index}`]);
  assert.equal(seen.filter(([name]) => name === "a").length, 3);
});

test("a socket that is taken over has the request as the next process's middlewares leave it, whatever they would answer", async () => {
  const first = start(marking("a"));
  const client = visit({ extraHeaders: { cookie: "mine=1" } });
  await connected(client);
  assert.deepEqual(await whoHas(client), ["a", "a", "mine=1"]);
  start((io) => {
    marking("b")(io);
    let runs = 0;
    io.engine.use((_request, response, go) => {
      if (++runs === 1) response.writeHead(401).end("who are you?");
      else go(new Error("never"));
    });
  });
  const lost: unknown[] = [];
  client.on("disconnect", (reason) => lost.push(reason));
  await first.close();
  assert.deepEqual(await whoHas(client), ["b", "b", "mine=1"]);
  assert.deepEqual(lost, []);
  const refused = visit();
  assert.equal((await next(refused, "connect_error"))[0] instanceof Error, true);
});

test("who comes before any process waits for the first, and is judged by it", async () => {
  const come = Promise.all([requests(http, "upgrade", 2), requests(http, "request", 1)]);
  const [stranger, friend] = [visit(), visit({ extraHeaders: { "x-friend": "yes" } })];
  const polled = fetch(`${url}/socket.io/?EIO=4&transport=polling`);
  const refused = next(stranger, "connect_error");
  const arrived = connected(friend);
  await come;
  start((io) => {
    io.engine.use((request, response, go) => {
      if (request.headers["x-friend"] === "yes") return go();
      response.setHeader("x-why", ["one", "two"]);
      response.writeHead(403, "No", { "content-type": "text/plain", "content-length": "999" });
      response.write("not ");
      response.write(Buffer.from("a "), () => response.end("friend"));
    });
  });
  await Promise.all([refused, arrived]);
  const answer = await polled;
  assert.deepEqual([answer.status, await answer.text()], [403, "not a friend"]);
  assert.deepEqual(
    [answer.headers.get("x-why"), answer.headers.get("content-type"), answer.headers.get("content-length")],
    ["one, two", "text/plain", "12"],
  );
});

test("what an application wants of requests may change while it runs", async () => {
  const io = start(() => {});
  await connected(visit());
  const told = next(io.engine as never, "connection_error");
  // The hub has heard of the wish when it answers a later question.
  await io.fetchSockets();
  await fetch(`${url}/socket.io/?EIO=4&transport=polling&sid=none`);
  assert.deepEqual((await told)[0].context, { sid: "none" });
  io.engine.use((_request, response) => response.writeHead(418).end());
  await io.fetchSockets();
  assert.equal((await fetch(`${url}/socket.io/?EIO=4&transport=polling`)).status, 418);
});

test("options of the application hold for lines to come, on every way in", async () => {
  const own = createServer();
  const place = Edge.open(own, {
    pingInterval: 150,
    pingTimeout: 5_000,
    maxHttpBufferSize: 2_000,
    transports: ["websocket"],
    cors: { origin: "https://a.example" },
    connectionStateRecovery: {},
  });
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  const { port } = own.address() as AddressInfo;
  const io = place.join();
  try {
    io.open(/^open$/, { read: () => true });
    const arrived = next(io as never, "connection");
    const options = { forceNew: true, reconnection: false, transports: ["websocket"] };
    const client = connectClient(`http://127.0.0.1:${port}`, {
      ...options,
      extraHeaders: { origin: "https://a.example" },
    });
    clients.push(client);
    await next(client.io as never, "ping");
    const [socket] = (await arrived) as [Socket];
    const other = connectClient(`http://127.0.0.1:${port}`, {
      ...options,
      extraHeaders: { origin: "https://b.example" },
    });
    await next(other, "connect_error");
    const polled = await fetch(`http://127.0.0.1:${port}/socket.io/?EIO=4&transport=polling`);
    assert.deepEqual([polled.status, await polled.json()], [400, { code: 0, message: "Transport unknown" }]);
    const room = await fetch(`http://127.0.0.1:${port}/socket.io/rooms/open/events?after=0`, {
      headers: { origin: "https://a.example" },
    });
    assert.deepEqual([room.status, room.headers.get("access-control-allow-origin")], [200, "https://a.example"]);
    const gone = next(socket as never, "disconnect");
    client.emit("large", "x".repeat(3_000));
    await gone;
  } finally {
    await io.close();
    await place.close();
  }
});

test("CORS by a function is asked of the application, for polls, preflights and WebSockets", async () => {
  const own = createServer();
  const asked: (string | undefined)[] = [];
  const origin = (page: string | undefined, decide: (error: Error | null, allowed?: boolean) => void) => {
    asked.push(page);
    setImmediate(() =>
      page === "https://c.example" ? decide(new Error("no")) : decide(null, page === "https://a.example"),
    );
  };
  const place = Edge.open(own, { cors: { origin, credentials: true, methods: ["GET", "POST"] } });
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  const at = `http://127.0.0.1:${(own.address() as AddressInfo).port}`;
  const io = place.join();
  try {
    io.engine.use((_request, response, go) => {
      response.setHeader("x-mine", "yes");
      go();
    });
    const ask = async (page: string, method = "GET") => {
      const headers = { origin: page, "access-control-request-headers": "x-a" };
      const answer = await fetch(`${at}/socket.io/?EIO=4&transport=polling`, { method, headers });
      const names = ["allow-origin", "allow-credentials", "allow-methods", "allow-headers"];
      return [
        answer.status,
        ...names.map((name) => answer.headers.get(`access-control-${name}`)),
        answer.headers.get("x-mine"),
      ];
    };
    assert.deepEqual(await ask("https://a.example"), [200, "https://a.example", "true", null, null, "yes"]);
    assert.deepEqual(await ask("https://a.example", "OPTIONS"), [
      204,
      "https://a.example",
      "true",
      "GET,POST",
      "x-a",
      null,
    ]);
    assert.deepEqual((await ask("https://b.example")).slice(0, 2), [403, null]);
    assert.deepEqual((await ask("https://c.example")).slice(0, 2), [403, null]);
    assert.deepEqual(asked, ["https://a.example", "https://a.example", "https://b.example", "https://c.example"]);
    const options = { forceNew: true, reconnection: false, transports: ["websocket"] };
    const client = connectClient(at, { ...options, extraHeaders: { origin: "https://a.example" } });
    clients.push(client);
    await connected(client);
    const other = connectClient(at, { ...options, extraHeaders: { origin: "https://b.example" } });
    await next(other, "connect_error");
  } finally {
    await io.close();
    await place.close();
  }
});

test("middlewares find what they look for: address, query, method, and a body that is over", async () => {
  const found = new Promise<unknown>((resolve) => {
    start((io) => {
      io.engine.use(async (request, response, go) => {
        const { _query: query } = request as IncomingMessage & { _query: Record<string, string> };
        const { socket, connection, method, url: asked, httpVersion, complete } = request;
        const body = await text(request);
        const same = response.req === request && socket === connection;
        resolve([
          socket.remoteAddress,
          query["EIO"],
          query["word"],
          method,
          asked?.slice(0, 11),
          httpVersion,
          complete,
          body,
          same,
        ]);
        go();
      });
    });
  });
  await connected(visit({ query: { word: "ä b" } }));
  assert.deepEqual(await found, ["127.0.0.1", "4", "ä b", "GET", "/socket.io/", "1.1", true, "", true]);
});

test("engine events and raw lines over a link: connection comes with the line's first socket, close at its end", async () => {
  const io = start(() => {});
  io.of("/other");
  const lines: unknown[] = [];
  io.engine.on("connection", (line) => lines.push(line));
  const arrived = next(io as never, "connection");
  const client = visit();
  const [socket] = (await arrived) as [Socket];
  assert.deepEqual(lines, [socket.conn]);
  assert.equal(io.engine.clientsCount, 1);
  const other = next(io.of("/other") as never, "connection");
  const second = client.io.socket("/other");
  const [there] = (await other) as [Socket];
  assert.equal(there.conn, socket.conn);
  // As the documentation advises, to save memory.
  socket.conn.request = null as never;
  assert.equal(there.request, null);
  const closed = next(socket.conn as never, "close");
  client.disconnect();
  second.disconnect();
  assert.match((await closed)[0], /^transport (close|error)$/);
  assert.deepEqual([socket.conn.readyState, io.engine.clientsCount], ["closed", 0]);
});

test("a real-time request that reaches the process itself is told where to go; the browser's client is served there", async () => {
  const own = createServer((_request, response) => void response.end("the application"));
  const io = new OurServer(own, { link: edge.address });
  servers.push(io);
  own.listen(0, "127.0.0.1");
  await once(own, "listening");
  const { port } = own.address() as AddressInfo;
  const at = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
  const warned = once(process, "warning");
  const wrong = await at("/socket.io/?EIO=4&transport=polling");
  assert.deepEqual([wrong.status, /route \/socket\.io to its realtime service/.test(await wrong.text())], [421, true]);
  assert.equal(((await warned) as [{ code: string }])[0].code, "TIDEWAY_ROUTE");
  const raw = connect(port, "127.0.0.1");
  raw.write(
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n",
  );
  assert.match(await text(raw), /^HTTP\/1\.1 421 /);
  assert.equal(await (await at("/")).text(), "the application");
  assert.match(await (await at("/socket.io/socket.io.min.js")).text(), /Socket\.IO v4/);
  await connected(visit());
  assert.equal((await io.fetchSockets()).length, 1);
});
