/** Front door of `tideway/console`: what a running server tells its operator, over a page and over the control socket. */
export { type RunningConsole, startConsole } from "./console.ts";
export { askControl, type ControlServer, serveControl, socketPath } from "./control.ts";
export type { MetricsAccess, Scrape } from "./metrics.ts";
export type {
  CountersReport,
  InstanceReport,
  ListenerReport,
  RealtimeReport,
  ServiceCountersReport,
  ServiceReport,
  StatusReport,
  StreamReport,
} from "./report.ts";
export { collectStatus } from "./status-metrics.ts";
