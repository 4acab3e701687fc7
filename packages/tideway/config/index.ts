/** Front door of `tideway/config`: from a file to a checked, frozen plan. */
export { closest, type Issue, show } from "./issues.ts";
export { ConfigurationFault, findConfiguration, loadPlan } from "./load.ts";
export type { Origin, Plan, PlanRow } from "./plan.ts";
export type { AnyService, ServiceKind, ServiceOf, TidewayConfig } from "./schema.ts";
export { version } from "./version.ts";
