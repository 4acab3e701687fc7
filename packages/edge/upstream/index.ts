/** Front door of `edge/upstream`: connections to the servers behind, and which of them to use. */
export type { UpstreamConnection } from "./connection.ts";
export {
  type Asker,
  LeaseFault,
  type LeaseHandler,
  type UpstreamFault,
  UpstreamFaultCode,
  type UpstreamHandler,
  type UpstreamLimits,
  type WhenDown,
} from "./contract.ts";
export { isOwnFault } from "./faults.ts";
export { type ProxyVersion, proxyHeader } from "./header.ts";
export type { Instance } from "./instance.ts";
export { Member, type MemberAddress, type MemberOwner } from "./member.ts";
export { Pool, type PoolOptions } from "./pool.ts";
export { defaultProbe, Probe, type ProbeDone, type ProbeMaker, type ProbeTarget } from "./probe.ts";
export { type Resolve, type Resolved, systemResolve } from "./resolver.ts";
export { Service, type ServiceOptions } from "./service.ts";
export {
  defaultHealth,
  type EjectOptions,
  type HealthOptions,
  type PoolSettings,
  type ServiceSettings,
  type UpstreamAddress,
} from "./settings.ts";
export type { Counters, InstanceStatus, MemberStatus, NameStatus, ServiceCounters, ServiceStatus } from "./status.ts";
export type { StickyOptions } from "./sticky.ts";
export { applyDifference, Upstreams } from "./upstreams.ts";
