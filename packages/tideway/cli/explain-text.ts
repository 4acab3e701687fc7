/** What `tideway explain` says to a person: the steps of a decision, what a route does besides, and who would answer. */
import type { Balance } from "@tideway/engine/balancing";
import type { Explanation } from "./explain.ts";

/** The lines for a terminal. */
export function readable(explanation: Explanation): string {
  const { url, listener, port, steps, match, guards, answer } = explanation;
  if (listener === null)
    return `${url}\n\nanswer    none: no listener of the configuration has port ${port}, but ${explanation.ports.join(", ")}`;
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
  if (answer !== null) return lines.join("\n");
  for (const { id, state, why = "", active, latencyMs } of explanation.candidates) {
    const latency = latencyMs < 0 ? "not measured yet" : `${latencyMs.toFixed(1)} ms`;
    const reason = state === "up" || why === "" ? "" : ` (${why})`;
    const mark = id === explanation.instance ? "→" : " ";
    lines.push(`          ${mark} ${id}  ${state}${reason}, ${active} under way, ${latency}`);
  }
  return lines.join("\n");
}

function missLine(miss: Explanation["miss"]): string {
  if (miss?.code === "HTTP_METHOD") return `405: only for ${miss.allow.join(", ")}`;
  return miss?.code === "HTTP_NOT_FOUND" ? "404: the site has no such path" : "421: no site of that name";
}

function instanceLine(explanation: Explanation): string {
  const { kind, answer, running, instance, balance, sticky } = explanation;
  if ((kind !== "command" && kind !== "upstreams") || answer !== null) return "none needed";
  if (!running) return "unknown: Tideway does not run";
  if (instance === null) return "none could take a request now";
  return `${instance}, by ${balanceText(balance)}${sticky === null ? "" : `; whoever has its cookie ${sticky} stays`}`;
}

function balanceText(balance: Balance | null): string {
  if (balance === null || typeof balance === "string") return balance ?? "";
  const { hash, load } = balance;
  return `hash of ${keyText(hash)}${load === undefined ? "" : `, up to ${load} times the average load`}`;
}

/** What of a request something goes by: `address`, `header x-user`, `account: cookie sid or query key`. */
export function keyText(key: string | object): string {
  if (typeof key === "string") return key;
  const parts = Object.entries(key).map(([from, of]: [string, string | object]) => {
    return typeof of === "string" ? `${from} ${of}` : `${from}: ${keyText(of)}`;
  });
  return parts.join(" or ");
}
