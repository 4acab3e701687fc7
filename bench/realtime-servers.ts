/** The servers that the benchmarks of real time run in turn; the first is ours. */
import { join } from "node:path";
import { findProgram } from "@tideway/scripts/requires";
import type { Protocol } from "./load/client.ts";
import { type Contender, startPeer, temporaryFolder } from "./measure/contenders.ts";
import { type Core, Script } from "./measure/processes.ts";
import { nchanConfiguration, nchanModule } from "./peers/nchan.ts";

export interface RealtimeServer {
  readonly name: string;
  readonly script: URL;
  readonly protocol: Protocol;
}

const ours = new URL("./servers/realtime-tideway.ts", import.meta.url);

export const realtimeServers: readonly RealtimeServer[] = [
  { name: "tideway", script: ours, protocol: "socket.io" },
  { name: "socket.io", script: new URL("./servers/realtime-socketio.ts", import.meta.url), protocol: "socket.io" },
  { name: "ws", script: new URL("./servers/realtime-ws.ts", import.meta.url), protocol: "plain" },
];

export interface RunningServer {
  readonly script: Script;
  readonly port: number;
}

export async function startRealtimeServer(core: Core, server: RealtimeServer): Promise<RunningServer> {
  const { script, ready } = await Script.start<{ port: number }>(core, server.script);
  return { script, port: ready.port };
}

/** A server with a room in it. */
export interface Place extends Contender {
  readonly protocol: Protocol;
}

/** How a place is started. */
export interface PlaceKind {
  readonly name: string;
  start(core: Core): Promise<Place>;
}

/** Those of `realtimeServers`. */
export const servers: readonly PlaceKind[] = realtimeServers.map((server) => ({
  name: server.name,
  async start(core) {
    const { script, port } = await startRealtimeServer(core, server);
    return { name: server.name, protocol: server.protocol, port, program: script };
  },
}));

/** Nchan with one worker; null where it is not installed. */
export const nchan: PlaceKind | null =
  findProgram("nginx") === null || findProgram(nchanModule) === null
    ? null
    : {
        name: "nchan",
        async start(core) {
          const folder = temporaryFolder();
          const started = await startPeer("nginx", folder, (port) => nchanConfiguration(folder, port), { core });
          return { ...started, name: "nchan", protocol: "nchan" };
        },
      };

/** Ours with a stream: its events are kept, and a client that comes back gets what it missed. */
export function durable(durability: "memory" | "disk"): PlaceKind {
  const name = `tideway, ${durability}`;
  return {
    name,
    async start(core) {
      const args = [durability, join(temporaryFolder(), "data")];
      const { script, ready } = await Script.start<{ port: number }>(core, ours, args);
      return { name, protocol: "socket.io", port: ready.port, program: script };
    },
  };
}
