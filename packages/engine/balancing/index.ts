/** Front door of `engine/balancing`: which instance, and what health means. */
export { Breaker, type BreakerRules, BreakerState, defaultBreakerRules } from "./breaker.ts";
export { RetryBudget } from "./budget.ts";
export {
  defaultEjectionRules,
  type EjectionRules,
  includesStatus,
  maySpare,
  type Statuses,
  slowest,
} from "./ejection.ts";
export {
  DownCause,
  defaultHealthRules,
  type Health,
  type HealthRules,
  HealthState,
  isPromising,
  isUsable,
  newHealth,
  onDrain,
  onEjected,
  onProbe,
  onRequestAnswered,
  onRequestFailed,
  onSpared,
  onTrial,
  onUndrain,
} from "./health.ts";
export { cookieOf, type HashBy, hashKey, parameterOf } from "./keys.ts";
export { Load } from "./load.ts";
export { Outcomes } from "./outcomes.ts";
export { createPolicy } from "./policies.ts";
export { type Balance, type BalanceName, balanceNames, type HashBalance, hashByOf, type Policy } from "./policy.ts";
export { isCurrent, needsToken, parseStickyToken, type StickyToken, stickyPayload } from "./sticky.ts";
