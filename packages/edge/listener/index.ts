/** Front door of `edge/listener`: client connections in, one Exchange per request out. */
export type {
  Listener,
  ListenerCounters,
  ListenerLimits,
  ListenerOptions,
  RequestRecord,
  UpgradeEnd,
} from "./contract.ts";
export { createListener } from "./listener.ts";
