/** Front door of `edge/link`: the hub's line to application processes. */
export { connectLink, type Link, type LinkOptions, LinkState } from "./client.ts";
export { type LinkLimits, linkLimits } from "./line.ts";
export { createLinkServer, type LinkServer, type LinkServerOptions } from "./server.ts";
