/**
 * Owns the account of a decision: the same steps as `RouteTable.route`, told one by one, for `tideway explain`. It asks
 * the same functions, so that the account and the decision cannot differ.
 */
import { type ConditionStep, explainConditions } from "./conditions.ts";
import { HostForm, type HostKey, normalHost } from "./host.ts";
import { isBelow } from "./paths.ts";
import { forwardedPath } from "./rewriting.ts";
import {
  candidates,
  type PathEntry,
  type PathRoutes,
  type RoutedHead,
  type RouteMatch,
  type RouteMiss,
  type RouteTable,
} from "./table.ts";

/** One step of a decision, in the order in which it was taken. */
export interface RouteStep {
  /** `route` is one of a path's alternatives; told where a path has several, or one with conditions. */
  readonly subject: "site" | "path" | "route" | "forward";
  /** The configuration's key; of a route its place in the list and its service; of `forward` the path that the service sees. */
  readonly key: string;
  readonly taken: boolean;
  readonly why: string;
  /** Of a route with conditions: each, with what was seen. */
  readonly conditions?: readonly ConditionStep[];
}

export interface RouteExplanation<O = unknown> {
  /** The host in the form that was compared. */
  readonly host: string;
  readonly port: number;
  readonly method: string;
  readonly path: string;
  readonly steps: readonly RouteStep[];
  readonly match: RouteMatch<O> | null;
  /** What the service sees of the path; null without a match. */
  readonly forwardedPath: string | null;
  /** Null with a match. */
  readonly miss: RouteMiss | null;
}

/**
 * The same decision as `table.route(head, port)`: every site that could have answered, every path of the one taken, every
 * alternative of the paths that were asked, and what becomes of the path.
 */
export function explainRoute<O>(table: RouteTable<O>, head: RoutedHead, port: number): RouteExplanation<O> {
  const host = normalHost(head.host);
  const steps: RouteStep[] = [];
  explainSites(table, host, port, steps);
  const match = table.route(head, port);
  const found = table.siteFor(host, port);
  if (found !== null) explainPaths(found.site.routes, found.tree.find(head.path), head, match, steps);
  if (match !== null) explainForward(match, head.path, steps);
  return {
    host,
    port,
    method: head.method,
    path: head.path,
    steps,
    match,
    forwardedPath: match === null ? null : forwardedPath(match, head.path),
    miss: match === null ? table.miss(head, port) : null,
  };
}

function explainSites<O>(table: RouteTable<O>, host: string, port: number, steps: RouteStep[]): void {
  const taken = table.siteFor(host, port)?.site ?? null;
  const told = new Set<string>();
  for (const candidate of candidates(host, port)) {
    const site = table.siteAt(candidate);
    if (site === null) continue;
    const why =
      site === taken ? formReason(site.key, host, port) : `matches too, but "${taken?.name}" is more specific`;
    steps.push({ subject: "site", key: site.name, taken: site === taken, why });
    told.add(site.name);
  }
  for (const site of table.sites) {
    if (told.has(site.name)) continue;
    steps.push({ subject: "site", key: site.name, taken: false, why: missReason(site.key, host, port) });
  }
}

function explainPaths<O>(
  all: readonly PathRoutes<O>[],
  longest: PathEntry<O> | null,
  head: RoutedHead,
  match: RouteMatch<O> | null,
  steps: RouteStep[],
): void {
  const asked = new Set<PathRoutes<O>>();
  let takenPath: PathRoutes<O> | null = null;
  for (let entry = longest; entry !== null && takenPath === null; entry = entry.shorter) {
    asked.add(entry.routes);
    if (entry.routes.alternatives.some((alternative) => alternative.match === match)) takenPath = entry.routes;
  }
  for (const routes of all.toSorted((a, b) => b.path.length - a.path.length)) {
    const taken = routes === takenPath;
    let why = `"${head.path}" does not lie below it`;
    if (taken)
      why = asked.size === 1 ? "the longest path that matches whole segments" : "the next shorter path that matches";
    else if (asked.has(routes))
      why = "matches, but the conditions of none of its routes are met: the next shorter path is asked";
    else if (isBelow(head.path, routes.path)) why = "matches too, but a longer path goes first";
    steps.push({ subject: "path", key: routes.key, taken, why });
    if (asked.has(routes)) explainAlternatives(routes, head, match, steps);
  }
}

function explainAlternatives<O>(
  { alternatives }: PathRoutes<O>,
  head: RoutedHead,
  match: RouteMatch<O> | null,
  steps: RouteStep[],
): void {
  if (alternatives.length === 1 && alternatives[0]!.conditions === null) return;
  let decided = false;
  for (const { conditions, match: route } of alternatives) {
    const taken = route === match;
    const key = `${route.alternative + 1}. ${route.service === "" ? "(answers by itself)" : route.service}`;
    if (decided) {
      steps.push({ subject: "route", key, taken, why: "not asked: an earlier one was taken" });
      continue;
    }
    decided = taken;
    if (conditions === null) {
      steps.push({ subject: "route", key, taken, why: "takes every request" });
      continue;
    }
    const told = explainConditions(conditions, head);
    const failed = told.filter(({ holds }) => !holds);
    const why =
      failed.length === 0
        ? "all its conditions are met"
        : failed.map(({ condition, seen }) => `not met: ${condition}; seen: ${seen}`).join("; ");
    steps.push({ subject: "route", key, taken, why, conditions: told });
  }
}

function explainForward<O>(match: RouteMatch<O>, path: string, steps: RouteStep[]): void {
  if (match.strip === "" && match.rewrite === "") return;
  const prefix = match.strip === "" ? "/" : match.strip;
  const why = match.rewrite === "" ? `without "${prefix}"` : `"${match.rewrite}" in place of "${prefix}"`;
  steps.push({ subject: "forward", key: forwardedPath(match, path), taken: true, why });
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
