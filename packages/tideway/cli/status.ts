/** `tideway status`: asks the running server, and prints its report. */

import { findConfiguration, loadPlan } from "../config/index.ts";
import { askControl, type StatusReport } from "../console/index.ts";
import { table } from "./table.ts";

export async function status(given: string | undefined, options: { json?: boolean }): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const report = await askControl<StatusReport>(plan.dataDirectory, "/status");
  process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : `${readable(report)}\n`);
  return 0;
}

function readable(report: StatusReport): string {
  const parts = [
    `Tideway ${report.version}, process ${report.pid}, running for ${duration(report.uptimeMs)}\n${report.configuration}`,
  ];
  const section = (head: string[], rows: (string | number)[][]) => {
    if (rows.length > 0) parts.push(table(head, rows));
  };
  section(
    ["LISTENER", "CONNECTIONS", "REQUESTS"],
    report.listeners.map((l) => [l.address, l.connections, l.requests]),
  );
  section(
    ["SITE", "PATH", "SERVICE"],
    report.sites.map((s) => [s.site, s.path, s.service]),
  );
  section(
    ["SERVICE", "INSTANCE", "STATE", "FOR", "ACTIVE", "CONNECTIONS", "LATENCY", "PID", "RESTARTS"],
    report.services.flatMap((s) =>
      s.instances.map((i) => [
        s.name,
        i.id,
        i.state,
        i.forMs < 0 ? "" : duration(i.forMs),
        i.active,
        i.connections,
        i.latencyMs < 0 ? "" : `${i.latencyMs.toFixed(1)} ms`,
        i.pid ?? "",
        i.restarts ?? "",
      ]),
    ),
  );
  section(
    ["REALTIME", "PATH", "DURABILITY", "CONNECTIONS", "SOCKETS", "SERVERS"],
    report.realtime.map((r) => [
      r.name,
      r.path,
      r.durability,
      r.connections,
      r.sockets,
      r.servers.map((s) => `${s.instance} (${s.sockets})`).join(", "),
    ]),
  );
  section(
    ["STREAM", "NAMESPACE", "EVENTS"],
    report.realtime.flatMap((r) => r.streams.map((s) => [r.name, s.namespace, s.last])),
  );
  if (report.names !== null) {
    section(
      ["NAMES", "ZONES", "QUERIES"],
      [[report.names.address, report.names.zones.join(", "), report.names.queries]],
    );
  }
  return parts.join("\n\n");
}

function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}
