/** `npm run bench -- fanout`: 1,000 WebSocket clients of one room, 100-byte messages, 1 and 16 on their way at once. */
import type { FanoutResult, FanoutTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { type Row, table } from "./measure/table.ts";
import { type RealtimeServer, realtimeServers, startRealtimeServer } from "./realtime-servers.ts";

const rounds = 3;
const inFlights = [1, 16] as const;
const load = { clients: 1000, bytes: 100, warmUpMs: 1000, measureMs: 3000 } as const;

/** Deliveries per second, and µs of the server's CPU per delivery. */
async function measure(server: RealtimeServer, inFlight: number): Promise<readonly [number, number]> {
  const running = await startRealtimeServer("server", server);
  const generator = await startLoad("load");
  const task: FanoutTask = {
    type: "fanout",
    port: running.port,
    protocol: server.protocol,
    serverPid: running.script.pid,
    inFlight,
    ...load,
  };
  const { deliveries, elapsedMs, cpuMs } = await generator.ask<FanoutResult>(task);
  await generator.stop();
  await running.script.stop();
  return [deliveries / (elapsedMs / 1000), (cpuMs * 1000) / deliveries];
}

export async function fanout(): Promise<string> {
  const parts: string[] = [];
  for (const inFlight of inFlights) {
    const rows = realtimeServers.map(({ name }): { name: string; rounds: (readonly number[])[] } => ({
      name,
      rounds: [],
    }));
    for (let round = 0; round < rounds; round++) {
      for (const [index, server] of realtimeServers.entries())
        rows[index]!.rounds.push(await measure(server, inFlight));
    }
    const title = `${load.clients} clients of one room, ${load.bytes}-byte messages, ${inFlight} in flight, median of ${rounds} rounds`;
    const columns = [
      { title: "deliveries/s", digits: 0 },
      { title: "CPU µs/delivery", digits: 2 },
    ];
    parts.push(`${title}\n${table(columns, rows satisfies Row[])}`);
  }
  return parts.join("\n\n");
}
