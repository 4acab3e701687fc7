/**
 * The model of `model.test.ts`: a world of clients, servers, a slow disk and a hub that may be killed, and beside it a ledger
 * of what everybody must have got. Never imported by running code.
 */
import assert from "node:assert/strict";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import type { ServerPort, ToServer } from "./contract.ts";
import { Hub } from "./hub.ts";
import { MemoryStore } from "./memory-store.ts";
import { FakeClient, payloadOf, SlowStore } from "./testing.ts";

/** Little at hand, read in small pieces: so that recovery takes all its ways. */
const limits = { recentBytesMax: 4_000, recoveryReadEvents: 3 };
/** Nothing at hand: what retention has taken is gone. */
const barest = { ...limits, recentBytesMax: 0 };
const roomNames = ["a", "b", "c"];

/** What a session's client must have got, and why. */
interface Session {
  readonly rooms: Set<string>;
  readonly expected: string[];
}

/** What may happen in a run. */
export interface Rules {
  /** The hub is killed now and then. */
  readonly kills: boolean;
  /** Events are forgotten after so many bytes: who was away for too long begins anew. */
  readonly retentionBytes: number;
}

const graceMs = 10_000;

/** A server that decides and handles when the run says so. */
class LazyServer implements ServerPort {
  readonly world: World;
  readonly hub: Hub;
  readonly port;
  readonly deciding: Extract<ToServer, { type: "connect" }>[] = [];
  readonly todo: Extract<ToServer, { type: "event" }>[] = [];
  /** Handled, and not answered yet. */
  readonly owed: Extract<ToServer, { type: "event" }>[] = [];

  constructor(world: World) {
    this.world = world;
    this.hub = world.hub;
    this.port = world.hub.attach(this);
    this.port.send({ type: "hello", instance: "lazy" });
    const members = [...world.present];
    this.port.send({ type: "watch", namespace: "/", room: "a", by: "", graceMs, members });
  }

  send(message: ToServer): void {
    // From a hub that was killed: only its timers are still there.
    if (this.hub !== this.world.hub) return;
    if (message.type === "connect") this.deciding.push(message);
    if (message.type === "event") this.todo.push(message);
    if (message.type !== "presence" || !message.first) return;
    const { present } = this.world;
    assert.notEqual(present.has(message.member), message.here, `${message.member} comes and goes in turns`);
    if (message.here) present.add(message.member);
    else present.delete(message.member);
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
      if (event.ack === null) continue;
      this.owed.push(event);
      if (this.world.random.fraction() < 0.3) this.answer();
    }
    if (last > 0) this.port.send({ type: "done", seq: last });
  }

  /** Gives the newest answer that it owes: handlers need not end in the order in which they began. */
  answer(): void {
    const event = this.owed.pop();
    if (event === undefined) return;
    const { payload, socket } = event;
    this.port.send({ type: "reply", socket, ack: event.ack!, payload });
  }

  get held(): number {
    return this.deciding.length + this.todo.length + this.owed.length;
  }
}

export class World {
  readonly rules: Rules;
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
  /** Members of room "a", as the servers were told. */
  readonly present = new Set<string>();
  /** By client: what it asked on its present line, by the packet's id. */
  readonly asked = new Map<FakeClient, Map<number, string>>();
  readonly paused = new Set<FakeClient>();
  numbers = 0;

  constructor(seed: number, clients: number, rules: Rules) {
    this.rules = rules;
    this.random = new SeededRandom(seed);
    this.memory = new MemoryStore({
      clock: this.clock,
      random: this.random,
      retentionBytes: rules.retentionBytes,
    });
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
      limits: this.rules.retentionBytes === Number.POSITIVE_INFINITY ? limits : barest,
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
    if (client.connected && client.line.reason !== null) client.drop();
    if (client.sid === sid) return;
    const isKept = this.rules.retentionBytes === Number.POSITIVE_INFINITY;
    assert.ok(!isKept || pid === undefined || sid === "", "a client that can be recovered is recovered");
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

  /** Volatile ones may be lost; they are neither doubled nor out of their place, nor anybody else's. */
  emitVolatile(): void {
    const name = `v${++this.numbers}`;
    const [room] = [this.pick(roomNames)];
    this.pick(this.servers).port.send({
      type: "emit",
      to: { namespace: "/", rooms: [room], except: [] },
      payload: payloadOf(name),
      volatile: true,
      compress: true,
      answers: null,
      timeoutMs: 0,
      receipt: null,
      key: null,
    });
  }

  ask(client: FakeClient): void {
    if (!client.connected || client.line.reason !== null) return;
    const number = ++this.numbers;
    const word = `${client.line.id} ${number}`;
    this.emitted.push(word);
    this.asked.get(client)?.set(number, word);
    client.line.say(`2${number}${JSON.stringify(["ask", word])}`);
  }

  /** For good: what comes next is another session. */
  leave(client: FakeClient): void {
    if (!client.connected || client.line.reason !== null) return;
    this.read(client);
    if (!client.connected) return;
    client.line.say("1");
    client.drop();
    Object.assign(client, { pid: undefined, offset: undefined, sid: "" });
    client.events.length = 0;
  }

  connect(client: FakeClient): void {
    this.asked.set(client, new Map());
    this.paused.delete(client);
    client.answers.clear();
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
    if (this.random.fraction() < 0.5) {
      server.port.send({ type: "leaving" });
      server.answer();
    }
    server.port.gone();
    if (this.servers.length === 0) this.servers.push(new LazyServer(this));
  }

  /** The process is killed: what was with the store is committed or not, everything else is gone. */
  kill(): void {
    // What waited behind a barrier was never given to the store, and nobody was told that it was.
    while (this.store.waiting > 0) this.store.release();
    this.store = new SlowStore(this.memory);
    this.hub = this.makeHub();
    this.clock.advance(1_000);
    this.servers = [new LazyServer(this)];
    for (const client of this.clients) {
      client.drop();
      Object.assign(client, { hub: this.hub });
    }
  }

  step(): void {
    this.happen(this.rules.kills);
    this.hub.assertInvariants();
  }

  private happen(kills: boolean): void {
    const client = this.pick(this.clients);
    const dice = this.random.fraction();
    if (dice < 0.27) this.emit();
    else if (dice < 0.3) this.emitVolatile();
    else if (dice < 0.4) this.changeRooms();
    else if (dice < 0.42) this.changeRoomsOfMany();
    else if (dice < 0.52) this.store.release(Math.floor(this.random.fraction() * 6));
    else if (dice < 0.6) this.pick(this.servers).decide();
    else if (dice < 0.66) this.pick(this.servers).handle(3);
    else if (dice < 0.67) this.pick(this.servers).answer();
    else if (dice < 0.68) this.clock.advance(this.random.fraction() * 4_000);
    else if (dice < 0.69) this.paused.add(client);
    else if (dice < 0.76) this.paused.has(client) || this.read(client, Math.floor(this.random.fraction() * 4));
    else if (dice < 0.78) this.say(client);
    else if (dice < 0.85) this.ask(client);
    else if (dice < 0.87) client.drop();
    else if (dice < 0.89) client.vanish();
    else if (dice < 0.95 && !client.connected) this.connect(client);
    else if (dice < 0.955) this.leave(client);
    else if (dice < 0.96) this.servers.push(new LazyServer(this));
    else if (dice < 0.98) this.endServer();
    else if (dice < 0.985 && kills) this.kill();
  }

  /** Lets everything come to rest, with every client connected. */
  settle(): void {
    for (const client of this.clients) {
      // Whose line was closed learns of it now.
      this.read(client);
      if (!client.connected) this.connect(client);
    }
    do {
      this.store.release();
      for (const server of this.servers) {
        while (server.deciding.length > 0) server.decide();
        server.handle(Number.POSITIVE_INFINITY);
        while (server.owed.length > 0) server.answer();
      }
    } while (this.store.waiting > 0 || this.servers.some((server) => server.held > 0));
    for (const client of this.clients) this.read(client);
    this.hub.assertInvariants();
  }

  check(): void {
    for (const client of this.clients) {
      assert.equal(client.connected, true);
      const plain = client.events.filter((event) => !event.startsWith('["v'));
      assert.deepEqual(plain, this.sessions.get(client.sid)?.expected);
      const volatile = client.events
        .filter((event) => event.startsWith('["v'))
        .map((event) => Number(event.slice(3, -2)));
      for (const [at, number] of volatile.entries())
        assert.ok(at === 0 || number > volatile[at - 1]!, "in their order");
      for (const [id, word] of this.asked.get(client) ?? []) {
        assert.deepEqual(
          client.answers.get(id),
          [JSON.stringify(["ask", word])],
          "each question on a living line is answered once",
        );
      }
    }
    this.clock.advance(graceMs);
    const inRoom = this.clients.filter(({ sid }) => this.sessions.get(sid)?.rooms.has("a")).map(({ sid }) => sid);
    assert.deepEqual([...this.present].sort(), inRoom.sort(), "who is in the room is present, and nobody else");
    const { kills } = this.rules;
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
