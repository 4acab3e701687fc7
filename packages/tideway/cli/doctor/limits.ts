/** What the process may use: Node's version, and file descriptors, of which each proxied request takes two. */
import { readFileSync } from "node:fs";
import { type Finding, fault, ok, warning } from "./finding.ts";

const nodeMin: readonly [number, number] = [24, 15];
const descriptorsMin = 4_096;

export function examineLimits(nodeVersion: string, limits: string | null): Finding[] {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  const isOld = major < nodeMin[0] || (major === nodeMin[0] && minor < nodeMin[1]);
  const node = `Node ${nodeVersion}`;
  const findings = [
    isOld ? fault("limits", `${node} is too old`, `Use Node ${nodeMin.join(".")} or newer.`) : ok("limits", node),
  ];
  const soft = /^Max open files\s+(\d+)/m.exec(limits ?? "")?.[1];
  if (soft === undefined) return findings;
  const what = `${Number(soft).toLocaleString("en")} file descriptors: about ${Math.floor(Number(soft) * 0.4).toLocaleString("en")} connections of clients`;
  const fix = "Raise it: ulimit -n 65536, or LimitNOFILE=65536 in the service's unit.";
  findings.push(Number(soft) < descriptorsMin ? warning("limits", what, fix) : ok("limits", what));
  return findings;
}

/** `/proc/self/limits`; null where there is none. */
export function readLimits(): string | null {
  try {
    return readFileSync("/proc/self/limits", "latin1");
  } catch {
    return null;
  }
}
