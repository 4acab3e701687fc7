/**
 * What a listener is given and what it tells: shapes and defaults, no code that runs.
 */
import type { AddressRanges, Clock, GuardedExchange, Logger, Random, RequestHead } from "@tideway/base";
import type { HeadLimits } from "@tideway/wire/http1";
import type { Census } from "./census.ts";

/** The slice of `limits` (base) that bounds clients' connections, and what base has no default for. */
export interface ListenerLimits extends HeadLimits {
  readonly headTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly bodyProgressMs: number;
  readonly bodyProgressBytes: number;
  /** Open connections, see `CensusOptions`; not looked at when the listener is given a census. */
  readonly connectionsMax?: number;
  readonly connectionsPerAddressMax?: number;
  /** A response that waits for its client this long without a byte leaving is given up; 60 s unless given. */
  readonly responseStallMs?: number;
}

/** One line of the access log: a request that was answered, refused or broken off. */
export interface RequestRecord {
  readonly id: string;
  /** When its head was read: milliseconds since the Unix epoch. */
  readonly at: number;
  /** Empty, as host and path, when the head was refused. Without the query: it holds secrets. */
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** 10 or 11; 0 when the head was refused. */
  readonly version: number;
  /** The route's site and path as configured; empty when nobody routed it. */
  readonly route: string;
  /** What was answered; 499 when the client went first, 0 when the connection was broken before an answer began. */
  readonly status: number;
  /** Bytes of bodies, without framing. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** All bytes on the line: heads, framing and interim responses too. Those of an upgraded connection come later, see UpgradeEnd. */
  readonly wireBytesIn: number;
  readonly wireBytesOut: number;
  readonly durationMs: number;
  /** From the request's head to the answer's; -1 when no answer was begun by a target. */
  readonly headMs: number;
  readonly service: string;
  readonly instance: string;
  /** The W3C trace id that the request goes by; empty where nobody looks after traces. */
  readonly trace: string;
  /** The client's: what a trusted proxy says, or a PROXY header, or else the peer's. */
  readonly address: string;
  /** The other end of the socket. */
  readonly peer: string;
  /** The code of the rule that the client's bytes broke; empty otherwise. */
  readonly fault: string;
  /** Why the target answered with an error of its own, in a word; empty otherwise. */
  readonly reason: string;
  /** The connection was handed over: its line ends here, its bytes flow on. */
  readonly upgraded: boolean;
  /** What was asked, whole: for logs that show more of it. Null when it was refused. */
  readonly head: RequestHead | null;
}

/** An upgraded connection has closed; `record` was its request's. */
export interface UpgradeEnd {
  readonly record: RequestRecord;
  /** From the hand-over to the end. */
  readonly durationMs: number;
  /** Bytes on the line since the hand-over. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface ListenerOptions {
  readonly host: string;
  /** 0 takes any free port; `listen` says which. */
  readonly port: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly limits: ListenerLimits;
  /**
   * Proxies in front: their word about their clients (`X-Forwarded-*`, `Forwarded`) and their `X-Request-Id` are believed.
   * None unless given.
   */
  readonly trusts?: AddressRanges;
  /**
   * Whose connections begin with a PROXY header, version 1 or 2, and are believed in it: everybody's, or those from these
   * addresses. A connection that should and does not is closed; a header from anybody else is a bad request. False unless given.
   */
  readonly proxyProtocol?: boolean | AddressRanges;
  /** Counts the connections of several listeners together; its own unless given, by `limits` and without those it `trusts`. */
  readonly census?: Census;
  /** Called once per request, synchronously; see the contract in base's `exchange.ts`. What it throws becomes a 500. */
  onExchange(exchange: GuardedExchange): void;
  /** Called once per request, after its end. */
  onRecord?(record: RequestRecord): void;
  /** Called once per upgraded request, when its connection has closed. Only with `onRecord`. */
  onUpgradeEnd?(end: UpgradeEnd): void;
  /** How a person moves this listener to another port: ends the error for a port that is taken. */
  readonly hint?: string;
}

/** What may change while a listener runs; absent: as before. */
export interface ListenerChanges {
  /** Limits of time hold at once, for all connections; limits of size and number for those that are opened later. */
  readonly limits?: ListenerLimits;
  /** Holds at once: from the next request of each connection on. */
  readonly trusts?: AddressRanges;
  /** For connections that are opened later. */
  readonly proxyProtocol?: boolean | AddressRanges;
}

export interface ListenerCounters {
  /** Open now, without upgraded ones. */
  readonly connections: number;
  /** Connections that were handed over and are open still. */
  readonly upgraded: number;
  /** Since the start. */
  readonly accepted: number;
  readonly requests: number;
  /** Requests whose bytes broke a rule or a limit, and connections whose PROXY header did. */
  readonly refused: number;
  /** Connections that were turned away, or closed while idle, because there were too many. */
  readonly shed: number;
  /** All bytes of connections that have closed, upgraded ones included. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export interface Listener {
  /** Resolves when connections are accepted; rejects with an OperatorError when the address cannot be had. */
  listen(): Promise<{ host: string; port: number }>;
  /** Applies what is given; the listening socket and its connections stay. */
  reconfigure(changes: ListenerChanges): void;
  /**
   * Stops accepting, closes what is idle, lets exchanges end with `Connection: close`, and breaks what is left after
   * `graceMs`. Upgraded connections belong to who took them over, and stay.
   */
  close(options: { graceMs: number }): Promise<void>;
  readonly counters: ListenerCounters;
}

/** Bytes of an unread body that are read and thrown away so that the connection can be used again. */
export const DRAIN_BYTES_MAX = 64 * 1024;
/** Bytes and time that a closing connection is still read, so that no reset overtakes the answer. */
export const LINGER_BYTES_MAX = 8 * 1024 * 1024;
export const LINGER_MS = 5_000;
/** The same while the server stops, which clients that keep idle connections would hold up otherwise. */
export const LINGER_STOPPING_MS = 1_000;
/** How long an exchange goes on after its client closed its sending side. */
export const HALF_CLOSED_MS = 5_000;
export const RESPONSE_STALL_MS = 60_000;
/** Chunks up to this size are joined with what stands before them into one write. */
export const JOIN_BYTES_MAX = 4 * 1024;
/** Joined text beyond this is written at once. */
export const PENDING_BYTES_MAX = 16 * 1024;
/** Bytes that the socket holds before `write` says to wait. */
export const WRITE_BUFFER_BYTES = 128 * 1024;
/** After this long without a request what is remembered of the last ones is let go, to save memory. */
export const FORGET_MS = 1_000;
/** How often connections are looked at for limits of time. */
export const SWEEP_MS = 1_000;
