/**
 * The command line: names, options, and what happens to errors. Owns exit codes: 0 done, 1 failed, 2 wrong usage.
 * What a command does is in its own file.
 */
import { Command, CommanderError } from "commander";
import { version } from "../config/index.ts";
import { check } from "./check.ts";
import { deploy } from "./deploy.ts";
import { describe } from "./describe.ts";
import { doctor } from "./doctor.ts";
import { explain } from "./explain.ts";
import { instance } from "./instance.ts";
import { printReference } from "./reference.ts";
import { reload } from "./reload.ts";
import { start } from "./start.ts";
import { status } from "./status.ts";

const configuration = "tideway.config.ts, or the folder that holds it (default: this folder)";

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
    .command("reference")
    .description("print every key of the configuration with its default and meaning, as Markdown")
    .action(command(printReference));
  program
    .command("doctor")
    .description("examine ports, permissions, clock, disk and names: each finding with a fix")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(doctor));
  addChanges(program, command);
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    process.stderr.write(`${describe(error)}\n`);
    return 1;
  }
}

function collect(value: string, earlier: readonly string[]): string[] {
  return [...earlier, value];
}

type Action = <A extends unknown[]>(action: (...args: A) => Promise<number>) => (...args: A) => Promise<void>;

/** The commands that ask the running server, or have it change something. */
function addChanges(program: Command, command: Action): void {
  program
    .command("explain")
    .description("show which site, route, service and instance would answer a URL, and why")
    .argument("<url>", "for example http://www.abc.test:7777/db/x")
    .argument("[config]", configuration)
    .option("-X, --method <method>", "of the request (default: GET)")
    .option("-H, --header <field>", 'a field of the request, such as "x-beta: 1"; may be said again', collect, [])
    .option("--from <address>", "the client's address (default: 127.0.0.1)")
    .option("--json", "print JSON")
    .action(command(explain));
  program
    .command("deploy")
    .description("replace the instances of a service one by one; requests and sockets notice nothing")
    .argument("<service>", "a service with a command")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(deploy));
  program
    .command("reload")
    .description("apply the changed configuration; unchanged services and live connections are left alone")
    .argument("[config]", configuration)
    .option("--json", "print JSON")
    .action(command(reload));
  program
    .command("instance")
    .description("change an instance's share of the requests, drain it, or take it back")
    .argument("<service>", "a service with instances")
    .argument("<instance>", "as `tideway status` names it")
    .argument("[config]", configuration)
    .option("--weight <number>", "its share relative to the others")
    .option("--drain", "give it nothing new")
    .option("--undrain", "use it again")
    .option("--json", "print JSON")
    .action(command(instance));
}
