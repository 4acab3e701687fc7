/** Front door of `edge/tunnel`: two connections joined into one. */
export { acceptStream, connectStream, keepAliveMs, type OpenedStream, type StreamAddress } from "./opening.ts";
export { resetStream } from "./reset.ts";
export { type Tunnel, TunnelEnd, type TunnelOptions } from "./tunnel.ts";
export { type TunnelCounters, Tunnels } from "./tunnels.ts";
