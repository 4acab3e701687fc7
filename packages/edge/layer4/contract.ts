/**
 * What a TCP service's listener is given and what it tells: shapes and defaults, no code that runs.
 */
import type { AddressRanges, Clock, Logger } from "@tideway/base";
import { TunnelEnd } from "../tunnel/index.ts";
import type { Seats } from "./crowd.ts";
import type { Layer4Service } from "./service.ts";

export interface TcpLimits {
  /** How long an instance may take to accept a connection; then another one is tried. */
  readonly connectMs: number;
  /** Instances that are tried for one connection. */
  readonly triesMax: number;
  /** Open at once; each takes two descriptors. One more is reset. */
  readonly connectionsMax: number;
  /** The same for one client address, as a PROXY header says it where there is one. */
  readonly connectionsPerAddressMax: number;
  /** A connection on which no byte moves either way for so long is reset; 0: none is. */
  readonly idleMs: number;
  /** From accepting to the end of the PROXY header, where one must come. */
  readonly headerMs: number;
}

export const defaultTcpLimits: TcpLimits = Object.freeze({
  connectMs: 3_000,
  triesMax: 3,
  connectionsMax: 4_096,
  connectionsPerAddressMax: 1_024,
  idleMs: 0,
  headerMs: 10_000,
});

/** What may change while connections are open: it holds for those that are accepted afterwards (`idleMs` for all). */
export interface TcpSettings {
  /** Where connections go. */
  readonly service: Layer4Service;
  readonly limits?: Partial<TcpLimits>;
  /**
   * Who must begin with a PROXY header, whose client is then the client: everybody (`true`), or those who connect from these
   * addresses, while others are taken for what they are. Nobody unless given.
   */
  readonly proxyProtocol?: boolean | AddressRanges;
}

export interface TcpListenerOptions extends TcpSettings {
  readonly host: string;
  /** 0 takes any free port; `listen` says which. */
  readonly port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Counts connections over several listeners: its bounds hold besides those of `limits`. */
  readonly census?: Seats;
  /** How a person moves this listener to another port: ends the error for a port that is taken. */
  readonly hint?: string;
  /**
   * Called once per connection, after its end; without it, it is a line at `debug`. What somebody should look at (`crowded`,
   * `no-instance`, `unreachable`) is a warning besides.
   */
  readonly onRecord?: (record: TcpRecord) => void;
}

/** How a connection ended. */
export const TcpEnd = {
  ...TunnelEnd,
  /** There were too many, of this address or in all. */
  crowded: "crowded",
  /** No PROXY header came where one must come, or what came was none. */
  badHeader: "bad-header",
  /** No instance could be used. */
  noInstance: "no-instance",
  /** Those that were tried took no connection. */
  unreachable: "unreachable",
  /** The client went before there was a connection to an instance. */
  gone: "gone",
} as const;
export type TcpEnd = (typeof TcpEnd)[keyof typeof TcpEnd];

/** One line of the log: a connection that has ended. */
export interface TcpRecord {
  readonly service: string;
  /** Empty when none was reached. */
  readonly instance: string;
  /** The client: as a PROXY header says it where one came. */
  readonly address: string;
  readonly port: number;
  /** The proxy in front that sent the header; empty without one. */
  readonly via: string;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  /** What the instance took to accept; -1 when none did. */
  readonly connectMs: number;
  /** Instances that were tried. */
  readonly tries: number;
  readonly end: TcpEnd;
  /** The rule that a PROXY header broke; empty otherwise. */
  readonly fault: string;
}

export interface TcpCounters {
  /** Open now. */
  readonly connections: number;
  /** Since the start. */
  readonly accepted: number;
  /** Reset because there were too many. */
  readonly refused: number;
  /** Reset for want of a PROXY header as it should be. */
  readonly malformed: number;
  /** Reset because no instance could be used or reached. */
  readonly unserved: number;
  /** Instances that did not accept a connection in time, or at all. */
  readonly connectFailures: number;
  readonly idled: number;
  /** What passed, without PROXY headers. */
  readonly bytesFromClients: number;
  readonly bytesFromUpstreams: number;
}

export interface TcpListener {
  /** Resolves when connections are accepted; rejects with an OperatorError when the address cannot be had. */
  listen(): Promise<{ host: string; port: number }>;
  /** All settings anew; what is left out has its default again. Open connections stay as they are. */
  configure(settings: TcpSettings): void;
  /** Stops accepting, waits for connections to end by themselves, and resets what is left after `graceMs`. */
  close(options: { graceMs: number }): Promise<void>;
  readonly counters: TcpCounters;
}
