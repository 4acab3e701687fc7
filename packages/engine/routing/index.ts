/** Front door of `engine/routing`: host + port + path → route. */
export {
  type CompiledRoutes,
  compileRoutes,
  type RouteContext,
  type RouteFault,
  RouteFaultCode,
  type RouteSpec,
  type SitesSpec,
} from "./compile.ts";
export type { RouteExplanation, RouteMatch, RouteStep, RouteTable } from "./table.ts";
