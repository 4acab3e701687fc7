/**
 * `tideway explain URL`: the decision for a URL, step by step: listener, site, path, service, instance. The plan alone
 * answers all but the instance, which the running server is asked for.
 */
import { OperatorError } from "@tideway/base";
import { explainRoute, type RouteExplanation } from "@tideway/engine/routing";
import { normalisePath } from "@tideway/wire/http1";
import { type AnyService, findConfiguration, loadPlan, type Plan, show } from "../config/index.ts";
import { askControl } from "../console/index.ts";

interface Explanation extends RouteExplanation {
  readonly url: string;
  readonly service: string | null;
  readonly kind: string | null;
  /** Null when none could take a request now, or when the service has none. */
  readonly instance: string | null;
  readonly running: boolean;
}

export async function explain(url: string, given: string | undefined, options: { json?: boolean }): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const explanation = await decide(plan, parse(url));
  process.stdout.write(
    options.json === true ? `${JSON.stringify(explanation, null, 2)}\n` : `${readable(plan, explanation)}\n`,
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

async function decide(plan: Plan, url: URL): Promise<Explanation> {
  // A URL without a port means the first listener: what a reverse path of ports in front of it would reach.
  const port = url.port === "" ? plan.listen[0]!.port : Number(url.port);
  const path = pathOf(url);
  const head = { method: "GET", host: url.hostname, path, query: url.search, fields: [] };
  const route = explainRoute(plan.routes, head, port);
  const match = route.match;
  const service = match === null ? undefined : plan.services.get(match.service);
  const { running, instance } = await askInstance(plan, match?.service, service);
  return {
    ...route,
    url: url.href,
    service: match?.service ?? null,
    kind: service?.kind ?? null,
    instance,
    running,
  };
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

async function askInstance(plan: Plan, name: string | undefined, service: AnyService | undefined) {
  const asked = name !== undefined && (service?.kind === "command" || service?.kind === "upstreams") ? name : "";
  try {
    const path = `/pick?service=${encodeURIComponent(asked)}`;
    const { instance } = await askControl<{ instance: string | null }>(plan.dataDirectory, path);
    return { running: true, instance };
  } catch (error) {
    if (error instanceof OperatorError && error.code === "CONTROL_UNREACHABLE")
      return { running: false, instance: null };
    throw error;
  }
}

function readable(plan: Plan, explanation: Explanation): string {
  const lines = [explanation.url, ""];
  const listener = plan.listen.find((entry) => entry.port === explanation.port);
  const address = listener === undefined ? "no listener has this port" : `${listener.host}:${listener.port}`;
  lines.push(`listener  ${address}`);
  for (const step of explanation.steps) {
    lines.push(`${step.subject.padEnd(8)}${step.taken ? "→" : " "} ${step.key}  ${step.why}`);
  }
  if (explanation.match === null) {
    lines.push("", `answer    ${missLine(explanation.miss)}`);
    return lines.join("\n");
  }
  lines.push("", `service   ${explanation.service} (${explanation.kind})`);
  lines.push(`instance  ${instanceLine(explanation)}`);
  return lines.join("\n");
}

function missLine(miss: RouteExplanation["miss"]): string {
  if (miss?.code === "HTTP_METHOD") return `405: only for ${miss.allow.join(", ")}`;
  return miss?.code === "HTTP_NOT_FOUND" ? "404: the site has no such path" : "421: no site of that name";
}

function instanceLine(explanation: Explanation): string {
  if (explanation.kind !== "command" && explanation.kind !== "upstreams") return "none needed";
  if (!explanation.running) return "unknown: Tideway does not run";
  return explanation.instance ?? "none could take a request now";
}
