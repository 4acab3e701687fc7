/**
 * Where Tideway listens and what for: HTTP for the sites, or a TCP or UDP service behind a port of its own. Owns their
 * keys, defaults and documentation.
 */
import { z } from "zod";
import { sites } from "./route-schema.ts";
import { breaker, eject, slowStartMs, streamBalance, streamHealth, weight } from "./service-schema.ts";
import { addressRanges, count, hostName, milliseconds, port } from "./values.ts";

const host = hostName.default("127.0.0.1").describe("Address to listen on; loopback unless told otherwise");
const place = { host, port };

const proxyProtocol = z
  .union([z.boolean(), z.strictObject({ from: addressRanges.min(1) })])
  .default(false)
  .describe("Connections begin with a PROXY header: all of them, or those from the given addresses");

/** `host:port`, an IPv6 address in brackets. */
const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]/\s]+):\d{1,5}$/, { error: "host:port, such as 127.0.0.1:5432", abort: true })
  .refine((text) => isPort(Number(text.slice(text.lastIndexOf(":") + 1))), "a port from 1 to 65535 behind the colon");

function isPort(number: number): boolean {
  return number >= 1 && number <= 65_535;
}

/** What is judged by statuses is HTTP: said to whoever writes them, and to whoever reads the reference. */
const streamEject = eject.extend({ statuses: eject.shape.statuses.describe("Only of `services`: refused here") });

const named = z.string().min(1).optional();
const streamed = {
  upstreams: z.array(z.union([address, z.strictObject({ address, weight })])).min(1),
  balance: streamBalance,
  eject: streamEject.default(streamEject.parse({})),
  breaker: breaker.optional(),
  slowStartMs,
  requestsMax: count.optional().describe("Connections or sessions at one instance; no bound unless given"),
  drainMs: z.int().min(0).optional().describe("How long they may go on at an instance that drains or is gone"),
  healthPort: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .describe("Port that is asked how an instance does; its own unless given"),
};

const tcp = z.strictObject({
  name: named.describe("What logs and `tideway status` call it; `tcp:PORT` unless given"),
  ...streamed,
  health: streamHealth
    .default(streamHealth.parse({}))
    .describe("An instance is used after its first good probe; with the defaults it must accept a connection"),
  connectMs: milliseconds
    .default(3_000)
    .describe("Until an instance has accepted; then another is tried, three in all"),
  idleMs: milliseconds.optional().describe("A connection without a byte for so long is closed; never unless given"),
  connectionsMax: count.default(4_096).describe("Open at once; one more is reset"),
  connectionsPerAddressMax: count.default(1_024).describe("Of one client address"),
  proxyProtocol: z.enum(["v1", "v2"]).optional().describe("Tell the service its client by the PROXY protocol"),
});

const udp = z.strictObject({
  name: named.describe("What logs and `tideway status` call it; `udp:PORT` unless given"),
  ...streamed,
  health: streamHealth.optional().describe("Without it, instances count as up until they refuse"),
  idleMs: milliseconds.default(60_000).describe("A client that says nothing for so long is forgotten"),
  sessionsMax: count.default(4_096).describe("Clients at once; beyond it the one that was quiet the longest goes"),
  responses: count
    .optional()
    .describe("Datagrams that answer each one of a client, such as 1 for DNS; unknown unless given"),
});

const http = z.strictObject({
  ...place,
  sites: sites.optional().describe("Sites of this listener alone; the ones below `sites` unless given"),
  proxyProtocol,
});

export const listen = z.union([
  http,
  z.strictObject({ ...place, tcp, proxyProtocol }),
  z.strictObject({ host, port: port.describe("UDP port; 0 takes any free one"), udp }),
]);

export type ListenConfig = z.output<typeof listen>;
export type HttpListen = z.output<typeof http>;
export type TcpOptions = z.output<typeof tcp>;
export type UdpOptions = z.output<typeof udp>;
