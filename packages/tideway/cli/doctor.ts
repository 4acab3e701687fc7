/**
 * `tideway doctor`: looks at what a configuration needs of this machine before it is missed: ports, permissions, clock, disk,
 * names, limits. Each finding has a fix. Changes nothing; ends with 1 when something will not work.
 */
import { resolve } from "node:path";
import { OperatorError } from "@tideway/base";
import { ConfigurationFault, findConfiguration, loadPlan, type Plan } from "../config/index.ts";
import { askControl, type StatusReport } from "../console/index.ts";
import { examineClock } from "./doctor/clock.ts";
import { type DataPlace, examineDisk, examinePermissions } from "./doctor/data.ts";
import { type Finding, fault, ok } from "./doctor/finding.ts";
import { examineLimits, readLimits } from "./doctor/limits.ts";
import { examineNames, type NamePlaces } from "./doctor/names.ts";
import { examinePorts, type PortClaim } from "./doctor/ports.ts";

export async function doctor(given: string | undefined, options: { json?: boolean }): Promise<number> {
  const findings = await examine(given);
  const count = (level: Finding["level"]) => findings.filter((finding) => finding.level === level).length;
  const faults = count("fault");
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ faults, warnings: count("warning"), findings }, null, 2)}\n`);
  } else {
    process.stdout.write(`${readable(findings)}\n\n${summary(faults, count("warning"))}\n`);
  }
  return faults === 0 ? 0 : 1;
}

async function examine(given: string | undefined): Promise<Finding[]> {
  const limits = examineLimits(process.versions.node, readLimits());
  const plan = await read(given);
  if (Array.isArray(plan)) return [...plan, ...limits];
  const runningPid = await askPid(plan.dataDirectory);
  const places = dataPlace(plan);
  const running = runningPid === null ? "" : `; Tideway runs, process ${runningPid}`;
  return [
    ok("configuration", `${plan.file} is valid${running}`),
    ...(await examinePorts(claimsOf(plan), runningPid)),
    ...examinePermissions(places),
    ...examineDisk(places),
    ...examineClock(Date.now(), [plan.file, plan.dataDirectory]),
    ...(await examineNames(namePlaces(plan))),
    ...limits,
  ];
}

/** The plan, or what is wrong with its file. */
async function read(given: string | undefined): Promise<Plan | Finding[]> {
  try {
    return await loadPlan(findConfiguration(given, process.cwd()), process.env);
  } catch (error) {
    const faults = error instanceof ConfigurationFault ? error.faults : error instanceof OperatorError ? [error] : null;
    if (faults === null) throw error;
    return faults.map(({ details: { where, seen = "", hint } }) => fault("configuration", `${where}: ${seen}`, hint));
  }
}

async function askPid(dataDirectory: string): Promise<number | null> {
  try {
    return (await askControl<StatusReport>(dataDirectory, "/status")).pid;
  } catch (error) {
    if (error instanceof OperatorError) return null;
    throw error;
  }
}

function claimsOf({ listen, names, console }: Plan): PortClaim[] {
  const claims: PortClaim[] = listen.map((entry, index) => {
    const protocol = "udp" in entry ? "udp" : "tcp";
    return { protocol, host: entry.host, port: entry.port, option: `listen[${index}].port` };
  });
  if (names !== null) {
    for (const protocol of ["udp", "tcp"] as const) claims.push({ ...names, protocol, option: "names.listen.port" });
  }
  if (console !== false) claims.push({ ...console, protocol: "tcp", option: "console.port" });
  return claims.map(({ protocol, host, port, option }) => ({ protocol, host, port, option }));
}

function dataPlace({ dataDirectory, services, log, root }: Plan): DataPlace {
  const reads: { path: string; option: string }[] = [];
  let isDurable = false;
  for (const [name, service] of services) {
    if (service.kind === "files") reads.push({ path: service.options.files, option: `services.${name}.files` });
    if (service.kind === "command") reads.push({ path: service.options.cwd!, option: `services.${name}.cwd` });
    if (service.kind === "realtime" && service.options.realtime.durability === "disk") isDurable = true;
  }
  const requests: unknown = log.requests;
  const file = typeof requests === "object" && requests !== null ? (requests as { file?: string }).file : undefined;
  return { directory: dataDirectory, isDurable, reads, writes: file === undefined ? [] : [resolve(root, file)] };
}

function namePlaces({ http, streams, listen, services, names }: Plan): NamePlaces {
  const exact = http.flatMap(({ sites }) => Object.keys(sites)).map((site) => site.replace(/:\d+$/, ""));
  const upstreams = [...services].flatMap(([service, { kind, options }]) => {
    if (kind !== "upstreams") return [];
    return options.upstreams.map((upstream) => {
      const { hostname } = new URL(typeof upstream === "string" ? upstream : upstream.url);
      return { service, host: hostname.replace(/^\[|\]$/g, "") };
    });
  });
  for (const { name, options } of streams) {
    for (const upstream of options.upstreams) {
      const address = typeof upstream === "string" ? upstream : upstream.address;
      const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
      upstreams.push({ service: name, host });
    }
  }
  return {
    sites: exact.filter((site) => !site.includes("*") && !site.startsWith("[") && !/^[\d.]+$/.test(site)),
    listens: [...new Set(listen.map(({ host }) => host))],
    upstreams,
    nameServer: names === null ? null : `${names.host}:${names.port}`,
  };
}

const marks: Readonly<Record<Finding["level"], string>> = { ok: "ok     ", warning: "warning", fault: "FAULT  " };

export function readable(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ subject }) => subject.length));
  return findings
    .map(({ level, subject, what, fix }) => {
      const line = `${marks[level]}  ${subject.padEnd(width)}  ${what}`;
      return fix === "" ? line : `${line}\n${" ".repeat(11 + width)}→ ${fix}`;
    })
    .join("\n");
}

function summary(faults: number, warnings: number): string {
  if (faults > 0) return `${faults === 1 ? "1 thing" : `${faults} things`} will not work.`;
  return warnings === 0 ? "All is well." : "It will work; see the warnings.";
}
