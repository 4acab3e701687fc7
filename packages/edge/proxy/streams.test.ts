/** What streams stays a stream: real clients and servers with the gateway between them, a piece at a time. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, createConnection, type Socket } from "node:net";
import { describe, it } from "node:test";
import { request as undiciRequest } from "undici";
import { WebSocket, WebSocketServer } from "ws";
import { gateway, origin } from "./gateway.testing.ts";
import { open, until } from "./rig.testing.ts";

/** Reads a stream piece by piece. */
class Pieces {
  readonly #source: AsyncIterator<Buffer>;
  #held = "";

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Waits until exactly this has come next. */
  async expect(text: string): Promise<void> {
    while (this.#held.length < text.length) {
      const { value, done } = await this.#source.next();
      assert.ok(done !== true, `ended before ${JSON.stringify(text)}`);
      this.#held += value.toString("latin1");
    }
    assert.equal(this.#held, text);
    this.#held = "";
  }

  async end(): Promise<void> {
    assert.equal(this.#held, "");
    assert.equal((await this.#source.next()).done, true);
  }
}

describe("each piece arrives before the next is sent", () => {
  it("of a response", async () => {
    const answers = new EventEmitter();
    const port = await origin((_, response) => answers.emit("response", response));
    const { port: gate } = await gateway([port]);
    const asked = once(answers, "response") as Promise<[ServerResponse]>;
    const answered = undiciRequest(`http://127.0.0.1:${gate}/`);
    const [response] = await asked;
    response.flushHeaders();
    const { body } = await answered;
    const pieces = new Pieces(body);
    for (const size of [1, 10, 1000, 3, 5000, 2]) {
      const piece = String(size % 7).repeat(size);
      response.write(piece);
      await pieces.expect(piece);
    }
    response.end();
    await pieces.end();
  });

  for (const headers of [{ "transfer-encoding": "chunked" }, { "content-length": "6016" }]) {
    it(`of a request with ${Object.keys(headers)[0]}`, async () => {
      const requests = new EventEmitter();
      const port = await origin((incoming, response) => requests.emit("request", incoming, response));
      const { port: gate } = await gateway([port]);
      const sent = request({ port: gate, host: "127.0.0.1", method: "POST", headers });
      const asked = once(requests, "request") as Promise<[IncomingMessage, ServerResponse]>;
      const answered = once(sent, "response");
      sent.flushHeaders();
      const [incoming, response] = await asked;
      const pieces = new Pieces(incoming);
      for (const size of [1, 10, 1000, 3, 5000, 2]) {
        const piece = String(size % 7).repeat(size);
        sent.write(piece);
        await pieces.expect(piece);
      }
      sent.end();
      await pieces.end();
      response.end();
      const [answer] = (await answered) as [IncomingMessage];
      assert.equal(answer.statusCode, 200);
      answer.resume();
    });
  }

  it("of both at once, question and answer by turns on one exchange", async () => {
    const port = await origin((incoming, response) => {
      response.flushHeaders();
      incoming.on("data", (chunk) => response.write(`<${chunk}>`));
      incoming.on("end", () => response.end());
    });
    const { port: gate } = await gateway([port]);
    const sent = request({
      port: gate,
      host: "127.0.0.1",
      method: "POST",
      headers: { "transfer-encoding": "chunked" },
    });
    sent.flushHeaders();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const pieces = new Pieces(answer);
    for (let turn = 0; turn < 50; turn++) {
      sent.write(String(turn));
      await pieces.expect(`<${turn}>`);
    }
    sent.end();
    await pieces.end();
  });
});

it("server-sent events come one by one, and X-Accel-Buffering passes for whoever stands in front", async () => {
  const answers = new EventEmitter();
  const port = await origin((_, response) => {
    response.writeHead(200, {
      "content-type": "text/event-stream",
      "x-accel-buffering": "no",
      "cache-control": "no-store",
    });
    response.flushHeaders();
    answers.emit("response", response);
  });
  const { port: gate } = await gateway([port]);
  const asked = once(answers, "response") as Promise<[ServerResponse]>;
  const sent = request({ port: gate, host: "127.0.0.1", headers: { accept: "text/event-stream" } }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  assert.equal(answer.headers["content-type"], "text/event-stream");
  assert.equal(answer.headers["x-accel-buffering"], "no");
  const [response] = await asked;
  const pieces = new Pieces(answer);
  for (let id = 0; id < 20; id++) {
    response.write(`id: ${id}\ndata: {"n":${id}}\n\n`);
    await pieces.expect(`id: ${id}\ndata: {"n":${id}}\n\n`);
  }
  const gone = once(response, "close");
  answer.on("error", () => {});
  answer.socket.resetAndDestroy();
  await gone;
});

it("a long poll waits as long as it takes, and the service learns when its client goes", async () => {
  const answers = new EventEmitter();
  const port = await origin((_, response) => answers.emit("response", response));
  const { port: gate, service } = await gateway([port]);
  const first = once(answers, "response") as Promise<[ServerResponse]>;
  const answered = undiciRequest(`http://127.0.0.1:${gate}/poll`);
  const [response] = await first;
  await until(() => service.status().instances[0]!.active === 1);
  response.end("news");
  assert.equal(await (await answered).body.text(), "news");

  const second = once(answers, "response") as Promise<[ServerResponse]>;
  const abandoned = request({ port: gate, host: "127.0.0.1", path: "/poll" }).on("error", () => {});
  abandoned.end();
  const [waiting] = await second;
  const gone = once(waiting, "close");
  (abandoned.socket as Socket).resetAndDestroy();
  await gone;
  await until(() => service.status().instances[0]!.active === 0);
});

describe("trailers", () => {
  it("pass in both directions, as gRPC over HTTP/1.1 has them", async () => {
    const seen: IncomingMessage[] = [];
    const port = await origin((incoming, response) => {
      seen.push(incoming);
      response.writeHead(200, { "content-type": "application/grpc", trailer: "grpc-status, grpc-message" });
      incoming.on("data", (chunk) => response.write(chunk));
      incoming.on("end", () => {
        response.addTrailers({ "grpc-status": "0", "grpc-message": `sum ${incoming.trailers["x-sum"]}` });
        response.end();
      });
    });
    const { port: gate } = await gateway([port]);
    const sent = request({
      port: gate,
      host: "127.0.0.1",
      method: "POST",
      headers: { te: "trailers", connection: "te", "content-type": "application/grpc", trailer: "x-sum" },
    });
    sent.write("\0\0\0\0\x02hi");
    sent.addTrailers({ "x-sum": "7" });
    sent.end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    assert.equal(Buffer.concat((await answer.toArray()) as Buffer[]).toString("latin1"), "\0\0\0\0\x02hi");
    assert.deepEqual({ ...answer.trailers }, { "grpc-status": "0", "grpc-message": "sum 7" });
    assert.equal(answer.headers.trailer, "grpc-status, grpc-message");
    assert.equal(seen[0]!.headers.te, "trailers");
    assert.equal(seen[0]!.headers.trailer, "x-sum");
    assert.match(seen[0]!.headers.connection!, /\bte\b/);
  });

  it("come to undici, too, and behind an empty body", async () => {
    const port = await origin((_, response) => {
      response.writeHead(200, { trailer: "grpc-status" });
      response.addTrailers({ "grpc-status": "5" });
      response.end();
    });
    const { port: gate } = await gateway([port]);
    const { body, trailers } = await undiciRequest(`http://127.0.0.1:${gate}/`);
    assert.equal(await body.text(), "");
    assert.deepEqual(trailers, { "grpc-status": "5" });
  });

  it("are left out for a client of HTTP/1.0, which knows none", async () => {
    const port = await origin((_, response) => {
      response.writeHead(200, { trailer: "x-sum" });
      response.write("abc");
      response.addTrailers({ "x-sum": "7" });
      response.end();
    });
    const { port: gate } = await gateway([port]);
    const socket = createConnection(gate, "127.0.0.1");
    socket.write("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    const heard = Buffer.concat((await socket.toArray()) as Buffer[]).toString("latin1");
    assert.ok(heard.endsWith("\r\n\r\nabc"), heard);
  });
});

describe("Server-Timing", () => {
  async function timing(serverTiming: boolean): Promise<string | string[] | undefined> {
    const port = await origin((_, response) => {
      response.setHeader("server-timing", "db;dur=1");
      response.end();
    });
    const { port: gate } = await gateway([port], { route: { serverTiming } });
    const { headers, body } = await undiciRequest(`http://127.0.0.1:${gate}/`);
    await body.dump();
    return headers["server-timing"];
  }

  it("tells the gateway's and the service's share behind the service's own", async () => {
    const value = await timing(true);
    assert.ok(Array.isArray(value));
    assert.equal(value[0], "db;dur=1");
    const shares = /^gateway;dur=(\d+(?:\.\d)?), service;dur=(\d+(?:\.\d)?)$/.exec(value[1] ?? "");
    assert.ok(shares !== null, String(value));
  });

  it("is left alone unless the route wants it", async () => assert.equal(await timing(false), "db;dur=1"));
});

describe("WebSocket through the gateway, with ws on both ends", () => {
  async function pair(): Promise<{ server: WebSocket; client: WebSocket; gate: Awaited<ReturnType<typeof gateway>> }> {
    const http = createServer().listen(0, "127.0.0.1");
    await once(http, "listening");
    const sockets = new WebSocketServer({ server: http, perMessageDeflate: { threshold: 0 } });
    open.push({ close: () => http.close() }, { close: () => sockets.close() });
    const gate = await gateway([(http.address() as AddressInfo).port]);
    const accepted = once(sockets, "connection") as Promise<[WebSocket]>;
    const client = new WebSocket(`ws://127.0.0.1:${gate.port}/`, { perMessageDeflate: true });
    await once(client, "open");
    const [server] = await accepted;
    open.push({ close: () => client.terminate() });
    return { server, client, gate };
  }

  it("messages small and large pass both ways, compressed as both agreed, and so does the reason of the close", async () => {
    const { server, client, gate } = await pair();
    assert.match(client.extensions, /permessage-deflate/);
    server.on("message", (data, binary) => server.send(data, { binary }));
    for (const size of [0, 1, 125, 65_536, 3_000_000]) {
      const message = Buffer.alloc(size, size % 251);
      client.send(message);
      const [echo] = (await once(client, "message")) as [Buffer];
      assert.ok(echo.equals(message), `${size}`);
    }
    assert.equal(gate.proxy.tunnels.open, 1);
    const closed = once(client, "close") as Promise<[number, Buffer]>;
    server.close(4001, "enough");
    const [code, reason] = await closed;
    assert.equal(code, 4001);
    assert.equal(reason.toString(), "enough");
    await until(() => gate.proxy.tunnels.open === 0);
  });

  it("a client that breaks off is a broken connection for the server", async () => {
    const { server, client, gate } = await pair();
    const closed = once(server, "close") as Promise<[number]>;
    client.terminate();
    assert.deepEqual((await closed)[0], 1006);
    await until(() => gate.service.status().instances[0]!.connections === 0);
  });
});
