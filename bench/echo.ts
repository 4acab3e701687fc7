/**
 * `npm run bench -- echo`: 1,000 clients, each of which sends an event of 100 bytes and waits for its acknowledgement, one
 * event at a time or sixteen.
 */
import { deliveryColumns, figuresOf } from "./fanout.ts";
import { openRooms } from "./load/room.ts";
import { Script } from "./measure/processes.ts";
import { rounds, table } from "./measure/table.ts";
import { type PlaceKind, servers } from "./realtime-servers.ts";

const count = 9;
const clients = 1000;
const inFlights = [1, 16] as const;
const bytes = 100;
const warmUpMs = 1000;
const measureMs = 1500;
const [delivered, cost, busy] = deliveryColumns;
const columns = [{ ...delivered, title: "echoes/s" }, { ...cost, title: "CPU µs/echo" }, busy];

const bareScript = new URL("./servers/realtime-bare.ts", import.meta.url);

/** Answers without looking at what it was asked: what is left of an echo when nobody does anything for it. */
export const bare: PlaceKind = {
  name: "bare node:net",
  async start(core) {
    const { script, ready } = await Script.start<{ port: number }>(core, bareScript);
    return { name: "bare node:net", protocol: "socket.io", port: ready.port, program: script };
  },
};

/** `ws` has no acknowledgements, and Nchan takes nothing from listeners. */
export const echoing = servers.filter(({ name }) => name === "tideway" || name === "socket.io");

export async function echo(): Promise<string> {
  await using opened = await openRooms([...echoing, bare], clients);
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
