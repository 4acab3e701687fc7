/**
 * What a UDP service's listener is given and what it tells: shapes and defaults, no code that runs.
 */
import type { Clock, Logger } from "@tideway/base";
import type { Layer4Service } from "./service.ts";

export interface UdpLimits {
  /** A session through which nothing has passed either way for so long ends. */
  readonly idleMs: number;
  /**
   * Sessions at once, each with a socket of its own. For one more the one that has been quiet the longest goes; when all
   * have been active within the last second, the datagram is dropped.
   */
  readonly sessionsMax: number;
  /** Datagrams that wait in one socket because the system does not take them; more are dropped, as a network would. */
  readonly queueMax: number;
}

export const defaultUdpLimits: UdpLimits = Object.freeze({ idleMs: 60_000, sessionsMax: 4_096, queueMax: 1_024 });

/** What may change while sessions are open: the limits and `responses` hold for those, too. */
export interface UdpSettings {
  /** Where sessions go. */
  readonly service: Layer4Service;
  readonly limits?: Partial<UdpLimits>;
  /**
   * How many datagrams answer each one of a client, as with DNS (1): a session ends when they are there, and an instance that
   * sent none in all the time of a session has failed. Unless given, nothing is known, and silence is no failure.
   */
  readonly responses?: number;
}

export interface UdpListenerOptions extends UdpSettings {
  readonly host: string;
  /** 0 takes any free port; `listen` says which. */
  readonly port: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How a person moves this listener to another port: ends the error for a port that is taken. */
  readonly hint?: string;
  /** Called once per session, after its end. */
  readonly onRecord?: (record: UdpRecord) => void;
}

/** How a session ended. */
export const UdpEnd = {
  idle: "idle",
  /** All responses are there. */
  answered: "answered",
  /** Responses were due, and not one came. */
  silent: "silent",
  /** The system knows that nobody listens there (ICMP). */
  refused: "refused",
  /** Its instance went down: the client's next datagram begins another session. */
  moved: "moved",
  /** It was quiet the longest when there was no room. */
  displaced: "displaced",
  /** Somebody here ended it: a drain's deadline, the end of the service. */
  brokenOff: "broken-off",
} as const;
export type UdpEnd = (typeof UdpEnd)[keyof typeof UdpEnd];

/** One session that has ended. */
export interface UdpRecord {
  readonly service: string;
  readonly instance: string;
  readonly address: string;
  readonly port: number;
  readonly datagramsIn: number;
  readonly datagramsOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly durationMs: number;
  readonly end: UdpEnd;
}

export interface UdpCounters {
  /** Open now. */
  readonly sessions: number;
  /** Since the start. */
  readonly opened: number;
  readonly displaced: number;
  readonly datagramsFromClients: number;
  readonly datagramsFromUpstreams: number;
  readonly bytesFromClients: number;
  readonly bytesFromUpstreams: number;
  /** Datagrams of clients for which there was no instance. */
  readonly unserved: number;
  /** Datagrams, either way, that found a bound reached or that the system did not send. */
  readonly dropped: number;
  /** Sessions that ended because nobody listened, or answered, at their instance. */
  readonly failures: number;
}

export interface UdpListener {
  /** Resolves when datagrams are taken; rejects with an OperatorError when the address cannot be had. */
  listen(): Promise<{ host: string; port: number }>;
  /** All settings anew; what is left out has its default again. Sessions stay where they are. */
  configure(settings: UdpSettings): void;
  /** Takes no new clients; ends each session once it has been quiet for a second, and what is left after `graceMs`. */
  close(options: { graceMs: number }): Promise<void>;
  readonly counters: UdpCounters;
}
