/**
 * `npm run bench -- durable`: what a stream costs: the load of `fanout` with 1,000 clients, events kept on disk (each is
 * delivered when the disk has it), in memory, and not at all.
 */
import { compareFanout, fanoutTables } from "./fanout.ts";
import { durable as kept, servers } from "./realtime-servers.ts";

const clients = 1000;

export async function durable(): Promise<string> {
  const rows = await compareFanout([kept("disk"), kept("memory"), servers[0]!], clients);
  return fanoutTables(clients, rows).join("\n\n");
}
