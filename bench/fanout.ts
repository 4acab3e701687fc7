/**
 * `npm run bench -- fanout`: 1,000 and 10,000 WebSocket clients of one room, 100-byte messages, 1 and 16 on their way at once.
 */
import type { Delivered } from "./load/process.ts";
import { openRooms, type Room } from "./load/room.ts";
import { type Row, rounds, table } from "./measure/table.ts";
import { nchan, type PlaceKind, servers } from "./realtime-servers.ts";

const count = 5;
const inFlights = [1, 16] as const;
const sizes = [1000, 10_000] as const;
const bytes = 100;
const warmUpMs = 700;
const measureMs = 1000;

export const deliveryColumns = [
  { title: "deliveries/s", digits: 0 },
  { title: "CPU µs/delivery", digits: 2 },
  { title: "core busy %", digits: 0, compared: false },
] as const;

/** Deliveries per second, µs of the server's CPU per delivery, and how much of its core it used. */
export function figuresOf({ deliveries, elapsedMs, cpuMs }: Delivered): readonly [number, number, number] {
  return [deliveries / (elapsedMs / 1000), (cpuMs * 1000) / deliveries, (100 * cpuMs) / elapsedMs];
}

/** For each number in flight, a row for each kind of server: the same crowds, in turn. */
export async function compareFanout(kinds: readonly PlaceKind[], clients: number): Promise<Row[][]> {
  await using opened = await openRooms(kinds, clients);
  const all: Row[][] = [];
  for (const inFlight of inFlights) {
    for (const room of opened.rooms) await room.fanout(inFlight, bytes, warmUpMs);
    const measure = async (room: Room) => figuresOf(await room.fanout(inFlight, bytes, measureMs));
    all.push(await rounds(count, opened.rooms, measure));
  }
  return all;
}

export function fanoutTables(clients: number, rows: readonly (readonly Row[])[]): string[] {
  return rows.map((each, index) => {
    const title = `${clients.toLocaleString("en-US")} clients of one room, ${bytes}-byte messages, ${inFlights[index]} in flight, median of ${count} rounds`;
    return `${title}\n${table(deliveryColumns, each)}`;
  });
}

export async function fanout(): Promise<string> {
  const kinds = nchan === null ? servers : [...servers, nchan];
  const parts: string[] = [];
  for (const clients of sizes) parts.push(...fanoutTables(clients, await compareFanout(kinds, clients)));
  if (nchan === null) parts.push("nchan is left out: it is not installed");
  return parts.join("\n\n");
}
