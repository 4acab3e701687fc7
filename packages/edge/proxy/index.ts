/** Front door of `edge/proxy`: one exchange to one upstream. */
export type { TunnelCounters } from "../tunnel/index.ts";
export { createProxy, type ProxyOptions, type ProxyRoute, type ProxyTarget, type TraceOptions } from "./proxy.ts";
