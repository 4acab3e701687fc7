/** Front door of `edge/proxy`: one exchange to one upstream. */
export { createProxy, type ProxyOptions, type ProxyTarget } from "./proxy.ts";
