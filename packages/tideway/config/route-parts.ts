/**
 * What a route says besides where it leads, compiled once: changes to fields, where a redirect leads, whom a maintenance
 * lets pass. Owns that each fault is found before anything runs.
 */
import { type AddressRanges, parseAddressRanges } from "@tideway/base";
import { compileRate } from "@tideway/engine/limiting";
import {
  type CompiledChanges,
  type CompiledLocation,
  compileFieldChanges,
  compileLocation,
  type Place,
  type RouteMatch,
  type RouteTable,
} from "@tideway/engine/routing";
import { formatPath, type Issue } from "./issues.ts";
import type { Route } from "./schema.ts";

export interface RouteParts {
  readonly request: CompiledChanges | null;
  readonly response: CompiledChanges | null;
  readonly location: Extract<CompiledLocation, { ok: true }> | null;
  /** Whom a maintenance lets pass; null for nobody. */
  readonly except: AddressRanges | null;
}

export type PartsByRoute = ReadonlyMap<RouteMatch<Route>, RouteParts>;

const plain: RouteParts = { request: null, response: null, location: null, except: null };

/** The parts of every route of a table. */
export function compileParts(table: RouteTable<Route>, issues: Issue[]): PartsByRoute {
  return new Map(
    table
      .matches()
      .map((match) => [match, match.options === null ? plain : partsOf(match.options, match.place, issues)]),
  );
}

function partsOf(route: Route, place: Place, issues: Issue[]): RouteParts {
  const { request, response, redirect, maintenance, limits } = route;
  if (limits?.rate !== undefined) take(compileRate(limits.rate, [...place, "limits", "rate"]), issues);
  const except = typeof maintenance === "object" ? parseAddressRanges(maintenance.except ?? []) : null;
  return {
    request:
      request === undefined ? null : take(compileFieldChanges(request, "request", [...place, "request"]), issues),
    response:
      response === undefined ? null : take(compileFieldChanges(response, "response", [...place, "response"]), issues),
    location: redirect === undefined ? null : take(compileLocation(redirect, [...place, "redirect"]), issues),
    except: except?.ok === true && except.ranges.count > 0 ? except.ranges : null,
  };
}

interface PlacedFault {
  readonly place: Place;
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

type Compiled = { readonly ok: true } | { readonly ok: false; readonly faults: readonly PlacedFault[] };

function take<R extends Compiled>(result: R, issues: Issue[]): Extract<R, { ok: true }> | null {
  if (result.ok) return result as Extract<R, { ok: true }>;
  for (const { place, seen, allowed, hint } of result.faults) {
    issues.push({ path: formatPath(place), seen, allowed, hint });
  }
  return null;
}
