/** Front door of `tideway/system`: a plan, running. */

export type { SystemAddresses } from "./addresses.ts";
export { createLog, type Log } from "./logs.ts";
export { System } from "./system.ts";
