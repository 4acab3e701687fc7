/**
 * What a service that has instances says of itself, for `tideway status`, the console and `/metrics`: what the balancer
 * knows of each instance, joined with what the process host knows of its process.
 */
import type { InstanceStatus as ProcessStatus } from "@tideway/edge/apphost";
import type { InstanceStatus, MemberStatus, Service } from "@tideway/edge/upstream";
import type { InstanceReport, ServiceReport } from "../console/index.ts";

/** `processes` are the service's own; none when others run it. */
export function reportService(
  service: Pick<Service, "status" | "counters">,
  processes: readonly ProcessStatus[],
): Omit<ServiceReport, "name" | "kind"> {
  const { waiting, breaker, instances, names } = service.status();
  const { instances: _, ...counters } = service.counters();
  const byId = new Map(processes.map((process) => [process.id, process]));
  const reports = instances.map((instance) => reportInstance(instance, byId.get(instance.id)));
  // Those without a process, which wait for their next start or have ended: nobody balances over them, but they are wanted.
  const known = new Set(instances.map(({ id }) => id));
  for (const { id, state, restarts, lastExit } of processes) {
    if (known.has(id)) continue;
    reports.push({ id, state, why: lastExit, forMs: -1, active: 0, connections: 0, latencyMs: -1, restarts });
  }
  const resolved = names.map(({ name, addresses, fault }) => ({ name, addresses, fault }));
  return { waiting, breaker, counters, instances: reports, ...(resolved.length === 0 ? {} : { names: resolved }) };
}

function reportInstance(instance: InstanceStatus, process: ProcessStatus | undefined): InstanceReport {
  return {
    ...reportMember(instance),
    idle: instance.idle,
    ...(process === undefined ? {} : { restarts: process.restarts }),
    ...(process === undefined || process.pid === null ? {} : { pid: process.pid }),
  };
}

/** What is known of an instance whatever the protocol. */
export function reportMember(member: MemberStatus): InstanceReport {
  const { id, state, why, forMs, active, connections, latencyMs, weight, weightNow } = member;
  const { requests, retries, failures, ejections } = member;
  const counters = { requests, retries, failures, ejections };
  return { id, state, why, forMs, active, connections, latencyMs, weight, weightNow, counters };
}
