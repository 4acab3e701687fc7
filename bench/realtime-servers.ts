/** The servers that the benchmarks of real time run in turn; the first is ours. */
import type { Protocol } from "./load/client.ts";
import { type Core, Script } from "./measure/processes.ts";

export interface RealtimeServer {
  readonly name: string;
  readonly script: URL;
  readonly protocol: Protocol;
}

export const realtimeServers: readonly RealtimeServer[] = [
  { name: "tideway", script: new URL("./servers/realtime-tideway.ts", import.meta.url), protocol: "socket.io" },
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
