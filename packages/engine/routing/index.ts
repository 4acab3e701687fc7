/** Front door of `engine/routing`: host + port + path + head → route, and what a route does to fields and paths. */
export { type CompiledRoutes, compileRoutes, type SitesSpec } from "./compile.ts";
export type { ConditionSpec, ConditionStep, ValueTest } from "./conditions.ts";
export { explainRoute, type RouteExplanation, type RouteStep } from "./explain.ts";
export { type Place, type RouteFault, RouteFaultCode } from "./faults.ts";
export {
  type CompiledChanges,
  compileFieldChanges,
  type FieldChanges,
  type FieldChangesResult,
  type MessageSide,
} from "./field-changes.ts";
export { type CompiledLocation, compileLocation } from "./location.ts";
export { forwardedPath, type PathChange } from "./rewriting.ts";
export type { RouteContext, RouteOptions, RouteSpec } from "./routes.ts";
export type { RoutedHead, RouteMatch, RouteMiss, RouteTable } from "./table.ts";
export { type PlaceholderValues, placeholderValues } from "./template.ts";
