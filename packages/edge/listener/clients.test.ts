/** Stock clients, which know nothing of us: Node's http, fetch and undici's pipelining pool. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import http from "node:http";
import { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import type { Exchange } from "@tideway/base";
import { Client as UndiciClient } from "undici";
import { startRig } from "./testing.ts";

/** Sends the body back as it comes, with back-pressure both ways. */
function echo(exchange: Exchange): void {
  exchange.accept({
    onBody(chunk) {
      if (!exchange.write(chunk)) exchange.pause();
    },
    onBodyEnd: (trailers) => exchange.end(trailers),
    onDrain: () => exchange.resume(),
    onClose() {},
  });
  const { method, path, query } = exchange.head;
  exchange.respond(
    200,
    ["content-type", "application/octet-stream", "x-seen", `${method} ${path}${query}`],
    exchange.head.bodyLength,
  );
}

async function origin(context: TestContext): Promise<string> {
  return `http://127.0.0.1:${(await startRig(context, echo)).port}`;
}

test("node:http with keep-alive: many requests over few connections, each echoed", async (context) => {
  const rig = await startRig(context, echo);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  context.after(() => agent.destroy());
  const send = (index: number): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.request(
        { port: rig.port, host: "127.0.0.1", agent, method: "POST", path: `/${index}` },
        (response) => {
          assert.equal(response.headers["x-seen"], `POST /${index}`);
          resolve(text(response));
        },
      );
      request.on("error", reject);
      if (index % 2 === 0) request.setHeader("content-length", `body ${index}`.length);
      request.end(`body ${index}`);
    });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, index) => send(index)));
  assert.deepEqual(
    answers,
    Array.from({ length: 200 }, (_, index) => `body ${index}`),
  );
  assert.equal(rig.listener.counters.accepted, 4);
  assert.equal(rig.listener.counters.requests, 200);
});

test("node:http waits for 100 Continue and sees trailers and interim responses", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.inform(103, ["link", "</a.css>; rel=preload"]);
    echo(exchange);
  });
  const request = http.request({
    port: rig.port,
    method: "POST",
    headers: { expect: "100-continue", "transfer-encoding": "chunked", trailer: "x-sum" },
  });
  const seen: string[] = [];
  request.on("information", (info) => seen.push(String(info.statusCode)));
  request.on("continue", () => {
    request.addTrailers({ "x-sum": "42" });
    request.end("hello");
  });
  request.flushHeaders();
  const response = await new Promise<http.IncomingMessage>((resolve) => request.on("response", resolve));
  assert.equal(await text(response), "hello");
  assert.deepEqual(response.trailers, { "x-sum": "42" });
  assert.deepEqual(seen, ["103", "100"]);
});

test("undici pipelines, and every answer belongs to its request", async (context) => {
  const client = new UndiciClient(await origin(context), { pipelining: 10 });
  context.after(() => client.destroy());
  const paths = Array.from({ length: 100 }, (_, index) => `/item/${index}?q=${index}`);
  const answers = await Promise.all(paths.map((path) => client.request({ method: "GET", path })));
  assert.deepEqual(
    answers.map((response) => response.headers["x-seen"]),
    paths.map((path) => `GET ${path}`),
  );
  await Promise.all(answers.map((response) => response.body.dump()));
});

test("fetch: methods, HEAD, 204 and redirects of the standard client", async (context) => {
  const rig = await startRig(context, (exchange) => {
    const statuses: Record<string, number> = { "/none": 204, "/old": 302 };
    exchange.respond(statuses[exchange.head.path] ?? 200, exchange.head.path === "/old" ? ["location", "/new"] : [], 3);
    exchange.write(Buffer.from("abc"));
    exchange.end();
  });
  const url = `http://127.0.0.1:${rig.port}`;
  assert.equal(await (await fetch(`${url}/new`)).text(), "abc");
  const head = await fetch(url, { method: "HEAD" });
  assert.deepEqual([head.headers.get("content-length"), await head.text()], ["3", ""]);
  assert.equal((await fetch(`${url}/none`)).status, 204);
  const moved = await fetch(`${url}/old`);
  assert.deepEqual([moved.url, await moved.text()], [`${url}/new`, "abc"]);
});

test("64 MiB there and back through back-pressure are byte-identical, chunked and with a length", async (context) => {
  const url = await origin(context);
  const block = Buffer.alloc(256 * 1024);
  for (let i = 0; i < block.length; i++) block[i] = (i * 31) ^ (i >> 8);
  const blocks = 256;
  const expected = createHash("sha256");
  for (let i = 0; i < blocks; i++) expected.update(block);
  const digest = expected.digest("hex");
  for (const sized of [false, true]) {
    const client = new UndiciClient(url);
    context.after(() => client.destroy());
    const source = Readable.from(
      (function* () {
        for (let i = 0; i < blocks; i++) yield block;
      })(),
    );
    const headers = sized ? { "content-length": String(blocks * block.length) } : {};
    const response = await client.request({ method: "PUT", path: "/big", body: source, headers });
    const actual = createHash("sha256");
    for await (const chunk of response.body) actual.update(chunk);
    assert.equal(actual.digest("hex"), digest);
  }
});

test("a response in many small writes arrives whole", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.accept({ onBody() {}, onBodyEnd() {}, onDrain() {}, onClose() {} });
    exchange.respond(200, [], -1);
    for (let i = 0; i < 5_000; i++) exchange.write(Buffer.from(`${i},`));
    exchange.write(Buffer.alloc(100_000, 0x2c));
    exchange.end();
  });
  const response = await fetch(`http://127.0.0.1:${rig.port}/`);
  const heard = Buffer.from(await response.arrayBuffer());
  const expected = Array.from({ length: 5_000 }, (_, i) => `${i},`).join("") + ",".repeat(100_000);
  assert.equal(heard.toString(), expected);
  assert.equal((await buffer(Readable.from([heard]))).length, expected.length);
});
