/**
 * Cross-origin rules: the fields of CORS (Fetch standard, §3.2) in the shape that the npm package `cors` gives them,
 * and the check of Origin that browsers cannot be trusted to make for WebSockets.
 */
import type { FieldList } from "@tideway/base";
import type { CookieOptions, CorsOptions, OriginRule, Settings } from "./options.ts";

/** The rule for a request, once a function among the options has spoken. False: CORS is off for it. */
export function resolveCors(cors: CorsOptions, origin: string | undefined, then: (rule: OriginRule) => void): void {
  const rule = cors.origin ?? "*";
  if (typeof rule !== "function") {
    then(rule);
    return;
  }
  let answered = false;
  rule(origin, (error, allowed = false) => {
    if (answered) return;
    answered = true;
    then(error ? false : allowed);
  });
}

/** What CORS says to one request, when the rule for it is known: `preflight` is null unless it is one, which that answers. */
export function answerCors(
  cors: CorsOptions,
  rule: OriginRule,
  { method, origin, requested }: { method: string; origin: string | undefined; requested: string | undefined },
): { fields: FieldList; preflight: FieldList | null; allowed: boolean } {
  const allowed = origin !== undefined && rule !== false && (rule === "*" || matches(rule, origin));
  const preflight = method === "OPTIONS" ? preflightFields(cors, rule, origin, requested) : null;
  return { fields: corsFields(cors, rule, origin), preflight, allowed };
}

/** Fields of an actual answer. */
export function corsFields(cors: CorsOptions, rule: OriginRule, origin: string | undefined): FieldList {
  const fields = originFields(rule, origin);
  if (cors.credentials === true) fields.push("access-control-allow-credentials", "true");
  pushList(fields, "access-control-expose-headers", cors.exposedHeaders);
  return fields;
}

/** Fields of the answer to a preflight request. `requested` is its Access-Control-Request-Headers. */
export function preflightFields(
  cors: CorsOptions,
  rule: OriginRule,
  origin: string | undefined,
  requested: string | undefined,
): FieldList {
  const fields = originFields(rule, origin);
  if (cors.credentials === true) fields.push("access-control-allow-credentials", "true");
  pushList(fields, "access-control-allow-methods", cors.methods ?? "GET,HEAD,PUT,PATCH,POST,DELETE");
  if (cors.allowedHeaders === undefined) fields.push("vary", "Access-Control-Request-Headers");
  pushList(fields, "access-control-allow-headers", cors.allowedHeaders ?? requested);
  if (cors.maxAge !== undefined) fields.push("access-control-max-age", String(cors.maxAge));
  pushList(fields, "access-control-expose-headers", cors.exposedHeaders);
  return fields;
}

/** Whether the page that sent this request may open a session here. */
export function isOriginAllowed(
  settings: Settings,
  rule: OriginRule,
  origin: string | undefined,
  authority: string,
): boolean {
  if (origin === undefined || settings.origins === "any") return true;
  if (!settings.originsFixed && (rule === "*" || (rule !== false && matches(rule, origin)))) return true;
  if (settings.origins === "same") return isSameHost(origin, authority);
  return settings.origins.includes(origin);
}

/**
 * What CORS says where nobody configured it, for requests that pages can only make with it: pages that may connect may read
 * the answers too. Those of listed origins with cookies, as their WebSockets have them.
 */
export function implicitCors({ origins }: Settings): [CorsOptions, OriginRule] {
  if (origins === "same") return [{}, false];
  return origins === "any" ? [{}, "*"] : [{ credentials: true }, origins];
}

/** Whether an Origin names the host that was asked. The scheme is not compared: TLS may end before us. */
export function isSameHost(origin: string, authority: string): boolean {
  const asked = /^(https?):\/\/([^/]+)$/i.exec(origin);
  if (asked === null) return false;
  const port = asked[1]!.toLowerCase() === "https" ? ":443" : ":80";
  const bare = (host: string) => (host.endsWith(port) ? host.slice(0, -port.length) : host);
  return bare(asked[2]!.toLowerCase()) === bare(authority);
}

/** `io=<sid>; Path=/; HttpOnly; SameSite=Lax`, or as the options say. */
export function cookieOf(cookie: CookieOptions, sid: string): string {
  const parts = [`${cookie.name ?? "io"}=${encodeURIComponent(sid)}`];
  if (cookie.maxAge !== undefined) parts.push(`Max-Age=${Math.floor(cookie.maxAge)}`);
  if (cookie.domain !== undefined) parts.push(`Domain=${cookie.domain}`);
  parts.push(`Path=${cookie.path ?? "/"}`);
  if (cookie.expires !== undefined) parts.push(`Expires=${cookie.expires.toUTCString()}`);
  if (cookie.httpOnly ?? true) parts.push("HttpOnly");
  if (cookie.secure === true) parts.push("Secure");
  const sameSite = cookie.sameSite ?? "lax";
  if (sameSite !== false) parts.push(`SameSite=${sameSiteNames[sameSite === true ? "strict" : sameSite]}`);
  return parts.join("; ");
}

const sameSiteNames = { lax: "Lax", strict: "Strict", none: "None" } as const;

function originFields(rule: OriginRule, origin: string | undefined): FieldList {
  if (rule === false) return [];
  if (rule === "*") return ["access-control-allow-origin", "*"];
  if (typeof rule === "string") return ["access-control-allow-origin", rule, "vary", "Origin"];
  if (origin === undefined || !matches(rule, origin)) return ["vary", "Origin"];
  return ["access-control-allow-origin", origin, "vary", "Origin"];
}

function matches(rule: OriginRule, origin: string): boolean {
  if (typeof rule === "boolean") return rule;
  if (typeof rule === "string") return rule === origin;
  if (rule instanceof RegExp) return new RegExp(rule.source, rule.flags.replace(/[gy]/g, "")).test(origin);
  return rule.some((one) => matches(one, origin));
}

function pushList(fields: FieldList, name: string, value: string | readonly string[] | undefined): void {
  if (value === undefined || value.length === 0) return;
  fields.push(name, typeof value === "string" ? value : value.join(","));
}
