/** Front door of `edge/proxy`: one exchange to one upstream. */
export { createProxy, type ProxyOptions, type ProxyRoute, type ProxyTarget, type TraceOptions } from "./proxy.ts";
export type { TunnelCounters } from "./tunnels.ts";
