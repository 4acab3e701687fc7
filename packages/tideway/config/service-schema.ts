/**
 * What a service may be: a process that Tideway runs, upstreams that others run, files, a real-time hub, a redirect, a fixed
 * answer. Owns their keys, defaults and documentation.
 */
import { limits } from "@tideway/base";
import { defaultBreakerRules, defaultEjectionRules } from "@tideway/engine/balancing";
import { z } from "zod";
import {
  count,
  fieldName,
  fieldValue,
  fixedAnswer,
  milliseconds,
  redirectStatus,
  refusal,
  retryAfter,
} from "./values.ts";

const named = z.enum(["least-busy", "round-robin", "weighted", "power-of-two", "fastest", "hash"]);

const load = z
  .number()
  .min(1)
  .default(1.25)
  .describe("An instance with so many times the average of requests under way passes its keys on");
const how = "How an instance is chosen; `hash` alone goes by the client's address";

const balance = z
  .union([
    named,
    z.strictObject({
      hash: z.union([
        z.literal("address"),
        z.strictObject({ header: fieldName }),
        z.strictObject({ cookie: fieldName }),
        z.strictObject({ query: z.string().min(1) }),
      ]),
      load,
    }),
  ])
  .default("least-busy")
  .describe(how);

/** Of connections and datagrams nothing else is known. */
export const streamBalance = z
  .union([named, z.strictObject({ hash: z.literal("address"), load })])
  .default("least-busy")
  .describe(how);

const status = z.int().min(100).max(599);
const statusRange = z
  .string()
  .regex(/^[1-5]\d\d-[1-5]\d\d$/, { error: 'a range of statuses, such as "200-399"', abort: true })
  .refine((text) => text.slice(0, 3) <= text.slice(4), 'a range whose first status is its lowest, such as "200-399"');
const statuses = z.union([status, statusRange, z.array(z.union([status, statusRange])).min(1)]);

const probeKind = z.enum(["http", "tcp"]).describe("tcp: it is enough that the port takes a connection");

const health = z.strictObject({
  kind: probeKind.default("http"),
  path: z.string().startsWith("/").default("/").describe("Path that a probe asks for"),
  method: z.enum(["GET", "HEAD"]).default("GET"),
  host: fieldValue.optional().describe("Host field of a probe; the instance's own address unless given"),
  status: statuses.default("200-399").describe("Statuses of a healthy instance"),
  body: z.string().min(1).max(1024).optional().describe("Text that the body of a healthy answer holds"),
  everyMs: milliseconds.default(2_000).describe("Between two probes of an instance"),
  timeoutMs: milliseconds.default(2_000).describe("How long a probe may take"),
  jitter: z.number().min(0).max(1).default(0.1).describe("Share of `everyMs` by which probes vary"),
  rise: count.default(1).describe("Probes in a row that must pass before an instance is used"),
  fall: count.default(2).describe("Probes in a row that must fail before one that is up is down"),
});

/** What is behind a port of TCP need not speak HTTP. */
export const streamHealth = health.extend({ kind: probeKind.default("tcp") });

const { requestsMin, windowMs, latencyMinMs, samplesMin, shareMax } = defaultEjectionRules;
const share = z.number().min(0).max(1);

export const eject = z
  .strictObject({
    failures: z.int().min(0).default(2).describe("Requests in a row without an answer; 0 for no number of them"),
    statuses: statuses.optional().describe("Answers that count as failures too, such as 500-599; none unless given"),
    failureShare: share
      .optional()
      .describe("Share of the requests of `windowMs` that may fail; not looked at unless given"),
    windowMs: milliseconds.default(windowMs).describe("How far back a share looks"),
    requestsMin: count.default(requestsMin).describe("Requests in the window before a share says something"),
    latencyFactor: z
      .number()
      .gt(1)
      .optional()
      .describe("So many times slower than the median of the others; off unless given"),
    latencyMinMs: z.number().min(0).default(latencyMinMs).describe("Faster than this is never too slow"),
    samplesMin: count.default(samplesMin).describe("Answers before a latency says something"),
    backoffMs: milliseconds
      .default(1_000)
      .describe("How long the first ejection lasts; each further one twice as long"),
    backoffMaxMs: milliseconds.default(30_000).describe("How long an ejection lasts at most"),
    shareMax: share.default(shareMax).describe("Share of the instances that may be out at once; never the last one"),
  })
  .describe("When an instance is taken out for how requests fare there");

export const breaker = z
  .strictObject({
    failureShare: share
      .default(defaultBreakerRules.failureShare)
      .describe("Share of the requests of `windowMs` that opens it"),
    windowMs: milliseconds.default(defaultBreakerRules.windowMs),
    requestsMin: count
      .default(defaultBreakerRules.requestsMin)
      .describe("Requests in the window before a share says something"),
    openMs: milliseconds.default(defaultBreakerRules.openMs).describe("How long it refuses before trials"),
    trialsMax: count.default(defaultBreakerRules.trialsMax).describe("Trials that must all succeed"),
  })
  .describe("Refuses at once while too many requests of the whole service fail");

export const slowStartMs = milliseconds
  .optional()
  .describe("How long a new instance takes to its full share; at once unless given");

/** What a service whose requests go to instances has, whoever runs them. */
const balanced = {
  balance,
  sticky: z
    .strictObject({
      cookie: fieldName.default("tideway"),
      ttlMs: milliseconds
        .optional()
        .describe("How long a browser comes back to its instance; its session unless given"),
      secure: z.boolean().optional().describe("Only over TLS; unless given, where the request came over TLS"),
    })
    .optional()
    .describe("A signed cookie brings a browser back to its instance"),
  health: health
    .default(health.parse({}))
    .describe("An instance is used after its first good probe; with the defaults GET / must be answered with 200-399"),
  eject: eject.default(eject.parse({})),
  breaker: breaker.optional(),
  slowStartMs,
  queueMs: milliseconds
    .default(limits.upstreamWaitMs)
    .describe("How long a request waits when no instance can take it"),
  queueMax: z.int().min(0).default(limits.upstreamWaitersMax).describe("Requests that may wait; beyond it 503 at once"),
  retries: z
    .strictObject({
      max: z.int().min(0).max(10).default(limits.retriesMax).describe("Of one request"),
      budget: z
        .number()
        .min(0)
        .max(1)
        .default(limits.retryBudget)
        .describe("Share of recent requests, 0 for none; otherwise a hundred at once, and ten a second, are free"),
    })
    .prefault({})
    .describe("Of requests that failed before their answer began, where repeating them does no harm"),
  connectMs: milliseconds.default(limits.upstreamConnectMs).describe("Until an instance has accepted a connection"),
  firstByteMs: milliseconds.default(limits.upstreamFirstByteMs).describe("From a request's end to its answer's head"),
  streamIdleMs: milliseconds.optional().describe("Longest pause within an answer's body; no limit unless given"),
  keepAliveMs: milliseconds.default(limits.upstreamIdleMs).describe("How long an idle connection is kept"),
  connectionsMax: count
    .default(limits.upstreamConnectionsMax)
    .describe(
      "Open connections to one instance; further requests wait. A client that reads a large answer slowly holds one",
    ),
  uploadsShare: z
    .number()
    .gt(0)
    .max(1)
    .default(limits.upstreamUploadsShare)
    .describe("Share of an instance's connections, and of the queue, for requests whose body is still coming"),
  requestsMax: count
    .optional()
    .describe("Requests under way at one instance; further ones wait. No bound unless given"),
  upgradeIdleMs: milliseconds
    .optional()
    .describe("A WebSocket without a byte for so long is closed; never unless given"),
  proxyProtocol: z.enum(["v1", "v2"]).optional().describe("Tell the instance its client by the PROXY protocol"),
  hostField: z
    .union([z.enum(["preserve", "upstream"]), z.strictObject({ set: fieldValue })])
    .default("preserve")
    .describe("The Host that instances see: the client's, their own, or a given one"),
  whenDown: refusal
    .extend({ retryAfterSeconds: retryAfter.default(2) })
    .optional()
    .describe("Answer when every instance is down, or the breaker is open; an error page with 503 unless given"),
};

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

export const weight = z.number().positive().max(1000).default(1);

export const serviceSchemas = {
  command: z.strictObject({
    command: z.string().trim().min(1).describe("Program that Tideway runs and watches"),
    instances: z.int().min(1).max(64).default(1).describe("Processes of it; each gets a port of its own in PORT"),
    cwd: z.string().optional().describe("Where it runs; the configuration's folder unless given"),
    env: z.record(z.string(), z.string()).default({}).describe("Besides Tideway's own environment"),
    ...balanced,
    startTimeoutMs: milliseconds.default(30_000).describe("An instance that is not healthy by then is replaced"),
    stopTimeoutMs: milliseconds.default(10_000).describe("From SIGTERM to SIGKILL"),
  }),
  upstreams: z.strictObject({
    upstreams: z.array(z.union([upstreamUrl, z.strictObject({ url: upstreamUrl, weight })])).min(1),
    ...balanced,
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
        .describe(
          "Pages that may connect: of the same site, any, or a list of origins; unless given, also those of the application's `cors`",
        ),
      pingIntervalMs: milliseconds
        .default(25_000)
        .describe("Unless given, the application's `pingInterval` if it has one"),
      pingTimeoutMs: milliseconds
        .default(20_000)
        .describe("Unless given, the application's `pingTimeout` if it has one"),
      messageBytesMax: z
        .int()
        .min(1)
        .default(limits.messageBytesMax)
        .describe("Unless given, the application's `maxHttpBufferSize` if it has one, up to 16 MiB"),
      outQueueBytesMax: z.int().min(1024).default(limits.outQueueBytesMax),
      handoverMs: milliseconds
        .default(limits.handoverMs)
        .describe("How long clients of a process that went away stay connected and wait for another"),
      perMessageDeflate: z.boolean().default(false).describe("Compress WebSocket messages of 1 KiB and more"),
      httpCompression: z.boolean().default(true).describe("Compress the answers of polling from 1 KiB on"),
      sessionsMax: count.default(limits.sessionsMax).describe("Lines at once; beyond it 503"),
      sessionsPerAddressMax: count
        .default(limits.sessionsPerAddressMax)
        .describe("Lines of one client address; beyond it 429. Loopback and private networks are not counted"),
      eventsPerSecondMax: count
        .default(limits.eventsPerSecondMax)
        .describe("Packets that one client may send; what is more is read later"),
      bytesPerSecondMax: count.default(limits.eventBytesPerSecondMax).describe("The same in bytes"),
      connectionsMax: count.default(limits.realtimeConnectionsMax).describe("Clients at once; further ones try again"),
      roomsPerSocketMax: count
        .default(limits.roomsPerSocketMax)
        .describe("Rooms that one socket is in; it is not put into more"),
      roomReadersMax: count
        .default(limits.roomReadersMax)
        .describe("Requests that read rooms over plain HTTP at once, polls and streams; beyond it 503"),
      roomReadersPerAddressMax: count
        .default(limits.roomReadersPerAddressMax)
        .describe("The same of one client address; beyond it 429. Loopback and private networks are not counted"),
      roomPublishesPerSecondMax: count
        .default(limits.roomPublishesPerSecondMax)
        .describe("Events that one client address may publish over plain HTTP in a second; beyond it 429"),
      retentionMs: milliseconds
        .default(limits.retentionMs)
        .describe("How long events are kept for clients that come back"),
      retentionBytes: count
        .optional()
        .describe(
          "Bytes of events that are kept, the oldest go first; unless given 1 GiB a stream on disk, 64 MiB in memory",
        ),
    }),
  }),
  redirect: z.strictObject({
    redirect: fieldValue.describe("Where to; `{path}` stands for the request's path and query"),
    status: redirectStatus.default(308),
  }),
  respond: z.strictObject({ respond: fixedAnswer }),
} as const;

export type ServiceKind = keyof typeof serviceSchemas;
export const serviceKinds = Object.keys(serviceSchemas) as ServiceKind[];

export const service = z.union([
  serviceSchemas.command,
  serviceSchemas.upstreams,
  serviceSchemas.files,
  serviceSchemas.realtime,
  serviceSchemas.redirect,
  serviceSchemas.respond,
]);

export type ServiceOf<K extends ServiceKind> = z.output<(typeof serviceSchemas)[K]>;
export type AnyService = { [K in ServiceKind]: { kind: K; options: ServiceOf<K> } }[ServiceKind];
/** A service whose requests go to instances. */
export type BalancedService = Extract<AnyService, { kind: "command" | "upstreams" }>;
