/** Front door of `edge/proxy`: one exchange to one upstream. */
export { createProxy, type Proxy, type ProxyOptions } from "./proxy.ts";
