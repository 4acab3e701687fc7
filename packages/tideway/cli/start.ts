/**
 * `tideway start`: runs a configuration until it is told to stop. Owns the lines that a person sees when the server
 * is ready, what a signal does, and the promise that after a failed start nothing is left running.
 */
import { flushCompileCache } from "node:module";
import { join, relative } from "node:path";
import { systemClock } from "@tideway/edge/clock";
import { findConfiguration, loadPlan, type Plan } from "../config/index.ts";
import { createLog, type Log, System, type SystemAddresses } from "../system/index.ts";
import { describe } from "./describe.ts";
import { onHangUp, onStopSignals } from "./signals.ts";

/** From the first signal to the end: requests and streams under way may finish meanwhile. */
const drainMs = 10_000;

export async function start(given: string | undefined, options: { check?: boolean; json?: boolean }): Promise<number> {
  const plan = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  if (options.check === true) {
    process.stdout.write(`${plan.file} is valid.\n`);
    return 0;
  }
  keepCompiled(plan);
  const log = createLog({ level: plan.log.level, readable: process.stderr.isTTY });
  const ended = Promise.withResolvers<number>();
  const system = new System(plan, log, (error) => ended.reject(error));
  const forget = stopOnSignals(system, log, ended.resolve);
  const reload = (): void => {
    log.info({ signal: "SIGHUP" }, "reading the configuration again");
    // What is wrong with it is in the log: whoever sent the signal cannot be told.
    system.reload().catch((error: unknown) => log.error({}, `the old configuration goes on\n${describe(error)}`));
  };
  const forgetHangUp = onHangUp(reload, () => process.kill(process.pid, "SIGTERM"));
  try {
    const addresses = await Promise.race([system.start(), ended.promise]);
    if (typeof addresses === "number") return addresses;
    // Otherwise it is written by an orderly end only, and the start after a kill is the one that has to be short.
    flushCompileCache();
    if (addresses !== null)
      process.stdout.write(options.json === true ? `${JSON.stringify(addresses)}\n` : banner(plan, addresses));
    return await ended.promise;
  } finally {
    await system.stop(0);
    forgetHangUp();
    forget();
    log.flush();
  }
}

/**
 * Threads and instances inherit where compiled code is kept between runs: without it each of them strips and compiles its
 * modules anew, which is half of a start. The data directory is nobody else's, so that nobody else can put code there.
 */
function keepCompiled({ dataDirectory }: Plan): void {
  process.env["NODE_COMPILE_CACHE"] ??= join(dataDirectory, "compiled");
}

/** The first request drains, a second one exits at once: then the applications' guard ends them. */
function stopOnSignals(system: System, log: Log, ended: (code: number) => void): () => void {
  return onStopSignals({
    clock: systemClock,
    onFirst: (signal) => {
      log.info({ signal }, "stopping: requests under way may finish; Ctrl+C again stops at once");
      system.stop(drainMs).then(
        () => ended(0),
        (error: unknown) => {
          log.error({ error: String(error) }, "stopping failed");
          ended(1);
        },
      );
    },
    onAgain: () => process.exit(1),
  });
}

function banner(plan: Plan, addresses: SystemAddresses): string {
  const lines = ["", "  Tideway is ready.", ""];
  for (const site of addresses.sites) lines.push(`  site       ${site}`);
  for (const { protocol, address, service } of addresses.streams)
    lines.push(`  ${protocol}        ${address}  ${service}`);
  if (addresses.console !== null) {
    const token = relative(process.cwd(), addresses.console.tokenFile);
    lines.push(`  console    ${addresses.console.address}  (token: ${token})`);
  }
  if (addresses.names !== null) lines.push(`  names      ${addresses.names}  (UDP and TCP)`);
  lines.push(`  data       ${relative(process.cwd(), plan.dataDirectory) || "."}`, "", "  Ctrl+C stops it.", "", "");
  return lines.join("\n");
}
