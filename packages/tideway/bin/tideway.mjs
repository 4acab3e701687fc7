#!/usr/bin/env node
/**
 * The command `tideway`: hands over to `cli/`, which is where commands are. JavaScript, so that a start which finds all else
 * compiled does not have to load the stripper of types for these few lines: that is a sixth of it.
 */
import { enableCompileCache } from "node:module";

// Compiled code is kept between runs: a start takes a third less time. It must be on before the rest is loaded.
enableCompileCache();
const { run } = await import("../cli/index.ts");

process.exitCode = await run(process.argv.slice(2));
// What the configuration left open, such as a timer or a connection of its own, does not keep a finished command.
setTimeout(() => process.exit(), 500).unref();
