/**
 * The access log: one line per request, with what a person asks of it later: what was asked, what was answered, how long
 * it took and who answered. Owns the line; the listener owns the facts. Queries and bodies stay out: they hold secrets.
 */
import type { Logger } from "@tideway/base";
import type { RequestRecord } from "@tideway/edge/listener";

export function logRequest(log: Logger, record: RequestRecord): void {
  const fields: Record<string, unknown> = {
    id: record.id,
    address: record.address,
    method: record.method,
    host: record.host,
    path: record.path,
    status: record.status,
    in: record.bytesIn,
    out: record.bytesOut,
    ms: Math.round(record.durationMs * 10) / 10,
  };
  if (record.service !== "") fields["service"] = record.service;
  if (record.instance !== "") fields["instance"] = record.instance;
  if (record.trace !== "") fields["trace"] = record.trace;
  if (record.fault !== "") fields["rule"] = record.fault;
  log.info(fields, record.fault === "" ? "request" : "request refused");
}
