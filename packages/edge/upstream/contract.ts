/**
 * The contract between a service's connections and whoever sends a request over one (`edge/proxy`). No code, only shapes.
 *
 * The sender asks `Service.lease` and gets either `onLease` with a connection (in the same tick, or after a wait) or
 * `onLeaseFailed`. With the connection it calls `sendHead`, then `sendBody`* and `sendEnd` unless the head was all.
 * Back come `onUpstreamInterim`*, `onUpstreamHead`, `onUpstreamBody`*, `onUpstreamEnd`; or `onUpstreamUpgrade` for a 101 that was
 * asked for; or, at any point and as the last, `onUpstreamFault`. The connection returns itself to its pool, or
 * destroys itself after any doubt. After `abandon` nothing comes back.
 */

import type { Socket } from "node:net";
import type { ClientInfo, FieldList, RequestHead } from "@tideway/base";
import type { HeadLimits, ResponseHead } from "@tideway/wire/http1";
import type { UpstreamConnection } from "./connection.ts";

/** The slice of `limits` (base) that concerns connections to upstreams. */
export interface UpstreamLimits extends HeadLimits {
  readonly upstreamConnectMs: number;
  readonly upstreamFirstByteMs: number;
  readonly upstreamBodyIdleMs: number;
  readonly upstreamIdleMs: number;
  readonly upstreamConnectionsMax: number;
  readonly upstreamUploadsShare: number;
  readonly upstreamWaitersMax: number;
  readonly upstreamWaitMs: number;
}

/** What went wrong with one request on one connection. */
export const UpstreamFaultCode = {
  /** No connection came about. */
  refused: "refused",
  connectTimeout: "connect-timeout",
  /** The connection broke, or was closed in the middle of the response. */
  broken: "broken",
  /** No answer in time, or the request's body was not read. */
  timeout: "timeout",
  /** The answer was not HTTP as it should be. */
  malformed: "malformed",
} as const;
export type UpstreamFaultCode = (typeof UpstreamFaultCode)[keyof typeof UpstreamFaultCode];

export interface UpstreamFault {
  readonly code: UpstreamFaultCode;
  /** False when it is certain that no byte of the request reached the upstream. */
  readonly reached: boolean;
  /** For the log only: may hold an address. */
  readonly detail: string;
}

/** Why no connection was leased. */
export const LeaseFault = {
  /** Every instance is down, and none came up in time, or is expected to. */
  unavailable: "unavailable",
  /** Instances are up, but none had a connection to spare in time. */
  deadline: "deadline",
  /** Too many wait already. */
  crowded: "crowded",
  /** The service's circuit breaker is open: too many requests failed of late. */
  open: "open",
  /** The service was closed. */
  closed: "closed",
} as const;
export type LeaseFault = (typeof LeaseFault)[keyof typeof LeaseFault];

/** What of a request the choice of its instance may go by: an `Exchange` fits. */
export interface Asker {
  readonly head: RequestHead;
  readonly client: ClientInfo;
}

/** What clients are told while every instance is down, in place of our own words. */
export interface WhenDown {
  /** 503 unless given. */
  readonly status?: number;
  /** Unless given an error page of ours with 503, and nothing with another status. */
  readonly body?: string | undefined;
  /** `text/plain; charset=utf-8` unless given. */
  readonly type?: string;
  /** For `Retry-After`; 0: none. 2 unless given. */
  readonly retryAfterSeconds?: number;
}

export interface UpstreamHandler {
  onUpstreamInterim(status: number, fields: FieldList): void;
  onUpstreamHead(head: ResponseHead): void;
  /** The bytes are lent until it returns: what must last is asked for with the connection's `keep`. */
  onUpstreamBody(chunk: Buffer): void;
  /** The response is whole. The connection is no longer the handler's. */
  onUpstreamEnd(trailers: FieldList): void;
  /** What was sent of the request's body has left; more may be sent. */
  onUpstreamDrain(): void;
  /** The connection is now `socket`, the handler's to destroy; `rest` had arrived behind the head. */
  onUpstreamUpgrade(head: ResponseHead, socket: Socket, rest: Buffer): void;
  onUpstreamFault(fault: UpstreamFault): void;
}

export interface LeaseHandler extends UpstreamHandler {
  /**
   * The request's body has not come whole yet: only a share of an instance's connections is for such. When it has come,
   * the service is told with `uploaded`, or the connection with `sendEnd`.
   */
  readonly uploading?: boolean;
  onLease(connection: UpstreamConnection): void;
  onLeaseFailed(fault: LeaseFault): void;
}
