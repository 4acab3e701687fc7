/** Front door of `engine/balancing`: which instance, and what health means. */
export { RetryBudget } from "./budget.ts";
export {
  defaultHealthRules,
  type Health,
  type HealthRules,
  HealthState,
  isPromising,
  isUsable,
  onDrain,
  onProbe,
  onRequestAnswered,
  onRequestFailed,
  onTrial,
} from "./health.ts";
export { cookieOf, type HashBy, hashKey, parameterOf } from "./keys.ts";
export { Load } from "./load.ts";
export { type BalanceName, balanceNames, createPolicy, type Policy } from "./policies.ts";
export { isCurrent, needsToken, parseStickyToken, type StickyToken, stickyPayload } from "./sticky.ts";
