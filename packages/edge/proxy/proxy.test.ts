import assert from "node:assert/strict";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { afterEach, describe, it } from "node:test";
import { ExchangeEnd, type RequestHead } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { systemClock } from "@tideway/edge/clock";
import { Service, type ServiceOptions } from "../upstream/index.ts";
import { type RawAnswer, RawServer, WatchedLog } from "../upstream/testing.ts";
import { createProxy, type ProxyOptions, type ProxyTarget } from "./index.ts";
import { FakeExchange } from "./testing.ts";

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

interface Rig {
  readonly proxy: ProxyTarget;
  readonly service: Service;
  readonly log: WatchedLog;
}

/** A proxy to instances "i0", "i1" … of the service "web", all up. */
async function rig(
  servers: readonly { port: number }[],
  service: Partial<ServiceOptions> = {},
  proxy: Partial<ProxyOptions> = {},
): Promise<Rig> {
  const log = new WatchedLog();
  const made = new Service({
    name: "web",
    clock: systemClock,
    random: new SeededRandom(1),
    logger: log,
    balance: "round-robin",
    ...service,
  });
  open.unshift(made);
  for (const [i, { port }] of servers.entries()) {
    made.add({ id: `i${i}`, host: "127.0.0.1", port });
    await log.state(`i${i}`, "up");
  }
  return { proxy: createProxy({ service: made, logger: log, clock: systemClock, ...proxy }), service: made, log };
}

async function raw(answer: RawAnswer): Promise<RawServer> {
  const server = await RawServer.open(answer);
  open.push(server);
  return server;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

async function ask(proxy: ProxyTarget, head: Partial<RequestHead> = {}, ...body: string[]): Promise<FakeExchange> {
  const exchange = new FakeExchange({ ...(body.length > 0 && { bodyLength: body.join("").length }), ...head });
  proxy.handle(exchange);
  if (exchange.head.bodyLength !== 0) exchange.send(...body);
  await exchange.over;
  return exchange;
}

describe("the forwarded head", () => {
  it("is written anew: hop-by-hop fields and those that Connection names are gone, the client's host stays", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    const fields = [
      "host",
      "a.test:80",
      "connection",
      "keep-alive, X-Secret",
      "x-secret",
      "1",
      "keep-alive",
      "5",
      "te",
      "trailers",
      "accept",
      "*/*",
      "x-forwarded-for",
      "10.0.0.1",
      "forwarded",
      "for=10.0.0.1",
      "x-real-ip",
      "10.0.0.1",
      "x-request-id",
      "theirs",
      "expect",
      "100-continue",
      "proxy-authorization",
      "Basic x",
      "cookie",
      "a=1",
      "cookie",
      "b=2",
    ];
    const exchange = await ask(proxy, { path: "/p", query: "?q=1", authority: "a.test:80", fields });
    assert.equal(exchange.body, "ok");
    assert.equal(exchange.service, "web");
    assert.equal(exchange.instance, "i0");
    assert.deepEqual(server.heads[0]!.split("\r\n"), [
      "GET /p?q=1 HTTP/1.1",
      "host: a.test:80",
      "accept: */*",
      "cookie: a=1",
      "cookie: b=2",
      "x-forwarded-for: 192.0.2.7",
      "x-forwarded-proto: http",
      "x-forwarded-host: a.test:80",
      'forwarded: for=192.0.2.7;proto=http;host="a.test:80"',
      "x-request-id: req-1",
      "",
      "",
    ]);
  });

  it("a trusted proxy's word about its client is kept and added to", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server], {}, { trusts: (address) => address === "192.0.2.7" });
    await ask(proxy, {
      fields: [
        "x-forwarded-for",
        "10.0.0.1",
        "x-forwarded-for",
        "10.0.0.2",
        "x-forwarded-proto",
        "https",
        "forwarded",
        "for=10.0.0.1",
      ],
    });
    const head = server.heads[0]!;
    assert.match(head, /\r\nx-forwarded-for: 10\.0\.0\.1, 10\.0\.0\.2, 192\.0\.2\.7\r\n/);
    assert.match(head, /\r\nx-forwarded-proto: https\r\n/);
    assert.match(head, /\r\nforwarded: for=10\.0\.0\.1, for=192\.0\.2\.7;proto=http;host="a\.test"\r\n/);
  });

  it("a prefix is removed where the route says so", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    for (const path of ["/api", "/api/", "/api/x/y"]) {
      const exchange = new FakeExchange({ path, query: "?q" });
      proxy.target("/api").handle(exchange);
      await exchange.over;
    }
    assert.deepEqual(
      server.heads.map((head) => head.split(" ")[1]),
      ["/?q", "/?q", "/x/y?q"],
    );
  });

  it("a body has one framing: its length, or chunks", async () => {
    const texts: string[] = [];
    const server = createServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString("latin1");
        if (!text.endsWith("body") && !text.endsWith("0\r\n\r\n")) return;
        texts.push(text.slice(text.indexOf("x-request-id")));
        text = "";
        socket.write(ok);
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const { proxy } = await rig([server.address() as { port: number }]);
    await ask(proxy, { method: "POST", fields: ["content-length", "4"] }, "bo", "dy");
    await ask(proxy, { method: "POST", bodyLength: -1, fields: ["transfer-encoding", "chunked"] }, "bo", "dy");
    await ask(proxy, { method: "POST", bodyLength: -1 });
    assert.deepEqual(texts, [
      "x-request-id: req-1\r\n\r\nbody",
      "x-request-id: req-1\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
      "x-request-id: req-1\r\n\r\n0\r\n\r\n",
    ]);
  });
});

describe("the response", () => {
  it("comes with its end-to-end fields and trailers, without hop-by-hop ones", async () => {
    const answer =
      "HTTP/1.1 201 Made\r\nconnection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=9\r\ntransfer-encoding: chunked\r\ndate: D\r\nx-a: 1\r\nx-request-id: theirs\r\n\r\n";
    const server = await raw((socket) => socket.write(`${answer}3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n`));
    const { proxy } = await rig([server]);
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 201);
    assert.deepEqual(exchange.fields, ["date", "D", "x-a", "1"]);
    assert.equal(exchange.bodyLength, -1);
    assert.equal(exchange.body, "abc");
    assert.deepEqual(exchange.trailers, ["x-sum", "7"]);
  });

  it("to HEAD and 304 keeps the length it describes, without a body", async () => {
    const server = await raw((socket, head) =>
      socket.write(`HTTP/1.1 ${head.startsWith("HEAD") ? 200 : 304} X\r\ncontent-length: 1234\r\n\r\n`),
    );
    const { proxy, service } = await rig([server]);
    for (const method of ["HEAD", "GET"]) {
      const exchange = await ask(proxy, { method });
      assert.equal(exchange.bodyLength, 1234);
      assert.equal(exchange.body, "");
    }
    assert.equal(service.status().instances[0]!.idle, 1);
  });

  it("interim responses go before it, but 100, which the listener has given already", async () => {
    const server = await raw((socket) =>
      socket.write(`HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n${ok}`),
    );
    const { proxy } = await rig([server]);
    const exchange = await ask(proxy);
    assert.deepEqual(exchange.interims, [103]);
    assert.equal(exchange.status, 200);
  });

  it("that overtakes its request is passed on, and its connection never reused", async () => {
    const server = await raw((socket) => socket.write("HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"));
    const { proxy, service } = await rig([server]);
    const exchange = new FakeExchange({ method: "POST", bodyLength: 1000 });
    proxy.handle(exchange);
    exchange.handler!.onBody(Buffer.alloc(10));
    assert.equal(await exchange.over, "end");
    assert.equal(exchange.status, 413);
    assert.equal(service.status().instances[0]!.connections, 0);
    exchange.handler!.onBody(Buffer.alloc(990));
    exchange.handler!.onBodyEnd([]);
  });
});

describe("an upstream that misbehaves", () => {
  const bad: Record<string, RawAnswer> = {
    "dies before the head": (socket) => socket.destroy(),
    "closes before the head": (socket) => socket.end(),
    "dies in the head": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-le"),
    "sends garbage": (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "switches protocols unasked": (socket) =>
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "sends both length and chunks": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
    "sends two lengths": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
    "folds a field": (socket) => socket.write("HTTP/1.1 200 OK\r\nx-a: 1\r\n b\r\ncontent-length: 0\r\n\r\n"),
    "ends lines with LF": (socket) => socket.write("HTTP/1.1 200 OK\ncontent-length: 0\n\n"),
    "floods the head": (socket) => socket.write(`HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(64 * 1024)}\r\n\r\n`),
    "invents a status": (socket) => socket.write("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"),
    "speaks HTTP/2": (socket) => socket.write("HTTP/2 200\r\n\r\n"),
  };
  for (const [what, answer] of Object.entries(bad)) {
    it(`${what}: 502 that names the service and no address; the connection is gone`, async () => {
      const server = await raw(answer);
      const { proxy, service } = await rig([server]);
      const exchange = await ask(proxy, { method: "POST", fields: ["accept", "application/json"] }, "x");
      assert.equal(await exchange.over, "end");
      assert.equal(exchange.status, 502);
      assert.equal(exchange.field("retry-after"), "1");
      assert.match(exchange.body, /"code":"HTTP_BAD_UPSTREAM".*service web/);
      assert.ok(!exchange.body.includes("127.0.0.1") && !exchange.body.includes(String(server.port)));
      assert.equal(exchange.bodyLength, exchange.body.length);
      assert.equal(service.status().instances[0]!.connections, 0);
      assert.equal(service.status().instances[0]!.active, 0);
    });
  }

  const cut: Record<string, RawAnswer> = {
    "closes in a body with a length": (socket) => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"),
    "closes in a chunk": (socket) => socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc"),
    "closes between chunks": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n"),
    "closes in the trailers": (socket) =>
      socket.end("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-a"),
    "breaks the framing of chunks": (socket) =>
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabcdef"),
  };
  for (const [what, answer] of Object.entries(cut)) {
    it(`${what}: the client's connection breaks, and nothing is repeated`, async () => {
      const server = await raw(answer);
      const { proxy, service } = await rig([server]);
      const exchange = await ask(proxy);
      assert.equal(await exchange.over, "abort");
      assert.equal(exchange.status, 200);
      assert.equal(server.heads.length, 1);
      assert.equal(service.status().instances[0]!.connections, 0);
    });
  }

  it("answers with anything at all: every exchange ends once, and nothing stays under way", async () => {
    const random = new SeededRandom(20);
    const good = [
      ok,
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: 1\r\n\r\n",
      "HTTP/1.1 103 Early\r\nlink: x\r\n\r\nHTTP/1.0 404 No\r\nconnection: close\r\n\r\nbody",
      "HTTP/1.1 304 Not Modified\r\netag: x\r\ncontent-length: 7\r\n\r\n",
    ];
    const server = await raw((socket) => {
      const bytes = Buffer.from(good[Math.floor(random.fraction() * good.length)]!);
      for (let i = Math.floor(random.fraction() * 4); i > 0; i--)
        bytes[Math.floor(random.fraction() * bytes.length)] = Math.floor(random.fraction() * 256);
      const cutAt = random.fraction() < 0.5 ? bytes.length : Math.floor(random.fraction() * bytes.length);
      socket.end(bytes.subarray(0, cutAt));
    });
    const { proxy, service } = await rig([server], { healthRules: { failuresMax: 1e9 } }, { retriesMax: 0 });
    const ends = new Map<string, number>();
    for (let i = 0; i < 400; i++) {
      const exchange = await ask(proxy, { method: i % 3 === 0 ? "HEAD" : "GET" });
      const how = `${await exchange.over} ${exchange.status === 502 ? 502 : ""}`;
      ends.set(how, (ends.get(how) ?? 0) + 1);
      assert.equal(service.status().instances[0]!.active, 0);
    }
    assert.deepEqual([...ends.keys()].sort(), ["abort ", "end ", "end 502"]);
  });

  it("is reset in a body that lasts until close: the client's connection breaks", async () => {
    const server = await raw((socket) => socket.write("HTTP/1.1 200 OK\r\n\r\nabc"));
    const { proxy } = await rig([server]);
    const exchange = new FakeExchange();
    exchange.onWrite = () => [...server.sockets].at(-1)!.resetAndDestroy();
    proxy.handle(exchange);
    assert.equal(await exchange.over, "abort");
  });

  it("does not answer in time: 504", async () => {
    const clock = new FakeClock();
    const server = await raw(() => {});
    const log = new WatchedLog();
    const service = new Service({ name: "web", clock, random: new SeededRandom(1), logger: log });
    open.unshift(service);
    service.add({ id: "a", host: "127.0.0.1", port: server.port });
    await log.state("a", "up");
    const exchange = new FakeExchange();
    createProxy({ service, logger: log, clock }).handle(exchange);
    await until(() => server.heads.length === 1);
    clock.advance(61_000);
    await exchange.over;
    assert.equal(exchange.status, 504);
    assert.equal(server.heads.length, 1);
  });
});

describe("retries", () => {
  const dies: RawAnswer = (socket) => socket.destroy();
  const answers: RawAnswer = (socket) => socket.write(ok);

  for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]) {
    it(`${method} is sent to another instance when the first dies before its answer`, async () => {
      const [bad, good] = [await raw(dies), await raw(answers)];
      const { proxy } = await rig([bad, good]);
      const exchange = await ask(proxy, { method });
      assert.equal(exchange.status, 200);
      assert.equal(exchange.instance, "i1");
      assert.deepEqual([bad.heads.length, good.heads.length], [1, 1]);
    });
  }

  it("POST is not repeated once it may have arrived", async () => {
    const [bad, good] = [await raw(dies), await raw(answers)];
    const { proxy } = await rig([bad, good]);
    assert.equal((await ask(proxy, { method: "POST" }, "x")).status, 502);
    assert.equal(good.heads.length, 0);
  });

  it("POST with Idempotency-Key is repeated, with its body", async () => {
    const bodies: string[] = [];
    const bad = await raw(dies);
    const good = createServer((socket) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
        if (!text.endsWith("hello world")) return;
        bodies.push(text.split("\r\n\r\n")[1]!);
        socket.write(ok);
      });
    }).listen(0, "127.0.0.1");
    await once(good, "listening");
    open.push(good);
    const { proxy } = await rig([bad, good.address() as { port: number }]);
    const exchange = await ask(proxy, { method: "POST", fields: ["idempotency-key", "k"] }, "hello ", "world");
    assert.equal(exchange.status, 200);
    assert.deepEqual(bodies, ["hello world"]);
  });

  it("POST to an instance that refuses the connection goes to another: nothing had arrived", async () => {
    const [bad, good] = [await raw(answers), await raw(answers)];
    const { proxy, service } = await rig([bad, good]);
    await bad.close();
    const exchange = await ask(proxy, { method: "POST" }, "x");
    assert.equal(exchange.status, 200);
    assert.equal(exchange.instance, "i1");
    assert.equal(service.status().instances[0]!.active, 0);
  });

  it("a body over the bound is not repeated", async () => {
    const bad = await raw(() => {});
    const good = await raw(answers);
    const { proxy } = await rig([bad, good], {}, { replayBytesMax: 1000 });
    const exchange = new FakeExchange({ method: "PUT", bodyLength: 3000 });
    proxy.handle(exchange);
    exchange.handler!.onBody(Buffer.alloc(1500));
    await until(() => bad.heads.length === 1);
    for (const socket of bad.sockets) socket.destroy();
    await exchange.over;
    assert.equal(exchange.status, 502);
    assert.equal(good.heads.length, 0);
  });

  it("at most two, each at an instance that was not tried", async () => {
    const servers = [await raw(dies), await raw(dies), await raw(dies), await raw(answers)];
    const { proxy } = await rig(servers);
    assert.equal((await ask(proxy)).status, 502);
    assert.deepEqual(
      servers.map((server) => server.heads.length),
      [1, 1, 1, 0],
    );
  });

  it("a lone instance is asked again, on a fresh connection: a kept one may have been closed just then", async () => {
    const server = await raw((socket, _head, index) => (index === 1 ? socket.destroy() : socket.write(ok)));
    const { proxy, service } = await rig([server]);
    assert.equal((await ask(proxy)).status, 200);
    assert.equal((await ask(proxy)).status, 200);
    assert.equal(server.heads.length, 3);
    assert.equal(service.status().instances[0]!.state, "up");
  });

  it("none once the budget is spent", async () => {
    const server = await raw(dies);
    const { proxy, service } = await rig([server], { healthRules: { failuresMax: 1e9 }, retryBudget: 0 });
    while (service.takeRetry());
    assert.equal((await ask(proxy)).status, 502);
    assert.equal(server.heads.length, 1);
  });
});

describe("no instance", () => {
  it("none there, none expected: 503 at once, with Retry-After", async () => {
    const { proxy } = await rig([]);
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 503);
    assert.equal(exchange.field("retry-after"), "2");
    assert.match(exchange.body, /service web/);
  });

  it("one is starting: the request waits, its body with it, and is served", async () => {
    const server = await raw(() => {});
    const { proxy, service } = await rig([], { managed: true });
    const exchange = new FakeExchange({ method: "POST", bodyLength: 100_000 });
    proxy.handle(exchange);
    exchange.handler!.onBody(Buffer.alloc(60_000));
    assert.ok(!exchange.paused);
    exchange.handler!.onBody(Buffer.alloc(40_000));
    assert.ok(exchange.paused, "over the bound the client is not read");
    const resumed = new Promise<void>((resolve) => {
      exchange.onResume = resolve;
    });
    service.add({ id: "i0", host: "127.0.0.1", port: server.port });
    await resumed;
    exchange.handler!.onBodyEnd([]);
    await until(() => server.heads.length === 1);
    for (const socket of server.sockets) socket.write(ok);
    await exchange.over;
    assert.equal(exchange.status, 200);
  });

  it("a client that leaves while it waits leaves the queue", async () => {
    const { proxy, service } = await rig([], { managed: true });
    const exchange = new FakeExchange();
    proxy.handle(exchange);
    assert.equal(service.status().waiting, 1);
    exchange.handler!.onClose(ExchangeEnd.gone);
    assert.equal(service.status().waiting, 0);
  });
});

it("a client that leaves ends its request at the upstream", async () => {
  const server = await raw((socket) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"));
  const { proxy, service } = await rig([server]);
  const exchange = new FakeExchange();
  const written = new Promise<void>((resolve) => {
    exchange.onWrite = () => resolve();
  });
  proxy.handle(exchange);
  await written;
  const [socket] = [...server.sockets].slice(-1);
  exchange.handler!.onClose(ExchangeEnd.gone);
  await once(socket!, "close");
  assert.equal(service.status().instances[0]!.active, 0);
});

describe("back-pressure", () => {
  const total = 64 * 1024 * 1024;

  it("a slow client holds back the upstream: 64 MiB pass with a chunk or two in memory", async () => {
    const server = await raw((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
      let left = total;
      const chunk = Buffer.alloc(64 * 1024);
      const more = () => {
        while (left > 0) {
          left -= chunk.length;
          if (!socket.write(chunk)) return;
        }
      };
      socket.on("drain", more);
      more();
    });
    const { proxy } = await rig([server]);
    const exchange = new FakeExchange();
    let got = 0;
    let held = 0;
    let heldMost = 0;
    exchange.ready = false;
    exchange.onWrite = (chunk) => {
      exchange.chunks = [];
      got += chunk.length;
      if (held === 0) {
        setImmediate(() => {
          held = 0;
          exchange.handler!.onDrain();
        });
      }
      held += chunk.length;
      heldMost = Math.max(heldMost, held);
    };
    proxy.handle(exchange);
    assert.equal(await exchange.over, "end");
    assert.equal(got, total);
    assert.ok(heldMost <= 256 * 1024, `${heldMost}`);
  });

  it("a slow upstream holds back the client: 64 MiB pass, and while it does not read little is taken", async () => {
    let received = 0;
    let upstream: Socket | null = null;
    const server = createServer((socket) => {
      socket.once("data", (first) => {
        received = first.length;
        socket.pause();
        upstream = socket;
      });
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const { proxy } = await rig([server.address() as { port: number }]);
    const exchange = new FakeExchange({ method: "PUT", bodyLength: total });
    proxy.handle(exchange);
    const chunk = Buffer.alloc(64 * 1024);
    let sent = 0;
    const push = () => {
      while (sent < total && !exchange.paused) {
        sent += chunk.length;
        exchange.handler!.onBody(chunk);
      }
      if (sent === total) exchange.handler!.onBodyEnd([]);
    };
    exchange.onResume = () => setImmediate(push);
    push();
    assert.ok(exchange.paused);
    assert.ok(sent < 1024 * 1024, `${sent}`);
    await until(() => upstream !== null);
    const reader = upstream as unknown as Socket;
    reader.on("data", (bytes) => {
      received += bytes.length;
      if (received >= total) reader.write(ok);
    });
    reader.resume();
    assert.equal(await exchange.over, "end");
    assert.equal(sent, total);
  });
});

describe("an upgrade", () => {
  const accepts: RawAnswer = (socket) => {
    socket.removeAllListeners("data");
    socket.on("data", (chunk) => socket.write(chunk));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: echo\r\nsec-x: 1\r\n\r\nearly");
  };

  async function pair(): Promise<{ client: Socket; stream: Socket }> {
    const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
    await once(server, "listening");
    open.push(server);
    const client = createConnection({
      port: (server.address() as { port: number }).port,
      host: "127.0.0.1",
      allowHalfOpen: true,
    });
    const [stream] = (await once(server, "connection")) as [Socket];
    open.unshift({ close: () => client.destroy() }, { close: () => stream.destroy() });
    return { client, stream };
  }

  async function upgraded(
    answer: RawAnswer,
  ): Promise<{ client: Socket; exchange: FakeExchange; service: Service; server: RawServer }> {
    const server = await raw(answer);
    const { proxy, service } = await rig([server]);
    const { client, stream } = await pair();
    const exchange = new FakeExchange({
      upgrade: "echo",
      fields: ["connection", "upgrade", "upgrade", "echo", "sec-x", "0"],
    });
    exchange.upgraded = { stream, head: Buffer.from("late") };
    proxy.handle(exchange);
    return { client, exchange, service, server };
  }

  function gather(socket: Socket): { text: string } {
    const gathered = { text: "" };
    socket.on("data", (chunk) => {
      gathered.text += chunk.toString();
    });
    return gathered;
  }

  it("passes bytes both ways, those behind the heads first, and a closed half", async () => {
    const { client, exchange, service, server } = await upgraded(accepts);
    assert.equal(await exchange.over, "upgrade");
    assert.match(server.heads[0]!, /\r\nconnection: upgrade\r\nupgrade: echo\r\n/);
    assert.deepEqual(exchange.fields, ["sec-x", "1", "upgrade", "echo"]);
    const got = gather(client);
    client.write("hello");
    await until(() => got.text === "earlylatehello");
    assert.equal(service.status().instances[0]!.active, 1);
    client.end("bye");
    await once(client, "end");
    assert.equal(got.text, "earlylatehellobye");
    await until(() => service.status().instances[0]!.active === 0);
  });

  it("a client that is gone ends the upstream, and the other way round", async () => {
    const one = await upgraded(accepts);
    await one.exchange.over;
    one.client.destroy();
    await until(() => one.service.status().instances[0]!.connections === 0);
    const two = await upgraded(accepts);
    await two.exchange.over;
    two.client.resume();
    for (const socket of two.server.sockets) socket.resetAndDestroy();
    await once(two.client, "end");
  });

  it("64 MiB echo, while the client reads slowly, and little in between", async () => {
    const { client, exchange } = await upgraded(accepts);
    await exchange.over;
    const total = 64 * 1024 * 1024;
    const chunk = Buffer.alloc(256 * 1024);
    let sent = 0;
    let got = 0;
    const push = () => {
      while (sent < total) {
        sent += chunk.length;
        if (!client.write(chunk)) return;
      }
      client.end();
    };
    client.on("drain", push);
    let queuedMost = 0;
    client.on("data", (bytes) => {
      got += bytes.length;
      queuedMost = Math.max(queuedMost, exchange.upgraded!.stream.writableLength);
      client.pause();
      setImmediate(() => client.resume());
    });
    push();
    await once(client, "end");
    assert.equal(got, total + "earlylate".length);
    assert.ok(queuedMost <= 256 * 1024, `${queuedMost}`);
  });

  it("that the upstream does not take is answered as any request", async () => {
    const { exchange } = await upgraded((socket) =>
      socket.write("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno"),
    );
    assert.equal(await exchange.over, "end");
    assert.equal(exchange.status, 426);
  });

  it("to h2c is not offered: it would hide requests", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    await ask(proxy, {
      upgrade: "h2c",
      fields: ["connection", "upgrade, http2-settings", "upgrade", "h2c", "http2-settings", "x"],
    });
    assert.doesNotMatch(server.heads[0]!, /upgrade|h2c|http2/i);
  });
});
