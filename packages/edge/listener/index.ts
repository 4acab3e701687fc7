/** Front door of `edge/listener`: client connections in, one Exchange per request out. */
export { Census, type CensusOptions } from "./census.ts";
export type {
  Listener,
  ListenerChanges,
  ListenerCounters,
  ListenerLimits,
  ListenerOptions,
  RequestRecord,
  UpgradeEnd,
} from "./contract.ts";
export { createListener } from "./listener.ts";
