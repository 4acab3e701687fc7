/**
 * Reads names and record values as a zone file writes them (RFC 1035 §5.1): `"10 mail"`, `"0 issue \"ca.test\""`. A name
 * without a final dot is relative to its zone. What cannot go onto the wire is refused here, so that nothing later has
 * to look. Knows nothing of which records may stand together.
 */
import type { RecordType, RecordValue } from "./contract.ts";

/** A value, or what would have been right. */
export type Parsed<T> = { readonly value: T } | { readonly allowed: string };

/** Characters of a name without its final dot: 255 bytes on the wire (RFC 1035 §2.3.4). */
export const NAME_LENGTH_MAX = 253;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** 4 or 6 for an address of that family, 0 for anything else. */
export function addressFamily(text: string): 0 | 4 | 6 {
  if (IPV4.test(text)) return 4;
  return /^[0-9a-f:.]+$/i.test(text) && text.includes(":") && URL.canParse(`http://[${text}]/`) ? 6 : 0;
}

/**
 * An absolute name in lower case without its final dot, or null when it is none. `*` may be the first label. Names in
 * other scripts become what browsers ask for (`xn--…`, RFC 5891).
 */
export function absoluteName(text: string): string | null {
  const plain = text.endsWith(".") ? text.slice(0, -1) : text;
  const name = /[^\0-\x7f]/.test(plain) ? (URL.parse(`http://${plain}/`)?.hostname ?? "") : plain.toLowerCase();
  if (name === "" || name.length > NAME_LENGTH_MAX) return null;
  const labels = name.split(".");
  return labels.every((label, at) => LABEL.test(label) || (at === 0 && label === "*" && labels.length > 1))
    ? name
    : null;
}

/** A name as it stands in the zone `origin`: `@`, relative, or absolute with a final dot. */
export function zoneName(text: string, origin: string): Parsed<string> {
  if (text === "@") return { value: origin };
  if (text.endsWith(".")) {
    const name = absoluteName(text);
    return name === null ? { allowed: "a host name" } : { value: name };
  }
  const lower = text.toLowerCase();
  if (lower === origin || lower.endsWith(`.${origin}`)) {
    // Taken literally this would be `www.abc.test.abc.test`: the oldest mistake in zone files.
    return { allowed: `"${text}." with a final dot, or the part before ".${origin}"` };
  }
  const name = absoluteName(`${text}.${origin}`);
  return name === null
    ? { allowed: 'a host name, relative to the zone or with a final dot; "@" is the zone itself' }
    : { value: name };
}

/** Splits a value into words; double quotes hold a word together, a backslash takes the next character as it is. */
export function words(text: string): string[] | null {
  const out: string[] = [];
  let word: string | null = null;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!;
    if (c === "\\") {
      if (++i >= text.length) return null;
      word = (word ?? "") + text[i]!;
    } else if (c === '"') {
      quoted = !quoted;
      word ??= "";
    } else if (!quoted && (c === " " || c === "\t")) {
      if (word !== null) out.push(word);
      word = null;
    } else {
      word = (word ?? "") + c;
    }
  }
  if (quoted) return null;
  if (word !== null) out.push(word);
  return out;
}

function integer(text: string | undefined, max: number): number | null {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** Cuts a text into strings of at most 255 bytes (RFC 1035 §3.3), never through a character. */
function characterStrings(text: string): string[] {
  const out: string[] = [];
  let part = "";
  let bytes = 0;
  for (const c of text) {
    const size = Buffer.byteLength(c);
    if (bytes + size > 255) {
      out.push(part);
      part = "";
      bytes = 0;
    }
    part += c;
    bytes += size;
  }
  out.push(part);
  return out;
}

function parseText(text: string): Parsed<RecordValue> {
  // A zone file needs quotes around blanks; in a configuration the text is already one value, so plain text is taken whole.
  const parts = text.startsWith('"') ? words(text) : [text];
  if (parts === null) return { allowed: "quotes in pairs" };
  const data = parts.flatMap(characterStrings);
  if (data.reduce((sum, part) => sum + Buffer.byteLength(part) + 1, 0) > 4096) return { allowed: "at most 4096 bytes" };
  return { value: { type: "TXT", data } };
}

type Reader = (text: string, origin: string) => Parsed<RecordValue>;

function target(type: "CNAME" | "NS" | "PTR"): Reader {
  return (text, origin) => {
    const name = zoneName(text, origin);
    if ("allowed" in name) return name;
    return name.value.startsWith("*.") ? { allowed: "a name without *" } : { value: { type, data: name.value } };
  };
}

const readers: Record<Exclude<RecordType, "SOA">, Reader> = {
  A: (text) => (addressFamily(text) === 4 ? { value: { type: "A", data: text } } : { allowed: "an IPv4 address" }),
  AAAA: (text) =>
    addressFamily(text) === 6 ? { value: { type: "AAAA", data: text.toLowerCase() } } : { allowed: "an IPv6 address" },
  CNAME: target("CNAME"),
  NS: target("NS"),
  PTR: target("PTR"),
  TXT: parseText,
  MX(text, origin) {
    const [first, host, ...rest] = words(text) ?? [];
    const preference = integer(first, 65_535);
    if (preference === null || host === undefined || rest.length > 0)
      return { allowed: '"preference host", as in "10 mail"' };
    // A lone dot says that the name takes no mail (RFC 7505).
    if (host === ".") return { value: { type: "MX", data: { preference, exchange: "." } } };
    const name = zoneName(host, origin);
    return "allowed" in name ? name : { value: { type: "MX", data: { preference, exchange: name.value } } };
  },
  SRV(text, origin) {
    const parts = words(text) ?? [];
    const [priority, weight, port] = parts.slice(0, 3).map((part) => integer(part, 65_535));
    const host = parts[3];
    if (priority == null || weight == null || port == null || host === undefined || parts.length !== 4) {
      return { allowed: '"priority weight port host", as in "0 5 5060 sip"' };
    }
    if (host === ".") return { value: { type: "SRV", data: { priority, weight, port, target: "." } } };
    const name = zoneName(host, origin);
    return "allowed" in name ? name : { value: { type: "SRV", data: { priority, weight, port, target: name.value } } };
  },
  CAA(text) {
    const [first, tag, value, ...rest] = words(text) ?? [];
    const flags = integer(first, 255);
    if (
      flags === null ||
      tag === undefined ||
      !/^[a-z0-9]{1,15}$/i.test(tag) ||
      value === undefined ||
      rest.length > 0
    ) {
      return { allowed: '"flags tag value", as in "0 issue letsencrypt.org"' };
    }
    if (Buffer.byteLength(value) > 1024) return { allowed: "a value of at most 1024 bytes" };
    return { value: { type: "CAA", data: { flags, tag: tag.toLowerCase(), value } } };
  },
};

export const configurableTypes = Object.keys(readers) as Exclude<RecordType, "SOA">[];

/** Reads one value of `type` (already one of {@link configurableTypes}) in the zone `origin`. */
export function parseRecord(type: Exclude<RecordType, "SOA">, text: string, origin: string): Parsed<RecordValue> {
  return readers[type](text.trim(), origin);
}
