/** The load generator's process: does what one message asks, and answers with one. */
import { cpuOf } from "../measure/cpu.ts";
import { type BodiesTask, bodies } from "./bodies.ts";
import { Client, type Protocol } from "./client.ts";
import { Crowd, numbered } from "./crowd.ts";
import { type AskAgainTask, type KeepTask, Kept } from "./keep.ts";
import { type PacedTask, paced } from "./paced.ts";

/** Clients of one room and a sender, which stay for the tasks that follow. */
export interface OpenTask {
  readonly type: "open";
  readonly port: number;
  readonly protocol: Protocol;
  readonly clients: number;
}

export interface FanoutTask {
  readonly type: "fanout";
  readonly serverPid: number;
  /** Messages on their way at once. */
  readonly inFlight: number;
  readonly bytes: number;
  readonly ms: number;
}

/** Each client asks so many questions at once, and again when all are answered. */
export interface EchoTask extends Omit<FanoutTask, "type"> {
  readonly type: "echo";
}

/** So many messages, whoever said them. */
export interface HearTask {
  readonly type: "hear";
  readonly count: number;
}

/** The sender says so many texts a second, open loop: see `Crowd.pace`. */
export interface PacedSayingTask {
  readonly type: "say";
  readonly perSecond: number;
  readonly ms: number;
  readonly bytes: number;
}

/** One more of the room, which stops reading at once. */
export interface PauseTask {
  readonly type: "pause";
  readonly port: number;
  readonly protocol: Protocol;
}

export interface SayingResult {
  readonly events: number;
  readonly delivered: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
}

export interface Delivered {
  readonly deliveries: number;
  readonly elapsedMs: number;
  /** Of the server. */
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

let crowd: Crowd;
let said = 0;

async function open({ port, protocol, clients }: OpenTask): Promise<object> {
  crowd = await Crowd.open({ port, protocol, clients, keeps: false });
  return {};
}

/** What `load` delivers, and what it costs the server. */
async function measured(serverPid: number, load: () => Promise<void>): Promise<Delivered> {
  const before = { at: performance.now(), cpu: cpuOf(serverPid), deliveries: crowd.deliveries };
  await load();
  return {
    deliveries: crowd.deliveries - before.deliveries,
    elapsedMs: performance.now() - before.at,
    cpuMs: cpuOf(serverPid) - before.cpu,
  };
}

function fanout({ serverPid, inFlight, bytes, ms }: FanoutTask): Promise<Delivered> {
  return measured(serverPid, async () => {
    for (const end = performance.now() + ms; performance.now() < end; ) {
      await crowd.say(Array.from({ length: inFlight }, () => numbered(said++, bytes)));
    }
    const wrong = crowd.clients.filter((client) => client.count !== said).length;
    if (wrong > 0) throw new Error(`${wrong} clients did not receive each of the ${said} messages exactly once`);
  });
}

function echo({ serverPid, inFlight, bytes, ms }: EchoTask): Promise<Delivered> {
  const texts = Array.from({ length: inFlight }, (_, index) => numbered(index, bytes));
  return measured(serverPid, () => crowd.ask(texts, ms));
}

async function hear({ count }: HearTask): Promise<{ readonly elapsedMs: number }> {
  const start = performance.now();
  await crowd.hear(count);
  return { elapsedMs: performance.now() - start };
}

async function pause({ port, protocol }: PauseTask): Promise<object> {
  const ignore = (): void => {};
  const options = { port, protocol, role: "listener", keeps: false, onMessages: ignore, onClose: ignore } as const;
  (await Client.open(options)).pause();
  return {};
}

async function say({ perSecond, ms, bytes }: PacedSayingTask): Promise<SayingResult> {
  const before = crowd.deliveries;
  const latencies = (await crowd.pace(perSecond, ms, () => numbered(said++, bytes))).sort((a, b) => a - b);
  const quantile = (q: number): number => latencies[Math.floor(q * latencies.length)] ?? Number.NaN;
  return {
    events: latencies.length,
    delivered: crowd.deliveries - before,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
    p999Ms: quantile(0.999),
  };
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

export type Task =
  | OpenTask
  | HearTask
  | PacedSayingTask
  | PauseTask
  | FanoutTask
  | EchoTask
  | IdleTask
  | CountTask
  | PacedTask
  | KeepTask
  | AskAgainTask
  | BodiesTask;

const kept = new Kept();

function run(task: Task): Promise<object> {
  switch (task.type) {
    case "open":
      return open(task);
    case "echo":
      return echo(task);
    case "hear":
      return hear(task);
    case "pause":
      return pause(task);
    case "say":
      return say(task);
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
