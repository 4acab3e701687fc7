/** Front door of `edge/upstream`: connections to the servers behind, and which of them to use. */
export type { UpstreamConnection } from "./connection.ts";
export {
  LeaseFault,
  type LeaseHandler,
  type UpstreamFault,
  UpstreamFaultCode,
  type UpstreamHandler,
  type UpstreamLimits,
} from "./contract.ts";
export type { Instance, InstanceAddress } from "./instance.ts";
export type { HealthOptions } from "./prober.ts";
export { type InstanceStatus, Service, type ServiceOptions, type ServiceStatus } from "./service.ts";
