/** What `tideway explain` says to a person: the steps of a decision, what a route does besides, and who would answer. */
import { show } from "../config/index.ts";
import type { Explanation } from "./explain.ts";

/** The lines for a terminal. */
export function readable(explanation: Explanation): string {
  const { url, listener, port, steps, match, guards, answer } = explanation;
  if (listener === null) return `${url}\n\nanswer    none: nothing listens at port ${port}`;
  const lines = [url, "", `listener  ${listener}`];
  for (const step of steps) {
    lines.push(`${step.subject.padEnd(8)}${step.taken ? "→" : " "} ${step.key}  ${step.why}`);
    for (const { condition, holds, seen } of step.conditions ?? []) {
      lines.push(`          ${holds ? "✔" : "✖"} ${condition}: ${seen}`);
    }
  }
  if (match === null) {
    lines.push("", `answer    ${missLine(explanation.miss)}`);
    return lines.join("\n");
  }
  lines.push("");
  for (const { what, how } of guards) lines.push(`${what.padEnd(9)} ${how}`);
  lines.push(`service   ${explanation.service ?? "none"} (${explanation.kind})`);
  if (answer !== null) lines.push(`answer    ${answer}`);
  lines.push(`instance  ${instanceLine(explanation)}`);
  for (const { id, state, active, latencyMs } of explanation.candidates) {
    const latency = latencyMs < 0 ? "not measured yet" : `${latencyMs.toFixed(1)} ms`;
    lines.push(`          ${id === explanation.instance ? "→" : " "} ${id}  ${state}, ${active} under way, ${latency}`);
  }
  return lines.join("\n");
}

function missLine(miss: Explanation["miss"]): string {
  if (miss?.code === "HTTP_METHOD") return `405: only for ${miss.allow.join(", ")}`;
  return miss?.code === "HTTP_NOT_FOUND" ? "404: the site has no such path" : "421: no site of that name";
}

function instanceLine(explanation: Explanation): string {
  if (explanation.kind !== "command" && explanation.kind !== "upstreams") return "none needed";
  if (!explanation.running) return "unknown: Tideway does not run";
  const { instance, balance } = explanation;
  return instance === null
    ? "none could take a request now"
    : `${instance}, by ${typeof balance === "string" ? balance : show(balance)}`;
}
