/** Several servers at one hub, as application processes at the edge: over real links, with stock clients. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, connect, createServer as createNetServer, type Socket as NetSocket } from "node:net";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { after, afterEach, beforeEach, suite, test } from "node:test";
import { silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer, type LinkServer } from "@tideway/edge/link";
import { createTransports, type Transports } from "@tideway/edge/transports";
import { Hub, MemoryStore } from "@tideway/engine/hub";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { attachTo } from "./attach.ts";
import { Engine } from "./engine.ts";
import { Server } from "./index.ts";
import { Intake } from "./intake.ts";
import { type ClientOptions, connected, next, transports } from "./testing/counterparts.ts";

const directory = mkdtempSync(joinPath(tmpdir(), "tideway-cluster-"));
after(() => rmSync(directory, { recursive: true, force: true }));
let paths = 0;
const freshPath = () => joinPath(directory, `${++paths}.sock`);

/** A wire that can be cut: what a `kill -9` of the process behind it looks like from the hub. */
class Wire {
  readonly address: string;
  readonly #server = createNetServer((from) => this.#join(from));
  readonly #sockets = new Set<NetSocket>();
  readonly #to: string;

  constructor(to: string) {
    const path = freshPath();
    this.address = `unix:${path}`;
    this.#to = to;
    this.#server.listen(path);
  }

  #join(from: NetSocket): void {
    const to = connect(this.#to);
    for (const socket of [from, to]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        from.destroy();
        to.destroy();
      });
    }
    from.pipe(to);
    to.pipe(from);
  }

  /** Cuts it for good. */
  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

let hub: Hub;
let lines: Transports;
let http: HttpServer;
let link: LinkServer;
let path: string;
let servers: Server[];
let wires: Wire[];
let clients: Client[];

beforeEach(async () => {
  const common = { clock: systemClock, random: systemRandom, logger: silentLogger };
  hub = new Hub({ ...common, store: new MemoryStore(common), durability: "memory", recovery: true });
  lines = createTransports({
    ...common,
    door: hub.door,
    open: (line, handshake, _id, question) => hub.open(line, handshake, question),
  });
  http = createServer();
  attachTo(http, {
    path: "/socket.io",
    trailingSlash: true,
    servesClient: false,
    destroysUpgrades: true,
    destroyUpgradesMs: 1_000,
    answerer: new Intake(new Engine({}, () => 0), lines),
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  path = freshPath();
  link = await createLinkServer({
    path,
    attach: (server) => hub.attach(server),
    clock: systemClock,
    logger: silentLogger,
  });
  servers = [];
  wires = [];
  clients = [];
});
afterEach(async () => {
  for (const client of clients) client.disconnect();
  for (const server of servers) await server.close();
  for (const wire of wires) wire.cut();
  lines.close();
  hub.close();
  await link.close();
  await new Promise((resolve) => http.close(resolve));
});

/** An application's server; `set` is what its program does at its start. */
function start(name: string, set: (io: Server) => void, address = link.address): Server {
  const io = new Server({ link: address, instance: name });
  set(io);
  servers.push(io);
  return io;
}

function startOnWire(name: string, set: (io: Server) => void): { io: Server; wire: Wire } {
  const wire = new Wire(path);
  wires.push(wire);
  return { io: start(name, set, wire.address), wire };
}

async function join(options: ClientOptions, auth: object = {}): Promise<Client> {
  const { port } = http.address() as AddressInfo;
  const client = connectClient(`http://127.0.0.1:${port}/`, { forceNew: true, reconnection: false, auth, ...options });
  clients.push(client);
  await connected(client);
  return client;
}

/** Says which server each client was given to. */
function naming(name: string): (io: Server) => void {
  return (io) => {
    io.on("connection", (socket) => {
      socket.on("who", (done) => done(name));
      socket.on("join", (room, done) => {
        socket.join(room);
        done();
      });
    });
  };
}

for (const [transport, options] of transports) {
  suite(transport, () => {
    test("clients are spread over the servers, and what one server emits reaches all", async () => {
      const a = start("a", naming("a"));
      const b = start("b", naming("b"));
      const all = [await join(options), await join(options), await join(options), await join(options)];
      const names = await Promise.all(all.map((client) => client.emitWithAck("who")));
      assert.deepEqual(names.toSorted(), ["a", "a", "b", "b"]);
      const ofA = names.indexOf("a");
      const ofB = names.indexOf("b");
      await all[ofA]!.emitWithAck("join", "room");
      await all[ofB]!.emitWithAck("join", "room");
      const everybody = all.map((client) => next(client, "all"));
      const room = [all[ofA]!, all[ofB]!].map((client) => next(client, "room"));
      const others = all.map((client) => next(client, "end"));
      a.emit("all", 1);
      b.to("room").emit("room", 2);
      b.emit("end");
      // Behind the arguments stands the offset, as with Socket.IO's recovery.
      assert.deepEqual(
        (await Promise.all(everybody)).map(([n]) => n),
        [1, 1, 1, 1],
      );
      assert.deepEqual(
        (await Promise.all(room)).map(([n]) => n),
        [2, 2],
      );
      await Promise.all(others);
    });

    test("a server sees and moves the sockets of another", async () => {
      start("a", (io) =>
        io.on("connection", (socket) => Object.assign(socket.data, { name: socket.handshake.auth["name"] })),
      );
      const client = await join(options, { name: "Anna" });
      const b = start("b", () => {});
      const [remote] = await b.fetchSockets();
      assert.deepEqual(
        [remote?.id, remote?.data, [...(remote?.rooms ?? [])]],
        [client.id, { name: "Anna" }, [client.id]],
      );
      client.on("ask", (n: number, done: (n: number) => void) => done(n + 1));
      const answer = await new Promise((resolve) =>
        remote?.timeout(5_000).emit("ask", 1, (error: Error | null, value: number) => resolve([error, value])),
      );
      assert.deepEqual(answer, [null, 2]);
      assert.deepEqual(await b.timeout(5_000).emitWithAck("ask", 5), [6]);
      remote?.join("kitchen");
      assert.equal((await b.in("kitchen").fetchSockets()).length, 1);
      assert.equal((await servers[0]!.local.fetchSockets())[0]?.rooms.has("kitchen"), true, "its own server knows");
      const gone = next(client, "disconnect");
      remote?.disconnect();
      assert.equal((await gone)[0], "io server disconnect");
    });

    for (const end of ["is killed", "closes"] as const) {
      test(`when a server ${end}, another takes its sockets over and every event has its effect once and in order`, async () => {
        const program = (name: string) => (io: Server) => {
          io.use((socket, go) => {
            socket.data.seen = [name];
            go();
          });
          io.on("connection", (socket) => {
            if (socket.recovered) socket.data.seen.push(name);
            else socket.join("room");
            socket.on("do", (n, done) => {
              io.to("room").emit("did", n);
              done(name);
            });
          });
        };
        const { io: first, wire } = startOnWire("first", program("first"));
        const worker = await join(options);
        const disconnects: string[] = [];
        worker.on("disconnect", (reason: string) => disconnects.push(reason));
        const id = worker.id;
        const second = start("second", program("second"));
        const total = 200;
        const did: number[] = [];
        const complete = new Promise<void>((resolve) => {
          worker.on("did", (n: number) => {
            did.push(n);
            if (n === 60) end === "is killed" ? wire.cut() : void first.close();
            if (n === total - 1) resolve();
          });
        });
        const answers: Promise<string>[] = [];
        for (let n = 0; n < total; n++) {
          answers.push(worker.emitWithAck("do", n));
          if (n % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
        }
        await complete;
        assert.deepEqual(
          did,
          Array.from({ length: total }, (_, n) => n),
        );
        const names = await Promise.all(answers);
        assert.deepEqual([names[0], names.at(-1)], ["first", "second"]);
        assert.deepEqual(disconnects, []);
        assert.equal(worker.id, id);
        const [socket] = await second.local.fetchSockets();
        assert.deepEqual([socket?.id, socket?.data.seen], [id, ["first", "second"]]);
        assert.ok(socket?.rooms.has("room"));
      });
    }

    test("a server that comes while nobody is there takes up what waits", async () => {
      const { wire } = startOnWire("only", naming("only"));
      const client = await join(options);
      assert.equal(await client.emitWithAck("who"), "only");
      wire.cut();
      const early = join(options);
      const answer = client.emitWithAck("who");
      start("late", naming("late"));
      assert.equal(await answer, "late");
      assert.equal(await (await early).emitWithAck("who"), "late");
    });

    test("a server killed between a handler and its answer: the stock client is told, comes back and misses nothing", async () => {
      let handled = 0;
      const { wire } = startOnWire("first", (io) =>
        io.on("connection", (socket) => {
          socket.on("slow", () => void handled++);
          socket.on("after", (done) => done());
        }),
      );
      const client = await join({ ...options, reconnection: true, reconnectionDelay: 20 });
      const bystander = await join(options);
      const heard: string[] = [];
      client.on("news", (word: string) => heard.push(word));
      const { id } = client;
      const waits = client.emitWithAck("slow");
      // Without a time-out of its own, and nobody who could answer any more.
      const told = assert.rejects(waits, /socket has been disconnected/);
      await client.emitWithAck("after");
      const back = next(client, "connect");
      const second = start("second", (io) =>
        io.on("connection", (socket) => {
          socket.on("slow", (done) => done(++handled));
        }),
      );
      wire.cut();
      await told;
      second.emit("news", "meanwhile");
      await back;
      assert.deepEqual([client.id, client.recovered], [id, true]);
      assert.equal(await client.emitWithAck("slow"), 2, "what was handled once was not handled again");
      assert.deepEqual(heard, ["meanwhile"]);
      assert.equal(bystander.connected, true);
    });

    test("publish through any server has one order and one answer per key", async () => {
      const a = start("a", naming("a"));
      const b = start("b", naming("b"));
      const client = await join(options);
      await client.emitWithAck("who");
      const heard: number[] = [];
      client.on("n", (n: number) => heard.push(n));
      const first = await a.idempotencyKey("k").publish("n", 1);
      const second = await b.idempotencyKey("k").publish("n", 1);
      const third = await b.publish("n", 2);
      assert.deepEqual([first.duplicate, second.duplicate, third.duplicate], [false, true, false]);
      assert.deepEqual([second.seq, second.offset], [first.seq, first.offset]);
      assert.equal(third.seq, first.seq + 1);
      await client.emitWithAck("who");
      assert.deepEqual(heard, [1, 2]);
    });
  });
}

test("a server that closes gives the answers that its handlers still owe; the client sees nothing of it", async () => {
  let finish = () => {};
  const first = start("first", (io) =>
    io.on("connection", (socket) => {
      socket.on("slow", (done) => {
        finish = () => done("late, but true");
        socket.emit("begun");
      });
      socket.on("never", () => {});
    }),
  );
  const client = await join({ transports: ["websocket"] });
  const disconnects: string[] = [];
  client.on("disconnect", (reason: string) => disconnects.push(reason));
  const begun = next(client, "begun");
  const answer = client.timeout(4_000).emitWithAck("slow");
  await begun;
  start("second", naming("second"));
  const closed = first.close();
  assert.equal(await client.emitWithAck("who"), "second");
  finish();
  assert.equal(await answer, "late, but true");
  await closed;
  assert.deepEqual(disconnects, []);
});

test("an event or an answer that is none closes the client's line, as in the reference", async () => {
  let ask = () => {};
  start("only", (io) =>
    io.on("connection", (socket) => {
      ask = () => socket.emit("ask", () => {});
    }),
  );
  for (const event of ["connect_error", "newListener"]) {
    const client = await join({ transports: ["websocket"] });
    const gone = next(client, "disconnect");
    // The stock client refuses to send these.
    client.io.engine.write(`2["${event}"]`);
    assert.equal((await gone)[0], "transport close", event);
  }
  for (const text of ["2[]", "2[oops", '2["a"', "2{}"]) {
    const client = await join({ transports: ["websocket"] });
    const gone = next(client, "disconnect");
    client.io.engine.write(text);
    assert.equal((await gone)[0], "transport close", text);
  }
  const client = await join({ transports: ["websocket"] });
  const gone = next(client, "disconnect");
  client.io.engine.on("packet", ({ data }: { data?: string }) => {
    const id = /^2(\d+)\["ask"\]/.exec(data ?? "")?.[1];
    if (id !== undefined) client.io.engine.write(`3${id}[oops`);
  });
  ask();
  assert.equal((await gone)[0], "transport close", "an answer");
});
