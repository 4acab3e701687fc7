/**
 * Owns the decision host + port + path → route. Precedence of sites: the exact host, then `*.suffix` (longest suffix
 * first), then `*`; of two keys for the same host, the one bound to the listener's port. The first site that matches
 * decides: a path it lacks is not looked for in another. Refuses to know what a service is.
 */
import { HostForm, type HostKey, normalHost } from "./host.ts";
import { isBelow, PathTree } from "./paths.ts";

/** Where a request goes. One object per configured route, so that callers may key a Map by it. */
export interface RouteMatch {
  /** Site and path as they stand in the configuration. */
  readonly site: string;
  readonly path: string;
  readonly service: string;
  /** The prefix to remove before forwarding; empty for none. */
  readonly strip: string;
}

export interface PathRoute {
  /** In normal form. */
  readonly path: string;
  readonly match: RouteMatch;
}

export interface SiteRoutes {
  readonly name: string;
  readonly key: HostKey;
  readonly routes: readonly PathRoute[];
}

/** One step of a decision, in the order in which it was taken. */
export interface RouteStep {
  readonly subject: "site" | "path";
  /** The configuration's key. */
  readonly key: string;
  readonly taken: boolean;
  readonly why: string;
}

export interface RouteExplanation {
  /** The host in the form that was compared. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly steps: readonly RouteStep[];
  readonly match: RouteMatch | null;
}

interface CompiledSite {
  readonly site: SiteRoutes;
  readonly tree: PathTree<RouteMatch>;
}

/** Hosts are the client's to invent: over this many remembered ones, all are forgotten. */
const rememberedHostsMax = 1024;

export class RouteTable {
  readonly #sites = new Map<string, CompiledSite>();
  readonly #all: readonly SiteRoutes[];
  readonly #remembered = new Map<number, Map<string, CompiledSite | null>>();
  #rememberedCount = 0;

  /** `sites` were validated: see `compileRoutes`. */
  constructor(sites: readonly SiteRoutes[]) {
    this.#all = sites;
    for (const site of sites) {
      const tree = new PathTree<RouteMatch>();
      for (const route of site.routes) tree.add(route.path, route.match);
      this.#sites.set(slot(site.key), { site, tree });
    }
  }

  /** Every configured route, so that a caller can prepare what answers it. */
  matches(): RouteMatch[] {
    return this.#all.flatMap((site) => site.routes.map((route) => route.match));
  }

  /** The route for a request, or null: then `siteOf` says whether the host (421) or the path (404) is unknown. */
  route(host: string, port: number, path: string): RouteMatch | null {
    const found = this.#siteFor(host, port);
    return found === null ? null : found.tree.find(path);
  }

  /** The key of the site that answers for this host on this port; null when none does. */
  siteOf(host: string, port: number): string | null {
    return this.#siteFor(host, port)?.site.name ?? null;
  }

  #siteFor(host: string, port: number): CompiledSite | null {
    const known = this.#remembered.get(port)?.get(host);
    return known === undefined ? this.#decide(host, port) : known;
  }

  #decide(host: string, port: number): CompiledSite | null {
    let found: CompiledSite | null = null;
    for (const candidate of candidates(normalHost(host), port)) {
      found = this.#sites.get(slot(candidate)) ?? null;
      if (found !== null) break;
    }
    if (this.#rememberedCount >= rememberedHostsMax) {
      this.#remembered.clear();
      this.#rememberedCount = 0;
    }
    let ofPort = this.#remembered.get(port);
    if (ofPort === undefined) {
      ofPort = new Map();
      this.#remembered.set(port, ofPort);
    }
    ofPort.set(host, found);
    this.#rememberedCount++;
    return found;
  }

  /** The same decision as `route`, told step by step: every site that could have answered, then every path of the one taken. */
  explain(host: string, port: number, path: string): RouteExplanation {
    const normal = normalHost(host);
    const found = this.#siteFor(host, port);
    const match = found === null ? null : found.tree.find(path);
    const steps: RouteStep[] = [];
    for (const candidate of candidates(normal, port)) {
      const site = this.#sites.get(slot(candidate))?.site;
      if (site === undefined) continue;
      const taken = site === found?.site;
      const why = taken
        ? formReason(site.key, normal, port)
        : `matches too, but "${found?.site.name}" is more specific`;
      steps.push({ subject: "site", key: site.name, taken, why });
    }
    for (const site of this.#all) {
      if (steps.some((step) => step.key === site.name)) continue;
      steps.push({ subject: "site", key: site.name, taken: false, why: missReason(site.key, normal, port) });
    }
    if (found !== null) explainPaths(found.site, path, match, steps);
    return { host: normal, port, path, steps, match };
  }
}

function explainPaths(site: SiteRoutes, path: string, match: RouteMatch | null, steps: RouteStep[]): void {
  const longestFirst = [...site.routes].sort((a, b) => b.path.length - a.path.length);
  for (const route of longestFirst) {
    const taken = route.match === match;
    let why = `"${path}" does not lie below it`;
    if (taken) why = "the longest path that matches whole segments";
    else if (isBelow(path, route.path)) why = "matches too, but a longer path goes first";
    steps.push({ subject: "path", key: route.match.path, taken, why });
  }
}

/** Every key that could name this host, most specific first. */
function* candidates(host: string, port: number): Generator<HostKey> {
  yield { form: HostForm.exact, host, port };
  yield { form: HostForm.exact, host, port: 0 };
  if (!host.startsWith("[")) {
    for (let dot = host.indexOf("."); dot >= 0; dot = host.indexOf(".", dot + 1)) {
      const suffix = host.slice(dot + 1);
      yield { form: HostForm.suffix, host: suffix, port };
      yield { form: HostForm.suffix, host: suffix, port: 0 };
    }
  }
  yield { form: HostForm.any, host: "", port };
  yield { form: HostForm.any, host: "", port: 0 };
}

/** Two keys with one slot are duplicates. */
export function slot(key: HostKey): string {
  return `${key.form} ${key.host} ${key.port}`;
}

function formReason(key: HostKey, host: string, port: number): string {
  const bound = key.port === 0 ? "" : ` on port ${port}`;
  if (key.form === HostForm.exact) return `names ${host}${bound} exactly`;
  if (key.form === HostForm.suffix) return `takes every host below ${key.host}${bound}; no more specific site matches`;
  return `takes every host${bound}; no more specific site matches`;
}

function missReason(key: HostKey, host: string, port: number): string {
  if (key.port !== 0 && key.port !== port) return `is bound to port ${key.port}, the request came to ${port}`;
  if (key.form === HostForm.suffix)
    return host === key.host ? "takes hosts below the suffix, not the suffix itself" : "another suffix";
  return "another host";
}
