/** The load generator's process: does what one message asks, and answers with one. */
import { cpuOf } from "../measure/cpu.ts";
import { type BodiesTask, bodies } from "./bodies.ts";
import type { Protocol } from "./client.ts";
import { Crowd, numbered } from "./crowd.ts";
import { type AskAgainTask, type KeepTask, Kept } from "./keep.ts";
import { type PacedTask, paced } from "./paced.ts";

export interface FanoutTask {
  readonly type: "fanout";
  readonly port: number;
  readonly protocol: Protocol;
  readonly serverPid: number;
  readonly clients: number;
  /** Messages on their way at once. */
  readonly inFlight: number;
  readonly bytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface FanoutResult {
  readonly deliveries: number;
  readonly elapsedMs: number;
  readonly cpuMs: number;
}

export interface IdleTask {
  readonly type: "idle";
  readonly port: number;
  readonly protocol: Protocol;
  readonly clients: number;
}

export interface CountTask {
  readonly type: "count";
}

export interface CountResult {
  readonly alive: number;
}

async function fanout(task: FanoutTask): Promise<FanoutResult> {
  const crowd = await Crowd.open({ port: task.port, protocol: task.protocol, clients: task.clients, keeps: false });
  let said = 0;
  const sayFor = async (ms: number): Promise<void> => {
    for (const end = performance.now() + ms; performance.now() < end; ) {
      await crowd.say(Array.from({ length: task.inFlight }, () => numbered(said++, task.bytes)));
    }
  };
  await sayFor(task.warmUpMs);
  const before = { at: performance.now(), cpu: cpuOf(task.serverPid), deliveries: crowd.deliveries };
  await sayFor(task.measureMs);
  const result = {
    deliveries: crowd.deliveries - before.deliveries,
    elapsedMs: performance.now() - before.at,
    cpuMs: cpuOf(task.serverPid) - before.cpu,
  };
  const wrong = crowd.clients.filter((client) => client.count !== said).length;
  if (wrong > 0) throw new Error(`${wrong} clients did not receive each of the ${said} messages exactly once`);
  crowd.close();
  return result;
}

let idlers: Crowd | null = null;

async function idle({ port, protocol, clients }: IdleTask): Promise<{ readonly connected: number }> {
  idlers = await Crowd.open({ port, protocol, clients, keeps: false });
  return { connected: clients };
}

/** How many clients of the idle task are still connected. */
async function count(): Promise<CountResult> {
  return { alive: idlers?.clients.filter((client) => client.isOpen).length ?? 0 };
}

export type Task = FanoutTask | IdleTask | CountTask | PacedTask | KeepTask | AskAgainTask | BodiesTask;

const kept = new Kept();

function run(task: Task): Promise<object> {
  switch (task.type) {
    case "fanout":
      return fanout(task);
    case "idle":
      return idle(task);
    case "count":
      return count();
    case "paced":
      return paced(task);
    case "keep":
      return kept.open(task.port, task.connections);
    case "ask again":
      return kept.ask();
    case "bodies":
      return bodies(task);
  }
}

// A task that fails ends the process: whoever asked is told why.
process.on("message", async (task: Task) => process.send?.(await run(task)));
process.once("disconnect", () => process.exit());
process.send?.({ ready: true });
