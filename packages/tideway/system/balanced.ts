/**
 * What the configuration of a balanced service means to the rooms that serve it. Owns the translation, key by key, and no
 * default: those stand in the schema.
 */
import { limits } from "@tideway/base";
import { systemRandom } from "@tideway/edge/clock";
import type { ProxyOptions, ProxyRoute } from "@tideway/edge/proxy";
import type {
  EjectOptions,
  HealthOptions,
  PoolSettings,
  ServiceSettings,
  StickyOptions,
  UpstreamAddress,
} from "@tideway/edge/upstream";
import type { Statuses } from "@tideway/engine/balancing";
import type { RouteMatch } from "@tideway/engine/routing";
import type { BalancedService, Plan, Route, RouteParts, ServiceOf } from "../config/index.ts";
import { valuesFor } from "./guards.ts";
import { secretOf } from "./secrets.ts";

type Options = BalancedService["options"];
type Upstream = ServiceOf<"upstreams">["upstreams"][number];

export function serviceSettingsOf(config: BalancedService, plan: Plan): ServiceSettings {
  const { options } = config;
  return {
    ...poolSettingsOf(options),
    ...(options.requestsMax === undefined ? {} : { requestsMax: options.requestsMax }),
    ...(options.proxyProtocol === undefined ? {} : { proxyProtocol: options.proxyProtocol }),
    ...(options.breaker === undefined ? {} : { breaker: options.breaker }),
    ...(options.sticky === undefined ? {} : { sticky: stickyOf(options.sticky, plan) }),
    ...(options.whenDown === undefined ? {} : { whenDown: options.whenDown }),
    ...(config.kind === "upstreams" ? { upstreams: config.options.upstreams.map(addressOf) } : {}),
    retryBudget: options.retries.budget,
    limits: {
      upstreamConnectMs: options.connectMs,
      upstreamFirstByteMs: options.firstByteMs,
      upstreamBodyIdleMs: options.streamIdleMs ?? limits.upstreamBodyIdleMs,
      upstreamIdleMs: options.keepAliveMs,
      upstreamConnectionsMax: options.connectionsMax,
      upstreamUploadsShare: options.uploadsShare,
      upstreamWaitersMax: options.queueMax,
      upstreamWaitMs: options.queueMs,
    },
  };
}

/** What services of every protocol have in common. */
export function poolSettingsOf(
  options: Pick<Options, "balance" | "eject" | "slowStartMs"> & { health?: Options["health"] | undefined },
): PoolSettings {
  const { balance, eject, slowStartMs, health } = options;
  return {
    balance,
    ...(health === undefined ? {} : { health: healthOf(health) }),
    eject: ejectOf(eject),
    ...(slowStartMs === undefined ? {} : { slowStartMs }),
  };
}

/** A probe without a path is content with a connection. */
export function healthOf({ kind, path, status, body, host, ...rest }: Options["health"]): HealthOptions {
  return { ...rest, path: kind === "tcp" ? "" : path, status: statusesOf(status), body: body ?? "", host: host ?? "" };
}

function ejectOf({ statuses, latencyFactor, failureShare, ...rest }: Options["eject"]): EjectOptions {
  return {
    ...rest,
    statuses: statuses === undefined ? [] : statusesOf(statuses),
    latencyFactor: latencyFactor ?? 0,
    failureShare: failureShare ?? 0,
  };
}

function statusesOf(said: Options["health"]["status"]): Statuses {
  return (Array.isArray(said) ? said : [said]).map((each) => {
    if (typeof each === "number") return each;
    const [from = 0, to = 0] = each.split("-").map(Number);
    return [from, to] as const;
  });
}

/** The key is kept with the data, so that browsers come back to their instances after a restart too. */
function stickyOf({ cookie, ttlMs, secure }: NonNullable<Options["sticky"]>, plan: Plan): StickyOptions {
  return {
    cookie,
    key: secretOf(plan.dataDirectory, "sticky-key"),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(secure === undefined ? {} : { secure }),
  };
}

function addressOf(upstream: Upstream): UpstreamAddress {
  const { url, weight } = typeof upstream === "string" ? { url: upstream, weight: 1 } : upstream;
  const { hostname, port } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: port === "" ? 80 : Number(port), weight };
}

export function proxyOptionsOf(
  { options }: BalancedService,
  plan: Plan,
): Omit<ProxyOptions, "service" | "logger" | "clock"> {
  return {
    retriesMax: options.retries.max,
    ...(options.upgradeIdleMs === undefined ? {} : { upgradeIdleMs: options.upgradeIdleMs }),
    trace: { random: systemRandom, ...plan.trace },
  };
}

/** What a route wants of the requests that it sends to the service. */
export function proxyRouteOf(
  match: RouteMatch<Route>,
  { request }: RouteParts,
  { options }: BalancedService,
): ProxyRoute {
  const { hostField } = options;
  return {
    strip: match.strip,
    rewrite: match.rewrite,
    hostField: typeof hostField === "string" ? hostField : hostField.set,
    serverTiming: match.options?.serverTiming === true,
    ...(request === null
      ? {}
      : { requestFields: (fields, exchange) => request.apply(fields, valuesFor(request, exchange, match.service)) }),
  };
}
