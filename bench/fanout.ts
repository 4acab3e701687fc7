/**
 * `npm run bench -- fanout`: 1,000 and 10,000 WebSocket clients of one room, 100-byte messages, 1 and 16 on their way at once.
 * Prints tables, and draws `docs/fanout.svg`.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Delivered } from "./load/process.ts";
import { openRooms, type Room } from "./load/room.ts";
import { type BarFigure, barsOf } from "./measure/bars.ts";
import { medians, type Row, rounds, table } from "./measure/table.ts";
import { nchan, type PlaceKind, servers } from "./realtime-servers.ts";

const count = 9;
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

/** What was measured with so many clients: for each number in flight, a row for each kind of server. */
interface Compared {
  readonly clients: number;
  readonly rows: readonly (readonly Row[])[];
}

export function figureOf(all: readonly Compared[]): BarFigure {
  const panelOf = (inFlight: number, index: number) => ({
    title: inFlight === 1 ? "One message on its way" : `${inFlight} messages on their way at once`,
    groups: all.map(({ clients, rows }) => ({
      title: `${clients.toLocaleString("en-US")} clients`,
      bars: rows[index]!.map((row, at) => ({ name: row.name, value: medians(row)[0]!, isOurs: at === 0 })),
    })),
  });
  return {
    title: "Messages to everybody in a room",
    subtitle: `${bytes} bytes over WebSocket, server and load on one core each, all in one run, median of ${count} rounds`,
    axis: "deliveries per second",
    panels: inFlights.map(panelOf).toReversed(),
  };
}

export async function fanout(): Promise<string> {
  const kinds = nchan === null ? servers : [...servers, nchan];
  const all: Compared[] = [];
  for (const clients of sizes) all.push({ clients, rows: await compareFanout(kinds, clients) });
  const file = fileURLToPath(new URL("../docs/fanout.svg", import.meta.url));
  writeFileSync(file, barsOf(figureOf(all)));
  const parts = all.flatMap(({ clients, rows }) => fanoutTables(clients, rows));
  if (nchan === null) parts.push("nchan is left out: it is not installed");
  return [...parts, `drawn as ${file}`].join("\n\n");
}
