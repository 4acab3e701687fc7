/**
 * Where requests go: for each listener its route table, and for each route what answers it with what stands before it.
 * Made anew for each configuration; what counts (rates, requests under way) is taken over by routes that are the same.
 */
import { isDeepStrictEqual } from "node:util";
import type { GuardedExchange } from "@tideway/base";
import type { RouteMatch, RouteTable } from "@tideway/engine/routing";
import type { HttpListenerPlan, Plan, Route } from "../config/index.ts";
import type { Change, RouteReport } from "../console/index.ts";
import { answerMiss } from "./answers.ts";
import { guarded, labelOf, RouteStates, type RouteTarget } from "./guards.ts";
import { type Dispatcher, type Dispatchers, keyOf } from "./listeners.ts";
import { RouteTargets, type TargetSources } from "./targets.ts";

export class Routers {
  readonly #sources: TargetSources;
  readonly #states = new RouteStates();
  #plan: Plan | null = null;

  constructor(sources: TargetSources) {
    this.#sources = sources;
  }

  /** Of a plan that is to hold; `commit` says that it does. Listeners that share their sites share a router. */
  prepare(plan: Plan): Dispatchers {
    this.#states.begin();
    const targets = new RouteTargets(plan, this.#sources);
    const byTable = new Map<RouteTable<Route>, Router>();
    const dispatchers = new Map<HttpListenerPlan, Dispatcher>();
    for (const entry of plan.http) {
      let router = byTable.get(entry.routes);
      if (router === undefined) {
        const listener = entry.hasOwnSites ? keyOf(entry) : "";
        const surroundings = { plan, states: this.#states, listener, compression: this.#sources.compression };
        const handlers = new Map<RouteMatch<Route>, RouteTarget>();
        for (const match of entry.routes.matches()) {
          const parts = entry.parts.get(match)!;
          const target = targets.target(match, parts);
          handlers.set(match, guarded(match, parts, target, surroundings));
        }
        router = new Router(entry.routes, handlers);
        byTable.set(entry.routes, router);
      }
      dispatchers.set(entry, router);
    }
    return dispatchers;
  }

  commit(plan: Plan, changes: Change[]): void {
    this.#states.settle();
    const before = this.#plan === null ? new Map<string, unknown>() : routesOf(this.#plan);
    const after = routesOf(plan);
    this.#plan = plan;
    if (before.size === 0) return;
    for (const [name, route] of after) {
      if (!before.has(name)) changes.push({ what: "routes", name, how: "added" });
      else if (!isDeepStrictEqual(before.get(name), route)) changes.push({ what: "routes", name, how: "changed" });
    }
    for (const name of before.keys()) if (!after.has(name)) changes.push({ what: "routes", name, how: "removed" });
  }

  /** The routes as records name them. */
  labels(): Set<string> {
    return new Set((this.#plan?.http ?? []).flatMap(({ routes }) => routes.matches().map(labelOf)));
  }

  report(): RouteReport[] {
    const http = this.#plan?.http ?? [];
    const distinct = http.filter((entry, at) => http.findIndex((other) => other.routes === entry.routes) === at);
    return distinct.flatMap(({ routes, hasOwnSites, host, port }) =>
      routes.matches().map(({ site, path, service, options }): RouteReport => {
        const when = whenOf(options?.when);
        return {
          ...(hasOwnSites ? { listener: `${host}:${port}` } : {}),
          site,
          path,
          ...(when === "" ? {} : { when }),
          service: service === "" ? (options?.redirect ?? "a fixed answer") : service,
        };
      }),
    );
  }
}

/** Conditions in a few words: `POST, x-beta, no x-old, ?v=2`. */
function whenOf({ method, header = {}, query = {} }: NonNullable<Route["when"]> = {}): string {
  type Test = (typeof header)[string];
  const said = (name: string, test: Test, between: string) => {
    if (typeof test === "boolean") return test ? name : `no ${name}`;
    return `${name}${between}${typeof test === "string" ? test : `/${test.matches}/`}`;
  };
  return [
    ...(method === undefined ? [] : [[method].flat().join(" or ")]),
    ...Object.entries(header).map(([name, test]) => said(name, test, ": ")),
    ...Object.entries(query).map(([name, test]) => said(`?${name}`, test, "=")),
  ].join(", ");
}

/** Every route by where it stands, with all that it says. */
function routesOf(plan: Plan): Map<string, unknown> {
  const routes = new Map<string, unknown>();
  for (const entry of plan.http) {
    const listener = plan.http.length === 1 ? "" : `${entry.host}:${entry.port} `;
    for (const { site, path, alternative, options, service } of entry.routes.matches()) {
      const own = plan.services.get(service);
      // What a service without instances says is all of the route: of those with some, the service tells its changes.
      const answer = own === undefined || own.kind === "command" || own.kind === "upstreams" ? service : own;
      routes.set(`${listener}${site}${path}${alternative === 0 ? "" : ` [${alternative}]`}`, { options, answer });
    }
  }
  return routes;
}

class Router implements Dispatcher {
  readonly #table: RouteTable<Route>;
  readonly #targets: ReadonlyMap<RouteMatch<Route>, RouteTarget>;

  constructor(table: RouteTable<Route>, targets: ReadonlyMap<RouteMatch<Route>, RouteTarget>) {
    this.#table = table;
    this.#targets = targets;
  }

  dispatch(exchange: GuardedExchange): void {
    const { head } = exchange;
    const port = exchange.client.localPort;
    const match = this.#table.route(head, port);
    if (match === null) answerMiss(exchange, this.#table.miss(head, port));
    else this.#targets.get(match)!.handle(exchange);
  }
}
