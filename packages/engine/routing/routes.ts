/**
 * Owns what may stand at a path: a service's name, a Route object, or a list of them, and what each means. A Route's keys
 * that are not of routing are carried along unread: whoever wires makes a target of them.
 */
import { type ConditionSpec, type Conditions, compileConditions } from "./conditions.ts";
import { list, type Place, quoted, type RouteFault, RouteFaultCode } from "./faults.ts";
import { pathChange } from "./rewriting.ts";
import type { Alternative } from "./table.ts";

/** The keys of a Route object that routing reads. */
export interface RouteOptions {
  /** A service's name. Left out by a route that answers by itself: see `RouteContext.answers`. */
  readonly to?: string | undefined;
  /** Remove the matched prefix before forwarding. */
  readonly strip?: boolean | undefined;
  /** Put this path in the place of the matched prefix. */
  readonly rewrite?: string | undefined;
  /** The route takes only requests that meet these. */
  readonly when?: ConditionSpec | undefined;
}

/** What may stand at a path. Of a list the first takes the request whose conditions it meets. */
export type RouteSpec<O extends RouteOptions = RouteOptions> = string | O | readonly (string | O)[];

/** What the rest of the configuration defines; a name or port outside it is a fault. */
export interface RouteContext {
  readonly services: ReadonlySet<string>;
  /** The ports that a site may be bound to: of the listeners that these sites are for. */
  readonly ports: ReadonlySet<number>;
  /** Where the sites stand in the configuration, such as `["listen", 2, "sites"]`; `["sites"]` unless given. */
  readonly place?: Place | undefined;
  /** Keys of a Route object that answer by themselves, without a service, such as `redirect`; none unless given. */
  readonly answers?: ReadonlySet<string> | undefined;
}

/** A path of a site, with where it stands. */
export interface PathPlace {
  readonly site: string;
  /** As configured. */
  readonly key: string;
  /** In normal form. */
  readonly path: string;
  readonly place: Place;
}

/** The alternatives of one path; every fault is reported. */
export function readRoutes<O extends RouteOptions>(
  at: PathPlace,
  spec: RouteSpec<O>,
  context: RouteContext,
  faults: RouteFault[],
): Alternative<O>[] {
  const given = isList(spec) ? spec : [spec];
  const alternatives: Alternative<O>[] = [];
  let unreachable = false;
  for (const [index, each] of given.entries()) {
    const place = isList(spec) ? [...at.place, index] : at.place;
    if (unreachable) {
      const allowed = "a route without `when` only as the last";
      const hint = "give the earlier one a condition, put it last, or remove this one";
      const seen = "a route behind one that takes every request";
      faults.push({ code: RouteFaultCode.unreachableRoute, place, seen, allowed, hint });
    }
    const alternative = readRoute(at, each, index, place, context, faults);
    if (alternative === null) continue;
    alternatives.push(alternative);
    unreachable ||= alternative.conditions === null;
  }
  if (given.length === 0) {
    const hint = "name a service, or remove the path";
    faults.push({ code: RouteFaultCode.emptyPath, place: at.place, seen: "[]", allowed: "at least one route", hint });
  }
  return alternatives;
}

function isList<O extends RouteOptions>(spec: RouteSpec<O>): spec is readonly (string | O)[] {
  return Array.isArray(spec);
}

function readRoute<O extends RouteOptions>(
  at: PathPlace,
  spec: string | O,
  alternative: number,
  place: Place,
  context: RouteContext,
  faults: RouteFault[],
): Alternative<O> | null {
  const before = faults.length;
  const options = typeof spec === "string" ? null : spec;
  const service = typeof spec === "string" ? spec : readService(spec, place, context, faults);
  if (service !== null && !context.services.has(service)) {
    const allowed = `a service of this configuration: ${list([...context.services])}`;
    const hint = "correct the name, or add the service to `services`";
    faults.push({ code: RouteFaultCode.unknownService, place, seen: quoted(service), allowed, hint });
  }
  const change = pathChange(at.path, options?.strip === true, options?.rewrite);
  if ("hint" in change) {
    const seen = options?.strip === true ? "both" : quoted(options?.rewrite);
    faults.push({ code: RouteFaultCode.badRewrite, place: [...place, "rewrite"], seen, ...change });
  }
  let conditions: Conditions | null = null;
  if (options?.when !== undefined) conditions = compileConditions(options.when, [...place, "when"], faults);
  if (faults.length > before || "hint" in change) {
    // Reachability is judged all the same: what has conditions, even faulty ones, does not take every request.
    return null;
  }
  const { site, key } = at;
  return { conditions, match: { site, path: key, place, alternative, service: service ?? "", options, ...change } };
}

/** The service that a Route object names; null when it answers by itself or when a fault was reported. */
function readService(spec: RouteOptions, place: Place, context: RouteContext, faults: RouteFault[]): string | null {
  const own = [...(context.answers ?? [])].filter((key) => (spec as Record<string, unknown>)[key] !== undefined);
  const said = spec.to === undefined ? own : ["to", ...own];
  const allowed = ["to", ...(context.answers ?? [])].map((key) => `\`${key}\``).join(" or ");
  if (said.length === 0) {
    const hint = 'name the service that answers: { to: "web" }';
    faults.push({ code: RouteFaultCode.noService, place, seen: "a route that leads nowhere", allowed, hint });
  } else if (said.length > 1) {
    const hint = "keep the one that should answer";
    const seen = said.map((key) => `\`${key}\``).join(" and ");
    faults.push({ code: RouteFaultCode.twoAnswers, place, seen, allowed: `one of ${allowed}`, hint });
    return null;
  }
  return spec.to ?? null;
}
