/**
 * Everything at once, at random, against a ledger: clients come, drop, vanish and come back, servers come, die and leave,
 * the disk is slow, the hub is killed. Each session must get each event of its rooms once and in order; each event of a
 * client must be handled once, and in the order of its connection. Every run can be repeated by its seed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { ServerPort, ToServer } from "./contract.ts";
import { Hub } from "./hub.ts";
import { MemoryStore } from "./memory-store.ts";
import { FakeClient, payloadOf, SlowStore } from "./testing.ts";

/** Little at hand, read in small pieces: so that recovery takes all its ways. */
const limits = { recentBytesMax: 4_000, recoveryReadEvents: 3 };
const roomNames = ["a", "b", "c"];

/** What a session's client must have got, and why. */
interface Session {
  readonly rooms: Set<string>;
  readonly expected: string[];
}

/** A server that decides and handles when the run says so. */
class LazyServer implements ServerPort {
  readonly world: World;
  readonly port;
  readonly deciding: Extract<ToServer, { type: "connect" }>[] = [];
  readonly todo: Extract<ToServer, { type: "event" }>[] = [];

  constructor(world: World) {
    this.world = world;
    this.port = world.hub.attach(this);
    this.port.send({ type: "hello", instance: "lazy" });
  }

  send(message: ToServer): void {
    if (message.type === "connect") this.deciding.push(message);
    if (message.type === "event") this.todo.push(message);
  }

  decide(): void {
    const message = this.deciding.shift();
    if (message === undefined) return;
    const known = this.world.sessions.has(message.socket);
    assert.equal(known, message.recovered, "a socket is new exactly when nobody knows it");
    if (!known) this.world.sessions.set(message.socket, { rooms: new Set([message.socket]), expected: [] });
    this.port.send({ type: "accept", socket: message.socket });
  }

  handle(count: number): void {
    let last = 0;
    for (let left = count; left > 0 && this.todo.length > 0; left--) {
      const event = this.todo.shift()!;
      this.world.handled.push(JSON.parse(event.payload.json)[1]);
      last = event.seq;
    }
    if (last > 0) this.port.send({ type: "done", seq: last });
  }

  get held(): number {
    return this.deciding.length + this.todo.length;
  }
}

class World {
  readonly random: SeededRandom;
  readonly clock = new FakeClock();
  readonly memory: MemoryStore;
  store: SlowStore;
  hub: Hub;
  readonly sessions = new Map<string, Session>();
  readonly clients: FakeClient[] = [];
  servers: LazyServer[] = [];
  readonly emitted: string[] = [];
  readonly handled: string[] = [];
  numbers = 0;

  constructor(seed: number, clients: number) {
    this.random = new SeededRandom(seed);
    this.memory = new MemoryStore({ clock: this.clock, random: this.random });
    this.store = new SlowStore(this.memory);
    this.hub = this.makeHub();
    this.servers.push(new LazyServer(this));
    for (let i = 0; i < clients; i++) this.clients.push(new FakeClient(this.hub));
  }

  makeHub(): Hub {
    const { clock, random, store } = this;
    return new Hub({
      clock,
      random,
      store,
      durability: "memory",
      recovery: true,
      handoverMs: 1e6,
      connectTimeoutMs: 1e6,
      limits,
    });
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.random.fraction() * from.length)]!;
  }

  some(): string[] {
    return roomNames.filter(() => this.random.fraction() < 0.4);
  }

  read(client: FakeClient, count = Number.POSITIVE_INFINITY): void {
    const { pid, sid } = client;
    const had = client.events.length;
    client.read(count);
    if (!client.connected || client.sid === sid) return;
    assert.ok(pid === undefined || sid === "", "a client that can be recovered is recovered");
    client.events.splice(0, had);
  }

  emit(): void {
    const name = `e${++this.numbers}`;
    const rooms = this.random.fraction() < 0.2 ? [] : this.some();
    if (this.random.fraction() < 0.2 && this.sessions.size > 0) rooms.push(this.pick([...this.sessions.keys()]));
    const except = this.random.fraction() < 0.2 ? this.some() : [];
    this.pick(this.servers).port.send({
      type: "emit",
      to: { namespace: "/", rooms, except },
      payload: payloadOf(name),
      compress: true,
      volatile: false,
      answers: null,
      timeoutMs: 0,
      receipt: null,
      key: null,
    });
    for (const session of this.sessions.values()) {
      const isFor = rooms.length === 0 || rooms.some((room) => session.rooms.has(room));
      if (isFor && !except.some((room) => session.rooms.has(room))) session.expected.push(`["${name}"]`);
    }
  }

  changeRooms(): void {
    const client = this.pick(this.clients);
    const session = this.sessions.get(client.sid);
    if (!client.connected || client.line.reason !== null || session === undefined) return;
    const room = this.pick(roomNames);
    const type = this.random.fraction() < 0.6 ? "join" : "leave";
    this.pick(this.servers).port.send({
      type,
      to: { namespace: "/", rooms: [client.sid], except: [] },
      rooms: [room],
    });
    if (type === "join") session.rooms.add(room);
    else session.rooms.delete(room);
  }

  /** A change by selector; while the pipeline is busy its turn may find others there than now, so only when it is not. */
  changeRoomsOfMany(): void {
    if (this.hub.status().namespaces.some(({ pending }) => pending > 0)) return;
    const [from, to] = [this.pick(roomNames), this.pick(roomNames)];
    const type = this.random.fraction() < 0.5 ? "join" : "leave";
    const port = this.pick(this.servers).port;
    let found: readonly { readonly id: string }[] = [];
    const ask = this.hub.attach({
      send(message) {
        if (message.type === "found") found = message.sockets;
      },
    });
    const selector = { namespace: "/", rooms: [from], except: [] };
    ask.send({ type: "leaving" });
    ask.send({ type: "find", request: 1, to: selector });
    ask.gone();
    port.send({ type, to: selector, rooms: [to] });
    for (const { id } of found) {
      if (type === "join") this.sessions.get(id)?.rooms.add(to);
      else this.sessions.get(id)?.rooms.delete(to);
    }
  }

  connect(client: FakeClient): void {
    client.connect();
    this.read(client);
  }

  say(client: FakeClient): void {
    if (!client.connected || client.line.reason !== null) return;
    const word = `${client.line.id} ${++this.numbers}`;
    this.emitted.push(word);
    client.emit("say", word);
  }

  endServer(): void {
    const server = this.pick(this.servers);
    this.servers = this.servers.filter((other) => other !== server);
    if (this.random.fraction() < 0.5) server.port.send({ type: "leaving" });
    server.port.gone();
    if (this.servers.length === 0) this.servers.push(new LazyServer(this));
  }

  /** The process is killed: what was with the store is committed or not, everything else is gone. */
  kill(): void {
    // What waited behind a barrier was never given to the store, and nobody was told that it was.
    while (this.store.waiting > 0) this.store.release();
    this.store = new SlowStore(this.memory);
    this.hub = this.makeHub();
    this.servers = [new LazyServer(this)];
    for (const client of this.clients) {
      client.drop();
      Object.assign(client, { hub: this.hub });
    }
  }

  step(kills: boolean): void {
    const client = this.pick(this.clients);
    const dice = this.random.fraction();
    if (dice < 0.3) this.emit();
    else if (dice < 0.42) this.changeRooms();
    else if (dice < 0.44) this.changeRoomsOfMany();
    else if (dice < 0.54) this.store.release(Math.floor(this.random.fraction() * 6));
    else if (dice < 0.62) this.pick(this.servers).decide();
    else if (dice < 0.68) this.pick(this.servers).handle(3);
    else if (dice < 0.76) this.read(client, Math.floor(this.random.fraction() * 4));
    else if (dice < 0.84) this.say(client);
    else if (dice < 0.87) client.drop();
    else if (dice < 0.89) client.vanish();
    else if (dice < 0.95 && !client.connected) this.connect(client);
    else if (dice < 0.96) this.servers.push(new LazyServer(this));
    else if (dice < 0.98) this.endServer();
    else if (dice < 0.985 && kills) this.kill();
    this.hub.assertInvariants();
  }

  /** Lets everything come to rest, with every client connected. */
  settle(): void {
    for (const client of this.clients) if (!client.connected) this.connect(client);
    do {
      this.store.release();
      for (const server of this.servers) {
        while (server.deciding.length > 0) server.decide();
        server.handle(Number.POSITIVE_INFINITY);
      }
    } while (this.store.waiting > 0 || this.servers.some((server) => server.held > 0));
    for (const client of this.clients) this.read(client);
    this.hub.assertInvariants();
  }

  check(kills: boolean): void {
    for (const client of this.clients) {
      assert.equal(client.connected, true);
      assert.deepEqual(client.events, this.sessions.get(client.sid)?.expected);
    }
    if (kills) return;
    assert.deepEqual([...this.handled].sort(), [...this.emitted].sort(), "each client's event is handled once");
    const lines = new Map<string, number>();
    for (const word of this.handled) {
      const [line, number] = word.split(" ") as [string, string];
      assert.ok((lines.get(line) ?? 0) < Number(number), `${word} is in the order of its connection`);
      lines.set(line, Number(number));
    }
  }
}

for (const kills of [false, true]) {
  const name = kills ? "and the hub is killed now and then" : "and servers come and go";
  test(`each client gets each event of its rooms once, in order, whatever happens (${name})`, () => {
    const seen = { recovered: 0, unrecovered: 0, ghosts: 0, handovers: 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const world = new World(seed, 5);
      try {
        for (let round = 0; round < 3; round++) {
          for (let step = 0; step < 150; step++) world.step(kills);
          world.settle();
          world.check(kills);
        }
      } catch (cause) {
        throw new Error(`seed ${seed}`, { cause });
      }
      const { counters } = world.hub.status();
      for (const key of Object.keys(seen) as (keyof typeof seen)[]) seen[key] += counters[key];
    }
    // Otherwise the runs would prove nothing.
    assert.ok(seen.recovered > 300 && seen.ghosts > 50 && seen.handovers > 200, JSON.stringify(seen));
    assert.equal(seen.unrecovered, 0, "whoever may be recovered is recovered");
  });
}
