/**
 * The values that several parts of the configuration share: ports, times, fields, addresses. Owns how each is written and
 * checked; knows nothing of where it stands.
 */
import { parseAddressRanges } from "@tideway/base";
import { z } from "zod";

export const port = z.int().min(0).max(65_535).describe("TCP port; 0 takes any free one");
export const milliseconds = z.int().min(1);
export const count = z.int().min(1);
export const bytes = z.int().min(0);
export const hostName = z.string().min(1);

export const fieldValue = z
  .string()
  .min(1)
  .regex(/^[\x20-\x7e]*$/, "printable ASCII: it is sent as the value of a field");

export const fieldName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "the name of a field, such as x-account");

/** Addresses and ranges of them: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. */
export const addressRanges = z.array(
  z
    .string()
    .refine(
      (text) => parseAddressRanges([text]).ok,
      "an IP address or a range of them, such as 10.0.0.0/8 or fd00::/8",
    ),
);

/** An answer that is written down in the configuration. */
export const fixedAnswer = z.strictObject({
  status: z.int().min(200).max(599).default(200),
  body: z.string().default(""),
  type: fieldValue.default("text/plain; charset=utf-8"),
});

/** For `Retry-After`. */
export const retryAfter = z.int().min(0).describe("What `Retry-After` says; 0 for none");

/** An answer in a service's place. */
export const refusal = z.strictObject({
  status: z.int().min(400).max(599).default(503),
  body: z.string().optional().describe("With 503 an error page of ours unless given, else none"),
  type: fieldValue.default("text/plain; charset=utf-8").describe("Of `body`"),
});

export const redirectStatus = z.literal([301, 302, 303, 307, 308]);
