/**
 * What the connections of one listener have in common: limits, whom they tell, the request ids, the date, the end of their ticks.
 */
import type { Socket } from "node:net";
import type { AddressRanges, Clock, GuardedExchange, Logger } from "@tideway/base";
import { formatHttpDate } from "@tideway/wire/fields";
import { TickEnd } from "../sockets/index.ts";
import { Census, type CensusOptions } from "./census.ts";
import type { Connection } from "./connection.ts";
import type { ListenerChanges, ListenerLimits, ListenerOptions, RequestRecord, UpgradeEnd } from "./contract.ts";

const ID_LINE = "x-request-id: ";

/** The last two digits of a count in base 36: they are looked up, the others change rarely. */
const ID_LOWS: readonly string[] = Array.from({ length: 36 * 36 }, (_, low) => low.toString(36).padStart(2, "0"));

export class Shared {
  readonly clock: Clock;
  readonly logger: Logger;
  limits: ListenerLimits;
  trusts: AddressRanges | null;
  readonly census: Census;
  readonly #ownCensus: boolean;
  #proxyProtocol: boolean | AddressRanges;
  readonly onExchange: (exchange: GuardedExchange) => void;
  readonly connections = new Set<Connection>();
  /** Connections that were handed over and are open still. */
  readonly upgraded = new Set<Socket>();
  readonly counters = { accepted: 0, requests: 0, refused: 0, shed: 0, bytesIn: 0, bytesOut: 0 };
  stopping = false;
  /** Called when the last connection is gone. */
  onEmpty: (() => void) | undefined;

  readonly onRecord: ((record: RequestRecord) => void) | undefined;
  readonly onUpgradeEnd: ((end: UpgradeEnd) => void) | undefined;
  readonly tickEnd: TickEnd;
  #second = -1;
  #dateLine = "";
  #datedIdLine = "";
  readonly #idPrefix: string;
  #idCount = 0;
  /** The id up to its last two digits. */
  #idHead: string;

  constructor(options: ListenerOptions) {
    this.clock = options.clock;
    this.logger = options.logger;
    this.limits = options.limits;
    this.trusts = options.trusts ?? null;
    this.#ownCensus = options.census === undefined;
    this.census = options.census ?? new Census(ownCensus(options.limits, this.trusts));
    this.#proxyProtocol = options.proxyProtocol ?? false;
    this.onExchange = (exchange) => options.onExchange(exchange);
    this.onRecord = options.onRecord === undefined ? undefined : (record) => options.onRecord?.(record);
    this.onUpgradeEnd = options.onUpgradeEnd === undefined ? undefined : (end) => options.onUpgradeEnd?.(end);
    this.tickEnd = new TickEnd(options.clock);
    this.#idPrefix = `${options.random.id(6)}-`;
    this.#idHead = this.#idPrefix;
  }

  reconfigure(changes: ListenerChanges): void {
    this.limits = changes.limits ?? this.limits;
    this.#proxyProtocol = changes.proxyProtocol ?? this.#proxyProtocol;
    if (changes.trusts !== undefined) {
      this.trusts = changes.trusts;
      for (const connection of this.connections) connection.peer.trust(changes.trusts);
    }
    if (this.#ownCensus) this.census.reconfigure(ownCensus(this.limits, this.trusts));
  }

  /** A connection from this address is to begin with a PROXY header. */
  wantsHeader(address: string): boolean {
    const wanted = this.#proxyProtocol;
    return typeof wanted === "boolean" ? wanted : wanted.has(address);
  }

  get recording(): boolean {
    return this.onRecord !== undefined;
  }

  /** Unique, not unguessable: a random start of the process and a count. */
  nextId(): string {
    const low = ++this.#idCount % ID_LOWS.length;
    if (low === 0) this.#idHead = this.#idPrefix + (this.#idCount / ID_LOWS.length).toString(36);
    return this.#idHead + (this.#idCount < ID_LOWS.length ? low.toString(36) : ID_LOWS[low]!);
  }

  /** The current second's `date: …` line. */
  dateLine(): string {
    const wall = this.clock.wall();
    const second = Math.floor(wall / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#dateLine = `date: ${formatHttpDate(wall)}\r\n`;
      this.#datedIdLine = this.#dateLine + ID_LINE;
    }
    return this.#dateLine;
  }

  /** The beginning of an answer's request id line, behind the date unless the answer has one. */
  idLine(dated: boolean): string {
    if (dated) return ID_LINE;
    this.dateLine();
    return this.#datedIdLine;
  }

  /** A connection has closed, upgraded or not: its bytes are counted, and its place is free. */
  closed(socket: Socket, seat: string): void {
    this.counters.bytesIn += socket.bytesRead;
    this.counters.bytesOut += socket.bytesWritten;
    this.census.leave(seat);
  }

  /** False when the connection was forgotten before. */
  forget(connection: Connection): boolean {
    const known = this.connections.delete(connection);
    if (this.connections.size === 0) this.onEmpty?.();
    return known;
  }
}

function ownCensus(limits: ListenerLimits, trusts: AddressRanges | null): CensusOptions {
  const { connectionsMax, connectionsPerAddressMax } = limits;
  return {
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
    ...(connectionsPerAddressMax === undefined ? {} : { connectionsPerAddressMax }),
    ...(trusts === null ? {} : { uncounted: trusts }),
  };
}
