/**
 * What is written and would do nothing: refused, for whoever wrote it believes that it does something. Owns which keys mean
 * nothing beside which others.
 */
import { formatPath, type Issue } from "./issues.ts";
import type { AnyService, EffectiveConfig, Route, ServiceKind, SitesConfig } from "./schema.ts";
import { valueAt } from "./schema-walk.ts";

type Place = readonly (string | number)[];

/** `input` is what a person wrote; `config` the same with its defaults. */
export function findDropped(
  config: EffectiveConfig,
  input: unknown,
  services: ReadonlyMap<string, AnyService>,
  issues: Issue[],
): void {
  for (const [name, { kind, options }] of services) {
    const place = ["services", name];
    if (kind !== "command" && kind !== "upstreams") continue;
    checkProbe(input, [...place, "health"], options.health.kind, issues);
    if (kind === "upstreams") checkRepeats(options.upstreams.map(originOf), [...place, "upstreams"], issues);
  }
  for (const [index, entry] of config.listen.entries()) {
    const place = ["listen", index];
    if ("sites" in entry && entry.sites !== undefined) checkSites(entry.sites, [...place, "sites"], services, issues);
    const [key, options] = "tcp" in entry ? ["tcp", entry.tcp] : "udp" in entry ? ["udp", entry.udp] : ["", null];
    if (options === null) continue;
    checkProbe(input, [...place, key, "health"], options.health?.kind, issues);
    checkRepeats(options.upstreams.map(addressOf), [...place, key, "upstreams"], issues);
    if (options.eject.statuses === undefined) continue;
    add(issues, [...place, key, "eject", "statuses"], "statuses of a service that is not HTTP", "only `services`");
  }
  checkSites(config.sites ?? {}, ["sites"], services, issues);
}

function add(issues: Issue[], place: Place, seen: string, allowed: string, hint = "Remove it."): void {
  issues.push({ path: formatPath(place), seen, allowed, hint });
}

const ofHttpProbes = ["path", "method", "host", "status", "body"];

/** A probe that only connects asks for nothing, and gets no answer. */
function checkProbe(input: unknown, place: Place, kind: string | undefined, issues: Issue[]): void {
  if (kind !== "tcp") return;
  for (const key of ofHttpProbes) {
    if (valueAt(input, [...place, key]) === undefined) continue;
    add(
      issues,
      [...place, key],
      "what a probe of TCP does not look at",
      'only with kind: "http"',
      'Write kind: "http".',
    );
  }
}

function originOf(upstream: string | { url: string }): string {
  return new URL(typeof upstream === "string" ? upstream : upstream.url).origin;
}

function addressOf(upstream: string | { address: string }): string {
  return typeof upstream === "string" ? upstream : upstream.address;
}

function checkRepeats(upstreams: readonly string[], place: Place, issues: Issue[]): void {
  for (const [at, upstream] of upstreams.entries()) {
    const first = upstreams.indexOf(upstream);
    if (first === at) continue;
    const seen = `the same as ${formatPath([...place, first])}`;
    add(issues, [...place, at], seen, "each instance once", "Remove it; a `weight` gives one a larger share.");
  }
}

function checkSites(
  sites: SitesConfig,
  place: Place,
  services: ReadonlyMap<string, AnyService>,
  issues: Issue[],
): void {
  for (const [site, paths] of Object.entries(sites)) {
    for (const [path, target] of Object.entries(paths)) {
      const routes = Array.isArray(target) ? target : [target];
      for (const [at, route] of routes.entries()) {
        if (typeof route === "string") continue;
        checkRoute(route, [...place, site, path, ...(Array.isArray(target) ? [at] : [])], services, issues);
      }
    }
  }
}

const proxied: readonly ServiceKind[] = ["command", "upstreams"];

/** Keys of a route that mean something only where a service of these kinds is asked. */
const kindsByKey = {
  strip: [...proxied, "files"],
  rewrite: [...proxied, "files"],
  request: proxied,
  serverTiming: proxied,
} as const satisfies Partial<Record<keyof Route, readonly ServiceKind[]>>;

function checkRoute(route: Route, place: Place, services: ReadonlyMap<string, AnyService>, issues: Issue[]): void {
  if (route.status !== undefined && route.redirect === undefined)
    add(issues, [...place, "status"], "a status without a redirect", "only beside `redirect`");
  const service = route.to === undefined ? undefined : services.get(route.to);
  // An unknown service is said elsewhere.
  if (route.to !== undefined && service === undefined) return;
  for (const [key, kinds] of Object.entries(kindsByKey) as [keyof typeof kindsByKey, readonly ServiceKind[]][]) {
    if (route[key] === undefined || route[key] === false) continue;
    if (service !== undefined && kinds.includes(service.kind)) continue;
    const seen =
      service === undefined ? "a route that answers by itself" : `a route to a service with \`${service.kind}\``;
    add(issues, [...place, key], seen, `only towards a service with ${kinds.map((kind) => `\`${kind}\``).join(" | ")}`);
  }
}
