#!/usr/bin/env node
/** The command `tideway`: hands over to `cli/`, which is where commands are. */
import { run } from "../cli/index.ts";

process.exitCode = await run(process.argv.slice(2));
