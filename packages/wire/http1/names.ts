/**
 * Field names that come often, so that a head's names cost no allocation: a name's hash, taken while it is scanned,
 * leads to the one string that stands for it. A small number tells the names that the framing rules look at.
 */
import { tokenLower } from "./bytes.ts";

/** Names that mean something to the decoders; every other name is `other`. */
export const NameId = {
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  expect: 6,
} as const;

/** The first ones are in the order of {@link NameId}. */
const known = (
  "- host content-length transfer-encoding connection upgrade expect " +
  "accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials " +
  "access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers " +
  "access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization " +
  "cache-control content-disposition content-encoding content-language content-location content-range " +
  "content-security-policy content-type cookie cross-origin-opener-policy cross-origin-resource-policy date dnt etag expires " +
  "forwarded from idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive " +
  "last-event-id last-modified link location max-forwards origin permissions-policy pragma priority proxy-authenticate " +
  "proxy-authorization proxy-connection range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile " +
  "sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-accept " +
  "sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server server-timing set-cookie " +
  "strict-transport-security te traceparent tracestate trailer upgrade-insecure-requests user-agent vary via " +
  "www-authenticate x-accel-buffering x-content-type-options x-forwarded-for x-forwarded-host x-forwarded-proto " +
  "x-frame-options x-powered-by x-real-ip x-request-id x-requested-with"
).split(" ");

const SLOTS = 1024;
const slots = new Int16Array(SLOTS);

/** One step of the hash of a name; `lower` is the byte's lower case. Starts at 0. */
function step(hash: number, lower: number): number {
  return (Math.imul(hash, 31) + lower) | 0;
}

for (let id = 1; id < known.length; id++) {
  const name = known[id]!;
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = step(hash, name.charCodeAt(i));
  let slot = hash & (SLOTS - 1);
  while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
  slots[slot] = id;
}

/** The number of a known name whose bytes stand at [start, end) and hash to `hash`; 0 when it is none of them. */
export function findName(bytes: Uint8Array, start: number, end: number, hash: number): number {
  let slot = hash & (SLOTS - 1);
  for (let id = slots[slot]!; id !== 0; id = slots[slot]!) {
    if (matches(known[id]!, bytes, start, end)) return id;
    slot = (slot + 1) & (SLOTS - 1);
  }
  return 0;
}

function matches(name: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let i = 0; i < name.length; i++) {
    if (name.charCodeAt(i) !== tokenLower[bytes[start + i]!]) return false;
  }
  return true;
}

export function knownName(id: number): string {
  return known[id]!;
}

const knownNames: ReadonlySet<string> = new Set(known.slice(1));

/** True for a name that needs no further check before it is written. */
export function isKnownName(name: string): boolean {
  return knownNames.has(name);
}
