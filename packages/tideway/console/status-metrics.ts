/**
 * The status report as metrics: what `tideway status` shows, for scrapers. What OpenTelemetry's conventions have a name for
 * has that name; the rest begins with `tideway_`. Owns names and labels; every label's value comes from the configuration.
 */
import { counter, type Family, gauge, info, type Labels, type Samples } from "@tideway/engine/metrics";
import type {
  CountersReport,
  InstanceReport,
  ListenerReport,
  ServiceCountersReport,
  ServiceReport,
  StatusReport,
  StreamReport,
} from "./report.ts";

const target = info("target_info", "What this is");
const build = info("tideway_build_info", "Versions of Tideway and of Node");
const instanceUptime = gauge("tideway_uptime_seconds", "Time since the system started", "seconds");

const listener = {
  connections: gauge("tideway_listener_connections", "Open connections of clients, without upgraded ones"),
  upgraded: gauge("tideway_listener_upgraded_connections", "Open connections that carry another protocol: tunnels"),
  accepted: counter("tideway_listener_accepted_connections_total", "Connections accepted"),
  requests: counter("tideway_listener_requests_total", "Requests whose head was read"),
  refused: counter("tideway_listener_refused_requests_total", "Requests whose bytes broke a rule or a limit"),
  shed: counter("tideway_listener_shed_connections_total", "Connections turned away or closed for want of room"),
  bytesIn: counter("tideway_listener_received_bytes_total", "Bytes of connections that have closed", "bytes"),
  bytesOut: counter("tideway_listener_sent_bytes_total", "Bytes of connections that have closed", "bytes"),
} as const;

const begun = counter("tideway_stream_accepted_total", "TCP connections or UDP sessions begun");
const stream = {
  connections: gauge("tideway_stream_connections", "Open connections of TCP services"),
  sessions: gauge("tideway_stream_sessions", "Open sessions of UDP services"),
  accepted: begun,
  opened: begun,
  displaced: counter("tideway_stream_displaced_sessions_total", "UDP sessions that made room for others"),
  refused: counter(
    "tideway_stream_refused_total",
    "TCP connections or UDP sessions refused because there were too many",
  ),
  malformed: counter(
    "tideway_stream_malformed_total",
    "TCP connections reset for want of a PROXY header as it should be",
  ),
  unserved: counter(
    "tideway_stream_unserved_total",
    "TCP connections or clients' datagrams for which no instance was to be had",
  ),
  connectFailures: counter("tideway_stream_connect_failures_total", "Instances that did not accept a connection"),
  idled: counter("tideway_stream_idled_total", "TCP connections ended because nothing came"),
  failures: counter("tideway_stream_failed_sessions_total", "UDP sessions whose instance did not listen or answer"),
  dropped: counter(
    "tideway_stream_dropped_datagrams_total",
    "Datagrams that found a bound reached, or that the system did not send",
  ),
  datagramsFromClients: counter("tideway_stream_client_datagrams_total", "Datagrams from clients"),
  datagramsFromUpstreams: counter("tideway_stream_upstream_datagrams_total", "Datagrams from instances"),
  bytesFromClients: counter("tideway_stream_client_bytes_total", "Bytes from clients", "bytes"),
  bytesFromUpstreams: counter("tideway_stream_upstream_bytes_total", "Bytes from instances", "bytes"),
} as const;

const service = {
  waiting: gauge("tideway_service_waiting_requests", "Requests that wait for an instance or a connection"),
  breaker: gauge("tideway_service_breaker_open", "1 while the circuit breaker lets nothing through"),
  requests: counter("tideway_service_requests_total", "Requests for the service"),
  retries: counter("tideway_service_retries_total", "Requests that were sent once more"),
  failures: counter("tideway_service_failures_total", "Tries without an answer, or with one that counts as none"),
  ejections: counter("tideway_service_ejections_total", "Instances taken out for how requests fared"),
  queued: counter("tideway_service_queued_requests_total", "Requests that had to wait"),
  queueTimeouts: counter("tideway_service_queue_timeouts_total", "Requests that waited in vain"),
  queueRefusals: counter("tideway_service_queue_refusals_total", "Requests refused because too many waited"),
  unavailable: counter("tideway_service_unavailable_total", "Requests refused because every instance was down"),
  breakerOpenings: counter("tideway_service_breaker_openings_total", "Times that the circuit breaker opened"),
  resolved: gauge("tideway_service_name_resolved", "1 when an upstream's name could be resolved the last time"),
  breakerRefusals: counter("tideway_service_breaker_refusals_total", "Requests that the circuit breaker refused"),
} as const;

const instance = {
  state: gauge("tideway_instance_state", "1 for the state that the instance is in, 0 for the others"),
  stateTime: gauge("tideway_instance_state_seconds", "Time in this state", "seconds"),
  latency: gauge("tideway_instance_latency_seconds", "Decaying average of the time to a response's head", "seconds"),
  weight: gauge("tideway_instance_weight", "Share of the traffic relative to the others, as it is now"),
  active: gauge("http_client_active_requests", "Requests under way to instances"),
  connections: gauge("http_client_open_connections", "Connections to instances"),
  requests: counter("tideway_instance_requests_total", "Requests that the instance was given, retries included"),
  retries: counter("tideway_instance_retries_total", "Requests that it was given after another try"),
  failures: counter("tideway_instance_failures_total", "Requests without an answer, or with one that counts as none"),
  ejections: counter("tideway_instance_ejections_total", "Times that it was taken out for how requests fared"),
  restarts: counter("tideway_instance_restarts_total", "Times that its process was started again"),
} as const;

/** All that a balancer or a process host may say; a state that is not among them is shown when it comes. */
const states = ["checking", "up", "down", "draining", "starting", "stopped", "failed"];

const realtime = {
  sockets: gauge("tideway_realtime_sockets", "Sockets in namespaces"),
  serverSockets: gauge("tideway_realtime_server_sockets", "Sockets by the application's process that serves them"),
  events: counter("tideway_realtime_stream_events_total", "Events in a namespace's stream since it was begun"),
} as const;

const queries = counter("tideway_dns_queries_total", "Questions to the name server");

/** Puts the whole report in. */
export function collectStatus(report: StatusReport, samples: Samples): void {
  samples.add(target, 1, { service_name: "tideway", service_version: report.version });
  samples.add(build, 1, { version: report.version, node: process.versions.node });
  samples.add(instanceUptime, report.uptimeMs / 1e3);
  for (const each of report.listeners) collectListener(each, samples);
  for (const each of report.streams ?? []) collectStream(each, samples);
  for (const each of report.services) collectService(each, samples);
  for (const { name, sockets, servers, streams } of report.realtime) {
    const labels = { tideway_service: name };
    samples.add(realtime.sockets, sockets, labels);
    for (const server of servers) {
      samples.add(realtime.serverSockets, server.sockets, { ...labels, tideway_instance: server.instance });
    }
    for (const { namespace, last } of streams) samples.add(realtime.events, last, { ...labels, namespace });
  }
  if (report.names !== null) samples.add(queries, report.names.queries);
}

function collectListener(report: ListenerReport, samples: Samples): void {
  collectNumbers(listener, report, samples, { tideway_listener: report.address });
}

function collectStream(report: StreamReport, samples: Samples): void {
  const { address, protocol, service: name } = report;
  const labels = { tideway_listener: address, network_transport: protocol, tideway_service: name };
  collectNumbers(stream, report.counters, samples, labels);
}

function collectService(report: ServiceReport, samples: Samples): void {
  // A TCP or UDP service may have the name of an HTTP one.
  const isStream = report.kind === "tcp" || report.kind === "udp";
  const labels = { tideway_service: report.name, network_transport: isStream ? report.kind : "" };
  if (report.instances.length === 0 && report.counters === undefined) return;
  samples.add(service.waiting, report.waiting, labels);
  if (report.breaker !== undefined) samples.add(service.breaker, report.breaker === "open" ? 1 : 0, labels);
  if (report.counters !== undefined) collectNumbers<ServiceCountersReport>(service, report.counters, samples, labels);
  for (const { name, fault } of report.names ?? [])
    samples.add(service.resolved, fault === "" ? 1 : 0, { ...labels, name });
  for (const each of report.instances) {
    collectInstance(each, samples, { ...labels, tideway_instance: each.id });
  }
}

function collectInstance(report: InstanceReport, samples: Samples, labels: Labels): void {
  const { state, forMs, active, connections, idle = 0, latencyMs, weight, weightNow = weight } = report;
  for (const each of states.includes(state) ? states : [...states, state]) {
    samples.add(instance.state, each === state ? 1 : 0, { ...labels, state: each });
  }
  if (forMs >= 0) samples.add(instance.stateTime, forMs / 1e3, labels);
  if (latencyMs >= 0) samples.add(instance.latency, latencyMs / 1e3, labels);
  if (weightNow !== undefined) samples.add(instance.weight, weightNow, labels);
  samples.add(instance.active, active, labels);
  samples.add(instance.connections, connections - idle, { ...labels, http_connection_state: "active" });
  samples.add(instance.connections, idle, { ...labels, http_connection_state: "idle" });
  if (report.counters !== undefined) collectNumbers<CountersReport>(instance, report.counters, samples, labels);
  if (report.restarts !== undefined) samples.add(instance.restarts, report.restarts, labels);
}

/** Each number of `values` that has a family of its name; what a report leaves out is left out. */
function collectNumbers<V extends object>(
  families: Readonly<Record<string, Family>>,
  values: V,
  samples: Samples,
  labels: Labels,
): void {
  for (const [name, family] of Object.entries(families)) {
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (typeof value === "number") samples.add(family, value, labels);
  }
}
