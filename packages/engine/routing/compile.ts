/**
 * Owns the way from the configuration's `sites` to a route table: every key parsed once, every fault reported with its
 * place, none thrown. Refuses to know the file that the configuration came from.
 */
import { type HostKey, parseHostKey } from "./host.ts";
import { parsePathKey } from "./paths.ts";
import { type PathRoute, RouteTable, type SiteRoutes, slot } from "./table.ts";

/** A service's name, or the same with the wish that the matched prefix is removed before forwarding. */
export type RouteSpec = string | { readonly to: string; readonly strip?: boolean | undefined };
/** Host key → path key → service, as in the contract's `sites`. */
export type SitesSpec = Readonly<Record<string, Readonly<Record<string, RouteSpec>>>>;

export const RouteFaultCode = {
  badHost: "BAD_HOST",
  duplicateHost: "DUPLICATE_HOST",
  unknownPort: "UNKNOWN_PORT",
  emptySite: "EMPTY_SITE",
  badPath: "BAD_PATH",
  duplicatePath: "DUPLICATE_PATH",
  unknownService: "UNKNOWN_SERVICE",
} as const;
export type RouteFaultCode = (typeof RouteFaultCode)[keyof typeof RouteFaultCode];

export interface RouteFault {
  readonly code: RouteFaultCode;
  /** Keys from the configuration's root: `["sites", "www.abc.test", "/db"]`. */
  readonly place: readonly string[];
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

export type CompiledRoutes =
  | { readonly ok: true; readonly table: RouteTable }
  | { readonly ok: false; readonly faults: readonly RouteFault[] };

/** What the rest of the configuration defines; a name or port outside it is a fault. */
export interface RouteContext {
  readonly services: ReadonlySet<string>;
  readonly ports: ReadonlySet<number>;
}

/** All faults are reported, not only the first. */
export function compileRoutes(sites: SitesSpec, context: RouteContext): CompiledRoutes {
  const faults: RouteFault[] = [];
  const compiled: SiteRoutes[] = [];
  const bySlot = new Map<string, string>();
  for (const [name, paths] of Object.entries(sites)) {
    const key = readHost(name, bySlot, context, faults);
    const routes = readPaths(name, paths, context, faults);
    if (key !== null) compiled.push({ name, key, routes });
  }
  return faults.length === 0 ? { ok: true, table: new RouteTable(compiled) } : { ok: false, faults };
}

function readHost(
  name: string,
  bySlot: Map<string, string>,
  context: RouteContext,
  faults: RouteFault[],
): HostKey | null {
  const place = ["sites", name];
  const parsed = parseHostKey(name);
  if (!parsed.ok) {
    faults.push({ code: RouteFaultCode.badHost, place, seen: `"${name}"`, allowed: parsed.allowed, hint: parsed.hint });
    return null;
  }
  const { key } = parsed;
  const earlier = bySlot.get(slot(key));
  if (earlier !== undefined) {
    const hint = "merge the two sites: hosts are compared in lower case and without a trailing dot";
    faults.push({
      code: RouteFaultCode.duplicateHost,
      place,
      seen: `"${name}", the same host as "${earlier}"`,
      allowed: "each host once",
      hint,
    });
    return null;
  }
  bySlot.set(slot(key), name);
  if (key.port !== 0 && !context.ports.has(key.port)) {
    const allowed = `a port that \`listen\` names: ${list([...context.ports].map(String))}`;
    faults.push({
      code: RouteFaultCode.unknownPort,
      place,
      seen: `port ${key.port}`,
      allowed,
      hint: "add the port to `listen`, or leave it out here",
    });
  }
  return key;
}

function readPaths(
  name: string,
  paths: Readonly<Record<string, RouteSpec>>,
  context: RouteContext,
  faults: RouteFault[],
): PathRoute[] {
  const routes: PathRoute[] = [];
  const earlierKeys = new Map<string, string>();
  for (const [key, spec] of Object.entries(paths)) {
    const place = ["sites", name, key];
    const service = typeof spec === "string" ? spec : spec.to;
    if (!context.services.has(service)) {
      const allowed = `a service of this configuration: ${list([...context.services])}`;
      faults.push({
        code: RouteFaultCode.unknownService,
        place,
        seen: `"${service}"`,
        allowed,
        hint: "correct the name, or add the service to `services`",
      });
    }
    const parsed = parsePathKey(key);
    if (!parsed.ok) {
      faults.push({
        code: RouteFaultCode.badPath,
        place,
        seen: `"${key}"`,
        allowed: parsed.allowed,
        hint: parsed.hint,
      });
      continue;
    }
    const earlier = earlierKeys.get(parsed.path);
    if (earlier !== undefined) {
      const seen = `"${key}", the same path as "${earlier}"`;
      faults.push({
        code: RouteFaultCode.duplicatePath,
        place,
        seen,
        allowed: "each path once",
        hint: "remove one: a trailing slash makes no difference",
      });
      continue;
    }
    earlierKeys.set(parsed.path, key);
    const strip = typeof spec !== "string" && spec.strip === true && parsed.path !== "/" ? parsed.path : "";
    routes.push({ path: parsed.path, match: { site: name, path: key, service, strip } });
  }
  if (earlierKeys.size === 0 && Object.keys(paths).length === 0) {
    const hint = 'give it a route, such as { "/": "web" }, or remove it';
    faults.push({
      code: RouteFaultCode.emptySite,
      place: ["sites", name],
      seen: "no routes",
      allowed: "at least one path",
      hint,
    });
  }
  return routes;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "there are none" : names.join(", ");
}
