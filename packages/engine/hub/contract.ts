/**
 * The contract at the hub's three sides. No code here, only shapes.
 *
 *   transports ── Line/Connection ──►  hub  ◄── ToHub/ToServer ── servers (in this process, or over a link)
 *        └─────── RoomsPort ────────►   │       (rooms over plain HTTP: `room-contract.ts`)
 *                                       │
 *                                  StreamStore (memory, SQLite)
 *
 * - A transport opens a `Line` per Engine.IO session and feeds what the client sends to the `Connection` it gets back.
 * - A server is the user's side (`@tideway/realtime`). The same messages are passed by direct call or sent over a link.
 *   A link applies one batch of messages at once or not at all: that is what makes `done` a transaction (see below).
 * - The store is FIFO over everything given to it: what was given earlier is committed no later.
 */

import type { ClientRequest, RequestRefusal, Verdict } from "./request-contract.ts";
import type { RoomQuestion } from "./room-contract.ts";

/** Arguments as they stand on the wire: the JSON text of the array, with placeholders for binary, and the binaries. */
export interface Payload {
  readonly json: string;
  readonly attachments: readonly Uint8Array[];
}

/** What a client said when it came, in Socket.IO's shape. `auth` is whatever JSON it sent in CONNECT. */
export interface Handshake {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly address: string;
  readonly secure: boolean;
  /** True when the Origin names another site than the Host. */
  readonly xdomain: boolean;
  /** Path and query of the first request. */
  readonly url: string;
  readonly query: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly issued: number;
}

export type TransportName = "polling" | "websocket";

/** Disconnect reasons, with Socket.IO's names. */
export type DisconnectReason =
  | "transport error"
  | "transport close"
  | "forced close"
  | "ping timeout"
  | "parse error"
  | "server shutting down"
  | "forced server close"
  | "client namespace disconnect"
  | "server namespace disconnect"
  | "slow consumer";

/* ------------------------------------------------------------------ transports and hub */

/**
 * One packet on its way to many clients, encoded once: `text` is the Socket.IO packet, `attachments` follow it as
 * messages of their own. `wire` belongs to the transports: the frame bytes, built by the first that needs them.
 */
export interface Outgoing {
  readonly text: string;
  readonly attachments: readonly Uint8Array[];
  /** May be dropped when the client is slow. */
  readonly volatile: boolean;
  /** False when the server asked that its frames are not compressed. */
  readonly compress: boolean;
  /** Of the text as UTF-8 and of the attachments: what it counts for in an out-queue. */
  readonly bytes: number;
  /** True when no other client gets it: its bytes need not be made apart from those that they leave with. */
  readonly personal?: boolean;
  wire: unknown;
}

/** One client's line, as a transport offers it to the hub. Calls after `close` are ignored. */
export interface Line {
  /** The Engine.IO session id. */
  readonly id: string;
  readonly transport: TransportName;
  /** Queues a packet; it leaves at the end of the tick, joined with what else is queued. */
  send(packet: Outgoing): void;
  /** Lets the queue out, then closes the transport. The stock client reconnects after this. */
  close(reason: DisconnectReason): void;
}

/** The hub's side of a line. */
export interface Connection {
  /** One Socket.IO packet as text. */
  text(data: string): void;
  /** One attachment. */
  binary(data: Uint8Array): void;
  /** The transport changed from polling to WebSocket. */
  upgraded(transport: TransportName): void;
  /** The line is gone; nothing more comes. At most once. */
  closed(reason: DisconnectReason): void;
}

/* ------------------------------------------------------------------ hub and server */

/** Which sockets: in any of `rooms` (all of the namespace when empty), less those in any of `except`. A socket's id is a room. */
export interface Selector {
  readonly namespace: string;
  readonly rooms: readonly string[];
  readonly except: readonly string[];
}

export interface FoundSocket {
  readonly id: string;
  readonly handshake: Handshake;
  /** JSON of the CONNECT packet's auth. */
  readonly auth: string;
  readonly rooms: readonly string[];
  /** JSON of `socket.data`. */
  readonly data: string;
}

/** Hub to server. */
export type ToServer =
  | {
      readonly type: "connect";
      readonly socket: string;
      /** The Engine.IO session's id: sockets of one client in several namespaces share it. */
      readonly connection: string;
      readonly transport: TransportName;
      readonly namespace: string;
      readonly handshake: Handshake;
      readonly auth: string;
      /** True when the client came back and its gap is provably filled, and on a handover. */
      readonly recovered: boolean;
      /** True when another server held this socket until now: the client saw nothing. */
      readonly handover: boolean;
      readonly rooms: readonly string[];
      readonly data: string;
    }
  | {
      readonly type: "event";
      readonly socket: string;
      /** Grows by one per event to this server; answered by `done`. */
      readonly seq: number;
      readonly payload: Payload;
      /** Set when the client waits for an acknowledgement: name it in `reply`. */
      readonly ack: number | null;
    }
  /** Another server of this hub has something to say to the servers; with `ask`, it waits for a `server-reply`. */
  | {
      readonly type: "server-event";
      readonly namespace: string;
      readonly payload: Payload;
      readonly ask: number | null;
    }
  /** One client's answer to an emit that asked for answers; `socket` is empty when it is another server's. */
  | { readonly type: "answer"; readonly emit: number; readonly socket: string; readonly payload: Payload }
  /** No more answers will come. `expected` were asked; `missing` of them timed out or went away. */
  | { readonly type: "answered"; readonly emit: number; readonly expected: number; readonly missing: number }
  | { readonly type: "disconnect"; readonly socket: string; readonly reason: DisconnectReason }
  /** The socket's rooms were changed by another server, or by a selector that is not just the socket's id. */
  | {
      readonly type: "rooms";
      readonly socket: string;
      readonly joined: readonly string[];
      readonly left: readonly string[];
    }
  /** Answer to `watch`: who is in the room as far as servers have been told; what changed since comes behind it. */
  | { readonly type: "present"; readonly namespace: string; readonly room: string; readonly members: readonly string[] }
  /** Somebody has come into a watched room, or is gone from it. `first` is true at one of the servers that watch it. */
  | {
      readonly type: "presence";
      readonly namespace: string;
      readonly room: string;
      readonly member: string;
      readonly here: boolean;
      readonly first: boolean;
    }
  | { readonly type: "upgraded"; readonly connection: string; readonly transport: TransportName }
  /**
   * The line is gone. Told to servers that could not know it by the ends of its sockets: who let it in, and those whose
   * sockets had left it before.
   */
  | { readonly type: "line-closed"; readonly connection: string; readonly reason: DisconnectReason }
  /** A client's request waits for a `verdict`. */
  | { readonly type: "request"; readonly request: number; readonly head: ClientRequest }
  /** What came of a request that this server was asked about: a connection, or, with an empty id, none. */
  | { readonly type: "request-over"; readonly request: number; readonly connection: string }
  /** A request was refused. `request` is 0 when no server was asked about it. */
  | {
      readonly type: "request-refused";
      readonly request: number;
      readonly head: ClientRequest;
      readonly refusal: RequestRefusal;
    }
  /** Receipt of an emit: committed. `duplicate` when its key was known: offset and seq are the first one's. */
  | {
      readonly type: "published";
      readonly receipt: number;
      readonly offset: string;
      readonly seq: number;
      readonly duplicate: boolean;
    }
  /** The emit was not taken, for example because the store is full. Nothing was delivered. */
  | { readonly type: "unpublished"; readonly receipt: number; readonly code: PublishFault }
  | { readonly type: "found"; readonly request: number; readonly sockets: readonly FoundSocket[] }
  /** Answer to `where`. */
  | { readonly type: "place"; readonly request: number; readonly offset: string }
  /** May this client do this to this room over plain HTTP (`RoomQuestion`)? Answered by `permitted`. */
  | ({ readonly type: "permit"; readonly ask: number } & RoomQuestion);

export type PublishFault = "STORE_FULL" | "STORE_FAILED" | "TOO_LARGE";

/** Server to hub. */
export type ToHub =
  /** First message of a server: its instance's name, for logs and status. */
  | { readonly type: "hello"; readonly instance: string }
  /**
   * Whether this server wants to be asked about each request, and to be told of those that are refused. `wishes` are options
   * of the transports, in their words.
   */
  | { readonly type: "door"; readonly asks: boolean; readonly hears: boolean; readonly wishes: string }
  /** Answer to `request`; the body is the payload's one attachment. */
  | ({ readonly type: "verdict"; readonly request: number; readonly payload: Payload } & Omit<Verdict, "body">)
  | { readonly type: "accept"; readonly socket: string }
  /** `data` is JSON, or empty for none; `message` as in `connect_error`. */
  | { readonly type: "refuse"; readonly socket: string; readonly message: string; readonly data: string }
  | {
      readonly type: "emit";
      readonly to: Selector;
      readonly payload: Payload;
      /** May be dropped for slow clients; never stored. */
      readonly volatile: boolean;
      /** False: its frames are not compressed, whatever the transports may do. */
      readonly compress: boolean;
      /** Set when answers of the clients are wanted: the server's own number for this emit. Never stored. */
      readonly answers: number | null;
      /** With `answers`: when to give up, in ms; 0 for never. */
      readonly timeoutMs: number;
      /** Set when the server wants to know of the commit: its own number. */
      readonly receipt: number | null;
      /** Idempotency key: a second emit with it publishes nothing and gets the first one's receipt. */
      readonly key: string | null;
    }
  /** To all other servers of this hub. With `answers`, each is asked; what comes of it are `answer` and `answered`. */
  | {
      readonly type: "server-emit";
      readonly namespace: string;
      readonly payload: Payload;
      readonly answers: number | null;
      /** With `answers`: when to give up, in ms; 0 for never. */
      readonly timeoutMs: number;
    }
  /** Answer to a `server-event` that asked for one. */
  | { readonly type: "server-reply"; readonly ask: number; readonly payload: Payload }
  /** Answer to a client's event that asked for one. */
  | { readonly type: "reply"; readonly socket: string; readonly ack: number; readonly payload: Payload }
  | { readonly type: "join"; readonly to: Selector; readonly rooms: readonly string[] }
  | { readonly type: "leave"; readonly to: Selector; readonly rooms: readonly string[] }
  /** Ends sockets: with `connection` their whole line, otherwise only the namespace (Socket.IO's DISCONNECT). */
  | { readonly type: "close"; readonly to: Selector; readonly connection: boolean }
  /** Ends a whole line; its client reconnects. */
  | { readonly type: "close-line"; readonly connection: string }
  /** Ends their whole lines, each socket of theirs told so by DISCONNECT: the stock client stays away. */
  | { readonly type: "expel"; readonly to: Selector }
  /**
   * Who comes into the room and who is gone from it is to be told. A member is a socket, or those whose data have the same
   * string or number under the name `by`. The first that watches decides on `by` and on the grace.
   */
  | {
      readonly type: "watch";
      readonly namespace: string;
      readonly room: string;
      readonly by: string;
      /** How long somebody whose line was lost still counts. */
      readonly graceMs: number;
      /** Whom the server knows of from an earlier hub. */
      readonly members: readonly string[];
    }
  | { readonly type: "unwatch"; readonly namespace: string; readonly room: string }
  | { readonly type: "find"; readonly request: number; readonly to: Selector }
  /** Asks for the offset behind what took effect before this. */
  | { readonly type: "where"; readonly request: number; readonly namespace: string }
  /**
   * Whether this server has rooms of the namespace opened for plain HTTP, and is to be asked who may. With `recall`, those who
   * read now are asked about again.
   */
  | { readonly type: "open"; readonly namespace: string; readonly rooms: boolean; readonly recall: boolean }
  /** Answer to a `permit`; with `forAll` it holds for every client. */
  | { readonly type: "permitted"; readonly ask: number; readonly allowed: boolean; readonly forAll: boolean }
  /** `socket.data` as JSON, kept for recovery and handover. */
  | { readonly type: "data"; readonly socket: string; readonly data: string }
  /**
   * Every event up to `seq` has been handled, and what its handlers emitted synchronously stands before this in the same
   * batch. When a server dies, the hub gives its unanswered events to the next one: their effects never happened.
   */
  | { readonly type: "done"; readonly seq: number }
  /** The server is about to stop: hand its sockets to others, send it nothing new. */
  | { readonly type: "leaving" };

/** A server as the hub sees it. Messages to it are delivered in order; after `gone` on its handle, none. */
export interface ServerPort {
  send(message: ToServer): void;
}

/** The hub as a server sees it. */
export interface HubPort {
  send(message: ToHub): void;
  /** The server is gone (exit, crash, closed link): its sockets are handed over. At most once. */
  gone(): void;
}

/* ------------------------------------------------------------------ hub and store */

/**
 * One membership: the socket is in `room` for events after sequence `from`, up to and with `until`. Memberships that have
 * ended are kept for a while: an event that was under way to a client when it left the room is still its event.
 *
 * `from`, `until` and a record's `startSeq` may be `atCommit`, because the hub does not know the sequence while appends are
 * pending. The store puts the stream's last sequence there, as of the record's commit, unless an earlier record of the
 * session has the number already (a membership is known by its `id`).
 */
export interface Membership {
  /** Unique within the session. */
  readonly id: number;
  readonly room: string;
  readonly from: number;
  /** Null while it lasts. */
  readonly until: number | null;
}

/** What is needed to take up a client where it was: stored at CONNECT and whenever rooms or data change. */
export interface SessionRecord {
  /** The private id: knowing it is the right to recover. */
  readonly pid: string;
  readonly socket: string;
  readonly namespace: string;
  readonly rooms: readonly Membership[];
  readonly data: string;
  /** Events up to here were before the client's time. */
  readonly startSeq: number;
  /** A client whose offset is lower cannot be taken up: memberships that ended before here are forgotten. */
  readonly floor: number;
}

export interface NewEvent {
  readonly rooms: readonly string[];
  readonly except: readonly string[];
  readonly payload: Payload;
  readonly key: string | null;
}

export interface StoredEvent extends Omit<NewEvent, "key"> {
  readonly seq: number;
  /** Milliseconds since the epoch, at commit. */
  readonly at: number;
}

/**
 * Where a stream stands. The epoch is made when the stream is first created and never again; it is empty when there is no
 * stream and no room to make one.
 */
export interface StreamState {
  readonly epoch: string;
  /** Sequence of the last committed event; 0 when there is none. */
  readonly last: number;
  /** Sequence of the oldest event still kept; `last + 1` when none is. */
  readonly oldest: number;
}

/** What a store says of one stream, for status: as of its last commit. */
export interface StreamStatus extends StreamState {
  readonly namespace: string;
  /** Of the events that are kept. */
  readonly bytes: number;
  /** When the oldest event that is kept was committed, in ms since the epoch; null when none is kept. */
  readonly oldestAt: number | null;
}

export type Committed =
  | { readonly ok: true; readonly seq: number; readonly at: number; readonly duplicate: boolean }
  | { readonly ok: false; readonly fault: PublishFault };

/**
 * The stream log. All calls form one queue, committed in groups; callbacks come in the order of the calls, each after
 * its commit. Callbacks may come in the same tick (memory) or later (disk).
 */
export interface StreamStore {
  open(namespace: string, done: (state: StreamState) => void): void;
  append(namespace: string, event: NewEvent, done: (result: Committed) => void): void;
  /** `saved` is false when there was no room: the store has the record before this one, if any. */
  saveSession(record: SessionRecord, done: (saved: boolean) => void): void;
  dropSession(pid: string): void;
  loadSession(pid: string, done: (record: SessionRecord | null) => void): void;
  /** Events after `after`, oldest first, at most `limit`; with the stream's state as of the read. */
  read(
    namespace: string,
    after: number,
    limit: number,
    done: (events: StoredEvent[], state: StreamState) => void,
  ): void;
  /** All streams that there are. */
  streams(): readonly StreamStatus[];
}
