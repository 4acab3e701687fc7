/** `tideway deploy SERVICE`: has the running server replace the service's instances, and tells what happens meanwhile. */
import { setTimeout as sleep } from "node:timers/promises";
import { findConfiguration, loadPlan } from "../config/index.ts";
import { askControl, type InstanceReport, type StatusReport } from "../console/index.ts";

/** Longer than any start and drain of many instances may take. */
const deployTimeoutMs = 60 * 60 * 1000;
const lookEveryMs = 200;

export async function deploy(service: string, given: string | undefined, options: { json?: boolean }): Promise<number> {
  const { dataDirectory } = await loadPlan(findConfiguration(given, process.cwd()), process.env);
  const instances = async (): Promise<readonly InstanceReport[]> => {
    const { services } = await askControl<StatusReport>(dataDirectory, "/status");
    return services.find(({ name }) => name === service)?.instances ?? [];
  };
  const before = await instances();
  const path = `/deploy?service=${encodeURIComponent(service)}`;
  const done = askControl(dataDirectory, path, { method: "POST", timeoutMs: deployTimeoutMs });
  if (options.json !== true) await narrate(before, instances, done);
  await done;
  const after = await instances();
  const pids = (list: readonly InstanceReport[]) => list.map(({ id, pid }) => ({ id, pid: pid ?? null }));
  if (options.json === true)
    process.stdout.write(`${JSON.stringify({ service, before: pids(before), after: pids(after) })}\n`);
  else
    process.stdout.write(
      `${service} is deployed: ${after.map(({ id, pid }) => `${id} (process ${pid})`).join(", ")}\n`,
    );
  return 0;
}

/** A line for each instance whose state changed, until `done` settles. */
async function narrate(
  before: readonly InstanceReport[],
  instances: () => Promise<readonly InstanceReport[]>,
  done: Promise<unknown>,
): Promise<void> {
  const stateByProcess = (list: readonly InstanceReport[]) => {
    return new Map(list.map(({ id, state, pid }) => [`${id} (process ${pid})`, state]));
  };
  let settled = false;
  const end = () => {
    settled = true;
  };
  done.then(end, end);
  let last = stateByProcess(before);
  for (let isLastLook = false; !isLastLook; ) {
    isLastLook = settled;
    const now = stateByProcess(await instances());
    for (const [name, state] of now) {
      if (last.get(name) !== state) process.stdout.write(`${name} is ${state}\n`);
    }
    for (const name of last.keys()) {
      if (!now.has(name)) process.stdout.write(`${name} has ended\n`);
    }
    last = now;
    if (!isLastLook) await sleep(lookEveryMs);
  }
}
