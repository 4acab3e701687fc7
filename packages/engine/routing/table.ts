/**
 * Owns the decision host + port + path + head → route. Precedence of sites: the exact host, then `*.suffix` (longest suffix
 * first), then `*`; of two keys for the same host, the one bound to the listener's port. The first site that matches
 * decides: a path it lacks is not looked for in another. Within it the longest path goes first, its alternatives in the
 * order in which they are written, then the next shorter path. Refuses to know what a service is.
 */
import type { AnswerErrorCode } from "@tideway/base";
import { type ConditionedHead, type Conditions, methodHolds, restHolds } from "./conditions.ts";
import { HostForm, type HostKey, normalHost } from "./host.ts";
import { PathTree } from "./paths.ts";
import type { PathChange } from "./rewriting.ts";

/** Where a request goes. One object per configured route, so that callers may key a Map by it. */
export interface RouteMatch<O = unknown> extends PathChange {
  /** Site and path as they stand in the configuration. */
  readonly site: string;
  readonly path: string;
  /** The keys that lead to this route in the configuration. */
  readonly place: readonly (string | number)[];
  /** Which of the path's alternatives, from 0. */
  readonly alternative: number;
  /** Empty when the route answers by itself, by what `options` say. */
  readonly service: string;
  /** The Route object as configured; null where only a service's name stands. */
  readonly options: O | null;
}

/** What `route` looks at: a RequestHead fits. */
export interface RoutedHead extends ConditionedHead {
  /** As the parser made it: lower case, without port; IPv6 in brackets. */
  readonly host: string;
  /** As the parser normalised it. */
  readonly path: string;
}

/** Why there is no route, by the code of the answer: 421 unknown host, 404 unknown path, 405 only the method is wrong. */
export interface RouteMiss {
  readonly code: Extract<AnswerErrorCode, "HTTP_NO_SITE" | "HTTP_NOT_FOUND" | "HTTP_METHOD">;
  /** For `Allow` of a 405: the methods with which this request would have a route. Empty for the others. */
  readonly allow: readonly string[];
}

export interface Alternative<O> {
  /** Null when it takes every request. */
  readonly conditions: Conditions | null;
  readonly match: RouteMatch<O>;
}

export interface PathRoutes<O> {
  /** In normal form. */
  readonly path: string;
  /** The same as it stands in the configuration. */
  readonly key: string;
  readonly alternatives: readonly Alternative<O>[];
}

export interface SiteRoutes<O> {
  readonly name: string;
  readonly key: HostKey;
  readonly routes: readonly PathRoutes<O>[];
}

/** What the tree holds for a path. */
export interface PathEntry<O> {
  readonly routes: PathRoutes<O>;
  /** The first alternative, when it takes every request: the decision without a look at the head. */
  readonly only: RouteMatch<O> | null;
  /** The next shorter path of the same site that takes whatever this one does. */
  readonly shorter: PathEntry<O> | null;
}

export interface CompiledSite<O> {
  readonly site: SiteRoutes<O>;
  readonly tree: PathTree<PathEntry<O>>;
}

/** Hosts are the client's to invent: over this many remembered ones, all are forgotten. */
const rememberedHostsMax = 1024;

export class RouteTable<O = unknown> {
  readonly #sites = new Map<string, CompiledSite<O>>();
  readonly #all: readonly SiteRoutes<O>[];
  readonly #remembered = new Map<number, Map<string, CompiledSite<O> | null>>();
  #rememberedCount = 0;

  /** `sites` were validated: see `compileRoutes`. */
  constructor(sites: readonly SiteRoutes<O>[]) {
    this.#all = sites;
    for (const site of sites) this.#sites.set(slot(site.key), { site, tree: treeOf(site) });
  }

  /** Every configured route, so that a caller can prepare what answers it. */
  matches(): RouteMatch<O>[] {
    return this.#all.flatMap((site) => site.routes.flatMap((path) => path.alternatives.map(({ match }) => match)));
  }

  /** The sites in the order of the configuration. */
  get sites(): readonly SiteRoutes<O>[] {
    return this.#all;
  }

  /** The route for a request that came to the listener's `port`, or null: then `miss` says why. */
  route(head: RoutedHead, port: number): RouteMatch<O> | null {
    const site = this.siteFor(head.host, port);
    if (site === null) return null;
    const entry = site.tree.find(head.path);
    return entry === null ? null : (entry.only ?? decide(entry, head));
  }

  /** Only for a request that `route` had nothing for. */
  miss(head: RoutedHead, port: number): RouteMiss {
    const site = this.siteFor(head.host, port);
    if (site === null) return { code: "HTTP_NO_SITE", allow: [] };
    const allow = new Set<string>();
    for (let entry = site.tree.find(head.path); entry !== null; entry = entry.shorter) {
      for (const { conditions } of entry.routes.alternatives) {
        if (conditions === null || conditions.methods === null || !restHolds(conditions, head)) continue;
        for (const method of conditions.methods) allow.add(method);
      }
    }
    return allow.size > 0 ? { code: "HTTP_METHOD", allow: [...allow] } : { code: "HTTP_NOT_FOUND", allow: [] };
  }

  /** The key of the site that answers for this host on this port; null when none does. */
  siteOf(host: string, port: number): string | null {
    return this.siteFor(host, port)?.site.name ?? null;
  }

  /** For `explain`: the site with its paths. */
  siteFor(host: string, port: number): CompiledSite<O> | null {
    const known = this.#remembered.get(port)?.get(host);
    return known === undefined ? this.#decideSite(host, port) : known;
  }

  /** For `explain`: the site of exactly this key. */
  siteAt(key: HostKey): SiteRoutes<O> | null {
    return this.#sites.get(slot(key))?.site ?? null;
  }

  #decideSite(host: string, port: number): CompiledSite<O> | null {
    let found: CompiledSite<O> | null = null;
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
}

/** Shorter paths first, so that each longer one finds the next shorter in the tree. */
function treeOf<O>(site: SiteRoutes<O>): PathTree<PathEntry<O>> {
  const tree = new PathTree<PathEntry<O>>();
  for (const routes of site.routes.toSorted((a, b) => a.path.length - b.path.length)) {
    const first = routes.alternatives[0];
    const only = first?.conditions === null ? first.match : null;
    tree.add(routes.path, { routes, only, shorter: tree.find(routes.path) });
  }
  return tree;
}

function decide<O>(longest: PathEntry<O>, head: RoutedHead): RouteMatch<O> | null {
  for (let entry: PathEntry<O> | null = longest; entry !== null; entry = entry.shorter) {
    const { alternatives } = entry.routes;
    for (let i = 0; i < alternatives.length; i++) {
      const { conditions, match } = alternatives[i]!;
      if (conditions === null || (methodHolds(conditions, head.method) && restHolds(conditions, head))) return match;
    }
  }
  return null;
}

/** Every key that could name this host, most specific first. */
export function* candidates(host: string, port: number): Generator<HostKey> {
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
