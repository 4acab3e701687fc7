/** The proxy behind the real listener: what only shows with both ends of real sockets, and with processes that are killed. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, request } from "node:http";
import { createConnection, type Socket } from "node:net";
import { describe, it } from "node:test";
import type { RequestRecord } from "@tideway/edge/listener";
import { gateway } from "./gateway.testing.ts";
import { open, raw } from "./rig.testing.ts";

async function said(port: number, text: string): Promise<string> {
  const socket: Socket = createConnection({ port, host: "127.0.0.1" });
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk.toString("latin1");
  });
  socket.on("error", () => {});
  socket.write(text);
  // Not `once`: that rejects at the reset which some of these tests are about.
  await new Promise((resolve) => socket.on("close", resolve));
  return heard;
}

it("pipelined requests are answered in order, whatever the upstream's order of work", async () => {
  const server = await raw((socket, head) => {
    const path = head.split(" ")[1]!;
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${path.length}\r\n\r\n${path}`;
    if (path === "/1") setImmediate(() => socket.write(answer));
    else socket.write(answer);
  });
  const { port } = await gateway([server.port]);
  const requests = [1, 2, 3, 4, 5].map(
    (i) => `GET /${i} HTTP/1.1\r\nhost: a\r\n${i === 5 ? "connection: close\r\n" : ""}\r\n`,
  );
  const heard = await said(port, requests.join(""));
  assert.deepEqual(heard.match(/\r\n\r\n\/\d/g), [
    "\r\n\r\n/1",
    "\r\n\r\n/2",
    "\r\n\r\n/3",
    "\r\n\r\n/4",
    "\r\n\r\n/5",
  ]);
  assert.deepEqual(
    server.heads.map((head) => head.split(" ")[1]),
    ["/1", "/2", "/3", "/4", "/5"],
  );
});

it("an answer that breaks off is never a complete one for the client: with a length, with chunks, to HTTP/1.0", async () => {
  const server = await raw((socket, head) => {
    const framing = head.startsWith("GET /length") ? "content-length: 9" : "transfer-encoding: chunked";
    socket.end(`HTTP/1.1 200 OK\r\n${framing}\r\n\r\n${head.startsWith("GET /length") ? "" : "9\r\n"}abc`);
  });
  const { port } = await gateway([server.port]);
  for (const path of ["/length", "/chunks"]) {
    const heard = await said(port, `GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`);
    assert.ok(!heard.endsWith("0\r\n\r\n"), heard);
  }
  const old = createConnection({ port, host: "127.0.0.1" });
  old.resume();
  old.write("GET /chunks HTTP/1.0\r\nhost: a\r\n\r\n");
  const [error] = (await once(old, "error")) as [NodeJS.ErrnoException];
  assert.equal(error.code, "ECONNRESET");
});

it("why the gateway answers for a service stands in the record of the request: 502, 503 and an answer that broke off", async () => {
  const records: RequestRecord[] = [];
  const listener = { onRecord: (record: RequestRecord) => void records.push(record) };
  const server = await raw((socket, head) => {
    if (head.startsWith("GET /cut")) socket.end("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    else socket.write("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  });
  const { port } = await gateway([server.port], { listener });
  const { port: empty } = await gateway([], { listener });
  const last = "HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  await said(port, `POST / ${last}`);
  await said(port, `GET /cut ${last}`);
  await said(empty, `GET / ${last}`);
  assert.deepEqual(
    records.map(({ status, reason, fault }) => [status, reason, fault]),
    [
      [502, "malformed", ""],
      [200, "broken", ""],
      [503, "unavailable", ""],
    ],
  );
});

it("Expect: 100-continue, trailers and a chunked echo work with a stock client and a stock server", async () => {
  const origin = createServer((incoming, response) => {
    response.writeHead(200, { trailer: "x-sum", "x-expect": String(incoming.headers.expect) });
    incoming.pipe(response, { end: false });
    incoming.on("end", () => {
      response.addTrailers({ "x-sum": "7" });
      response.end();
    });
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  open.push(origin);
  const { port } = await gateway([(origin.address() as { port: number }).port]);
  const sent = request({
    port,
    host: "127.0.0.1",
    method: "POST",
    headers: { expect: "100-continue", "transfer-encoding": "chunked" },
  });
  sent.flushHeaders();
  await once(sent, "continue");
  sent.end("hello");
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const chunks = (await response.toArray()) as Buffer[];
  assert.equal(Buffer.concat(chunks).toString(), "hello");
  assert.equal(response.headers["x-expect"], "undefined");
  assert.equal(response.trailers["x-sum"], "7");
});

it("bodies of many clients at once, slow and fast, come back byte for byte: no buffer is used again while it is held", async () => {
  const origin = createServer((incoming, response) => incoming.pipe(response)).listen(0, "127.0.0.1");
  await once(origin, "listening");
  open.push(origin);
  const { port, service } = await gateway([(origin.address() as { port: number }).port]);
  const agent = new Agent({ keepAlive: true });
  open.push({ close: () => agent.destroy() });
  const bytes = 6 * 1024 * 1024;
  const echo = async (client: number): Promise<void> => {
    // Another pattern for each client, at no period of the buffers' size.
    const body = Buffer.alloc(bytes);
    for (let i = 0; i < bytes; i++) body[i] = (i * 31 + (i >> 11) * 7 + client * 13) & 255;
    const headers = client % 2 === 0 ? { "content-length": bytes } : { "transfer-encoding": "chunked" };
    const sent = request({ port, host: "127.0.0.1", agent, method: "PUT", headers });
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    sent.end(body);
    const [response] = await answered;
    let at = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      assert.ok(body.subarray(at, at + chunk.length).equals(chunk), `client ${client} at ${at}`);
      at += chunk.length;
      for (let turns = client % 4; turns > 0; turns--) await new Promise(setImmediate);
    }
    assert.equal(at, bytes);
  };
  for (let round = 0; round < 2; round++)
    await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((client) => echo(client + round)));
  assert.equal(service.status().instances[0]!.active, 0);
});

describe("an instance killed with -9 under load", () => {
  const program = `
    const server = require("node:http").createServer((q, r) => setTimeout(() => r.end("from " + process.pid), 2));
    server.listen(0, "127.0.0.1", () => process.stdout.write(server.address().port + "\\n"));`;

  async function start(): Promise<{ child: ChildProcess; port: number }> {
    const child = spawn(process.execPath, ["-e", program], { stdio: ["ignore", "pipe", "inherit"] });
    open.push({ close: () => child.kill("SIGKILL") });
    const [line] = (await once(child.stdout!, "data")) as [Buffer];
    return { child, port: Number(line.toString()) };
  }

  it("no GET fails, and the rest goes on with the other", async () => {
    const [one, two] = [await start(), await start()];
    const { port, log, service } = await gateway([one.port, two.port]);
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });
    open.push({ close: () => agent.destroy() });
    const statuses = new Map<number, number>();
    let done = 0;
    const get = async (): Promise<void> => {
      const [response] = (await once(request({ port, host: "127.0.0.1", agent }).end(), "response")) as [
        IncomingMessage,
      ];
      await response.toArray();
      statuses.set(response.statusCode!, (statuses.get(response.statusCode!) ?? 0) + 1);
      done++;
    };
    const client = async (): Promise<void> => {
      for (let i = 0; i < 40; i++) {
        await get();
        if (done === 400) one.child.kill("SIGKILL");
      }
    };
    await Promise.all(Array.from({ length: 32 }, client));
    assert.deepEqual([...statuses], [[200, 32 * 40]]);
    await log.state("i0", "down");
    assert.equal(service.status().instances[1]!.active, 0);
  });
});
