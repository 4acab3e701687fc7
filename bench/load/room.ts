/** A server with the crowd of its room, each a process of its own: what is measured several times, in turn with others. */
import type { Core } from "../measure/processes.ts";
import type { Place, PlaceKind } from "../realtime-servers.ts";
import type { Delivered, EchoTask, FanoutTask, OpenTask } from "./process.ts";
import { startLoad } from "./start.ts";

export interface Room extends AsyncDisposable {
  readonly name: string;
  readonly place: Place;
  /** So many messages on their way at once, for `ms`. */
  fanout(inFlight: number, bytes: number, ms: number): Promise<Delivered>;
  /** So many questions of each client at once, for `ms`. */
  echo(inFlight: number, bytes: number, ms: number): Promise<Delivered>;
}

export async function openRoom(kind: PlaceKind, clients: number, core: Core = "server"): Promise<Room> {
  await using started = new AsyncDisposableStack();
  const place = await kind.start(core);
  started.defer(() => place.program.stop());
  const load = await startLoad(core === "any" ? "any" : "load");
  started.defer(() => load.stop());
  const { port, protocol, program } = place;
  await load.ask({ type: "open", port, protocol, clients } satisfies OpenTask);
  const ask = (task: FanoutTask | EchoTask) => load.ask<Delivered>(task);
  const endings = started.move();
  return {
    name: kind.name,
    place,
    fanout: (inFlight, bytes, ms) => ask({ type: "fanout", serverPid: program.pid, inFlight, bytes, ms }),
    echo: (inFlight, bytes, ms) => ask({ type: "echo", serverPid: program.pid, inFlight, bytes, ms }),
    [Symbol.asyncDispose]: () => endings.disposeAsync(),
  };
}

/** All of them, with their crowds. */
export async function openRooms(
  kinds: readonly PlaceKind[],
  clients: number,
  core: Core = "server",
): Promise<{ readonly rooms: readonly Room[] } & AsyncDisposable> {
  await using started = new AsyncDisposableStack();
  const rooms: Room[] = [];
  for (const kind of kinds) rooms.push(started.use(await openRoom(kind, clients, core)));
  const endings = started.move();
  return { rooms, [Symbol.asyncDispose]: () => endings.disposeAsync() };
}
