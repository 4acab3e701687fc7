/**
 * Owns the target that forwards exchanges to one service. Refuses to choose routes: what a route wants changed on the way
 * it says when it takes a target of its own from `target`.
 */
import {
  type Clock,
  type Exchange,
  type FieldList,
  type Logger,
  limits,
  type Random,
  type Target,
} from "@tideway/base";
import { TraceSource } from "@tideway/wire/fields";
import { type TunnelCounters, Tunnels } from "../tunnel/index.ts";
import type { Service } from "../upstream/index.ts";
import { Forwarding } from "./forwarding.ts";

export interface ProxyOptions {
  readonly service: Service;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly retriesMax?: number;
  /** Bytes of a request's body kept for a retry. */
  readonly replayBytesMax?: number;
  /** An upgraded connection on which no byte moves either way for this long is closed; never unless given. */
  readonly upgradeIdleMs?: number;
  /** Looks after W3C Trace Context; without it `traceparent` and `tracestate` pass like any other field. */
  readonly trace?: TraceOptions;
}

/**
 * A valid `traceparent` goes on as it is, with its `tracestate`: this proxy records no spans, and a parent that nobody
 * recorded would tear the trace in two. An invalid one is dropped together with `tracestate`.
 */
export interface TraceOptions {
  readonly random: Random;
  /** Gives a new trace to requests without a valid one, so that the access log and the application share an id; true unless given. */
  readonly create?: boolean;
  /**
   * What a new trace says of itself: true unless given. OpenTelemetry's applications follow their parent by default, so that
   * false would silence the sampling that they are configured with.
   */
  readonly sampled?: boolean;
}

/** What one route wants of the requests that it sends here. */
export interface ProxyRoute {
  /** Removed from the path's beginning: a normalised path that the route matched. Nothing unless given. */
  readonly strip?: string;
  /** Put in its place: a path without a trailing slash. */
  readonly rewrite?: string;
  /**
   * Changes the fields that are sent, of which it sees all but framing and `connection`, the forwarding ones included. What it
   * gives must hold no framing or hop-by-hop field either.
   */
  readonly requestFields?: (fields: FieldList, exchange: Exchange) => FieldList;
  /** `host` towards the service: `preserve` (unless given) what the client asked for, `upstream` for the instance's own, or a text. */
  readonly hostField?: string;
  /** Adds `Server-Timing: gateway;dur=0.4, service;dur=12.3` (milliseconds) to what the service says itself; false unless given. */
  readonly serverTiming?: boolean;
}

/** What each forwarding needs of its proxy. */
export interface ProxyContext {
  readonly service: Service;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly retriesMax: number;
  readonly replayBytesMax: number;
  readonly tunnels: Tunnels;
  readonly trace: Tracing | null;
}

/** See `TraceOptions`; `source` is null when none are created. */
export interface Tracing {
  readonly source: TraceSource | null;
  /** Two digits. */
  readonly flags: string;
}

/** A `ProxyRoute` with nothing left open. */
export interface RouteContext {
  readonly strip: string;
  readonly rewrite: string;
  readonly requestFields: ((fields: FieldList, exchange: Exchange) => FieldList) | null;
  readonly hostField: string;
  readonly serverTiming: boolean;
}

export interface ProxyTarget extends Target {
  /** The same, with what a route wants changed. */
  target(route: ProxyRoute): Target;
  /** Of upgraded connections. */
  readonly tunnels: TunnelCounters;
}

const plain: RouteContext = { strip: "", rewrite: "", requestFields: null, hostField: "preserve", serverTiming: false };

export function createProxy(options: ProxyOptions): ProxyTarget {
  const { service, logger, clock, trace } = options;
  const tunnels = new Tunnels(clock, options.upgradeIdleMs ?? 0);
  const context: ProxyContext = {
    service,
    logger,
    clock,
    retriesMax: options.retriesMax ?? limits.retriesMax,
    replayBytesMax: options.replayBytesMax ?? limits.replayBytesMax,
    tunnels,
    trace: trace === undefined ? null : tracing(trace),
  };
  const target = (route: ProxyRoute): Target => {
    const full: RouteContext = { ...plain, ...route };
    return { handle: (exchange: Exchange) => new Forwarding(context, exchange, full).start() };
  };
  return { ...target({}), target, tunnels: tunnels.counters };
}

function tracing({ random, create = true, sampled = true }: TraceOptions): Tracing {
  return { source: create ? new TraceSource(random) : null, flags: sampled ? "01" : "00" };
}
