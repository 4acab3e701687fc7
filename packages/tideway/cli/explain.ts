/**
 * `tideway explain URL`: the whole decision for a request, step by step: listener, site, path, route, what the route does
 * besides, service, instance. The plan alone answers all but the instance, which the running server is asked for.
 */
import { canonicalAddress, OperatorError } from "@tideway/base";
import type { Balance } from "@tideway/engine/balancing";
import {
  compileLocation,
  compileRoutes,
  explainRoute,
  type PlaceholderValues,
  type RouteExplanation,
  type RouteTable,
} from "@tideway/engine/routing";
import { normalisePath } from "@tideway/wire/http1";
import {
  type AnyService,
  type FieldChangesConfig,
  findConfiguration,
  loadPlan,
  type Plan,
  type Route,
  type RouteParts,
  show,
} from "../config/index.ts";
import { type Asked, askControl, type InstanceReport, type Pick as Picked } from "../console/index.ts";
import { keyText, readable } from "./explain-text.ts";

export interface Explanation extends RouteExplanation<Route> {
  readonly url: string;
  /** Host and port of the listener; null when none has the URL's port. */
  readonly listener: string | null;
  /** Of all listeners for HTTP, as the configuration has them. */
  readonly ports: readonly number[];
  readonly service: string | null;
  readonly kind: string | null;
  /** What the route does to the request and its answer besides handing it on, in the order in which it is done. */
  readonly guards: readonly { readonly what: string; readonly how: string }[];
  /** What is answered where no instance is asked: a redirect, a fixed answer, a maintenance; null otherwise. */
  readonly answer: string | null;
  /** Null when none could take a request now, or when the service has none. */
  readonly instance: string | null;
  /** How the instance is chosen, and among which. */
  readonly balance: Balance | null;
  /** The cookie by which a browser comes back to its instance; null where none does. */
  readonly sticky: string | null;
  readonly candidates: readonly InstanceReport[];
  readonly running: boolean;
}

interface Options {
  readonly json?: boolean;
  readonly method?: string;
  readonly header?: readonly string[];
  readonly from?: string;
}

export async function explain(url: string, given: string | undefined, options: Options): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const explanation = await decide(plan, parse(url), options);
  process.stdout.write(
    options.json === true ? `${JSON.stringify(explanation, null, 2)}\n` : `${readable(explanation)}\n`,
  );
  return 0;
}

function parse(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : URL.canParse(`http://${text}`) ? new URL(`http://${text}`) : null;
  if (url !== null && url.protocol === "http:" && url.hostname !== "") return url;
  throw new OperatorError("CONFIG_INVALID", {
    where: "tideway explain <url>",
    seen: show(text),
    allowed: "an http:// URL",
    hint: "For example: tideway explain http://www.abc.test:7777/db/x",
  });
}

async function decide(plan: Plan, url: URL, options: Options): Promise<Explanation> {
  const { method = "GET", header = [] } = options;
  const address = addressOf(options.from ?? "127.0.0.1");
  // A URL without a port means the first listener: what a reverse path of ports in front of it would reach.
  const wanted = Number(url.port);
  const named = plan.http.find((each) => each.port === wanted);
  // One that takes any free port may have taken this one: the plan does not know.
  const entry = url.port === "" ? plan.http[0] : (named ?? plan.http.find((each) => each.port === 0));
  const port = url.port === "" ? (entry?.port ?? 0) : wanted;
  const head = { method, host: url.hostname, path: pathOf(url), query: url.search, fields: header.flatMap(fieldOf) };
  const routes = entry?.routes ?? emptyTable();
  const route = explainRoute<Route>(routes, head, port);
  const { match } = route;
  const service = match === null ? undefined : plan.services.get(match.service);
  const values = { ...head, scheme: "http", address, port, id: "-", service: match?.service ?? "" };
  const asked = { method, host: url.hostname, path: head.path, query: head.query, fields: head.fields, address };
  return {
    ...route,
    url: url.href,
    listener: entry === undefined ? null : `${entry.host}:${entry.port}`,
    ports: [...new Set(plan.http.map((each) => each.port))],
    service: match === null || match.service === "" ? null : match.service,
    kind: service?.kind ?? (match === null ? null : match.options?.redirect === undefined ? "respond" : "redirect"),
    guards: match === null ? [] : guardsOf(match.options, plan, entry!.parts.get(match)!, address),
    answer: match === null ? null : answerOf(match.options, service, values, entry!.parts.get(match)!, address),
    sticky:
      service?.kind === "command" || service?.kind === "upstreams" ? (service.options.sticky?.cookie ?? null) : null,
    ...(await askInstance(plan, match?.service, service, asked)),
  };
}

function addressOf(text: string): string {
  const address = canonicalAddress(text);
  if (address !== "") return address;
  throw new OperatorError("CONFIG_INVALID", {
    where: "tideway explain --from",
    seen: show(text),
    allowed: "an IP address",
    hint: "For example: tideway explain --from 192.0.2.7 http://www.abc.test:7777/",
  });
}

/** Of a route, or of a service, that answers by itself. */
function answerOf(
  route: Route | null,
  service: AnyService | undefined,
  values: PlaceholderValues,
  { except }: RouteParts,
  address: string,
): string | null {
  const { maintenance = false } = route ?? {};
  if (maintenance !== false && except?.has(address) !== true)
    return `${maintenance === true ? 503 : maintenance.status}, for maintenance`;
  const own = service?.kind === "redirect" || service?.kind === "respond" ? service.options : {};
  const { redirect, status = 308, respond }: Pick<Route, "redirect" | "status" | "respond"> = { ...route, ...own };
  if (redirect !== undefined) {
    const location = compileLocation(redirect, []);
    return location.ok ? `${status} to ${location.fill(values)}` : null;
  }
  if (respond === undefined) return null;
  return `${respond.status}, ${Buffer.byteLength(respond.body)} bytes of ${respond.type}`;
}

function emptyTable(): RouteTable<Route> {
  const compiled = compileRoutes<Route>({}, { services: new Set(), ports: new Set() });
  if (!compiled.ok) throw new Error("an empty table has no faults");
  return compiled.table;
}

/** `Name: value`, as with curl. */
function fieldOf(text: string): [string, string] {
  const colon = text.indexOf(":");
  if (colon > 0) return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()];
  throw new OperatorError("CONFIG_INVALID", {
    where: "tideway explain --header",
    seen: show(text),
    allowed: '"name: value"',
    hint: 'For example: tideway explain --header "x-beta: 1" http://www.abc.test:7777/',
  });
}

/** In the order of `system/guards.ts`. */
function guardsOf(
  route: Route | null,
  plan: Plan,
  { except }: RouteParts,
  address: string,
): { what: string; how: string }[] {
  const guards: { what: string; how: string }[] = [];
  const add = (what: string, how: string | undefined) => {
    if (how !== undefined) guards.push({ what, how });
  };
  const { maintenance, limits, request, response, compress, serverTiming } = route ?? {};
  if (maintenance !== undefined && maintenance !== false)
    add(
      "maintenance",
      except?.has(address) === true
        ? `lets ${address} pass`
        : `answers ${maintenance === true ? 503 : maintenance.status}`,
    );
  const rate = limits?.rate;
  if (rate !== undefined) add("rate", `${rate.requests} a ${rate.per}, by ${keyText(rate.by)}; beyond it 429`);
  if (limits?.requestsMax !== undefined) add("requests", `${limits.requestsMax} at once; beyond it 503`);
  const bodyBytesMax = limits?.bodyBytesMax ?? plan.limits.bodyBytesMax;
  if (bodyBytesMax !== undefined) add("body", `${bodyBytesMax} bytes; beyond it 413`);
  add("request", changesLine(request));
  add("response", changesLine(response));
  if (compress === true) add("compress", "answers that are worth it: zstd, br or gzip");
  if (serverTiming === true) add("timing", "says how long the gateway and the service took");
  return guards;
}

function changesLine(changes: FieldChangesConfig | undefined): string | undefined {
  if (changes === undefined) return undefined;
  const { set = {}, add = {}, remove = [] } = changes;
  const parts = [
    ...Object.keys(set).map((name) => `sets ${name}`),
    ...Object.keys(add).map((name) => `adds ${name}`),
    ...remove.map((name) => `removes ${name}`),
  ];
  return parts.join(", ");
}

/** The path as the listener would hand it on: `%7E` and `~` are one path to it, and to the routes. */
function pathOf(url: URL): string {
  const path = normalisePath(url.pathname);
  if (path !== null) return path;
  throw new OperatorError("CONFIG_INVALID", {
    where: "tideway explain <url>",
    seen: show(url.pathname),
    allowed: "a path that a request may have",
    hint: "A request with this path is refused with 400: look for %00 and for % without two digits.",
  });
}

async function askInstance(plan: Plan, name: string | undefined, service: AnyService | undefined, request: Asked) {
  const asked = name !== undefined && (service?.kind === "command" || service?.kind === "upstreams") ? name : "";
  try {
    const query = new URLSearchParams({ service: asked, asked: JSON.stringify(request) });
    return { running: true, ...(await askControl<Picked>(plan.dataDirectory, `/pick?${query}`)) };
  } catch (error) {
    if (error instanceof OperatorError && error.code === "CONTROL_UNREACHABLE")
      return { running: false, instance: null, balance: null, candidates: [] };
    throw error;
  }
}
