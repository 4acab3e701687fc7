/**
 * What proxies in front say about a request's client: `X-Forwarded-For`, `-Proto`, `-Host` and `Forwarded` (RFC 7239), read
 * from the right, where the nearest proxy wrote. Only for requests whose connection comes from a trusted proxy: from
 * anybody else these fields are hearsay. Refuses to know connections; who is trusted is the caller's to say.
 *
 * Of two lists one is believed: `X-Forwarded-For`, which nearly every proxy writes, and `Forwarded` where it is missing. A
 * proxy that writes the one and lets the other through would otherwise hand on what its client made up.
 */
import { type AddressRanges, canonicalAddress, type FieldList } from "@tideway/base";
import { field, joinedField } from "./list.ts";

/** Entries of a list that are looked at and passed on, the nearest ones; what is left of them is dropped. */
export const FORWARDED_HOPS_MAX = 32;
/** Characters of a request id that is kept. */
const REQUEST_ID_MAX = 128;

/** The client that trusted proxies vouch for. */
export interface ForwardedClient {
  /** Canonical, see base's `canonicalAddress`; empty when only `secure` was told. */
  readonly address: string;
  /** 0 when no port was told. */
  readonly port: number;
  /** Whether it spoke TLS with the first trusted proxy; null when none said. */
  readonly secure: boolean | null;
}

/** Both lists as they go on, without the own entry; empty when there is none. */
export interface ForwardedLists {
  readonly addresses: string;
  readonly elements: string;
}

interface Element {
  readonly node: string;
  readonly proto: string;
  readonly host: string;
}

const noElement: Element = { node: "", proto: "", host: "" };
const hostForm = /^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._~-]{1,255})(?::[0-9]{1,5})?$/;
const nodeForm = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::(?:([0-9]{1,5})|_[A-Za-z0-9._-]+))?$/;
const pairForm = /[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",;]+))[ \t]*)?(?:;|$)/y;
const idForm = /^[A-Za-z0-9][A-Za-z0-9._~+/=:@-]*$/;

/**
 * The right-most address that is not itself trusted: from the right over trusted ones. An entry that is no address
 * (malformed, `unknown`, an obfuscated name) ends the walk, and the client is who wrote it. null: nobody said anything of
 * use, so that the client is who is connected.
 */
export function forwardedClient(fields: FieldList, trusts: AddressRanges): ForwardedClient | null {
  const list = joinedField(fields, "x-forwarded-for");
  const believed = list === "" ? joinedField(fields, "forwarded") : list;
  let address = "";
  let port = 0;
  let proto = "";
  let end = believed.length;
  for (let hops = 0; end > 0 && hops < FORWARDED_HOPS_MAX; hops++) {
    const start = list === "" ? elementStart(believed, end) : believed.lastIndexOf(",", end - 1) + 1;
    const text = believed.slice(start, end).trim();
    end = start - 1;
    if (text === "") continue;
    const element = list === "" ? readElement(text) : { node: text, proto: "", host: "" };
    const node = readNode(element.node);
    if (node === null) break;
    ({ address, port } = node);
    proto = element.proto;
    if (!trusts.has(address)) break;
  }
  const beside = lastOf(fields, "x-forwarded-proto");
  const secure = secureOf((proto === "" ? beside : proto).toLowerCase());
  return address === "" && secure === null ? null : { address, port, secure };
}

/** The host that the client asked the first proxy for; empty when none was told, or none that could be one. */
export function forwardedHost(fields: FieldList): string {
  let host = "";
  if (field(fields, "x-forwarded-for") === undefined) {
    const elements = joinedField(fields, "forwarded");
    host = readElement(elements.slice(elementStart(elements, elements.length)).trim()).host;
  }
  if (host === "") host = lastOf(fields, "x-forwarded-host");
  return hostForm.test(host) ? host.toLowerCase() : "";
}

/**
 * The two lists, made to say the same: when they differ, the one that is not believed is written anew from the other.
 * What is no address in them goes on as `unknown`.
 */
export function forwardedLists(fields: FieldList): ForwardedLists {
  const addresses = joinedField(fields, "x-forwarded-for");
  const elements = joinedField(fields, "forwarded");
  if (addresses === "" && elements === "") return { addresses, elements };
  const parts = elementsOf(elements);
  const named = parts.map((part) => addressOf(readElement(part).node));
  if (addresses === "") return { addresses: named.join(", "), elements: parts.join(", ") };
  const believed = addressesOf(addresses);
  const kept = believed.join(", ");
  if (named.join(", ") === kept) return { addresses: kept, elements: parts.join(", ") };
  return { addresses: kept, elements: believed.map((address) => `for=${nodeOf(address)}`).join(", ") };
}

/** One element of `Forwarded` (RFC 7239 §4, §6): an IPv6 address stands in brackets and quotes, a host in quotes for its colon. */
export function forwardedElement(address: string, proto: string, host: string): string {
  return host === "" ? `for=${nodeOf(address)};proto=${proto}` : `for=${nodeOf(address)};proto=${proto};host="${host}"`;
}

/** A request id that may be kept: up to 128 letters, digits and `._~+/=:@-`, once; empty when there is none such. */
export function forwardedRequestId(fields: FieldList): string {
  const id = field(fields, "x-request-id") ?? "";
  return id.length <= REQUEST_ID_MAX && idForm.test(id) ? id : "";
}

function nodeOf(address: string): string {
  return address.includes(":") ? `"[${address}]"` : address;
}

function secureOf(proto: string): boolean | null {
  if (proto === "https" || proto === "wss") return true;
  return proto === "http" || proto === "ws" ? false : null;
}

/** The right-most value of a field that may have become a list on its way. */
function lastOf(fields: FieldList, name: string): string {
  const value = joinedField(fields, name);
  return value.slice(value.lastIndexOf(",") + 1).trim();
}

/** The nearest entries of `X-Forwarded-For`, in their order. */
function addressesOf(list: string): string[] {
  const kept: string[] = [];
  for (let end = list.length; end > 0 && kept.length < FORWARDED_HOPS_MAX; ) {
    const start = list.lastIndexOf(",", end - 1) + 1;
    const text = list.slice(start, end).trim();
    if (text !== "") kept.push(addressOf(text));
    end = start - 1;
  }
  return kept.reverse();
}

/** The nearest elements of `Forwarded`, in their order, those that are none as `for=unknown`. */
function elementsOf(list: string): string[] {
  const kept: string[] = [];
  for (let end = list.length; end > 0 && kept.length < FORWARDED_HOPS_MAX; ) {
    const start = elementStart(list, end);
    const text = list.slice(start, end).trim();
    if (text !== "") kept.push(readElement(text) === noElement ? "for=unknown" : text);
    end = start - 1;
  }
  return kept.reverse();
}

/**
 * Where the element before `end` begins: behind the nearest comma outside of quotes. Looked for from the right, so that
 * an open quote further left, which a client can send, swallows nothing that a proxy wrote behind it.
 */
function elementStart(list: string, end: number): number {
  let quoted = false;
  for (let at = end - 1; at >= 0; at--) {
    const char = list.charCodeAt(at);
    if (char === 0x22) {
      let slashes = 0;
      while (list.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
      if (slashes % 2 === 0) quoted = !quoted;
    } else if (char === 0x2c && !quoted) return at + 1;
  }
  return 0;
}

/** `for`, `proto` and `host` of one element; `noElement` when it is malformed or says one of them twice. */
function readElement(text: string): Element {
  const said = new Map<string, string>();
  pairForm.lastIndex = 0;
  while (pairForm.lastIndex < text.length) {
    const match = pairForm.exec(text);
    if (match === null) return noElement;
    const [, name, quoted, plain] = match;
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (said.has(key)) return noElement;
    said.set(key, plain ?? quoted!.replace(/\\(.)/g, "$1"));
  }
  return { node: said.get("for") ?? "", proto: said.get("proto") ?? "", host: said.get("host") ?? "" };
}

/** An address with or without port: `192.0.2.7:80`, `[2001:db8::1]:80`, or as lists have it without brackets. */
function readNode(text: string): { address: string; port: number } | null {
  const bare = canonicalAddress(text);
  if (bare !== "") return { address: bare, port: 0 };
  const match = nodeForm.exec(text);
  if (match === null) return null;
  const address = canonicalAddress(match[1] ?? match[2]!);
  const port = Number(match[3] ?? 0);
  return address === "" || port > 65535 ? null : { address, port };
}

function addressOf(node: string): string {
  return readNode(node)?.address ?? "unknown";
}
