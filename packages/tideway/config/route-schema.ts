/**
 * What a path of a site may say: a service's name, or a route with conditions, changes and bounds; several of them are
 * tried in order. Owns their keys, defaults and documentation.
 */
import { limits } from "@tideway/base";
import { z } from "zod";
import {
  addressRanges,
  bytes,
  count,
  fieldName,
  fieldValue,
  fixedAnswer,
  redirectStatus,
  refusal,
  retryAfter,
} from "./values.ts";

const method = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "a method, such as GET");
const condition = z.union([
  z.boolean(),
  z.string(),
  z.strictObject({
    matches: z
      .string()
      .min(1)
      .max(1024)
      .describe("Regular expression that occurs in the value; with ^ and $ for the whole of it"),
  }),
]);

const when = z
  .strictObject({
    method: z
      .union([method, z.array(method).min(1)])
      .optional()
      .describe("One, or one of several; GET takes HEAD too"),
    header: z
      .record(fieldName, condition)
      .optional()
      .describe("true: present, false: absent, text: equal, { matches }"),
    query: z.record(z.string(), condition).optional().describe("The same for parameters of the query"),
  })
  .describe("The route is taken only when all of this holds");

const fieldValues = z.record(fieldName, fieldValue);

export const fieldChanges = z
  .strictObject({
    set: fieldValues.optional().describe("In place of what is there"),
    add: fieldValues.optional().describe("Besides what is there"),
    remove: z.array(fieldName).optional().describe("Before anything is set or added"),
  })
  .describe("Values may hold {host} {path} {query} {method} {scheme} {address} {port} {id} {service}");

export const rate = z
  .strictObject({
    requests: count.describe("So many requests"),
    per: z.enum(["second", "minute", "hour", "day"]).default("second").describe("In so much time"),
    burst: count.optional().describe("So many at once; as many as `requests` unless given"),
    by: z
      .union([
        z.literal("address"),
        z.strictObject({ header: fieldName }),
        z.strictObject({
          account: z.strictObject({
            header: fieldName.optional(),
            cookie: fieldName.optional(),
            query: z.string().min(1).optional(),
          }),
        }),
      ])
      .default("address")
      .describe("Who is counted: a client's address, a field's value, or an account by the first of these it brings"),
    name: z.string().optional().describe("What the RateLimit fields call it; `default` unless given"),
    keysMax: count
      .default(limits.rateKeysMax)
      .describe("Clients that are remembered; beyond it the least recent one is forgotten"),
  })
  .describe("Beyond it the answer is 429");

const routeLimits = z.strictObject({
  bodyBytesMax: bytes.optional().describe("Larger bodies are answered with 413; no bound unless given"),
  requestsMax: count.optional().describe("Requests under way at once; beyond it 503. No bound unless given"),
  rate: rate.optional(),
});

const maintenance = z.union([
  z.boolean(),
  refusal.extend({
    retryAfterSeconds: retryAfter.default(60),
    /** Those who may pass: the people who test what is being worked on. */
    except: addressRanges.optional().describe("Addresses or ranges that are served all the same"),
  }),
]);

export const route = z.strictObject({
  to: z.string().optional().describe("The service that answers"),
  redirect: fieldValue
    .optional()
    .describe(
      "In place of a service: where to. {path} stands for path and query, or for the path where {query} (with its ?) is written too",
    ),
  status: redirectStatus.optional().describe("Of the redirect"),
  respond: fixedAnswer.optional().describe("In place of a service: a fixed answer"),
  when: when.optional(),
  strip: z.boolean().optional().describe("Remove the prefix before forwarding"),
  rewrite: z.string().startsWith("/").optional().describe("Another prefix in place of the one that matched"),
  request: fieldChanges.optional().describe("Changes to what the service sees"),
  response: fieldChanges.optional().describe("Changes to what the client sees, refusals included"),
  limits: routeLimits.optional(),
  compress: z.boolean().optional().describe("Compress answers that are worth it: zstd, br or gzip"),
  serverTiming: z.boolean().optional().describe("Tell the client how long the gateway and the service took"),
  maintenance: maintenance.optional().describe("Answer 503 in the service's place"),
});

export const pathTarget = z.union([z.string(), route, z.array(z.union([z.string(), route])).min(1)]);
export const sites = z.record(z.string(), z.record(z.string(), pathTarget));

export type Route = z.output<typeof route>;
export type SitesConfig = z.output<typeof sites>;
export type FieldChangesConfig = z.output<typeof fieldChanges>;
export type RateConfig = z.output<typeof rate>;
