/**
 * One client in one namespace: its state and what hangs on it. Plain data; the transitions are made by `arrivals.ts`,
 * `handover.ts`, `rooms.ts` and `hub.ts`.
 */
import type { Handshake, Line, Outgoing, Payload, ServerPort } from "./contract.ts";
import type { SessionMemory } from "./session.ts";

export const SocketState = {
  /** Its past is being read from the store. */
  recovering: 0,
  /** No server is there to ask. */
  waiting: 1,
  /** A server has been asked whether it may come in. */
  arriving: 2,
  /** It may; CONNECT goes out when its session is stored. */
  accepted: 3,
  connected: 4,
  /** Connected, but its server is gone. */
  orphaned: 5,
  /** Connected; another server has been asked to take it. */
  moving: 6,
  /** Its line is gone; events of its stay behind, which a server has still to handle. */
  lingering: 7,
  ended: 8,
} as const;
export type SocketState = (typeof SocketState)[keyof typeof SocketState];

/** Where packets for a client go: its line, or a place where they wait. */
export interface Sink {
  send(packet: Outgoing): void;
}

export const nowhere: Sink = Object.freeze({ send() {} });

/** A client's event that no server has handled yet. */
export interface ClientEvent {
  readonly socket: HubSocket;
  readonly payload: Payload;
  /** The hub's number of the acknowledgement that the client waits for. */
  readonly ack: number | null;
  readonly weight: number;
  /** The number under which its present server has it. */
  seq: number;
}

/** A server, as its sockets see it. */
export interface Seat {
  readonly port: ServerPort;
  /** By id: those that it holds or has been asked to take. */
  readonly sockets: Map<string, HubSocket>;
  /** Whether it is given sockets and events. */
  readonly open: boolean;
}

/** A connection, as its sockets see it. */
export interface ClientLine {
  readonly line: Line;
  readonly handshake: Handshake;
  /** The server that let the line in, and knows its request; null when nobody was asked. */
  readonly home: Seat | null;
  /** By namespace. */
  readonly sockets: Map<string, HubSocket>;
}

/** An emit that waits for this client's answer. */
export interface Questioner {
  readonly asked: Set<HubSocket>;
}

export class HubSocket {
  /** Told to the client; also the name of a room that only this socket is in by itself. */
  id: string;
  /** The private id of the session; empty when there is none. */
  pid = "";
  readonly namespace: string;
  readonly connection: ClientLine;
  /** JSON of the CONNECT packet's auth; empty when there was none. */
  readonly auth: string;
  /** When it asked to come in. */
  readonly since: number;
  state: SocketState = SocketState.waiting;
  sink: Sink = nowhere;
  /** The last broadcast that has dealt with this socket: neither sent twice nor to the excepted. */
  mark = 0;
  seat: Seat | null = null;
  /** JSON of `socket.data`. */
  data = "";
  /** Rooms other than its own id, as they are in effect. */
  rooms: Set<string> | null = null;
  /** What its stored record says; null when it cannot be recovered. */
  session: SessionMemory | null = null;
  /** The client came back, and all that it missed is in `missed`. */
  recovered = false;
  missed: Outgoing[] | null = null;
  /** The client's packet ids, by the hub's numbers of acknowledgements. */
  acks: Map<number, number> | null = null;
  /** The highest number that made room for a newer one: an answer to it comes too late. 0 when none did. */
  forgottenAck = 0;
  /** Those of them whose event has been handled without an answer so far, and by whom: nobody else can give it. */
  owed: Map<number, Seat> | null = null;
  /** Emits that wait for an answer of this client. */
  questions: Set<Questioner> | null = null;
  /** Events without a server, oldest first. */
  events: ClientEvent[] | null = null;
  eventsWeight = 0;

  constructor(id: string, namespace: string, connection: ClientLine, auth: string, since: number) {
    this.id = id;
    this.namespace = namespace;
    this.connection = connection;
    this.auth = auth;
    this.since = since;
  }

  /** Whether the client has been told that it is in. */
  get isIn(): boolean {
    return this.state >= SocketState.connected && this.state <= SocketState.moving;
  }

  get gone(): boolean {
    return this.state >= SocketState.lingering;
  }

  /** Its own id first. */
  get roomNames(): string[] {
    return this.rooms === null ? [this.id] : [this.id, ...this.rooms];
  }
}
