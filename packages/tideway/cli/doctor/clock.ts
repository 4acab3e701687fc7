/** The machine's clock: cookies, certificates, caches, zones' serials and the streams' retention go by it. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Finding, fault, ok, warning } from "./finding.ts";

/** No clock that is right says less: Tideway was made after it. */
const earliest = Date.UTC(2026, 0, 1);
/** What file systems and machines side by side may differ. */
const toleranceMs = 120_000;
const timeServices = ["/run/systemd/timesync/synchronized", "/run/chrony/chronyd.pid", "/run/ntpd.pid"];

/** `paths` are files and folders that Tideway or its operator wrote: none can be from the future. */
export function examineClock(now: number, paths: readonly string[]): Finding[] {
  const shown = new Date(now).toISOString();
  if (now < earliest)
    return [fault("clock", `it is not ${shown}`, "Set the clock: timedatectl set-ntp true, or date -s.")];
  const newest = Math.max(0, ...paths.flatMap(timesOf));
  if (newest > now + toleranceMs) {
    const what = `a file was changed at ${new Date(newest).toISOString()}, but it is ${shown}: the clock went back`;
    return [warning("clock", what, "Have a time service keep it: timedatectl set-ntp true.")];
  }
  const keeper = timeServices.some((path) => existsSync(path))
    ? "kept by a time service"
    : "no time service is seen here";
  return [ok("clock", `${shown}; ${keeper}`)];
}

function timesOf(path: string): number[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return [];
  if (!found.isDirectory()) return [found.mtimeMs];
  const inside = readdirSync(path).flatMap((name) => statSync(join(path, name), { throwIfNoEntry: false }) ?? []);
  return [found.mtimeMs, ...inside.map(({ mtimeMs }) => mtimeMs)];
}
