/** Front door of `tideway/console`: what a running server tells its operator, over a page and over the control socket. */
export { type RunningConsole, startConsole } from "./console.ts";
export {
  type Adjustment,
  type Asked,
  askControl,
  type ControlServer,
  type Pick,
  serveControl,
  socketPath,
} from "./control.ts";
export type { MetricsAccess, Scrape } from "./metrics.ts";
export type {
  Change,
  CountersReport,
  InstanceReport,
  ListenerReport,
  RealtimeReport,
  ReloadReport,
  RouteReport,
  ServiceCountersReport,
  ServiceReport,
  StatusReport,
  StreamReport,
} from "./report.ts";
export { collectStatus } from "./status-metrics.ts";
