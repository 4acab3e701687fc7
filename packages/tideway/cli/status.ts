/** `tideway status`: asks the running server, and prints its report. */

import { findConfiguration, loadPlan } from "../config/index.ts";
import { askControl, type InstanceReport, type ServiceReport, type StatusReport } from "../console/index.ts";
import { table } from "./table.ts";

export async function status(given: string | undefined, options: { json?: boolean }): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const report = await askControl<StatusReport>(plan.dataDirectory, "/status");
  process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : `${readableStatus(report)}\n`);
  return 0;
}

type Row = (string | number)[];

/** The report as tables; those with nothing in them are left out. */
export function readableStatus(report: StatusReport): string {
  const parts = [
    `Tideway ${report.version}, process ${report.pid}, running for ${duration(report.uptimeMs)}\n${report.configuration}`,
  ];
  for (const [head, rows] of sections(report)) if (rows.length > 0) parts.push(tableOf(head, rows));
  return parts.join("\n\n");
}

/** Without the columns that have nothing to say. */
function tableOf(head: readonly string[], rows: readonly Row[]): string {
  const kept = head.map((_, column) => rows.some((row) => row[column] !== ""));
  const keep = <C>(cells: readonly C[]) => cells.filter((_, column) => kept[column]);
  return table(keep(head), rows.map(keep));
}

const instanceHead =
  "SERVICE INSTANCE STATE FOR ACTIVE CONNECTIONS LATENCY WEIGHT REQUESTS ERRORS PID RESTARTS WHY".split(" ");

function sections(report: StatusReport): (readonly [head: readonly string[], rows: Row[]])[] {
  const served = report.services.filter(({ instances, counters }) => instances.length > 0 || counters !== undefined);
  return [
    [
      ["LISTENER", "CONNECTIONS", "UPGRADED", "ACCEPTED", "REQUESTS", "REFUSED", "TURNED AWAY"],
      report.listeners.map((l) => [
        l.address,
        l.connections,
        l.upgraded ?? "",
        l.accepted,
        l.requests,
        l.refused,
        l.shed,
      ]),
    ],
    [
      ["STREAM", "PROTOCOL", "SERVICE", "OPEN", "ACCEPTED", "REFUSED", "UNSERVED", "DROPPED"],
      (report.streams ?? []).map(({ address, protocol, service, counters }) => {
        const of = (...names: string[]) =>
          names.map((name) => counters[name]).find((count) => count !== undefined) ?? "";
        const counts = [
          of("connections", "sessions"),
          of("accepted", "opened"),
          of("refused"),
          of("unserved"),
          of("dropped"),
        ];
        return [address, protocol, service, ...counts];
      }),
    ],
    [
      ["AT", "SITE", "PATH", "WHEN", "SERVICE"],
      report.sites.map(({ listener = "", site, path, when = "", service }) => [listener, site, path, when, service]),
    ],
    [
      ["SERVICE", "KIND", "REQUESTS", "WAITING", "RETRIES", "ERRORS", "EJECTIONS", "TURNED AWAY", "BREAKER"],
      served.map(serviceRow),
    ],
    [instanceHead, served.flatMap(({ name, instances }) => instances.map((instance) => instanceRow(name, instance)))],
    [
      ["UPSTREAMS OF", "NAME", "ADDRESSES", "FAULT"],
      served.flatMap((s) => (s.names ?? []).map((n) => [s.name, n.name, n.addresses.join(", "), n.fault])),
    ],
    [
      ["REALTIME", "PATH", "DURABILITY", "CONNECTIONS", "SOCKETS", "SERVERS"],
      report.realtime.map(({ name, path, durability, connections, sockets, servers }) => {
        const shares = servers.map((s) => `${s.instance} (${s.sockets})`).join(", ");
        return [name, path, durability, connections, sockets, shares];
      }),
    ],
    [
      ["EVENTS OF", "NAMESPACE", "FIRST", "LAST", "BYTES", "AGE"],
      report.realtime.flatMap(({ name, streams }) => {
        return streams.map(({ namespace, first, last, bytes, ageMs }) => {
          const isKept = first <= last;
          return [name, namespace, isKept ? first : "", last, isKept ? bytes : "", ageMs < 0 ? "" : duration(ageMs)];
        });
      }),
    ],
    [
      ["NAMES", "ZONES", "QUERIES"],
      report.names === null ? [] : [[report.names.address, report.names.zones.join(", "), report.names.queries]],
    ],
  ];
}

function serviceRow({ name, kind, waiting, counters, breaker = "" }: ServiceReport): Row {
  if (counters === undefined) return [name, kind, "", waiting, "", "", "", "", breaker];
  const { requests, retries, failures, ejections, queueTimeouts, queueRefusals, unavailable, breakerRefusals } =
    counters;
  const turnedAway = queueTimeouts + queueRefusals + unavailable + breakerRefusals;
  return [name, kind, requests, waiting, retries, share(failures, requests), ejections, turnedAway, breaker];
}

function instanceRow(service: string, instance: InstanceReport): Row {
  const { id, state, forMs, active, connections, latencyMs, counters, pid = "", restarts = "", why = "" } = instance;
  return [
    service,
    id,
    state,
    forMs < 0 ? "" : duration(forMs),
    active,
    connections,
    latencyMs < 0 ? "" : `${latencyMs.toFixed(1)} ms`,
    weightOf(instance),
    counters?.requests ?? "",
    counters === undefined ? "" : share(counters.failures, counters.requests),
    pid,
    restarts,
    // Why it is up is nobody's question.
    state === "up" ? "" : why,
  ];
}

/** Of interest only where it is not 1; while an instance starts slowly, how far it is. */
function weightOf({ weight = 1, weightNow = weight }: InstanceReport): string {
  if (weightNow !== weight) return `${weightNow.toFixed(1)} of ${weight}`;
  return weight === 1 ? "" : String(weight);
}

/** `3 (0.4 %)`: a count means little without what it is of. */
function share(part: number, whole: number): string {
  if (part === 0 || whole === 0) return String(part);
  const percent = (part * 100) / whole;
  return `${part} (${percent < 0.1 ? "< 0.1" : percent.toFixed(1)} %)`;
}

function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
