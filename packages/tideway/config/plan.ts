/**
 * From what a person wrote to the plan that the system runs: checked across keys, paths made absolute, frozen, and with
 * the origin of every value. Owns the meaning of the configuration; opens no port and starts nothing.
 */
import { statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { dirname, resolve } from "node:path";
import { type AddressRanges, parseAddressRanges } from "@tideway/base";
import { compileLocation } from "@tideway/engine/routing";
import { createZones, type Zones } from "@tideway/engine/zones";
import { findDropped } from "./dropped.ts";
import { closest, explainIssues, formatPath, type Issue, show } from "./issues.ts";
import { type HttpListenerPlan, type ListenerPlans, planListeners, type StreamListenerPlan } from "./listeners.ts";
import {
  type AnyService,
  configSchema,
  type EffectiveConfig,
  type ServiceKind,
  type ServiceOf,
  serviceKinds,
} from "./schema.ts";

/** Where a value of the plan came from. */
export type Origin = "file" | "default" | "environment PORT";

export interface PlanRow {
  /** Key path as it would be written in the file. */
  readonly path: string;
  readonly value: unknown;
  readonly origin: Origin;
}

export interface Plan {
  /** Absolute path of the configuration's file. */
  readonly file: string;
  /** Its folder: what relative paths are relative to. */
  readonly root: string;
  readonly dataDirectory: string;
  /** As written, for a person to read. */
  readonly listen: EffectiveConfig["listen"];
  readonly http: readonly HttpListenerPlan[];
  readonly streams: readonly StreamListenerPlan[];
  readonly services: ReadonlyMap<string, AnyService>;
  readonly trust: AddressRanges;
  readonly limits: EffectiveConfig["limits"];
  readonly trace: EffectiveConfig["trace"];
  /** The name server: where it listens and what it answers. */
  readonly names: { readonly host: string; readonly port: number; readonly zones: Zones } | null;
  readonly console: EffectiveConfig["console"];
  readonly log: EffectiveConfig["log"];
  readonly rows: readonly PlanRow[];
}

export type PlanResult =
  | { readonly ok: true; readonly plan: Plan }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Checks `input`, the default export of `file`. `PORT` in the environment moves the first listener. */
export function makePlan(
  file: string,
  input: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): PlanResult {
  const parsed = configSchema.safeParse(input);
  if (!parsed.success) return { ok: false, issues: explainIssues(configSchema, input, parsed.error.issues) };
  const config = parsed.data;
  const issues: Issue[] = [];
  const moved = movePort(config, environment["PORT"], issues);
  const services = readServices(config, dirname(file), issues);
  checkPorts(config, issues);
  findDropped(config, input, services, issues);
  const listeners = planListeners(config, new Set(services.keys()), issues);
  const zones = readZones(config, listeners, file, issues);
  const trust = parseAddressRanges(config.trust);
  if (issues.length > 0 || !trust.ok) return { ok: false, issues };
  const root = dirname(file);
  const plan: Plan = {
    file,
    root,
    dataDirectory: resolve(root, config.data),
    listen: config.listen,
    ...listeners,
    services,
    trust: trust.ranges,
    limits: config.limits,
    trace: config.trace,
    names: config.names === undefined || zones === null ? null : { ...config.names.listen, zones },
    console: config.console,
    log: config.log,
    rows: listRows(config, input, moved),
  };
  return { ok: true, plan: Object.freeze(plan) };
}

/** The listener that `PORT` moves: the first for HTTP. */
function firstHttp(listen: EffectiveConfig["listen"]): number {
  return Math.max(
    0,
    listen.findIndex((entry) => !("tcp" in entry) && !("udp" in entry)),
  );
}

/** Takes the port from the environment; true when it did. */
function movePort(config: EffectiveConfig, value: string | undefined, issues: Issue[]): boolean {
  if (value === undefined || value === "") return false;
  const port = Number(value);
  if (!/^\d{1,5}$/.test(value) || port > 65_535) {
    issues.push({
      path: "environment PORT",
      seen: show(value),
      allowed: "0 to 65535",
      hint: "Set PORT to a number, or unset it.",
    });
    return false;
  }
  config.listen[firstHttp(config.listen)]!.port = port;
  return true;
}

function readServices(config: EffectiveConfig, root: string, issues: Issue[]): Map<string, AnyService> {
  const services = new Map<string, AnyService>();
  for (const [name, given] of Object.entries(config.services)) {
    const kind = serviceKinds.find((candidate) => candidate in given) as ServiceKind;
    services.set(name, { kind, options: given } as AnyService);
  }
  for (const [name, service] of services) {
    if (service.kind === "files") readFolder(name, service.options, root, issues);
    if (service.kind === "command") service.options.cwd = resolve(root, service.options.cwd ?? ".");
    if (service.kind === "redirect") checkRedirect(name, service.options.redirect, issues);
    if (service.kind === "realtime") checkRealtime(name, service.options, services, issues);
  }
  return services;
}

function checkRedirect(name: string, redirect: string, issues: Issue[]): void {
  const location = compileLocation(redirect, ["services", name, "redirect"]);
  if (location.ok) return;
  for (const { place, ...fault } of location.faults) issues.push({ ...fault, path: formatPath(place) });
}

function readFolder(name: string, options: ServiceOf<"files">, root: string, issues: Issue[]): void {
  const folder = resolve(root, options.files);
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory()) {
    issues.push({
      path: formatPath(["services", name, "files"]),
      seen: `${show(options.files)}, ${found === undefined ? "which does not exist" : "which is not a folder"} (${folder})`,
      allowed: "a folder",
      hint: "Create it, or name another; relative paths start at the configuration's folder.",
    });
  }
  options.files = folder;
}

function checkRealtime(
  name: string,
  options: ServiceOf<"realtime">,
  services: ReadonlyMap<string, AnyService>,
  issues: Issue[],
): void {
  const target = options.realtime.service;
  const commands = [...services].filter(([, service]) => service.kind === "command").map(([key]) => key);
  if (commands.includes(target)) {
    for (const [other, service] of services) {
      if (other === name || service.kind !== "realtime" || service.options.realtime.service !== target || other > name)
        continue;
      issues.push({
        path: formatPath(["services", name, "realtime", "service"]),
        seen: `${show(target)}, which ${show(other)} uses too`,
        allowed: "one realtime service for each application",
        hint: "Route both paths to one realtime service.",
      });
    }
    return;
  }
  const near = closest(target, commands);
  issues.push({
    path: formatPath(["services", name, "realtime", "service"]),
    seen: services.has(target) ? `${show(target)}, which is not run by Tideway` : show(target),
    allowed: commands.length === 0 ? "a service with a command; there is none" : commands.join(" | "),
    hint: near === null ? "Name the service whose processes use @tideway/realtime." : `Did you mean ${show(near)}?`,
  });
}

/** The zones' serial is the file's time of change: it rises with each new configuration (RFC 1035 §3.3.13). */
function readZones(config: EffectiveConfig, listeners: ListenerPlans, file: string, issues: Issue[]): Zones | null {
  if (config.names === undefined) return null;
  const changed = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const result = createZones({
    sites: [...new Set(listeners.http.flatMap((listener) => Object.keys(listener.sites)))],
    addresses: config.names.addresses ?? siteAddresses(listeners.http.map((entry) => entry.host)),
    zones: config.names.zones,
    serial: Math.floor(changed / 1000),
  });
  if ("zones" in result) return result.zones;
  for (const fault of result.faults) {
    const path = formatPath(["names", "zones", ...fault.path]);
    issues.push({ path, seen: fault.seen, allowed: fault.allowed, hint: "Mend the record, or remove it." });
  }
  return null;
}

/** The listeners' addresses; one that means every address stands for those by which the outside reaches this machine. */
function siteAddresses(hosts: readonly string[]): string[] {
  const addresses = new Set<string>();
  for (const host of hosts) {
    if (host === "localhost") addresses.add("127.0.0.1");
    else if (host !== "0.0.0.0" && host !== "::") addresses.add(host);
    else for (const address of outsideAddresses(host === "::")) addresses.add(address);
  }
  return [...addresses];
}

function outsideAddresses(both: boolean): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = all.filter((entry) => !entry.internal && (both || entry.family === "IPv4"));
  const usable = outside.filter((entry) => !entry.address.startsWith("fe80:")).map((entry) => entry.address);
  return usable.length > 0 ? usable : ["127.0.0.1"];
}

interface Claim {
  readonly path: string;
  readonly protocols: readonly ("tcp" | "udp")[];
  readonly host: string;
  readonly port: number;
}

/** Two claims on one port collide when their addresses are the same or one of them is every address. */
function checkPorts(config: EffectiveConfig, issues: Issue[]): void {
  const claims: Claim[] = config.listen.map((entry, index) => ({
    host: entry.host,
    port: entry.port,
    protocols: ["udp" in entry ? "udp" : "tcp"],
    path: formatPath(["listen", index, "port"]),
  }));
  if (config.names !== undefined)
    claims.push({ ...config.names.listen, protocols: ["tcp", "udp"], path: "names.listen.port" });
  if (config.console !== false) claims.push({ ...config.console, protocols: ["tcp"], path: "console.port" });
  const isAny = (host: string) => host === "0.0.0.0" || host === "::";
  for (const [index, claim] of claims.entries()) {
    if (claim.port === 0) continue;
    const sharesProtocol = (c: Claim) => c.protocols.some((protocol) => claim.protocols.includes(protocol));
    const sharesHost = (c: Claim) => c.host === claim.host || isAny(c.host) || isAny(claim.host);
    const other = claims.slice(0, index).find((c) => c.port === claim.port && sharesProtocol(c) && sharesHost(c));
    if (other === undefined) continue;
    issues.push({
      path: claim.path,
      seen: `${claim.port}, which ${other.path} takes too`,
      allowed: "a port of its own",
      hint: "Change one of the two.",
    });
  }
}

/** Every value of the effective configuration, leaf by leaf, with its origin. */
function listRows(config: EffectiveConfig, input: unknown, portMoved: boolean): PlanRow[] {
  const rows: PlanRow[] = [];
  const walk = (value: unknown, given: unknown, path: (string | number)[]) => {
    if (typeof value === "object" && value !== null && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value)) {
        const step = Array.isArray(value) ? Number(key) : key;
        walk(inner, typeof given === "object" && given !== null ? (given as Record<string, unknown>)[key] : undefined, [
          ...path,
          step,
        ]);
      }
      return;
    }
    if (value === undefined) return;
    const text = formatPath(path);
    const moved = portMoved && text === `listen[${firstHttp(config.listen)}].port`;
    rows.push({ path: text, value, origin: moved ? "environment PORT" : given === undefined ? "default" : "file" });
  };
  walk(config, input, []);
  return rows;
}
