/**
 * How clients come back, with the stock client: after a lost line, one that is lost at the client's end only, a quiet time,
 * again and again, and past a slow middleware. Each time nothing is missing, nothing comes twice, and it is the same socket.
 * The traps are those that the reference falls into. (`e2e/power-cut` kills the edge; `cuts.test.ts` cuts at any byte.)
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Socket as NetSocket } from "node:net";
import { type TestContext, test } from "node:test";
import { io as connectClient } from "socket.io-client";
import { Server, type Socket } from "./index.ts";

/** Passes bytes on until it is told to break: at both ends, or at the client's alone. */
async function relayTo(port: number, t: TestContext) {
  const pairs = new Set<readonly [client: NetSocket, upstream: NetSocket]>();
  const all = new Set<NetSocket>();
  let isUp = true;
  const server = createServer((client) => {
    if (!isUp) {
      client.destroy();
      return;
    }
    const upstream = connect(port, "127.0.0.1");
    const pair = [client, upstream] as const;
    pairs.add(pair);
    for (const socket of pair) {
      all.add(socket);
      socket.on("error", () => {});
    }
    client.on("data", (bytes: Buffer) => upstream.write(bytes));
    upstream.on("data", (bytes: Buffer) => void (client.destroyed || client.write(bytes)));
    upstream.on("close", () => client.destroy());
    client.on("close", () => {
      if (pairs.delete(pair)) upstream.destroy();
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of all) socket.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    /** `half`: the server's end stays open, and silent. Until `mend`, nobody comes through. */
    cut(half: boolean) {
      isUp = false;
      for (const pair of [...pairs]) {
        if (half) pairs.delete(pair);
        pair[0].destroy();
      }
    },
    mend() {
      isUp = true;
    },
  };
}

interface Way {
  /** Whether the server's end of the line stays open. */
  readonly half?: boolean;
  /** Whether the client has got something before its line is lost. */
  readonly silent?: boolean;
  readonly times?: number;
  readonly slowMiddleware?: boolean;
}

const ways: Record<string, Way> = {
  "a dropped line": {},
  "a half-open line, whose loss the server has not noticed": { half: true },
  "a quiet time in which it got nothing but heartbeats": { silent: true },
  "a half-open line after a quiet time": { half: true, silent: true },
  "a second and a third recovery": { times: 3 },
  "three half-open lines in a row": { half: true, times: 3 },
  "an asynchronous middleware that takes its time": { slowMiddleware: true },
  "an asynchronous middleware, three times, half-open, after a quiet time": {
    half: true,
    silent: true,
    times: 3,
    slowMiddleware: true,
  },
};

async function start(t: TestContext, transport: "polling" | "websocket", slow: boolean) {
  const http = createHttpServer();
  const io = new Server(http, {
    connectionStateRecovery: { skipMiddlewares: !slow },
    // Heartbeats that a test can wait for; a busy machine may be late by seconds.
    pingInterval: 50,
    pingTimeout: 20_000,
  });
  let release: (() => void) | null = null;
  let asked = Promise.withResolvers<void>();
  io.use((socket, next) => {
    if (!slow || !socket.recovered) {
      next();
      return;
    }
    release = next;
    asked.resolve();
  });
  const sockets: Socket[] = [];
  io.on("connection", (socket) => {
    sockets.push(socket);
    if (!socket.recovered) socket.join("room");
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const relay = await relayTo((http.address() as AddressInfo).port, t);
  const client = connectClient(`http://127.0.0.1:${relay.port}`, {
    transports: [transport],
    forceNew: true,
    reconnectionDelay: 5,
    reconnectionDelayMax: 20,
  });
  t.after(async () => {
    client.close();
    await io.close();
  });
  /** Resolves when the middleware has the client in its hands. */
  const held = async () => {
    await asked.promise;
    asked = Promise.withResolvers<void>();
  };
  return { io, relay, client, sockets, held, release: () => release?.() };
}

for (const transport of ["websocket", "polling"] as const) {
  for (const [what, { half = false, silent = false, times = 1, slowMiddleware = false }] of Object.entries(ways)) {
    test(`${transport}: nothing is lost or doubled by ${what}`, async (t) => {
      const { io, relay, client, sockets, held, release } = await start(t, transport, slowMiddleware);
      const got: string[] = [];
      const wanted: string[] = [];
      client.on("news", (word: string) => got.push(word));
      const emit = (word: string, to = "room") => {
        wanted.push(word);
        io.to(to).emit("news", word);
      };
      const arrived = async () => {
        while (got.length < wanted.length) await once(client as never, "news");
      };
      const came = once(io, "connection");
      await once(client as never, "connect");
      await came;
      const { id } = client;
      for (let time = 1; time <= times; time++) {
        if (silent) {
          for (let beats = 0; beats < 3; beats++) await once(client.io as never, "ping");
        } else {
          emit(`before ${time}`);
          // Stored by the stock client as its offset, whatever it is: it must be one.
          wanted.push(`volatile ${time}`);
          io.to("room").volatile.emit("news", `volatile ${time}`);
          await arrived();
        }
        const lost = once(client as never, "disconnect");
        const back = once(client as never, "connect");
        relay.cut(half);
        emit(`to the room ${time}`);
        emit(`to the socket ${time}`, id);
        await lost;
        relay.mend();
        if (slowMiddleware) {
          await held();
          emit(`while the middleware thinks ${time}`);
          release();
        }
        await back;
        assert.deepEqual([client.recovered, client.id], [true, id]);
        emit(`after ${time}`);
        await arrived();
      }
      assert.deepEqual(got, wanted);
      assert.deepEqual(
        sockets.map((socket) => [socket.id, socket.recovered]),
        [[id, false], ...Array.from({ length: times }, () => [id, true])],
      );
    });
  }
}
