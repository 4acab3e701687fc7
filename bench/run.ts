/** `npm run bench -- NAME`: one benchmark, printed as a table. Writes no file, and leaves no process behind: those that
 * a failure leaves are ended with this one. */
import { balance } from "./balance.ts";
import { bodies } from "./bodies.ts";
import { changes } from "./changes.ts";
import { durable } from "./durable.ts";
import { echo } from "./echo.ts";
import { edgeKill } from "./edge-kill.ts";
import { everything } from "./everything.ts";
import { fanout } from "./fanout.ts";
import { handover } from "./handover.ts";
import { idle } from "./idle.ts";
import { keepalive } from "./keepalive.ts";
import { latency } from "./latency.ts";
import { canPin } from "./measure/processes.ts";
import { paused } from "./paused.ts";
import { proxy } from "./proxy.ts";
import { publish } from "./publish.ts";
import { slowclients } from "./slowclients.ts";

const benchmarks: Readonly<Record<string, () => Promise<string>>> = {
  proxy,
  everything,
  bodies,
  latency,
  keepalive,
  balance,
  changes,
  slowclients,
  fanout,
  durable,
  echo,
  publish,
  paused,
  idle,
  handover,
  "edge-kill": edgeKill,
};

const [name = ""] = process.argv.slice(2);
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
if (benchmark === undefined) {
  process.stderr.write(`Which one? npm run bench -- ${Object.keys(benchmarks).join(" | ")}\n`);
  process.exitCode = 2;
} else {
  try {
    process.stdout.write(`${await benchmark()}\n`);
    if (!canPin) process.stdout.write("Not pinned to cores (one core, or no taskset): read the figures as rough.\n");
  } catch (error) {
    process.stderr.write(`${name} failed: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  }
}
