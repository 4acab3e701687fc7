/**
 * Owns by what a limit counts: the client's address, a field's value, or the key of an account. Keys are short whatever
 * the client sends, for they are kept. A request without the value counts by its address.
 *
 * Whoever counts by a value that clients may invent limits those who send their own; one who invents a new one each time
 * is stopped only by a second limit, by address.
 */
import { canonicalAddress, type FieldList } from "@tideway/base";
import { field } from "@tideway/wire/fields";

/** `account`: the first of these that the request has: the credential by which the application knows it. */
export type KeySpec =
  | "address"
  | { readonly header: string }
  | {
      readonly account: {
        readonly header?: string | undefined;
        readonly cookie?: string | undefined;
        readonly query?: string | undefined;
      };
    };

/** What keys are made of: a RequestHead fits. */
export interface KeyedHead {
  readonly fields: FieldList;
  /** With its leading `?`; empty when there is none. */
  readonly query: string;
}

/** `address` is the client's: of the connection, or as a trusted proxy said. */
export type KeyOf = (head: KeyedHead, address: string) => string;

/** A longer value stands by its hash. */
const valueCharsMax = 64;

/** `spec` was checked: names in lower case but for those of cookies and parameters. */
export function keyOf(spec: KeySpec): KeyOf {
  if (spec === "address") return (_head, address) => addressKey(address);
  const { header, cookie, query } =
    "header" in spec ? { header: spec.header, cookie: undefined, query: undefined } : spec.account;
  const headerName = header?.toLowerCase();
  return (head, address) => {
    let value = headerName === undefined ? "" : (field(head.fields, headerName) ?? "");
    if (value === "" && cookie !== undefined) value = cookieValue(head.fields, cookie);
    if (value === "" && query !== undefined) value = parameterValue(head.query, query);
    return value === "" ? addressKey(address) : valueKey(value);
  };
}

/**
 * IPv4 by address; IPv6 by /64, which is the least that a subscriber gets (RFC 6177): by address each would have 2^64
 * buckets. What is no address, such as the path of a Unix socket, stands for itself.
 */
export function addressKey(address: string): string {
  if (!address.includes(":")) return address;
  const canonical = canonicalAddress(address);
  if (!canonical.includes(":")) return canonical === "" ? valueKey(address) : canonical;
  const [head = "", tail] = canonical.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const behind = tail === "" ? [] : tail.split(":");
    while (groups.length + behind.length < 8) groups.push("0");
    groups.push(...behind);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}

/** Told from addresses by its first character: else a client could use up another's by naming its address. */
function valueKey(value: string): string {
  return value.length <= valueCharsMax ? `=${value}` : `#${hash(value)}`;
}

/** 64 bits, twice FNV-1a finished as in MurmurHash3. To meet another's key one must know it, and could send it as it is. */
function hash(text: string): string {
  let a = 0x811c9dc5;
  let b = 0xc2b2ae35 ^ text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
    b ^= b >>> 15;
  }
  return finished(a) + finished(b ^ a);
}

function finished(hash: number): string {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0).toString(36).padStart(7, "0");
}

/** RFC 6265 §4.2.1; the first of that name. Empty when there is none. */
function cookieValue(fields: FieldList, name: string): string {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "cookie") continue;
    for (const pair of fields[i + 1]!.split(";")) {
      const equals = pair.indexOf("=");
      if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
  }
  return "";
}

/** As it stands in the query, not decoded: one account has one spelling of its key. Empty when there is none. */
function parameterValue(query: string, name: string): string {
  for (let start = 1; start < query.length; ) {
    const stop = query.indexOf("&", start);
    const end = stop === -1 ? query.length : stop;
    if (query.startsWith(`${name}=`, start)) return query.slice(start + name.length + 1, end);
    start = end + 1;
  }
  return "";
}
