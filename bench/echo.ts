/**
 * `npm run bench -- echo`: 1,000 clients, each of which sends an event of 100 bytes and waits for its acknowledgement, one
 * event at a time or sixteen.
 */
import { deliveryColumns, figuresOf } from "./fanout.ts";
import { openRooms } from "./load/room.ts";
import { rounds, table } from "./measure/table.ts";
import { servers } from "./realtime-servers.ts";

const count = 9;
const clients = 1000;
const inFlights = [1, 16] as const;
const bytes = 100;
const warmUpMs = 1000;
const measureMs = 1500;
const [delivered, cost, busy] = deliveryColumns;
const columns = [{ ...delivered, title: "echoes/s" }, { ...cost, title: "CPU µs/echo" }, busy];

/** `ws` has no acknowledgements, and Nchan takes nothing from listeners. */
export const echoing = servers.filter(({ name }) => name === "tideway" || name === "socket.io");

export async function echo(): Promise<string> {
  await using opened = await openRooms(echoing, clients);
  const parts: string[] = [];
  for (const inFlight of inFlights) {
    for (const room of opened.rooms) await room.echo(inFlight, bytes, warmUpMs);
    const rows = await rounds(count, opened.rooms, async (room) =>
      figuresOf(await room.echo(inFlight, bytes, measureMs)),
    );
    const title = `${clients.toLocaleString("en-US")} clients, events of ${bytes} bytes with acknowledgement, ${inFlight} in flight each, median of ${count} rounds`;
    parts.push(`${title}\n${table(columns, rows)}`);
  }
  return parts.join("\n\n");
}
