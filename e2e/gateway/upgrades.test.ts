/** Issue 3, "Upgrades": WebSocket and any other protocol, with back-pressure, half-close, and an idle limit of its own. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { before, describe, it } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { type Gateway, gateway, Line, type Owner, suite, until } from "./harness.ts";

/** Echoes WebSocket messages; of other protocols it hands over the connection. */
async function upgrading(t: Owner, onLine: (socket: Socket) => void): Promise<number> {
  const server = createServer((_, answer) => void answer.end("plain")).listen(0, "127.0.0.1");
  const sockets = new WebSocketServer({ noServer: true });
  const open = new Set<Socket>();
  server.on("upgrade", (incoming, socket: Socket, head) => {
    open.add(socket.on("error", () => {}));
    if (incoming.headers.upgrade === "websocket") {
      sockets.handleUpgrade(incoming, socket, head, (line) => {
        line.on("message", (data, isBinary) => line.send(data, { binary: isBinary }));
      });
      return;
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: ${incoming.headers.upgrade}\r\n\r\n`,
    );
    onLine(socket);
  });
  await once(server, "listening");
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

describe("upgrades", () => {
  const owner = suite();
  const lines: Socket[] = [];
  let gate: Gateway;

  before(async () => {
    const port = await upgrading(owner, (socket) => lines.push(socket));
    const upstreams = [`http://127.0.0.1:${port}`];
    gate = await gateway(owner, {
      // What holds for requests and their connections is not for upgraded ones.
      limits: { idleTimeoutMs: 200, bodyProgressMs: 200, responseStallMs: 60_000 },
      services: {
        lasting: { upstreams, streamIdleMs: 100, firstByteMs: 5_000 },
        impatient: { upstreams, upgradeIdleMs: 1_000 },
      },
      sites: { "*": { "/": "lasting", "/impatient": "impatient" } },
    });
    await gate.ready();
  });

  const open = async (path: string) => {
    const socket = new WebSocket(gate.url().replace("http", "ws") + path);
    owner.after(() => socket.terminate());
    await once(socket, "open");
    const echo = async (data: string | Buffer) => {
      socket.send(data);
      const [answer] = (await once(socket, "message")) as [Buffer];
      return answer;
    };
    return { socket, echo };
  };

  /** A protocol of its own, joined end to end. */
  const openRaw = async (): Promise<[Line, Socket]> => {
    const line = await Line.open(owner, gate.port());
    line.send("GET /raw HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: raw/1\r\n\r\n");
    await line.expect(/^HTTP\/1\.1 101 [\s\S]*upgrade: raw\/1\r\n[\s\S]*\r\n\r\n/i);
    const other = await until("the line at the service", async () => lines.shift());
    return [line, other];
  };

  it("WebSocket messages of every size pass both ways", async () => {
    const { socket, echo } = await open("/");
    assert.equal(String(await echo("hello")), "hello");
    const large = Buffer.alloc(3 << 20, "tideway ");
    assert.ok((await echo(large)).equals(large));
    socket.close(4000, "done");
    const [code, reason] = await once(socket, "close");
    assert.deepEqual([code, String(reason)], [4000, "done"]);
  });

  it("a WebSocket without a byte for its idle limit is closed; others, and busy ones, are not", async () => {
    const impatient = await open("/impatient");
    const lasting = await open("/");
    const busy = await open("/impatient");
    let left = false;
    void once(impatient.socket, "close").then(() => {
      left = true;
    });
    await until("the silent one to be closed", async () => {
      assert.equal(String(await busy.echo("still here")), "still here");
      return left;
    });
    assert.equal(String(await lasting.echo("here, too")), "here, too");
  });

  it("any protocol passes as bytes, and each side ends for itself", async () => {
    const [line, other] = await openRaw();
    line.send("question\0\xff");
    assert.equal(((await once(other, "data")) as [Buffer])[0].toString("latin1"), "question\0\xff");
    const ended = once(other.resume(), "end");
    line.socket.end();
    await ended;
    other.write("an answer after the end, ");
    await line.expect(/after the end, $/);
    other.end("and its end");
    await line.expect(/and its end$/);
    await line.over();
  });

  it("a reader that rests holds the writer up, and nothing is lost", async () => {
    const [line, other] = await openRaw();
    line.socket.pause();
    const piece = Buffer.alloc(1 << 20, "x");
    let written = 0;
    while (other.write(piece) || other.writableLength < 4 * piece.length) {
      written += piece.length;
      assert.ok(written < 1 << 30, "somebody takes whatever is written");
      await new Promise(setImmediate);
    }
    written += piece.length;
    let received = 0;
    line.socket.removeAllListeners("data").on("data", (text: string) => {
      received += text.length;
    });
    other.end();
    line.socket.resume();
    await line.over();
    assert.equal(received, written);
  });

  it("a service that does not switch answers as ever", async () => {
    const line = await Line.open(owner, gate.port());
    line.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n");
    await line.expect(/^HTTP\/1\.1 200 [\s\S]*plain$/);
  });

  it("`tideway status` counts them", async () => {
    const { echo } = await open("/");
    await echo("here");
    const [listener] = (await gate.status()).listeners;
    assert.ok(listener!["upgraded"]! >= 1);
  });
});
