/** Front door of `engine/limiting`: how often each may ask, and how many requests may be under way. */
export type { KeyedHead, KeyOf, KeySpec } from "./keys.ts";
export { addressKey } from "./keys.ts";
export {
  type CompiledRate,
  compileRate,
  type RateDecision,
  type RateFault,
  type RateLimit,
  type RateSpec,
} from "./rate.ts";
export { RequestsBound } from "./requests.ts";
