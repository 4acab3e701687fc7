/**
 * `npm run bench -- idle`: what an idle WebSocket costs while its heartbeat goes on: memory in user space and CPU time, 10,000
 * of them. Ours in one process beside the peers, and a whole `tideway start` with its application.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { CountResult, CountTask, IdleTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { startTideway, temporaryFolder } from "./measure/contenders.ts";
import { cpuOf, processTree } from "./measure/cpu.ts";
import { commandOf, residentOf } from "./measure/memory.ts";
import type { Core, Program } from "./measure/processes.ts";
import { rounds, table } from "./measure/table.ts";
import { type RealtimeServer, realtimeServers, startRealtimeServer } from "./realtime-servers.ts";
import type { Memory } from "./servers/collect.ts";

const clients = 10_000;
const roundCount = 1;
/** The heartbeat of each server, by its default or as its documentation shows it: every client has one in this time. */
const heartbeatMs = 25_000;
/** Sockets that come and go before the first look, so that what all share (compiled code, grown tables) is there. */
const warmUpClients = 100;

export interface IdleContender {
  readonly name: string;
  readonly protocol: RealtimeServer["protocol"];
  start(core: Core): Promise<IdleServer>;
}

/** A server, and how its memory is looked at. */
export interface IdleServer {
  readonly port: number;
  readonly program: Program;
  /** Bytes after a collection: resident, and of those in V8's heap as far as it is asked. */
  memory(): Promise<Memory>;
}

const single = realtimeServers.map(
  (server): IdleContender => ({
    name: server.name,
    protocol: server.protocol,
    async start(core) {
      const { script, port } = await startRealtimeServer(core, server);
      return { port, program: script, memory: () => script.ask<Memory>({}) };
    },
  }),
);

const application = fileURLToPath(new URL("./servers/application.ts", import.meta.url));
const collect = new URL("./servers/collect.ts", import.meta.url).href;

function configuration(): string {
  const command = `${process.execPath} --expose-gc --import ${collect} ${application}`;
  return `export default {
  listen: [{ port: 0 }], limits: { connectionsMax: 60000 }, console: false, log: { level: "warn", requests: false },
  services: {
    web: { command: ${JSON.stringify(command)}, instances: 1, health: { path: "/" } },
    live: { realtime: { service: "web" } },
  },
  sites: { "*": { "/": "web", "/socket.io": "live" } },
};\n`;
}

const whole: IdleContender = {
  name: "tideway start, with its application",
  protocol: "socket.io",
  async start(core) {
    const { program, port } = await startTideway(temporaryFolder(), configuration(), { core });
    return { port, program, memory: () => memoryOfWhole(program) };
  },
};

/** Of all its processes: the heap is the edge's alone. */
async function memoryOfWhole(program: Program): Promise<Memory> {
  for (const pid of processTree(program.pid)) if (commandOf(pid).includes(application)) process.kill(pid, "SIGUSR2");
  // Its own collection takes as long as the application's.
  const { heap } = await program.ask<Memory>({});
  return { rss: residentOf(program.pid), heap };
}

export const idleContenders: readonly IdleContender[] = [...single, whole];

async function measure({ protocol, start }: IdleContender): Promise<readonly number[]> {
  const server = await start("server");
  const { port } = server;
  const warmUp = await startLoad("load");
  await warmUp.ask({ type: "idle", port, protocol, clients: warmUpClients } satisfies IdleTask);
  await warmUp.stop();
  const generator = await startLoad("load");
  const before = await server.memory();
  await generator.ask({ type: "idle", port, protocol, clients } satisfies IdleTask);
  await server.memory();
  const cpu = cpuOf(server.program.pid);
  const from = performance.now();
  await sleep(heartbeatMs);
  const cpuMs = cpuOf(server.program.pid) - cpu;
  const seconds = (performance.now() - from) / 1000;
  const after = await server.memory();
  const { alive } = await generator.ask<CountResult>({ type: "count" } satisfies CountTask);
  if (alive !== clients) throw new Error(`${clients - alive} of ${clients} sockets were lost`);
  await generator.stop();
  await server.program.stop();
  return [(after.rss - before.rss) / clients, (after.heap - before.heap) / clients, (cpuMs * 1000) / seconds / clients];
}

export async function idle(): Promise<string> {
  const columns = [
    { title: "bytes/socket", digits: 0 },
    { title: "of them heap", digits: 0 },
    { title: "CPU µs/s/socket", digits: 2 },
  ];
  const figures = table(columns, await rounds(roundCount, idleContenders, measure));
  return `${clients.toLocaleString("en-US")} idle WebSockets over one heartbeat of each\n${figures}`;
}
