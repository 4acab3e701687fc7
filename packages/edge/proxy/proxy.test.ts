import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, it } from "node:test";
import { ExchangeEnd } from "@tideway/base";
import { ask, ok, open, raw, rig, until } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

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
      "connection: te",
      "te: trailers",
      "x-request-id: req-1",
      "",
      "",
    ]);
  });

  it("a prefix is removed or replaced where the route says so", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server]);
    for (const route of [{ strip: "/api" }, { strip: "/api", rewrite: "/v2/x" }, { rewrite: "/pre" }]) {
      const target = proxy.target(route);
      for (const path of ["/api", "/api/", "/api/x/y"]) await ask({ ...proxy, ...target }, { path, query: "?q" });
      await ask({ ...proxy, ...target }, { method: "OPTIONS", path: "*" });
    }
    assert.deepEqual(
      server.heads.map((head) => head.split(" ")[1]),
      [
        ...["/?q", "/?q", "/x/y?q", "*"],
        ...["/v2/x?q", "/v2/x/?q", "/v2/x/x/y?q", "*"],
        ...["/pre/api?q", "/pre/api/?q", "/pre/api/x/y?q", "*"],
      ],
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
