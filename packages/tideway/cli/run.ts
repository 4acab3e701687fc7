/**
 * The command line: names, options, and what happens to errors. Owns exit codes: 0 done, 1 failed, 2 wrong usage.
 * What a command does is in its own file.
 */
import { OperatorError } from "@tideway/base";
import { Command, CommanderError } from "commander";
import { ConfigurationFault, version } from "../config/index.ts";
import { check } from "./check.ts";
import { deploy } from "./deploy.ts";
import { explain } from "./explain.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";

/** Runs one command; `start` ends when the server has stopped. Errors are printed to standard error. */
export async function run(argv: readonly string[]): Promise<number> {
  let code = 0;
  const command = <A extends unknown[]>(action: (...args: A) => Promise<number>) => {
    return async (...args: A) => {
      code = await action(...args);
    };
  };
  const program = new Command("tideway")
    .description("One server for real-time web applications.")
    .version(version)
    .exitOverride()
    .showHelpAfterError();
  const configuration = "tideway.config.ts, or the folder that holds it (default: this folder)";
  program
    .command("start")
    .description("run the sites of a configuration")
    .argument("[config]", configuration)
    .option("--check", "stop after validation")
    .option("--json", "print the addresses as JSON")
    .action(command(start));
  program
    .command("check")
    .description("validate a configuration and print the effective plan")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(check));
  program
    .command("status")
    .description("show what runs: sites, services, instances, connections, streams")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(status));
  program
    .command("explain")
    .description("show which site, route, service and instance would answer a URL, and why")
    .argument("<url>", "for example http://www.abc.test:7777/db/x")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(explain));
  program
    .command("deploy")
    .description("replace the instances of a service one by one; requests and sockets notice nothing")
    .argument("<service>", "a service with a command")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(deploy));
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`${describe(error)}\n`);
    return 1;
  }
}

/** Operator errors as their lines; anything else is a fault of ours, with its stack. */
export function describe(error: unknown): string {
  if (error instanceof ConfigurationFault) return error.faults.map((fault) => fault.format()).join("\n\n");
  if (error instanceof OperatorError) return error.format();
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
