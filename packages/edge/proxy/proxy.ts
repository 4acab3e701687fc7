/**
 * Owns the target that forwards exchanges to one service. Refuses to know routes: a route that removes its prefix takes
 * a target of its own from `target`.
 */
import { type Clock, type Exchange, type Logger, limits, type Target } from "@tideway/base";
import type { Service } from "../upstream/index.ts";
import { Forwarding } from "./forwarding.ts";

export interface ProxyOptions {
  readonly service: Service;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly retriesMax?: number;
  /** Bytes of a request's body kept for a retry. */
  readonly replayBytesMax?: number;
}

/** What each forwarding needs of its proxy. */
export type ProxyContext = Required<ProxyOptions>;

export interface ProxyTarget extends Target {
  /** The same, but the path is forwarded without `stripPrefix`: a normalised path that the route matched. */
  target(stripPrefix: string): Target;
}

export function createProxy(options: ProxyOptions): ProxyTarget {
  const context: ProxyContext = {
    retriesMax: limits.retriesMax,
    replayBytesMax: limits.replayBytesMax,
    ...options,
  };
  const target = (prefix: string): Target => ({
    handle: (exchange: Exchange) => new Forwarding(context, exchange, prefix).start(),
  });
  return { ...target(""), target };
}
