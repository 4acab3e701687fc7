/** What the tests of routing share: a context, tables from a few lines, and heads of requests. */
import assert from "node:assert/strict";
import { compileRoutes, type RouteContext, type RouteOptions, type SitesSpec } from "./index.ts";
import type { RoutedHead, RouteTable } from "./table.ts";

export const context: RouteContext = {
  services: new Set(["web", "api", "docs", "pics", "live", "ping", "admin"]),
  ports: new Set([80, 7777, 8080]),
};

export function table<O extends RouteOptions>(sites: SitesSpec<O>, more: Partial<RouteContext> = {}): RouteTable<O> {
  const result = compileRoutes(sites, { ...context, ...more });
  assert.ok(result.ok, JSON.stringify(result));
  return result.table;
}

/** Code and place of each; that each says what was seen, what is allowed and a way out is checked on the way. */
export function faults(sites: SitesSpec, more: Partial<RouteContext> = {}): { code: string; place: string }[] {
  const result = compileRoutes(sites, { ...context, ...more });
  assert.ok(!result.ok, "faults were expected");
  for (const fault of result.faults) {
    assert.notEqual(fault.seen, "");
    assert.notEqual(fault.allowed, "");
    assert.notEqual(fault.hint, "");
  }
  return result.faults.map((fault) => ({ code: fault.code, place: fault.place.join(" > ") }));
}

/** A request: GET without query and fields, unless `more` says otherwise. */
export function request(host: string, path: string, more: Partial<RoutedHead> = {}): RoutedHead {
  return { method: "GET", host, path, query: "", fields: [], ...more };
}

export const contract: SitesSpec = {
  "www.abc.test": { "/": "web", "/db": "api", "/files": "docs", "/images": "pics", "/socket.io": "live" },
  "www.abc.test:8080": { "/": "docs" },
  "*.abc.test": { "/": "web" },
  "*": { "/": "ping" },
};
