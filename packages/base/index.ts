/** Front door of `base`: what every tier may use. Imports nothing from outside this room. */
export * from "./addresses.ts";
export * from "./assert.ts";
export * from "./clock.ts";
export * from "./errors.ts";
export * from "./exchange.ts";
export * from "./limits.ts";
export * from "./listening.ts";
export * from "./logger.ts";
export * from "./repeats.ts";
