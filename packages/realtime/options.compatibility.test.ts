/** What the options do: each against `socket.io` from npm and against ours. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { WebSocket } from "ws";
import { connected, next, type ServerOptions, Stage, servers, transports } from "./testing/counterparts.ts";

interface OptionCase {
  readonly options: ServerOptions;
  readonly run: (stage: Stage) => Promise<void>;
}

const cases: Record<string, OptionCase> = {};

interface Opening {
  sid: string;
  upgrades: string[];
  pingInterval: number;
  pingTimeout: number;
  maxPayload: number;
}

async function openByPolling(stage: Stage, headers: Record<string, string> = {}): Promise<[Opening, Response]> {
  const response = await fetch(`${stage.address}/socket.io/?EIO=4&transport=polling`, {
    headers: { connection: "close", ...headers },
  });
  return [JSON.parse((await response.text()).slice(1)) as Opening, response];
}

function rawSocket(stage: Stage, query = "", options: ConstructorParameters<typeof WebSocket>[2] = {}): WebSocket {
  const socket = new WebSocket(`${stage.address}/socket.io/?EIO=4&transport=websocket${query}`, options);
  socket.on("error", () => {});
  return socket;
}

const closed = (socket: WebSocket) => new Promise<void>((resolve) => socket.once("close", () => resolve()));

cases["pingInterval, pingTimeout and maxHttpBufferSize are told to the client"] = {
  options: { pingInterval: 1_234, pingTimeout: 567, maxHttpBufferSize: 89_012 },
  async run(stage) {
    const [{ pingInterval, pingTimeout, maxPayload, upgrades }] = await openByPolling(stage);
    assert.deepEqual([pingInterval, pingTimeout, maxPayload, upgrades], [1_234, 567, 89_012, ["websocket"]]);
  },
};

cases["a client that answers no ping within pingTimeout is gone"] = {
  // Long enough for a busy machine to let it in before.
  options: { pingInterval: 400, pingTimeout: 400 },
  async run(stage) {
    const left = new Promise((resolve) => stage.io.on("connection", (socket) => socket.on("disconnect", resolve)));
    const socket = rawSocket(stage);
    socket.on("open", () => socket.send("40"));
    await closed(socket);
    assert.equal(await left, "ping timeout");
  },
};

cases["a client that asks for no namespace within connectTimeout is gone"] = {
  options: { connectTimeout: 100 },
  async run(stage) {
    assert.equal(stage.io.connectTimeout(), 100);
    await closed(rawSocket(stage));
  },
};

cases["an upgrade that is not finished within upgradeTimeout ends, and the session lives on"] = {
  options: { upgradeTimeout: 100 },
  async run(stage) {
    const [{ sid }] = await openByPolling(stage);
    await closed(rawSocket(stage, `&sid=${sid}`));
    const query = `EIO=4&transport=polling&sid=${sid}`;
    const post = await fetch(`${stage.address}/socket.io/?${query}`, { method: "POST", body: "40" });
    assert.equal(await post.text(), "ok");
  },
};

cases["a message larger than maxHttpBufferSize ends the connection"] = {
  options: { maxHttpBufferSize: 1_000 },
  async run(stage) {
    const [client, socket] = await stage.connect();
    const left = next(socket, "disconnect");
    client.emit("large", "x".repeat(2_000));
    await left;
  },
};

cases["allowRequest refuses a client with its own words"] = {
  options: {
    allowRequest: (request, decide) => {
      const good = (request.headers["x-pass"] as string | undefined) === "please";
      setImmediate(() => decide(good ? null : "say please", good));
    },
  },
  async run(stage) {
    const refused = stage.client();
    refused.connect();
    await next(refused, "connect_error");
    const [, response] = await openByPolling(stage).catch(() => [null, null] as const);
    assert.equal(response, null);
    const answer = await fetch(`${stage.address}/socket.io/?EIO=4&transport=polling`);
    assert.deepEqual([answer.status, await answer.json()], [403, { code: 4, message: "say please" }]);
    await stage.connect("/", { extraHeaders: { "x-pass": "please" } });
  },
};

cases["transports: what is not in it is unknown"] = {
  options: { transports: ["websocket"] },
  async run(stage) {
    const answer = await fetch(`${stage.address}/socket.io/?EIO=4&transport=polling`);
    assert.deepEqual([answer.status, await answer.json()], [400, { code: 0, message: "Transport unknown" }]);
    await stage.connect("/", { transports: ["websocket"] });
  },
};

cases["allowUpgrades false: none is offered"] = {
  options: { allowUpgrades: false },
  async run(stage) {
    const [{ upgrades }] = await openByPolling(stage);
    assert.deepEqual(upgrades, []);
    const client = stage.client("/", { transports: ["polling", "websocket"] });
    client.connect();
    await connected(client);
    assert.equal(client.io.engine.transport.name, "polling");
  },
};

for (const [given, extensions] of [
  [{ threshold: 10, zlibDeflateOptions: { level: 9 } }, true],
  [true, true],
  [false, false],
] as const) {
  cases[`perMessageDeflate ${JSON.stringify(given)}`] = {
    options: { perMessageDeflate: given },
    async run(stage) {
      const [, socket] = await stage.connect("/", { transports: ["websocket"] });
      const raw = rawSocket(stage, "", { perMessageDeflate: true });
      await next(raw as never, "open");
      assert.equal(raw.extensions.includes("permessage-deflate"), extensions);
      const arrived = next(stage.io as never, "connection");
      raw.send("40");
      const [second] = await arrived;
      const text = "compress me, ".repeat(200);
      const heard = new Promise<string>((resolve) => {
        raw.on("message", (data) => String(data).startsWith("42") && resolve(String(data)));
      });
      second.compress(true).emit("text", text);
      assert.equal(await heard, `42["text","${text}"]`);
      socket.compress(false).emit("text", text);
      stage.io.compress(false).emit("text", text);
      raw.terminate();
    },
  };
}

cases["httpCompression with a threshold"] = {
  options: { httpCompression: { threshold: 500 }, initialPacket: "compress me, ".repeat(50) },
  async run(stage) {
    const url = `${stage.address}/socket.io/?EIO=4&transport=polling`;
    const response = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    assert.equal(response.headers.get("content-encoding"), "gzip");
    assert.ok((await response.text()).endsWith("\x1e4" + "compress me, ".repeat(50)));
  },
};

cases["httpCompression false"] = {
  options: { httpCompression: false, initialPacket: "compress me, ".repeat(500) },
  async run(stage) {
    const url = `${stage.address}/socket.io/?EIO=4&transport=polling`;
    const response = await fetch(url, { headers: { "accept-encoding": "gzip" } });
    assert.equal(response.headers.get("content-encoding"), null);
  },
};

cases["cookie: set by the first answer, with the session's id"] = {
  options: { cookie: { name: "mine", httpOnly: false, maxAge: 60, sameSite: "strict" } },
  async run(stage) {
    const [{ sid }, response] = await openByPolling(stage);
    const [first, ...rest] = response.headers.get("set-cookie")!.split("; ");
    assert.equal(first, `mine=${sid}`);
    assert.deepEqual(rest.sort(), ["Max-Age=60", "Path=/", "SameSite=Strict"]);
  },
};

cases["cors: an origin that is allowed, one that is not, and a preflight"] = {
  options: {
    cors: { origin: ["https://good.example"], credentials: true, allowedHeaders: ["x-mine"], methods: ["GET"] },
  },
  async run(stage) {
    const [, good] = await openByPolling(stage, { origin: "https://good.example" });
    assert.equal(good.headers.get("access-control-allow-origin"), "https://good.example");
    assert.equal(good.headers.get("access-control-allow-credentials"), "true");
    const url = `${stage.address}/socket.io/?EIO=4&transport=polling`;
    const bad = await fetch(url, { headers: { origin: "https://bad.example" } });
    assert.equal(bad.headers.get("access-control-allow-origin"), null);
    const preflight = await fetch(url, {
      method: "OPTIONS",
      headers: { origin: "https://good.example", "access-control-request-method": "POST" },
    });
    assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-headers")], [204, "x-mine"]);
  },
};

for (const skipMiddlewares of [true, false]) {
  cases[`connectionStateRecovery with skipMiddlewares ${skipMiddlewares}`] = {
    options: { connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares } },
    async run(stage) {
      let middlewares = 0;
      stage.io.use((_socket, go) => {
        middlewares++;
        go();
      });
      const [client, socket] = await stage.connect("/", { reconnection: true, reconnectionDelay: 50 });
      socket.join("room");
      socket.data.name = "Anna";
      assert.equal(socket.recovered, false);
      const heard = next(client, "first");
      socket.emit("first");
      await heard;
      const back = next(stage.io as never, "connection");
      const missed = next(client, "missed");
      client.io.engine.close();
      await next(socket, "disconnect");
      stage.io.to("room").emit("missed", 1);
      const [again] = await back;
      assert.equal((await missed)[0], 1);
      assert.deepEqual([again.recovered, again.id, again.data.name], [true, socket.id, "Anna"]);
      assert.ok(again.rooms.has("room"));
      assert.equal(client.recovered, true);
      assert.equal(middlewares, skipMiddlewares ? 1 : 2);
    },
  };
}

for (const cleanup of [true, false]) {
  cases[`cleanupEmptyChildNamespaces ${cleanup}`] = {
    options: { cleanupEmptyChildNamespaces: cleanup },
    async run(stage) {
      stage.io.of(/^\/child-\d+$/);
      const client = stage.client("/child-1");
      const arrived = new Promise((resolve) =>
        stage.io.on("new_namespace", (namespace) => namespace.on("connection", resolve)),
      );
      client.connect();
      await connected(client);
      const left = next((await arrived) as never, "disconnect");
      assert.ok(stage.io._nsps.has("/child-1"));
      client.disconnect();
      await left;
      await new Promise<void>((resolve) => setImmediate(resolve));
      assert.equal(stage.io._nsps.has("/child-1"), !cleanup);
    },
  };
}

cases["serveClient false: the client's files are not served"] = {
  options: { serveClient: false },
  async run(stage) {
    assert.equal(stage.io.serveClient(), false);
    const answer = await fetch(`${stage.address}/socket.io/socket.io.js`);
    assert.equal(answer.headers.get("etag"), null);
    assert.notEqual(answer.status, 200);
  },
};

cases["serveClient: the client's files, and 304 for whoever has them"] = {
  options: {},
  async run(stage) {
    const answer = await fetch(`${stage.address}/socket.io/socket.io.min.js`);
    assert.match(answer.headers.get("content-type")!, /^application\/javascript/);
    assert.match(await answer.text(), /Socket\.IO v4/);
    const etag = answer.headers.get("etag")!;
    const again = await fetch(`${stage.address}/socket.io/socket.io.min.js`, { headers: { "if-none-match": etag } });
    assert.equal(again.status, 304);
  },
};

cases["path and addTrailingSlash false: clients are found where both say"] = {
  options: { path: "/live/", addTrailingSlash: false },
  async run(stage) {
    assert.equal(stage.io.path(), "/live");
    const answer = await fetch(`${stage.address}/live?EIO=4&transport=polling`);
    assert.match(await answer.text(), /^0\{"sid"/);
    await stage.connect("/", { path: "/live", addTrailingSlash: false });
  },
};

/** An Engine.IO message before all others is for who has the engine: over a link that is the edge. */
const notOverLink: ReadonlySet<string> = new Set(["httpCompression with a threshold", "httpCompression false"]);

for (const [server, make] of servers) {
  suite(server, { concurrency: 4 }, () => {
    for (const [rule, { options, run }] of Object.entries(cases)) {
      if (server === "tideway over a link" && notOverLink.has(rule)) continue;
      test(rule, { timeout: 20_000 }, async () => {
        const stage = await Stage.open(make, transports[1]![1], options);
        try {
          await run(stage);
        } finally {
          await stage.close();
        }
      });
    }
  });
}
