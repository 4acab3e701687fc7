/**
 * Clients that change transport in mid-stream, at random: socket, server-sent events, poll, long poll, and back. What each
 * received is in a ledger of its own; at the end it holds every event once and in order. Seeded: a failure names its seed.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { silentLogger } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer } from "@tideway/edge/link";
import { createTransports } from "@tideway/edge/transports";
import { Hub, MemoryStore } from "@tideway/engine/hub";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { attachTo } from "./attach.ts";
import { Engine } from "./engine.ts";
import { Server } from "./index.ts";
import { Intake } from "./intake.ts";
import { next } from "./testing/counterparts.ts";
import { RoomClient } from "./testing/room-client.ts";

const eventsTotal = 600;
const everyMs = 3;

interface Scene {
  readonly origin: string;
  /** Emits in the application's name. */
  readonly io: Server;
  /** Something befalls the application. */
  readonly disturb: () => Promise<void>;
}

/** One client, on one transport at a time. */
class Mover {
  readonly ledger: number[] = [];
  readonly moves: Record<string, number> = { socket: 0, recovered: 0, sse: 0, poll: 0, longpoll: 0 };
  readonly #room: RoomClient;
  readonly #random: SeededRandom;
  readonly #socket: Client;
  #place: string | null = null;
  /** Offsets that a poll brought while a socket had joined already: the socket brings them too. */
  readonly #polled = new Set<string>();
  #held: [number, string][] | null = null;
  #stops: (() => void) | null = null;

  constructor(origin: string, random: SeededRandom) {
    this.#room = new RoomClient(origin, "a");
    this.#random = random;
    this.#socket = connectClient(origin, {
      autoConnect: false,
      forceNew: true,
      reconnection: false,
      transports: [random.fraction() < 0.5 ? "polling" : "websocket"],
      // The stock client's own offset is of its own last event: what came on other transports is further on.
      auth: (give: (auth: object) => void) => give(this.#place === null ? {} : { offset: this.#place }),
    });
    this.#socket.on("n", (n: number, offset: string) => {
      if (this.#held !== null) this.#held.push([n, offset]);
      else if (!this.#polled.delete(offset)) this.#take(n, offset);
    });
  }

  #take(n: number, offset: string): void {
    this.ledger.push(n);
    this.#place = offset;
    this.#stops?.();
  }

  async move(): Promise<void> {
    const count = 1 + Math.floor(this.#random.fraction() * 8);
    const choice = Math.floor(this.#random.fraction() * 4);
    if (choice === 0) await this.#bySocket(count);
    else if (choice === 1) await this.#bySse(count);
    else if (choice === 2) await this.#byPoll("");
    else for (let n = 0; n < count; n++) await this.#byPoll("&wait=2");
  }

  async #byPoll(wait: string): Promise<number> {
    this.moves[wait === "" ? "poll" : "longpoll"]!++;
    const { events, next: place, gap } = await this.#room.poll(`?after=${this.#place ?? "0"}&limit=20${wait}`);
    assert.equal(gap, false);
    for (const { event, args, offset } of events) {
      if (this.#held !== null) this.#polled.add(offset);
      if (event === "n") this.#take(args[0] as number, offset);
    }
    this.#place = place;
    return events.length;
  }

  async #bySse(count: number): Promise<void> {
    this.moves["sse"]!++;
    const place = this.#place;
    const stream = await this.#room.stream(place === null ? { query: "?after=0" } : { lastEventId: place });
    assert.equal(stream.response.status, 200);
    let taken = 0;
    for await (const { type, data, lastEventId } of stream) {
      assert.notEqual(type, "tideway:gap");
      if (type === "n") this.#take((JSON.parse(data) as [number])[0], lastEventId);
      this.#place = lastEventId;
      if (++taken === count) break;
    }
  }

  /** With the session that it had, or else with a new one, whose beginning is filled by polls. */
  async #bySocket(count: number): Promise<void> {
    this.moves["socket"]!++;
    const socket = this.#socket;
    this.#polled.clear();
    const wanted = Math.min(this.ledger.length + count, eventsTotal);
    const enough = new Promise<void>((resolve) => {
      this.#stops = () => this.ledger.length >= wanted && resolve();
    });
    socket.connect();
    await Promise.race([
      next(socket, "connect"),
      next(socket, "connect_error").then(([error]) => Promise.reject(error)),
    ]);
    if (socket.recovered) this.moves["recovered"]!++;
    else {
      this.#held = [];
      const { ok } = await socket.timeout(5_000).emitWithAck("tideway:join", "a");
      assert.equal(ok, true);
      while ((await this.#byPoll("")) > 0);
      const held: [number, string][] = this.#held;
      this.#held = null;
      for (const [n, offset] of held) if (!this.#polled.delete(offset)) this.#take(n, offset);
    }
    this.#stops?.();
    await enough;
    this.#stops = null;
    // The line goes, not the session.
    const closed = next(socket, "disconnect");
    socket.io.engine.close();
    await closed;
  }

  async run(done: () => boolean): Promise<void> {
    while (!done()) await this.move();
    while ((await this.#byPoll("")) > 0);
    this.#socket.disconnect();
  }
}

async function everybodyMoves(t: TestContext, seed: number, scene: Scene): Promise<void> {
  const random = new SeededRandom(seed);
  const { io, origin, disturb } = scene;
  const publisher = new RoomClient(origin, "a");
  const movers = Array.from({ length: 6 }, (_, index) => new Mover(origin, new SeededRandom(seed * 100 + index)));
  const receipts: unknown[] = [];
  let stopped = false;
  let released = false;
  const saying = (async () => {
    for (let n = 0; n < eventsTotal; n++) {
      const choice = random.fraction();
      if (choice < 0.1) {
        // By a client, who does not trust its first answer.
        const answers = await Promise.all([1, 2].map(() => publisher.publish("n", [n], `k${n}`)));
        const [one, two] = await Promise.all(answers.map((answer) => answer.json()));
        assert.deepEqual(one, two);
        receipts.push(one);
      } else await io.to("a").publish("n", n);
      if (choice > 0.9) io.to("b").emit("other", n);
      if (choice > 0.8) io.to("a").volatile.emit("volatile", "no offset");
      await new Promise((resolve) => setTimeout(resolve, everyMs));
      if (n % 150 === 149) await disturb();
    }
    stopped = true;
    // Whoever waits on a transport waits no longer: these are no part of the ledgers.
    while (!released) {
      io.to("a").emit("end");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  const running = await Promise.allSettled(movers.map((mover) => mover.run(() => stopped)));
  released = true;
  await saying;
  const failures = running.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
  assert.deepEqual(failures, []);
  const expected = Array.from({ length: eventsTotal }, (_, n) => n);
  const sum: Record<string, number> = {};
  for (const { ledger, moves } of movers) {
    for (const [way, times] of Object.entries(moves)) sum[way] = (sum[way] ?? 0) + times;
    assert.deepEqual(ledger, expected, `seed ${seed}`);
  }
  t.diagnostic(`seed ${seed}: ${JSON.stringify(sum)}, ${receipts.length} published by clients; 0 lost, 0 repeated`);
  for (const way of ["socket", "recovered", "sse", "poll", "longpoll"])
    assert.ok(sum[way]! > 0, `${way} was among them`);
}

test("a hub of its own: every client gets every event once, in order, whatever it changes to", async (t) => {
  const http = createServer();
  const io = new Server(http, { durability: "memory", connectionStateRecovery: {} });
  io.open("a", { read: true, publish: true });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(async () => {
    http.closeAllConnections();
    await io.close();
  });
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  await everybodyMoves(t, 1, { io, origin, disturb: async () => {} });
});

test("over links, with the application's processes replaced meanwhile: the same", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "tideway-moving-"));
  const common = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const hub = new Hub({ ...common, store: new MemoryStore(common), durability: "memory", recovery: true });
  const lines = createTransports({
    ...common,
    rooms: hub.rooms,
    open: (line, handshake) => hub.open(line, handshake),
  });
  const http = createServer();
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
  const path = join(directory, "link.sock");
  const link = await createLinkServer({ ...common, path, attach: (server) => hub.attach(server) });
  const start = async () => {
    const server = new Server({ link: `unix:${path}` });
    // Each asks for itself, so that there is always somebody to be asked and nothing known for all.
    server.open("a", { read: async () => true, publish: async () => true });
    await server.fetchSockets();
    return server;
  };
  const io = await start();
  let other = await start();
  const disturb = async () => {
    const fresh = await start();
    await other.close();
    other = fresh;
  };
  t.after(async () => {
    await Promise.all([io.close(), other.close()]);
    lines.close();
    hub.close();
    await link.close();
    http.close();
    http.closeAllConnections();
    rmSync(directory, { recursive: true, force: true });
  });
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  await everybodyMoves(t, 2, { io, origin, disturb });
});
