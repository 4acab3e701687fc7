/**
 * The shape of `tideway.config.ts`: one schema that gives the types, the defaults, the documentation and the errors.
 * Owns what a key is called and may hold; knows nothing of files, ports in use or what a service does. Services, routes and
 * listeners have schemas of their own beside this one.
 */
import { limits } from "@tideway/base";
import { z } from "zod";
import { listen } from "./listen-schema.ts";
import { sites } from "./route-schema.ts";
import { service } from "./service-schema.ts";
import { addressRanges, bytes, count, hostName, milliseconds, port } from "./values.ts";

export type { HttpListen, ListenConfig, TcpOptions, UdpOptions } from "./listen-schema.ts";
export type { FieldChangesConfig, RateConfig, Route, SitesConfig } from "./route-schema.ts";
export {
  type AnyService,
  type BalancedService,
  type ServiceKind,
  type ServiceOf,
  serviceKinds,
  serviceSchemas,
} from "./service-schema.ts";

const recordValue = z.union([z.string(), z.array(z.string()).min(1)]);
const zoneRecords = z
  .record(z.string(), z.record(z.string(), recordValue))
  .describe("Extra records: name (or @ for the zone itself) → type → value or values, as in a zone file");

const clientLimits = z
  .strictObject({
    connectionsMax: count.optional().describe("Open connections in all; 0.4 of the descriptors unless given"),
    connectionsPerAddressMax: count
      .default(limits.connectionsPerAddressMax)
      .describe("Of one client address; loopback and trusted proxies are not counted"),
    fieldsMax: count.default(limits.fieldsMax).describe("Fields in one head"),
    fieldBytesMax: count.default(limits.fieldBytesMax).describe("Bytes of one field"),
    fieldsBytesMax: count.default(limits.fieldsBytesMax).describe("Bytes of a head's fields together"),
    targetBytesMax: count.default(limits.targetBytesMax).describe("Bytes of a request's target"),
    bodyBytesMax: bytes
      .optional()
      .describe("Bytes of a request's body, where its route says nothing; no bound unless given"),
    headTimeoutMs: milliseconds.default(limits.headTimeoutMs).describe("From the first byte of a head to its end"),
    idleTimeoutMs: milliseconds.default(limits.idleTimeoutMs).describe("An idle keep-alive connection"),
    bodyProgressMs: milliseconds.default(limits.bodyProgressMs).describe("Within which `bodyProgressBytes` must come"),
    bodyProgressBytes: count.default(limits.bodyProgressBytes).describe("Or the client is told 408"),
    responseStallMs: milliseconds
      .default(60_000)
      .describe("A client that takes nothing of its answer for so long is gone"),
  })
  .describe("Bounds on clients");

export const configSchema = z.strictObject({
  listen: z
    .array(listen)
    .min(1)
    .default([{ host: "127.0.0.1", port: 7777, proxyProtocol: false }]),
  data: z.string().min(1).default("./data").describe("Directory of the embedded store"),
  services: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/i, "a name of letters, digits and -"), service).default({}),
  sites: sites.optional().describe("Of every listener that has none of its own: host → path → service or route"),
  trust: addressRanges
    .default([])
    .describe("Proxies in front, whose word about their clients (Forwarded, X-Forwarded-*, X-Request-Id) is taken"),
  limits: clientLimits.prefault({}),
  trace: z
    .strictObject({
      create: z.boolean().default(true).describe("Begin a trace where a request brings none"),
      sampled: z.boolean().default(true).describe("Whether traces that begin here ask to be recorded"),
    })
    .prefault({})
    .describe("W3C trace context: a valid one is always passed on"),
  names: z
    .strictObject({
      listen: z.strictObject({ host: hostName.default("127.0.0.1"), port: port.default(7753) }).prefault({}),
      addresses: z
        .array(z.union([z.ipv4(), z.ipv6()]))
        .min(1)
        .optional()
        .describe("What the sites' names resolve to; the listeners' addresses unless given"),
      zones: z.record(z.string(), zoneRecords).default({}),
    })
    .optional()
    .describe("The name server; left out, none runs"),
  console: z
    .union([
      z.literal(false),
      z.strictObject({
        host: hostName.default("127.0.0.1"),
        port: port.default(7770),
        metrics: z
          .enum(["token", "open"])
          .default("token")
          .describe("Who may read /metrics: holders of the token, or all"),
      }),
    ])
    .prefault({})
    .describe("The operator's page; false for none"),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).default("info").describe("The least that is told"),
      requests: z
        .union([
          z.boolean(),
          z.enum(["json", "combined"]),
          z.strictObject({
            format: z.enum(["json", "combined"]).default("json"),
            file: z
              .string()
              .min(1)
              .optional()
              .describe("Appended to, and opened anew at a reload; the log unless given"),
            queries: z.boolean().default(false).describe("With what stands behind the ?, which may hold secrets"),
          }),
        ])
        .default(true)
        .describe(
          "One line per request, in the log also one per connection of a TCP service and end of a proxied WebSocket",
        ),
    })
    .prefault({}),
});

/** What a person writes. */
export type TidewayConfig = z.input<typeof configSchema>;
/** The same with every default filled in. */
export type EffectiveConfig = z.output<typeof configSchema>;
