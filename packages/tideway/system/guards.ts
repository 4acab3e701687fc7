/**
 * What stands between a request and the target of its route: changes to every answer, maintenance, rate, requests at once, the
 * body's size, compression. Owns their order; a route that asks for none of it has its target and nothing else before it.
 */
import type { Exchange, GuardedExchange, Target } from "@tideway/base";
import { loopClock } from "@tideway/edge/clock";
import type { Compression } from "@tideway/edge/compression";
import { compileRate, type RateLimit, RequestsBound } from "@tideway/engine/limiting";
import { type CompiledChanges, placeholderValues, type RouteMatch } from "@tideway/engine/routing";
import type { Plan, Route, RouteParts } from "../config/index.ts";
import { answerError, fixedAnswer } from "./answers.ts";

export interface RouteTarget {
  handle(exchange: GuardedExchange): void;
}

/** False: it has answered, or refused; the request goes no further. */
type Guard = (exchange: GuardedExchange) => boolean;

/** What routes count, by route: those that a new configuration leaves as they are go on counting. */
export class RouteStates {
  #kept = new Map<string, RateLimit | RequestsBound>();
  #next = new Map<string, RateLimit | RequestsBound>();

  /** A new configuration is looked at; one before it that did not come to hold is forgotten. */
  begin(): void {
    this.#next = new Map();
  }

  /** The one of before, or a new one. */
  take<S extends RateLimit | RequestsBound>(key: string, create: () => S): S {
    const state = (this.#next.get(key) ?? this.#kept.get(key) ?? create()) as S;
    this.#next.set(key, state);
    return state;
  }

  /** The new configuration holds: what it does not name is forgotten. */
  settle(): void {
    this.#kept = this.#next;
  }
}

/** What the routes of one table have in common. */
export interface Surroundings {
  readonly plan: Plan;
  readonly states: RouteStates;
  /** The listener whose own sites they are; empty for the sites of all. Two listeners with the same path do not share its bounds. */
  readonly listener: string;
  readonly compression: Compression;
}

export function guarded(
  match: RouteMatch<Route>,
  parts: RouteParts,
  target: Target,
  surroundings: Surroundings,
): RouteTarget {
  const { compression } = surroundings;
  const label = labelOf(match);
  const guards = guardsOf(match, parts, surroundings);
  const compress = match.options?.compress === true;
  if (guards.length === 0 && !compress) {
    return {
      handle(exchange) {
        exchange.route = label;
        target.handle(exchange);
      },
    };
  }
  return {
    handle(exchange) {
      exchange.route = label;
      for (let i = 0; i < guards.length; i++) if (!guards[i]!(exchange)) return;
      target.handle(compress ? compression.wrap(exchange) : exchange);
    },
  };
}

/** What the access log and the counters call a route: as it is configured, so that no client can invent one. */
export function labelOf({ site, path }: RouteMatch<Route>): string {
  return site + path;
}

function guardsOf(match: RouteMatch<Route>, parts: RouteParts, { plan, states, listener }: Surroundings): Guard[] {
  const { maintenance, limits } = match.options ?? {};
  const guards: Guard[] = [];
  const key = JSON.stringify([match.site, match.path, match.alternative, listener, limits]);
  // Refusals are the route's answers, too: a page elsewhere reads a 429 only with the fields of CORS.
  if (parts.response !== null) guards.push(responseGuard(parts.response, match.service));
  if (maintenance !== undefined && maintenance !== false) guards.push(maintenanceGuard(maintenance, parts));
  if (limits?.rate !== undefined) {
    const { rate } = limits;
    guards.push(rateGuard(states.take(`rate ${key}`, () => rateOf(rate, match))));
  }
  if (limits?.requestsMax !== undefined) {
    const { requestsMax } = limits;
    guards.push(requestsGuard(states.take(`requests ${key}`, () => new RequestsBound(requestsMax))));
  }
  const bodyBytesMax = limits?.bodyBytesMax ?? plan.limits.bodyBytesMax;
  if (bodyBytesMax !== undefined) guards.push(bodyGuard(bodyBytesMax));
  return guards;
}

function maintenanceGuard(
  maintenance: Exclude<Route["maintenance"], undefined | false>,
  { except }: RouteParts,
): Guard {
  const own = maintenance === true ? null : ownWords(maintenance);
  const retryAfter = maintenance === true ? undefined : maintenance.retryAfterSeconds;
  return (exchange) => {
    if (except?.has(exchange.client.address)) return true;
    if (own === null) answerError(exchange, "HTTP_MAINTENANCE", "", [], retryAfter);
    else own.handle(exchange);
    return false;
  };
}

/** Null where our own page will do. */
function ownWords({ status, body, type, retryAfterSeconds }: Exclude<Route["maintenance"], undefined | boolean>) {
  if (body === undefined && status === 503) return null;
  const fields = ["cache-control", "no-store"];
  if (retryAfterSeconds > 0) fields.push("retry-after", String(retryAfterSeconds));
  return fixedAnswer("", { status, body: body ?? "", type }, fields);
}

function rateOf(spec: NonNullable<NonNullable<Route["limits"]>["rate"]>, { place }: RouteMatch<Route>): RateLimit {
  const compiled = compileRate(spec, place);
  if (!compiled.ok) throw new Error("the configuration was checked");
  return compiled.rate;
}

function rateGuard(rate: RateLimit): Guard {
  return (exchange) => {
    const decision = rate.decide(exchange.head, exchange.client.address, loopClock.now());
    if (!decision.allowed) {
      answerError(exchange, "HTTP_TOO_MANY", "", rate.refusalFields(decision));
      return false;
    }
    exchange.append("ratelimit-policy", rate.policy);
    exchange.append("ratelimit", rate.field(decision));
    return true;
  };
}

function requestsGuard(bound: RequestsBound): Guard {
  const leave = (): void => bound.leave();
  return (exchange) => {
    if (!bound.enter()) {
      answerError(exchange, "HTTP_BUSY");
      return false;
    }
    exchange.whenOver(leave);
    return true;
  };
}

/** A body that is announced as too large is refused before anybody sees the request. */
function bodyGuard(bytesMax: number): Guard {
  return (exchange) => {
    exchange.limitBody(bytesMax);
    return exchange.head.bodyLength <= bytesMax;
  };
}

function responseGuard(changes: CompiledChanges, service: string): Guard {
  return (exchange) => {
    exchange.rewrite((_, fields) => changes.apply(fields, valuesFor(changes, exchange, service)));
    return true;
  };
}

/** What placeholders stand for, where there are any. */
export function valuesFor(changes: CompiledChanges, exchange: Exchange, service: string) {
  return changes.fixed ? null : placeholderValues(exchange, service);
}
