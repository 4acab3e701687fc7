/**
 * Lines that are cut after any number of bytes, again and again, also in the middle of a recovery: the stock client gets
 * every event of its rooms once, in order. A relay between client and server does the cutting.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket as NetSocket } from "node:net";
import { type TestContext, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { io as connectClient } from "socket.io-client";
import { Server } from "./index.ts";

const clientsCount = 16;
const eventsCount = 400;
const everyMs = 5;
/**
 * Bytes from the server after which a relay cuts: from Socket.IO's CONNECT to some events later. Not before: a line that is
 * cut between the WebSocket's 101 and Engine.IO's open packet leaves the stock client waiting for its 20 s to connect.
 */
const cutBytesMin = { websocket: 330, polling: 100 };
const cutBytesMax = 2_500;

/** Passes bytes on until a cut: then both sides see the line break. */
class CuttingRelay {
  cuts = 0;
  isCutting = true;
  readonly #server: NetServer;
  readonly #sockets = new Set<NetSocket>();

  constructor(target: number, random: SeededRandom, bytesMin: number) {
    this.#server = createServer((client) => {
      const upstream = connect(target, "127.0.0.1");
      let left = bytesMin + Math.floor(random.fraction() * (cutBytesMax - bytesMin));
      const end = () => {
        client.destroy();
        upstream.destroy();
      };
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket);
        socket.on("error", end);
        socket.on("close", () => {
          this.#sockets.delete(socket);
          end();
        });
      }
      client.on("data", (bytes: Buffer) => upstream.write(bytes));
      upstream.on("data", (bytes: Buffer) => {
        const passed = this.isCutting ? bytes.subarray(0, left) : bytes;
        left -= passed.length;
        const isCut = passed.length < bytes.length;
        if (isCut) this.cuts++;
        client.write(passed, () => {
          if (isCut) end();
        });
      });
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function start(t: TestContext, transport: keyof typeof cutBytesMin) {
  const http = createHttpServer();
  const io = new Server(http, { connectionStateRecovery: {}, durability: "memory" });
  io.on("connection", (socket) => void socket.join("all"));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const relay = new CuttingRelay((http.address() as AddressInfo).port, new SeededRandom(7), cutBytesMin[transport]);
  const port = await relay.listen();
  t.after(async () => {
    relay.close();
    await io.close();
  });
  return { io, relay, url: `http://127.0.0.1:${port}` };
}

for (const transport of ["websocket", "polling"] as const) {
  test(`lines cut at any byte by ${transport}: each event comes once, in order, and every return is a recovery`, async (t) => {
    const { io, relay, url } = await start(t, transport);
    const clients = Array.from({ length: clientsCount }, () => {
      const socket = connectClient(url, {
        transports: [transport],
        forceNew: true,
        reconnectionDelay: 5,
        reconnectionDelayMax: 20,
      });
      const client = { socket, got: [] as number[], connects: 0, unrecovered: 0 };
      socket.on("connect", () => {
        client.connects++;
        if (client.connects > 1 && !socket.recovered) client.unrecovered++;
      });
      socket.on("tick", (number: number) => client.got.push(number));
      return client;
    });
    t.after(() => {
      for (const { socket } of clients) socket.close();
    });
    // Nobody may miss the first event for not having been there at all.
    await Promise.all(clients.map(({ socket }) => (socket.connected ? null : once(socket as never, "connect"))));
    let sent = 0;
    await new Promise<void>((done) => {
      const timer = setInterval(() => {
        io.to("all").emit("tick", sent++);
        if (sent < eventsCount) return;
        clearInterval(timer);
        done();
      }, everyMs);
    });
    relay.isCutting = false;
    const expected = Array.from({ length: eventsCount }, (_, number) => number);
    while (clients.some(({ got }) => got.at(-1) !== eventsCount - 1)) await new Promise((done) => setImmediate(done));
    for (const { got, unrecovered } of clients) {
      assert.deepEqual(got, expected);
      assert.equal(unrecovered, 0);
    }
    t.diagnostic(`${relay.cuts} cuts, ${clients.reduce((sum, { connects }) => sum + connects, 0)} connections`);
    assert.ok(relay.cuts > clientsCount, "lines were cut");
  });
}
