/**
 * Owns the decision whether an answer is compressed, with what, and what its head says then (RFC 9110 §8.4, §8.8.3,
 * §12.5.3, §12.5.5). Pure. Refuses to know streams.
 */
import type { FieldList, RequestHead } from "@tideway/base";
import { joinedField } from "@tideway/wire/fields";

export const Coding = { zstd: "zstd", br: "br", gzip: "gzip" } as const;
export type Coding = (typeof Coding)[keyof typeof Coding];

/** Ours, best first: at equal weights zstd is the cheapest to make and brotli the smallest to send. */
const preference: readonly Coding[] = [Coding.zstd, Coding.br, Coding.gzip];

/** Elements of an Accept-Encoding that are looked at. */
const elementsMax = 32;
const weightForm = /^\s*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*$/i;

/**
 * The coding that a client wants most, null when that is none: its weights decide, then our preference. What it does not
 * name it does not understand, unless it says `*`; without the field nothing is compressed, though that would be allowed.
 */
export function chooseCoding(acceptEncoding: string): Coding | null {
  if (acceptEncoding === "") return null;
  const weights = new Map<string, number>();
  for (const element of acceptEncoding.split(",", elementsMax)) {
    const [name = "", ...parameters] = element.split(";");
    const coding = name.trim().toLowerCase();
    if (coding !== "") weights.set(coding === "x-gzip" ? Coding.gzip : coding, weightOf(parameters));
  }
  const any = weights.get("*") ?? 0;
  let best: Coding | null = null;
  // As it is goes behind whatever was named, unless it was named itself.
  let bestWeight = weights.get("identity") ?? 0;
  for (const coding of preference) {
    const weight = weights.get(coding) ?? any;
    if (weight === 0 || weight < bestWeight || (best !== null && weight === bestWeight)) continue;
    best = coding;
    bestWeight = weight;
  }
  return best;
}

/** A weight that cannot be read makes the coding unwanted: better uncompressed than unreadable. */
function weightOf(parameters: readonly string[]): number {
  if (parameters.length === 0) return 1;
  const match = parameters.length === 1 ? weightForm.exec(parameters[0]!) : null;
  return match === null ? 0 : Number(match[1]);
}

/**
 * Types that are text underneath. Images, sound, video, archives and fonts of the web (woff2) are compressed already;
 * server-sent events are left alone, for their reader waits for each.
 */
const compressibleTypes: ReadonlySet<string> = new Set(
  (
    "application/json application/javascript application/x-javascript application/ecmascript application/xml application/wasm " +
    "application/x-ndjson application/jsonl application/yaml application/toml application/graphql application/rtf application/vnd.ms-fontobject " +
    "font/ttf font/otf font/collection font/sfnt image/svg+xml image/bmp image/x-icon image/vnd.microsoft.icon"
  ).split(" "),
);

export function isCompressible(contentType: string): boolean {
  const end = contentType.indexOf(";");
  const type = (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
  if (type.startsWith("text/")) return type !== "text/event-stream";
  if (compressibleTypes.has(type)) return true;
  // gRPC compresses its messages by itself, and counts their bytes.
  return (type.endsWith("+json") || type.endsWith("+xml")) && !type.startsWith("application/grpc");
}

/** Fields whose presence says that the bytes must stay as they are. The digests are of exactly these bytes (RFC 9530). */
const untouchables: ReadonlySet<string> = new Set(
  "content-encoding content-range x-no-compression content-digest repr-digest digest content-md5".split(" "),
);
const noTransform = /(?:^|[\s,])no-transform(?:$|[\s,])/i;

/**
 * Whether such an answer is compressed for clients that want it, and so differs by Accept-Encoding. `bodyLength` as in
 * base's `respond`: -1 when unknown, which counts as long enough.
 */
export function isWorthCompressing(status: number, fields: FieldList, bodyLength: number, bytesMin: number): boolean {
  if (status < 200 || status > 299 || status === 204 || status === 205 || status === 206) return false;
  if (bodyLength >= 0 && (bodyLength < bytesMin || bodyLength === 0)) return false;
  let type = "";
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (untouchables.has(name)) return false;
    if (name === "content-type") type = fields[i + 1]!;
    else if (name === "cache-control") {
      if (noTransform.test(fields[i + 1]!)) return false;
    } else if (name === "x-accel-buffering" && fields[i + 1]!.trim().toLowerCase() === "no") return false;
  }
  return isCompressible(type);
}

/**
 * The coding for this client's answers, null for none: HTTP/1.0 would get a body that lasts until the connection closes,
 * and a client may forbid to change anything on the way (RFC 9111 §5.2.1.6).
 */
export function wantedCoding(head: RequestHead, choose: (acceptEncoding: string) => Coding | null): Coding | null {
  if (head.version === 10) return null;
  const { fields } = head;
  let named = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === "accept-encoding") named = true;
    else if (name === "x-no-compression" || (name === "cache-control" && noTransform.test(fields[i + 1]!))) return null;
  }
  return named ? choose(joinedField(fields, "accept-encoding")) : null;
}

/** The fields of the answer once it is compressed; see `variedFields`. A part of it can no longer be asked for by bytes. */
export function codedFields(fields: FieldList, coding: Coding): FieldList {
  const kept: FieldList = ["content-encoding", coding];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    if (name === "accept-ranges") continue;
    kept.push(name, name === "etag" ? weakened(fields[i + 1]!) : fields[i + 1]!);
  }
  return variedFields(kept);
}

/** With `vary: accept-encoding`, unless that is said already; whatever the client wanted, for caches between (§12.5.5). */
export function variedFields(fields: FieldList): FieldList {
  const vary = joinedField(fields, "vary").toLowerCase();
  const said = vary.split(",").some((name) => name.trim() === "accept-encoding" || name.trim() === "*");
  return said ? fields : [...fields, "vary", "accept-encoding"];
}

/**
 * A 304 for what was compressed when it was sent: its tag is the weak one that the client has, or a cache could not tell what
 * was confirmed (RFC 9110 §15.4.5, RFC 9111 §4.3.4). Unchanged when the client asked with the strong one.
 */
export function confirmedFields(fields: FieldList, ifNoneMatch: string): FieldList {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "etag") continue;
    const weak = weakened(fields[i + 1]!);
    if (weak !== fields[i + 1] && ifNoneMatch.includes(weak)) return variedFields(fields.with(i + 1, weak));
  }
  return fields;
}

/** The bytes are others than those that the tag stands for, the meaning is the same (§8.8.1). */
function weakened(etag: string): string {
  return etag.startsWith('"') ? `W/${etag}` : etag;
}
