/**
 * Fakes for the hub's tests: clients that speak as the stock one does, servers that accept, and a store whose answers
 * come when the test says so. Never imported by running code.
 */
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { decodePacket, PacketType } from "@tideway/wire/socketio";
import type {
  Connection,
  DisconnectReason,
  Handshake,
  HubPort,
  Line,
  Outgoing,
  Payload,
  ServerPort,
  StreamStore,
  ToHub,
  ToServer,
  TransportName,
} from "./contract.ts";
import { Hub, type HubOptions } from "./hub.ts";
import { MemoryStore, type MemoryStoreOptions } from "./memory-store.ts";
import type { RoomEvent, RoomPage, RoomQuestion, RoomReading } from "./room-contract.ts";

export const handshake: Handshake = {
  headers: {},
  address: "127.0.0.1",
  secure: false,
  xdomain: false,
  url: "/socket.io/?EIO=4",
  query: {},
  issued: 0,
};

export function payloadOf(...args: unknown[]): Payload {
  return { json: JSON.stringify(args), attachments: [] };
}

/** A line and its client: what it was sent, and how it ended. */
export class FakeLine implements Line {
  readonly id: string;
  transport: TransportName;
  readonly sent: Outgoing[] = [];
  #taken = 0;
  reason: DisconnectReason | null = null;
  connection: Connection | null = null;

  constructor(id: string, transport: TransportName = "websocket") {
    this.id = id;
    this.transport = transport;
  }

  send(packet: Outgoing): void {
    if (this.reason === null) this.sent.push(packet);
  }

  close(reason: DisconnectReason): void {
    this.reason ??= reason;
  }

  say(text: string): void {
    this.connection?.text(text);
  }

  /** What was sent since the last look. */
  take(): string[] {
    const texts = this.sent.slice(this.#taken).map((packet) => packet.text);
    this.#taken = this.sent.length;
    return texts;
  }
}

/** A client that keeps what the stock client keeps: sid, pid, the last offset, and the events in their order. */
export class FakeClient {
  readonly hub: Hub;
  readonly namespace: string;
  line: FakeLine;
  sid = "";
  pid: string | undefined;
  offset: string | undefined;
  connected = false;
  recovered = false;
  /** JSON of the arguments, without the offset. */
  readonly events: string[] = [];
  readonly errors: string[] = [];
  /** By the id of its packet: what it was answered, on its present line. */
  readonly answers = new Map<number, string[]>();
  #early: string[] = [];
  #read = 0;
  static #lines = 0;

  constructor(hub: Hub, namespace = "/") {
    this.hub = hub;
    this.namespace = namespace;
    this.line = new FakeLine("none");
  }

  /** Opens a new line and asks to come in, with what it knows of an earlier session. */
  connect(auth: object = {}): this {
    this.line = new FakeLine(`line${++FakeClient.#lines}`);
    this.#read = 0;
    this.#early = [];
    this.connected = false;
    this.line.connection = this.hub.open(this.line, handshake);
    const claims = this.pid === undefined ? auth : { pid: this.pid, offset: this.offset, ...auth };
    const prefix = this.namespace === "/" ? "" : `${this.namespace},`;
    this.line.say(`0${prefix}${JSON.stringify(claims)}`);
    return this.read();
  }

  /** The line breaks. */
  drop(reason: DisconnectReason = "transport close"): void {
    this.read();
    this.vanish();
    this.line.reason ??= reason;
    this.line.connection?.closed(reason);
  }

  /** The client does not hear its line any more, and the hub does not know. */
  vanish(): void {
    this.connected = false;
    this.#read = Number.POSITIVE_INFINITY;
  }

  emit(...args: unknown[]): void {
    const prefix = this.namespace === "/" ? "" : `${this.namespace},`;
    this.line.say(`2${prefix}${JSON.stringify(args)}`);
  }

  /** Handles what has arrived, as the stock client does; at most `count` packets. */
  read(count = Number.POSITIVE_INFINITY): this {
    for (let left = count; this.#read < this.line.sent.length && left > 0; left--) {
      this.#handle(this.line.sent[this.#read++]!.text);
    }
    return this;
  }

  #handle(text: string): void {
    const decoded = decodePacket(text);
    if (!decoded.ok) throw new Error(`the hub sent ${text}`);
    const { type, namespace, json, id } = decoded.packet;
    if (namespace !== this.namespace) return;
    if (type === PacketType.connect) {
      const { sid, pid } = JSON.parse(json);
      this.recovered = pid !== undefined && this.pid === pid;
      this.sid = sid;
      this.pid = pid;
      this.connected = true;
      for (const early of this.#early.splice(0)) this.#event(early);
    } else if (type === PacketType.event && id === null) {
      if (this.connected) this.#event(json);
      else this.#early.push(json);
    } else if (type === PacketType.ack) {
      this.answers.set(id ?? -1, [...(this.answers.get(id ?? -1) ?? []), json]);
    } else if (type === PacketType.connectError) {
      this.errors.push(json);
    }
  }

  #event(json: string): void {
    const args: unknown[] = JSON.parse(json);
    const last = args.at(-1);
    if (this.pid !== undefined && typeof last === "string") this.offset = last;
    if (typeof last === "string" && last.includes(".")) args.pop();
    this.events.push(JSON.stringify(args));
  }
}

/** A server that accepts everybody, unless told otherwise; remembers what it heard. */
export class FakeServer implements ServerPort {
  readonly instance: string;
  readonly heard: ToServer[] = [];
  readonly port: HubPort;
  accepts = true;
  /** Says `done` after each event. */
  handles = true;
  onMessage: (message: ToServer) => void = () => {};

  constructor(hub: Hub, instance = "one") {
    this.instance = instance;
    this.port = hub.attach(this);
    this.port.send({ type: "hello", instance });
  }

  send(message: ToServer): void {
    this.heard.push(message);
    this.onMessage(message);
    if (message.type === "connect" && this.accepts) this.port.send({ type: "accept", socket: message.socket });
    if (message.type === "event" && this.handles) this.port.send({ type: "done", seq: message.seq });
  }

  /** What it heard of one kind since the last look at any kind. */
  take<T extends ToServer["type"]>(type: T): Extract<ToServer, { type: T }>[] {
    return this.heard.splice(0).filter((message) => message.type === type) as Extract<ToServer, { type: T }>[];
  }

  emit(rooms: readonly string[], args: unknown[], more: Partial<Extract<ToHub, { type: "emit" }>> = {}): void {
    this.port.send({
      type: "emit",
      to: { namespace: "/", rooms, except: [] },
      payload: payloadOf(...args),
      volatile: false,
      compress: true,
      answers: null,
      timeoutMs: 0,
      receipt: null,
      key: null,
      ...more,
    });
  }

  join(socket: string, ...rooms: string[]): void {
    this.port.send({ type: "join", to: { namespace: "/", rooms: [socket], except: [] }, rooms });
  }

  leave(socket: string, ...rooms: string[]): void {
    this.port.send({ type: "leave", to: { namespace: "/", rooms: [socket], except: [] }, rooms });
  }
}

/** A server that has opened rooms of `/`, and answers what it is asked by `rule`. */
export function opener(
  hub: Hub,
  instance = "one",
  rule: (question: RoomQuestion) => boolean | null = () => true,
): FakeServer {
  const server = new FakeServer(hub, instance);
  server.onMessage = (message) => {
    if (message.type !== "permit") return;
    const allowed = rule(message);
    if (allowed !== null) server.port.send({ type: "permitted", ask: message.ask, allowed, forAll: false });
  };
  server.port.send({ type: "open", namespace: "/", rooms: true, recall: false });
  return server;
}

/** A reading of a room of `/`, which begins at once. */
export function begin(hub: Hub, after: string | null, room = "a"): RoomReading {
  let made: RoomReading | null = null;
  hub.rooms.begin("/", room, after, (reading) => {
    made = reading;
  });
  if (made === null) throw new Error("it did not begin at once");
  return made;
}

/** Its next page, which comes at once. */
export function read(reading: RoomReading, eventsMax = 100, bytesMax = 1e9): RoomPage {
  let page: RoomPage | null = null;
  reading.read(eventsMax, bytesMax, (filled) => {
    page = filled;
  });
  if (page === null) throw new Error("the page did not come at once");
  return page;
}

export function eventNames(events: readonly RoomEvent[]): string[] {
  return events.map(({ payload }) => JSON.parse(payload.json)[0] as string);
}

/** A store whose answers wait, in order, until the test lets them out: a slow disk. */
export class SlowStore implements StreamStore {
  readonly #inner: StreamStore;
  #waiting: (() => void)[] = [];
  /** Lets every answer out at once. */
  quick = false;

  constructor(inner: StreamStore) {
    this.#inner = inner;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Lets the oldest `count` answers out. */
  release(count = Number.POSITIVE_INFINITY): void {
    for (let left = count; left > 0; left--) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      next();
    }
  }

  #later(run: () => void): void {
    if (this.quick && this.#waiting.length === 0) run();
    else this.#waiting.push(run);
  }

  open: StreamStore["open"] = (namespace, done) =>
    this.#inner.open(namespace, (state) => this.#later(() => done(state)));
  append: StreamStore["append"] = (namespace, event, done) =>
    this.#inner.append(namespace, event, (result) => this.#later(() => done(result)));
  saveSession: StreamStore["saveSession"] = (record, done) =>
    this.#inner.saveSession(record, (saved) => this.#later(() => done(saved)));
  dropSession: StreamStore["dropSession"] = (pid) => this.#inner.dropSession(pid);
  loadSession: StreamStore["loadSession"] = (pid, done) =>
    this.#inner.loadSession(pid, (record) => this.#later(() => done(record)));
  streams: StreamStore["streams"] = () => this.#inner.streams();
  read: StreamStore["read"] = (namespace, after, limit, done) =>
    this.#inner.read(namespace, after, limit, (events, state) => this.#later(() => done(events, state)));
}

interface Scene {
  readonly hub: Hub;
  readonly clock: FakeClock;
  readonly random: SeededRandom;
}

/** A hub on a fake clock; in memory unless the options say otherwise. */
export function scene(options: Partial<HubOptions> = {}, seed = 1): Scene {
  const clock = new FakeClock();
  const random = new SeededRandom(seed);
  const store = options.store === undefined ? new MemoryStore({ clock, random }) : options.store;
  return { hub: new Hub({ clock, random, ...options, store }), clock, random };
}

/** A hub that takes sessions up, on a store that is quick until told otherwise, with a server. */
export function recovering(options: Partial<HubOptions> = {}, storeOptions: Partial<MemoryStoreOptions> = {}) {
  const made = scene({ store: null });
  const memory = new MemoryStore({ clock: made.clock, random: made.random, ...storeOptions });
  const store = new SlowStore(memory);
  store.quick = true;
  const { hub } = scene({ store, clock: made.clock, random: made.random, ...options });
  return { hub, clock: made.clock, random: made.random, store, memory, server: new FakeServer(hub) };
}
