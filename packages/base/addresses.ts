/**
 * Owns IP addresses as text: their canonical spelling, and lists of ranges that an address is in or not (RFC 4632 CIDR
 * notation, RFC 4291 §2.2, RFC 5952). One reading of them for who may send a PROXY header, whose `Forwarded` fields are
 * believed, and by what key a client is counted. Refuses to know names, ports and sockets.
 *
 * Strict: four decimal numbers without leading zeros, which some read as octal; no short forms; a zone (`%eth0`) only in
 * an address that is looked up, where the kernel writes it. An IPv4 address that came over an IPv6 socket
 * (`::ffff:192.0.2.7`) is the IPv4 address, everywhere; `::/0` holds IPv6 addresses only, `0.0.0.0/0` IPv4 ones.
 */

/** What {@link read} found last: 0 when it was no address. */
const Family = { none: 0, v4: 4, v6: 6 } as const;
type Family = (typeof Family)[keyof typeof Family];

/** The address that was read last, as four words of 32 bits; IPv4 is in the first. */
const words = new Uint32Array(4);
const groups = new Uint16Array(8);
/** More is no address, whatever it says: the longest is `ffff:…:255.255.255.255`, and a zone. */
const textMax = 64;

export interface AddressRanges {
  /** How many ranges are left after those within others were dropped. */
  readonly count: number;
  /** False also for text that is no address. */
  has(address: string): boolean;
}

/** One entry of the list that is no range; `index` is its place there. */
export interface AddressRangeFault {
  readonly index: number;
  readonly seen: string;
  readonly allowed: string;
  readonly hint: string;
}

export type ParsedAddressRanges =
  | { readonly ok: true; readonly ranges: AddressRanges }
  | { readonly ok: false; readonly faults: readonly AddressRangeFault[] };

/**
 * `["10.0.0.0/8", "192.0.2.7", "fd00::/8"]` to something that can be asked quickly: a binary search over merged ranges,
 * no allocation. All faults are reported, not only the first. An address alone is a range of one.
 */
export function parseAddressRanges(list: readonly string[]): ParsedAddressRanges {
  const faults: AddressRangeFault[] = [];
  const v4: Range[] = [];
  const v6: Range[] = [];
  for (const [index, entry] of list.entries()) {
    const parsed = parseRange(entry);
    if ("hint" in parsed) faults.push({ index, seen: `"${entry}"`, ...parsed });
    else (parsed.first.length === 1 ? v4 : v6).push(parsed);
  }
  return faults.length === 0 ? { ok: true, ranges: new SortedRanges(v4, v6) } : { ok: false, faults };
}

/**
 * The one spelling of an address: IPv4 as it is, IPv6 as RFC 5952 writes it, without a zone; empty for anything else.
 * What limits count by: two spellings must not be two clients.
 */
export function canonicalAddress(text: string): string {
  const family = read(text);
  if (family === Family.v4) return dotted(words[0]!);
  return family === Family.v6 ? colons() : "";
}

/* ------------------------------------------------------------------ ranges */

/** First and last address, as words: one for IPv4, four for IPv6. */
interface Range {
  readonly first: readonly number[];
  readonly last: readonly number[];
}

class SortedRanges implements AddressRanges {
  readonly count: number;
  readonly #v4: Uint32Array;
  readonly #v6: Uint32Array;

  constructor(v4: Range[], v6: Range[]) {
    this.#v4 = flat(v4);
    this.#v6 = flat(v6);
    this.count = this.#v4.length / 2 + this.#v6.length / 8;
  }

  has(address: string): boolean {
    const family = read(address);
    if (family === Family.v4) return within(this.#v4, 1);
    return family === Family.v6 && within(this.#v6, 4);
  }
}

/** Sorted, without those that lie in another: ranges of CIDR are nested or apart, never halfway. */
function flat(ranges: Range[]): Uint32Array {
  ranges.sort((a, b) => compareWords(a.first, b.first) || compareWords(b.last, a.last));
  const kept: Range[] = [];
  for (const range of ranges) {
    const before = kept.at(-1);
    if (before === undefined || compareWords(range.last, before.last) > 0) kept.push(range);
  }
  return Uint32Array.from(kept.flatMap(({ first, last }) => [...first, ...last]));
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return 0;
}

/** `bounds` holds first and last of each range, `size` words each. Looks for the address in `words`. */
function within(bounds: Uint32Array, size: number): boolean {
  let low = 0;
  let high = bounds.length / (2 * size);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareTo(bounds, middle * 2 * size, size) < 0) high = middle;
    else low = middle + 1;
  }
  return low > 0 && compareTo(bounds, (low - 1) * 2 * size + size, size) <= 0;
}

/** Below zero when the address in `words` is smaller than the bound at `at`. */
function compareTo(bounds: Uint32Array, at: number, size: number): number {
  for (let i = 0; i < size; i++) if (words[i] !== bounds[at + i]) return words[i]! - bounds[at + i]!;
  return 0;
}

function parseRange(entry: string): Range | { allowed: string; hint: string } {
  const allowed = 'an IPv4 or IPv6 address, or a range such as "10.0.0.0/8" or "fd00::/8"';
  const slash = entry.indexOf("/");
  const text = slash < 0 ? entry : entry.slice(0, slash);
  const family = text.includes("%") ? Family.none : read(text);
  if (family === Family.none) return { allowed, hint: addressHint(text) };
  const bits = family === Family.v4 ? 32 : 128;
  const prefix = slash < 0 ? bits : prefixOf(entry.slice(slash + 1), text, family);
  if (prefix < 0 || prefix > bits) {
    const mapped = family === Family.v4 && text.includes(":") ? ", for the address is an IPv4 one (from 96 on)" : "";
    return { allowed, hint: `what stands behind the slash is a number from 0 to ${bits}${mapped}` };
  }
  const first: number[] = [];
  const last: number[] = [];
  for (let i = 0; i < bits / 32; i++) {
    const mask = maskOf(prefix - 32 * i);
    first.push((words[i]! & mask) >>> 0);
    last.push((words[i]! | ~mask) >>> 0);
  }
  if (first.every((word, i) => word === words[i])) return { first, last };
  words.set(first);
  const start = family === Family.v4 ? dotted(words[0]!) : colons();
  return {
    allowed,
    hint: `the range of that length begins at "${start}/${prefix}"; for the one address, drop the length`,
  };
}

/** The number of leading bits; -1 when it is none. `::ffff:10.0.0.0/104` is written for IPv6 and means IPv4. */
function prefixOf(text: string, address: string, family: Family): number {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) return -1;
  return family === Family.v4 && address.includes(":") ? Number(text) - 96 : Number(text);
}

/** The mask of one word of which the first `bits` count; below 0 and above 32 are none and all. */
function maskOf(bits: number): number {
  if (bits <= 0) return 0;
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;
}

function addressHint(text: string): string {
  if (text === "") return "write an address";
  if (text.includes("%")) return "leave out the zone: which interface an address came by is not looked at";
  if (text.startsWith("[")) return "leave out the brackets";
  if (/^[0-9]+(?:\.[0-9]+){0,3}$/.test(text)) return "an IPv4 address is four numbers up to 255, without leading zeros";
  if (/^[0-9a-fA-F:.]+$/.test(text) && text.includes(":"))
    return "an IPv6 address is eight groups of up to four digits, or fewer around one `::`, and has no port here";
  return "names are not looked up here: write the address that the connections come from";
}

/* ------------------------------------------------------------------ one address */

/** Reads an address into `words` and says of which family it is. */
function read(text: string): Family {
  if (text.length > textMax) return Family.none;
  if (text.indexOf(":") < 0) {
    const value = readV4(text, 0, text.length);
    if (value < 0) return Family.none;
    words[0] = value;
    return Family.v4;
  }
  const zone = text.indexOf("%");
  if (!readV6(text, zone < 0 ? text.length : zone)) return Family.none;
  for (let i = 0; i < 4; i++) words[i] = groups[2 * i]! * 65536 + groups[2 * i + 1]!;
  if (words[0] !== 0 || words[1] !== 0 || words[2] !== 0xffff) return Family.v6;
  words[0] = words[3]!;
  return Family.v4;
}

/** Four numbers up to 255 in `text` from `start` to `end`, as one; -1 when it is anything else. */
function readV4(text: string, start: number, end: number): number {
  let value = 0;
  let part = -1;
  let dots = 0;
  for (let at = start; at < end; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x2e) {
      if (part < 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = -1;
      continue;
    }
    const digit = char - 0x30;
    if (digit < 0 || digit > 9 || part === 0) return -1;
    part = part < 0 ? digit : part * 10 + digit;
    if (part > 255) return -1;
  }
  return dots === 3 && part >= 0 ? value * 256 + part : -1;
}

/** Eight groups into `groups`: `::` at most once, and perhaps an IPv4 address in place of the last two. */
function readV6(text: string, end: number): boolean {
  let count = 0;
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === 0x3a && text.charCodeAt(1) === 0x3a) {
    gap = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return false;
    let stop = at;
    while (stop < end && text.charCodeAt(stop) !== 0x3a) stop++;
    if (stop === end && text.indexOf(".", at) >= 0) {
      const value = count > 6 ? -1 : readV4(text, at, end);
      if (value < 0) return false;
      groups[count++] = Math.floor(value / 65536);
      groups[count++] = value % 65536;
      break;
    }
    const group = readGroup(text, at, stop);
    if (group < 0) return false;
    groups[count++] = group;
    at = stop;
    if (at === end) break;
    // A colon: another group follows, or the gap.
    if (++at < end && text.charCodeAt(at) === 0x3a) {
      if (gap >= 0) return false;
      gap = count;
      at++;
    } else if (at === end) return false;
  }
  if (gap < 0) return count === 8;
  if (count > 7) return false;
  groups.copyWithin(8 - (count - gap), gap, count);
  groups.fill(0, gap, 8 - (count - gap));
  return true;
}

function readGroup(text: string, start: number, end: number): number {
  if (end === start || end - start > 4) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const char = text.charCodeAt(at);
    const digit = char <= 0x39 ? char - 0x30 : (char | 0x20) - 0x57;
    if (digit < 0 || digit > 15 || (char > 0x39 && digit < 10)) return -1;
    value = value * 16 + digit;
  }
  return value;
}

function dotted(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** RFC 5952 §4: no leading zeros, the first longest run of two zero groups or more as `::`. From `words`. */
function colons(): string {
  const all: number[] = [];
  for (const word of words) all.push(word >>> 16, word & 0xffff);
  let from = 0;
  let length = 1;
  for (let start = 0; start < 8; start++) {
    let run = 0;
    while (all[start + run] === 0) run++;
    if (run > length) {
      from = start;
      length = run;
    }
  }
  const hex = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  return length < 2 ? hex(all) : `${hex(all.slice(0, from))}::${hex(all.slice(from + length))}`;
}
