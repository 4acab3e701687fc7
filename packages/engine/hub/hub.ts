/**
 * The hub: holds clients' connections, their sockets in namespaces and rooms, and the order in which events reach them.
 * Passes between clients and servers what they say. Decides only: lines, servers, the store, time and randomness are
 * given to it (`contract.ts`). Follows Socket.IO protocol 5 as the stock client speaks it.
 *
 * Refuses to know: what is in a payload, how bytes travel, what a namespace is for.
 */
import type { Clock, Logger, Random } from "@tideway/base";
import { silentLogger } from "@tideway/base";
import { Answers } from "./answers.ts";
import { Arrivals } from "./arrivals.ts";
import { ClientConnection, type ConnectionEvents } from "./connection.ts";
import type {
  Connection,
  DisconnectReason,
  Handshake,
  HubPort,
  Line,
  Payload,
  ServerPort,
  StreamStore,
  ToHub,
  TransportName,
} from "./contract.ts";
import { Delivery } from "./delivery.ts";
import { Departures } from "./departures.ts";
import { Door } from "./door.ts";
import { type HubLimits, hubLimits } from "./limits.ts";
import { OpenRooms } from "./open-rooms.ts";
import { Outbox } from "./outbox.ts";
import { payloadWeight } from "./outgoing.ts";
import { Presence } from "./presence.ts";
import { Recovery } from "./recovery.ts";
import { Registry } from "./registry.ts";
import type { RequestDoor } from "./request-contract.ts";
import type { RoomsPort } from "./room-contract.ts";
import { RoomChange, Rooms } from "./rooms.ts";
import { SeatState, type ServerSeat } from "./seat.ts";
import { Seating } from "./seating.ts";
import { ServerTalk } from "./server-talk.ts";
import { Sessions } from "./sessions.ts";
import type { HubSocket, Seat } from "./socket.ts";
import { type HubStatus, statusOf } from "./status.ts";

export type Durability = "none" | "memory" | "disk";

export interface HubOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Null keeps nothing: events fan out at once, and no session can be taken up again. */
  readonly store: StreamStore | null;
  /** What the store is, for status: "memory" for any store unless given. */
  readonly durability?: Durability;
  /** Whether clients that come back get what they missed. With a store: yes, unless given; without one: never. */
  readonly recovery?: boolean;
  readonly limits?: Partial<HubLimits>;
  /** A connection that is in no namespace after this time is closed. 45 s unless given. */
  readonly connectTimeoutMs?: number;
  /** How long sockets wait for another server when theirs is gone. 30 s unless given. */
  readonly handoverMs?: number;
  readonly logger?: Logger;
}

export class Hub implements ConnectionEvents {
  readonly #durability: Durability;
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #answers: Answers;
  readonly #seating: Seating;
  readonly #departures: Departures;
  readonly #arrivals: Arrivals;
  readonly #delivery: Delivery;
  readonly #rooms: Rooms;
  readonly #talk: ServerTalk;
  readonly #presence: Presence;
  readonly #openRooms: OpenRooms;
  readonly #door: Door;
  #closed = false;

  constructor(options: HubOptions) {
    const { clock, random, store, recovery = true, connectTimeoutMs = 45_000, logger = silentLogger } = options;
    const limits = { ...hubLimits, ...options.limits };
    const registry = new Registry({
      clock,
      random,
      store,
      recovery: recovery && store !== null,
      limits,
      connectTimeoutMs,
      handoverMs: options.handoverMs ?? 30_000,
      logger,
      outbox: new Outbox(logger),
    });
    this.#durability = options.durability ?? (store === null ? "none" : "memory");
    this.#registry = registry;
    this.#sessions = new Sessions(registry);
    this.#answers = new Answers(registry);
    this.#seating = new Seating(registry, (socket, reason) => {
      this.#departures.closeLine(socket.connection as ClientConnection, reason);
    });
    this.#departures = new Departures(registry, this.#sessions, this.#answers, this.#seating);
    const recoveries = new Recovery(registry, this.#sessions, this.#departures, this.#seating);
    this.#arrivals = new Arrivals(registry, this.#sessions, this.#seating, this.#departures, recoveries);
    this.#delivery = new Delivery(registry, this.#sessions, this.#answers, this.#departures);
    this.#rooms = new Rooms(registry, this.#sessions, this.#departures);
    this.#presence = new Presence(registry);
    this.#door = new Door(registry.surroundings);
    this.#talk = new ServerTalk(registry.surroundings, this.#seating.seats);
    this.#openRooms = new OpenRooms(registry, this.#delivery, this.#seating.seats);
  }

  /** Rooms over plain HTTP, for those that servers have opened. */
  get rooms(): RoomsPort {
    return this.#openRooms;
  }

  /** Where transports show requests to servers that want to see them. */
  get door(): RequestDoor {
    return this.#door;
  }

  /**
   * A transport has a new client. What the client sends goes to what is returned. `question` is the door's number of the
   * request that opened the line; 0 when nobody was asked. The server that let it in gets its sockets.
   */
  open(line: Line, handshake: Handshake, question = 0): Connection {
    const { limits, outbox } = this.#registry.surroundings;
    const connection = new ClientConnection(line, handshake, limits, outbox, this);
    if (this.#closed) {
      connection.closedAlready = true;
      line.close("server shutting down");
      return connection;
    }
    if (this.#registry.connections.size >= limits.connectionsMax) {
      this.#registry.counters.refusedConnections++;
      connection.closedAlready = true;
      line.close("forced close");
      return connection;
    }
    this.#registry.counters.connections++;
    this.#registry.connections.add(connection);
    if (question !== 0)
      outbox.run(() => {
        connection.home = this.#door.opened(question, line.id);
      });
    this.#arrivals.watch(connection);
    return connection;
  }

  /** A server joins. It is given sockets after its first message. */
  attach(server: ServerPort): HubPort {
    const seat = this.#seating.attach(server);
    const { outbox } = this.#registry.surroundings;
    return {
      send: (message) => {
        if (this.#closed || seat.state === SeatState.gone) return;
        outbox.enter();
        try {
          this.#hear(seat, message);
        } finally {
          outbox.leave();
        }
      },
      gone: () => {
        if (this.#closed || seat.state === SeatState.gone) return;
        const { instance } = seat;
        this.#registry.surroundings.logger.info({ instance, sockets: seat.sockets.size }, "hub: a server is gone");
        outbox.run(() => {
          this.#answers.abandon(seat);
          this.#talk.gone(seat);
          this.#presence.gone(seat);
          this.#seating.close(seat, SeatState.gone);
          this.#openRooms.gone(seat);
          this.#door.gone(seat);
          this.#departures.leaveUnanswered(seat);
        });
      },
    };
  }

  /** Closes every line ("server shutting down"): the clients reconnect. Stored sessions stay. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#registry.surroundings.outbox.run(() => {
      for (const connection of [...this.#registry.connections]) {
        this.#departures.closeLine(connection as ClientConnection, "server shutting down");
      }
    });
    this.#seating.stop();
    this.#presence.close();
    this.#openRooms.close();
    this.#door.close();
    this.#sessions.close();
    for (const seat of this.#seating.seats) {
      this.#answers.abandon(seat);
      this.#talk.gone(seat);
    }
  }

  status(): HubStatus {
    return statusOf(this.#registry, this.#seating, this.#answers, this.#durability);
  }

  /** Throws when what the hub knows contradicts itself. For tests, after each transition. */
  assertInvariants(): void {
    this.#registry.assertInvariants();
    this.#seating.assertInvariants();
  }

  #hear(seat: ServerSeat, message: ToHub): void {
    this.#seating.open(seat, message.type === "hello" ? message.instance : "");
    switch (message.type) {
      case "hello":
        this.#registry.surroundings.logger.info({ instance: message.instance }, "hub: a server has joined");
        break;
      case "door":
      case "verdict":
        this.#door.hear(seat, message);
        break;
      case "accept":
        this.#arrivals.accept(seat, message.socket);
        break;
      case "refuse":
        this.#arrivals.refuse(seat, message.socket, message.message, message.data);
        break;
      case "emit":
        this.#delivery.emit(seat, message);
        break;
      case "server-emit":
      case "server-reply":
        this.#talk.hear(seat, message);
        break;
      case "reply":
        this.#delivery.reply(message.socket, message.ack, message.payload);
        break;
      case "join":
        this.#rooms.change(seat, RoomChange.join, message.to, message.rooms);
        break;
      case "leave":
        this.#rooms.change(seat, RoomChange.leave, message.to, message.rooms);
        break;
      case "close":
        this.#rooms.close(message.to, message.connection);
        break;
      case "close-line":
        this.#departures.closeNamed(message.connection);
        break;
      case "expel":
        this.#rooms.expel(message.to);
        break;
      case "watch":
      case "unwatch":
        this.#presence.hear(seat, message);
        break;
      case "find":
        this.#rooms.find(seat, message.request, message.to);
        break;
      case "where":
        this.#rooms.where(seat, message.request, message.namespace);
        break;
      case "open":
        this.#openRooms.open(seat, message);
        break;
      case "permitted":
        this.#openRooms.permitted(seat, message);
        break;
      case "data":
        this.#rooms.keepData(seat, message.socket, message.data);
        break;
      case "done":
        seat.done(message.seq);
        break;
      case "leaving":
        this.#seating.close(seat, SeatState.leaving);
        this.#openRooms.leaving(seat);
        this.#door.gone(seat);
        break;
    }
  }

  /* ---------------------------------------------------------------- ConnectionEvents */

  onConnect(connection: ClientConnection, namespace: string, auth: string): void {
    if (!this.#arrivals.begin(connection, namespace, auth)) this.onFault(connection, "parse error", "CONNECT's auth");
  }

  onEvent(socket: HubSocket, payload: Payload, id: number | null): void {
    const { limits } = this.#registry.surroundings;
    this.#registry.counters.events++;
    let ack: number | null = null;
    if (id !== null) {
      ack = this.#registry.next();
      socket.acks ??= new Map();
      socket.acks.set(ack, id);
      if (socket.acks.size > limits.acknowledgementsMax) {
        const oldest = socket.acks.keys().next().value;
        if (oldest !== undefined) {
          socket.acks.delete(oldest);
          socket.owed?.delete(oldest);
          socket.forgottenAck = oldest;
        }
      }
    }
    this.#seating.deliver({ socket, payload, ack, weight: payloadWeight(payload), seq: 0 });
  }

  onAnswer(socket: HubSocket, id: number, payload: Payload): void {
    this.#answers.answer(socket, id, payload);
  }

  onLeave(socket: HubSocket): void {
    this.#departures.end(socket, "client namespace disconnect");
  }

  onUpgraded(connection: ClientConnection, transport: TransportName): void {
    const told = new Set<Seat>();
    for (const { seat } of connection.sockets.values()) {
      if (seat === null || told.has(seat)) continue;
      told.add(seat);
      const message = { type: "upgraded", connection: connection.line.id, transport } as const;
      this.#registry.surroundings.outbox.push(seat.port, message);
    }
  }

  onFault(connection: ClientConnection, reason: DisconnectReason, what: string): void {
    const { logger } = this.#registry.surroundings;
    this.#registry.counters.faults++;
    logger.info({ sid: connection.line.id, address: connection.handshake.address, what }, "hub: a client's fault");
    this.#departures.closeLine(connection, reason);
  }

  onClosed(connection: ClientConnection, reason: DisconnectReason): void {
    this.#departures.lineGone(connection, reason);
  }
}
