/**
 * What the access log is given of a request, and what a person may choose. No code that runs. The record is declared here by
 * the one who needs it; the listener's fits.
 */
import type { Clock, FieldList } from "@tideway/base";

/** A request that was answered, refused or broken off. */
export interface AccessRecord {
  readonly id: string;
  /** When its head was read: milliseconds since the Unix epoch. Its line says when it ended. */
  readonly at: number;
  readonly durationMs: number;
  /** From the request's head to the answer's; -1 when no answer was begun. */
  readonly headMs: number;
  /** The client's, as far as it is believed; and the other end of the socket. */
  readonly address: string;
  readonly peer: string;
  /** Empty, as host and path, when the head was refused. */
  readonly method: string;
  readonly host: string;
  readonly path: string;
  /** 10 for HTTP/1.0, 11 for HTTP/1.1, 20 for HTTP/2; 0 when the head was refused. */
  readonly version: number;
  /** What was answered; 499 when the client went first, 0 when the connection was broken before an answer began. */
  readonly status: number;
  /** Bytes of bodies, without framing. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The route's site and path as configured; empty, as service and instance, when none was reached. */
  readonly route: string;
  readonly service: string;
  readonly instance: string;
  /** The W3C trace id; empty when there is none. */
  readonly trace: string;
  /** The code of the rule that the client's bytes broke; empty otherwise. */
  readonly fault: string;
  /** Why a target answered with an error of its own, in a word; empty otherwise. */
  readonly reason: string;
  /** For what a format shows besides: the query, when it is to be shown, and who asks. Null when the head was refused. */
  readonly head: { readonly query: string; readonly fields: FieldList } | null;
}

export const accessLogFormats = ["json", "combined"] as const;
export type AccessLogFormat = (typeof accessLogFormats)[number];

export interface AccessLogOptions {
  readonly format: AccessLogFormat;
  /** Show queries, in the request's line and in the referer: they hold tokens and names. Left out unless asked for. */
  readonly queries?: boolean;
  /** The section of the specification that a code stands for, shown beside it; empty when there is none. */
  readonly sectionOf?: (fault: string) => string;
  /** Takes a whole line with its end. */
  write(line: string): void;
}

export interface LineWriterOptions {
  /** A path, which is opened for appending and opened again when it was moved away; or an open descriptor. */
  readonly to: string | number;
  readonly clock: Clock;
  /** Bytes that wait for a slow or full disk, or a reader who has stopped; lines beyond are dropped, and counted. 16 MiB unless given. */
  readonly waitingBytesMax?: number;
  /** Lines cannot be written; said once, until they could be again. */
  onFailure?(error: Error): void;
  /** So many lines were dropped, and there is room again. */
  onDropped?(lines: number): void;
}
