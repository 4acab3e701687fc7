/**
 * From `listen` and `sites` to the listeners of the plan: what each serves, with its routes compiled. Owns which sites a
 * listener has (its own, or those of all) and what a route must name.
 */
import { compileRoutes, type Place, type RouteTable } from "@tideway/engine/routing";
import { formatPath, type Issue } from "./issues.ts";
import { compileParts, type PartsByRoute } from "./route-parts.ts";
import type { EffectiveConfig, HttpListen, Route, SitesConfig, TcpOptions, UdpOptions } from "./schema.ts";

/** Where one listens, and where the configuration says so. */
interface ListenerPlace {
  /** Its place in `listen`. */
  readonly index: number;
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
}

export interface HttpListenerPlan extends ListenerPlace {
  readonly sites: SitesConfig;
  /** False when it shares them with every listener that has none of its own. */
  readonly hasOwnSites: boolean;
  readonly routes: RouteTable<Route>;
  readonly parts: PartsByRoute;
  readonly proxyProtocol: HttpListen["proxyProtocol"];
}

/** A TCP or UDP service on a port of its own. */
export type StreamListenerPlan = ListenerPlace & { readonly name: string } & (
    | { readonly transport: "tcp"; readonly options: TcpOptions; readonly proxyProtocol: HttpListen["proxyProtocol"] }
    | { readonly transport: "udp"; readonly options: UdpOptions }
  );

export interface ListenerPlans {
  readonly http: readonly HttpListenerPlan[];
  readonly streams: readonly StreamListenerPlan[];
}

/** What a route may have in place of a service. */
const ownAnswers: ReadonlySet<string> = new Set(["redirect", "respond"]);

export function planListeners(config: EffectiveConfig, services: ReadonlySet<string>, issues: Issue[]): ListenerPlans {
  const http: HttpListenerPlan[] = [];
  const streams: StreamListenerPlan[] = [];
  const isShared = (entry: EffectiveConfig["listen"][number]) => isHttp(entry) && entry.sites === undefined;
  const sharing = config.listen.filter(isShared);
  checkShared(config, sharing.length, issues);
  const sites = config.sites ?? {};
  const shared = compile(sites, ["sites"], services, new Set(sharing.map(({ port }) => port)), issues);
  for (const [index, entry] of config.listen.entries()) {
    const { host, port } = entry;
    const place = { index, host, port };
    if ("tcp" in entry) {
      const name = entry.tcp.name ?? `tcp:${port}`;
      streams.push({ ...place, name, transport: "tcp", options: entry.tcp, proxyProtocol: entry.proxyProtocol });
    } else if ("udp" in entry) {
      streams.push({ ...place, name: entry.udp.name ?? `udp:${port}`, transport: "udp", options: entry.udp });
    } else if (entry.sites === undefined) {
      if (shared !== null)
        http.push({ ...place, sites, hasOwnSites: false, ...shared, proxyProtocol: entry.proxyProtocol });
    } else {
      const own = compile(entry.sites, ["listen", index, "sites"], services, new Set([port]), issues);
      if (own !== null) {
        const { sites: ownSites, proxyProtocol } = entry;
        http.push({ ...place, sites: ownSites, hasOwnSites: true, ...own, proxyProtocol });
      }
    }
  }
  checkNames(streams, services, issues);
  return { http, streams };
}

function isHttp(entry: EffectiveConfig["listen"][number]): entry is HttpListen {
  return !("tcp" in entry) && !("udp" in entry);
}

/** Nothing to serve where something must be, and sites that nobody would ever see. */
function checkShared({ sites }: EffectiveConfig, sharing: number, issues: Issue[]): void {
  if (sites === undefined && sharing > 0) {
    issues.push({
      path: "sites",
      seen: "nothing",
      allowed: "an object: host → path → service or route",
      hint: 'For example: sites: { "*": { "/": "web" } }. A listener may have `sites` of its own instead.',
    });
  } else if (sites !== undefined && sharing === 0) {
    issues.push({
      path: "sites",
      seen: "sites that no listener serves: each has its own, or none",
      allowed: "a listener for HTTP without `sites`",
      hint: "Add such a listener, or remove these sites.",
    });
  }
}

/** Logs, `tideway status` and `tideway instance` know a service by its name alone. */
function checkNames(
  listeners: readonly { index: number; name: string }[],
  services: ReadonlySet<string>,
  issues: Issue[],
): void {
  for (const [at, { index, name }] of listeners.entries()) {
    const isRepeated = listeners.findIndex((other) => other.name === name) !== at;
    if (!isRepeated && !services.has(name)) continue;
    issues.push({
      path: formatPath(["listen", index]),
      seen: `the name ${JSON.stringify(name)}, which another ${isRepeated ? "listener" : "service"} has`,
      allowed: "a name of its own",
      hint: "Give it a `name`.",
    });
  }
}

function compile(
  sites: SitesConfig,
  place: Place,
  services: ReadonlySet<string>,
  ports: ReadonlySet<number>,
  issues: Issue[],
): { routes: RouteTable<Route>; parts: PartsByRoute } | null {
  const result = compileRoutes<Route>(sites, { services, ports, place, answers: ownAnswers });
  if (result.ok) return { routes: result.table, parts: compileParts(result.table, issues) };
  for (const { place: where, ...fault } of result.faults) issues.push({ ...fault, path: formatPath(where) });
  return null;
}
