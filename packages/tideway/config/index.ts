/** Front door of `tideway/config`: from a file to a checked, frozen plan. */
export { closest, formatPath, type Issue, show } from "./issues.ts";
export type { HttpListenerPlan, ListenerPlans, StreamListenerPlan } from "./listeners.ts";
export { ConfigurationFault, findConfiguration, loadPlan, reloadPlan } from "./load.ts";
export type { Origin, Plan, PlanRow } from "./plan.ts";
export { reference } from "./reference.ts";
export type { RouteParts } from "./route-parts.ts";
export type {
  AnyService,
  BalancedService,
  FieldChangesConfig,
  RateConfig,
  Route,
  ServiceKind,
  ServiceOf,
  TcpOptions,
  TidewayConfig,
  UdpOptions,
} from "./schema.ts";
export { version } from "./version.ts";
