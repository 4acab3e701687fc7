/** `npm run bench -- idle`: resident memory per idle WebSocket, 5,000 of them, heartbeats on. */
import { setTimeout as sleep } from "node:timers/promises";
import type { IdleTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { table } from "./measure/table.ts";
import { type RealtimeServer, realtimeServers, startRealtimeServer } from "./realtime-servers.ts";

const rounds = 2;
const clients = 5000;
/** For the buffers of connecting to be let go. */
const settleMs = 2000;

/** KiB of the server's memory per socket. */
async function measure(server: RealtimeServer): Promise<readonly [number]> {
  const { script, port } = await startRealtimeServer("server", server);
  const generator = await startLoad("load");
  const before = await script.ask<{ rss: number }>({});
  await generator.ask({ type: "idle", port, protocol: server.protocol, clients } satisfies IdleTask);
  await sleep(settleMs);
  const after = await script.ask<{ rss: number }>({});
  await generator.stop();
  await script.stop();
  return [(after.rss - before.rss) / clients / 1024];
}

export async function idle(): Promise<string> {
  const rows = realtimeServers.map(({ name }): { name: string; rounds: (readonly number[])[] } => ({
    name,
    rounds: [],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, server] of realtimeServers.entries()) rows[index]!.rounds.push(await measure(server));
  }
  return `${clients} idle WebSockets, median of ${rounds} rounds\n${table([{ title: "KiB/socket", digits: 1 }], rows)}`;
}
