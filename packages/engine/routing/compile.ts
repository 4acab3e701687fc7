/**
 * Owns the way from the configuration's `sites` to a route table: every key parsed once, every fault reported with its
 * place, none thrown. Refuses to know the file that the configuration came from. A listener with sites of its own has a
 * table of its own: `RouteContext.place` says where those stand.
 */
import { list, type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";
import { type HostKey, parseHostKey } from "./host.ts";
import { parsePathKey } from "./paths.ts";
import { type RouteContext, type RouteOptions, type RouteSpec, readRoutes } from "./routes.ts";
import { type PathRoutes, RouteTable, type SiteRoutes, slot } from "./table.ts";

/** Host key → path key → what answers, as in the contract's `sites`. */
export type SitesSpec<O extends RouteOptions = RouteOptions> = Readonly<
  Record<string, Readonly<Record<string, RouteSpec<O>>>>
>;

export type CompiledRoutes<O extends RouteOptions = RouteOptions> =
  | { readonly ok: true; readonly table: RouteTable<O> }
  | { readonly ok: false; readonly faults: readonly RouteFault[] };

/** All faults are reported, not only the first. */
export function compileRoutes<O extends RouteOptions>(sites: SitesSpec<O>, context: RouteContext): CompiledRoutes<O> {
  const faults: RouteFault[] = [];
  const compiled: SiteRoutes<O>[] = [];
  const bySlot = new Map<string, string>();
  for (const [name, paths] of Object.entries(sites)) {
    const place = [...(context.place ?? ["sites"]), name];
    const key = readHost(name, place, bySlot, context, faults);
    const routes = readPaths(name, place, paths, context, faults);
    if (key !== null) compiled.push({ name, key, routes });
  }
  return faults.length === 0 ? { ok: true, table: new RouteTable(compiled) } : { ok: false, faults };
}

function readHost(
  name: string,
  place: Place,
  bySlot: Map<string, string>,
  context: RouteContext,
  faults: RouteFault[],
): HostKey | null {
  const parsed = parseHostKey(name);
  if (!parsed.ok) {
    const { allowed, hint } = parsed;
    faults.push({ code: RouteFaultCode.badHost, place, seen: quoted(name), allowed, hint });
    return null;
  }
  const { key } = parsed;
  const earlier = bySlot.get(slot(key));
  if (earlier !== undefined) {
    const hint = "merge the two sites: hosts are compared in lower case and without a trailing dot";
    const seen = `"${name}", the same host as "${earlier}"`;
    faults.push({ code: RouteFaultCode.duplicateHost, place, seen, allowed: "each host once", hint });
    return null;
  }
  bySlot.set(slot(key), name);
  if (key.port !== 0 && !context.ports.has(key.port)) {
    const allowed = `a port that \`listen\` names: ${list([...context.ports].map(String))}`;
    const hint = "add the port to `listen`, or leave it out here";
    faults.push({ code: RouteFaultCode.unknownPort, place, seen: `port ${key.port}`, allowed, hint });
  }
  return key;
}

function readPaths<O extends RouteOptions>(
  site: string,
  sitePlace: Place,
  paths: Readonly<Record<string, RouteSpec<O>>>,
  context: RouteContext,
  faults: RouteFault[],
): PathRoutes<O>[] {
  const routes: PathRoutes<O>[] = [];
  const earlierKeys = new Map<string, string>();
  for (const [key, spec] of Object.entries(paths)) {
    const place = [...sitePlace, key];
    const parsed = parsePathKey(key);
    const path = parsed.ok ? parsed.path : "/";
    const alternatives = readRoutes({ site, key, path, place }, spec, context, faults);
    if (!parsed.ok) {
      const { allowed, hint } = parsed;
      faults.push({ code: RouteFaultCode.badPath, place, seen: quoted(key), allowed, hint });
      continue;
    }
    const earlier = earlierKeys.get(path);
    if (earlier !== undefined) {
      const seen = `"${key}", the same path as "${earlier}"`;
      const hint = "remove one: neither a trailing slash nor needless encoding makes a difference";
      faults.push({ code: RouteFaultCode.duplicatePath, place, seen, allowed: "each path once", hint });
      continue;
    }
    earlierKeys.set(path, key);
    routes.push({ path, key, alternatives });
  }
  if (Object.keys(paths).length === 0) {
    const hint = 'give it a route, such as { "/": "web" }, or remove it';
    faults.push({
      code: RouteFaultCode.emptySite,
      place: sitePlace,
      seen: "no routes",
      allowed: "at least one path",
      hint,
    });
  }
  return routes;
}
