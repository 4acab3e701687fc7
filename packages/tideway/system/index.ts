/** Front door of `tideway/system`: a plan, running. */
export { createLog, type Log } from "./logs.ts";
export { System, type SystemAddresses } from "./system.ts";
