/**
 * The shape of `tideway.config.ts`: one schema that gives the types, the defaults, the documentation and the errors.
 * Owns what a key is called and may hold; knows nothing of files, ports in use or what a service does.
 */
import { z } from "zod";

const port = z.int().min(0).max(65_535).describe("TCP port; 0 takes any free one");
const milliseconds = z.int().min(1);
const hostName = z.string().min(1);

const listen = z.strictObject({
  host: hostName.default("127.0.0.1").describe("Address to listen on; loopback unless told otherwise"),
  port,
});

const balance = z
  .enum(["least-busy", "round-robin", "weighted", "fastest", "hash"])
  .default("least-busy")
  .describe("How an instance is chosen");

const health = z.strictObject({
  path: z.string().startsWith("/").default("/").describe("Path that a probe asks for; 200–399 is healthy"),
  everyMs: milliseconds.default(2_000).describe("Between two probes of an instance"),
  timeoutMs: milliseconds.default(2_000).describe("How long a probe may take"),
});

const upstreamUrl = z
  .url({ protocol: /^http$/, error: "not an http:// URL" })
  .refine(
    (text) => !URL.canParse(text) || isOrigin(new URL(text)),
    "host and port alone, such as http://127.0.0.1:3001",
  );

/** The request's own path is what is forwarded: one in an upstream's URL would be dropped without a word, and so the rest. */
function isOrigin({ protocol, pathname, search, hash, username, password }: URL): boolean {
  // Another scheme is said already.
  if (protocol !== "http:") return true;
  return pathname === "/" && search + hash + username + password === "";
}

const fieldValue = z
  .string()
  .min(1)
  .regex(/^[\x20-\x7e]*$/, "printable ASCII: it is sent as the value of a field");

export const serviceSchemas = {
  command: z.strictObject({
    command: z.string().trim().min(1).describe("Program that Tideway runs and watches"),
    instances: z.int().min(1).max(64).default(1),
    cwd: z.string().optional().describe("Where it runs; the configuration's folder unless given"),
    env: z.record(z.string(), z.string()).default({}),
    balance,
    health: health.default(health.parse({})),
    startTimeoutMs: milliseconds.default(30_000).describe("An instance that is not healthy by then is replaced"),
    stopTimeoutMs: milliseconds.default(10_000).describe("From SIGTERM to SIGKILL"),
    queueMs: milliseconds.default(5_000).describe("How long a request waits when no instance is ready"),
  }),
  upstreams: z.strictObject({
    upstreams: z
      .array(
        z.union([
          upstreamUrl,
          z.strictObject({ url: upstreamUrl, weight: z.number().positive().max(1000).default(1) }),
        ]),
      )
      .min(1),
    balance,
    health: health.default(health.parse({})),
    queueMs: milliseconds.default(5_000),
  }),
  files: z.strictObject({
    files: z.string().min(1).describe("Folder to serve"),
    fallback: z.string().min(1).optional().describe("File for paths that name none: single-page applications"),
    immutable: z
      .string()
      .optional()
      .describe("Path prefix, such as /assets/, below which files never change, for their names hold a hash"),
  }),
  realtime: z.strictObject({
    realtime: z.strictObject({
      path: z.string().startsWith("/").default("/socket.io"),
      service: z.string().describe("Service whose processes hold the application's side"),
      durability: z.enum(["none", "memory", "disk"]).default("disk"),
      origins: z
        .union([z.enum(["same", "any"]), z.array(z.string())])
        .default("same")
        .describe("Pages that may connect: of the same site, any, or a list of origins"),
      pingIntervalMs: milliseconds.default(25_000),
      pingTimeoutMs: milliseconds.default(20_000),
      messageBytesMax: z.int().min(1).default(1_000_000),
      outQueueBytesMax: z.int().min(1024).default(1_048_576),
      handoverMs: milliseconds.default(30_000),
    }),
  }),
  redirect: z.strictObject({
    redirect: fieldValue.describe("Where to; `{path}` stands for the request's path and query"),
    status: z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]).default(308),
  }),
  respond: z.strictObject({
    respond: z.strictObject({
      status: z.int().min(200).max(599).default(200),
      body: z.string().default(""),
      type: fieldValue.default("text/plain; charset=utf-8"),
    }),
  }),
} as const;

export type ServiceKind = keyof typeof serviceSchemas;
export const serviceKinds = Object.keys(serviceSchemas) as ServiceKind[];

const service = z.union([
  serviceSchemas.command,
  serviceSchemas.upstreams,
  serviceSchemas.files,
  serviceSchemas.realtime,
  serviceSchemas.redirect,
  serviceSchemas.respond,
]);

const pathTarget = z.union([
  z.string(),
  z.strictObject({ to: z.string(), strip: z.boolean().default(false).describe("Remove the prefix before forwarding") }),
]);

const recordValue = z.union([z.string(), z.array(z.string()).min(1)]);
const zoneRecords = z
  .record(z.string(), z.record(z.string(), recordValue))
  .describe("Extra records: name (or @ for the zone itself) → type → value or values, as in a zone file");

export const configSchema = z.strictObject({
  listen: z
    .array(listen)
    .min(1)
    .default([{ host: "127.0.0.1", port: 7777 }]),
  data: z.string().min(1).default("./data").describe("Directory of the embedded store"),
  services: z.record(z.string().regex(/^[a-z][a-z0-9-]*$/i, "a name of letters, digits and -"), service),
  sites: z.record(z.string(), z.record(z.string(), pathTarget)),
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
    .union([z.literal(false), z.strictObject({ host: hostName.default("127.0.0.1"), port: port.default(7770) })])
    .prefault({})
    .describe("The operator's page; false for none"),
  log: z
    .strictObject({
      level: z.enum(["debug", "info", "warn", "error"]).default("info"),
      requests: z.boolean().default(true).describe("One line per request"),
    })
    .prefault({}),
});

/** What a person writes. */
export type TidewayConfig = z.input<typeof configSchema>;
/** The same with every default filled in. */
export type EffectiveConfig = z.output<typeof configSchema>;
export type ServiceOf<K extends ServiceKind> = z.output<(typeof serviceSchemas)[K]>;
export type AnyService = { [K in ServiceKind]: { kind: K; options: ServiceOf<K> } }[ServiceKind];
