/** Front door of the package `tideway`: what a configuration file imports. The command line is `bin/tideway.mjs`. */
import type { TidewayConfig } from "./config/index.ts";

export type { TidewayConfig } from "./config/index.ts";

/** Returns its argument: it is there for the types, so that an editor completes keys and marks wrong ones. */
export function defineConfig(config: TidewayConfig): TidewayConfig {
  return config;
}
