/**
 * Owns what a forwarded head says: which fields pass, which are removed, which are written anew (RFC 9110 §7.6.1,
 * RFC 7239). Nothing of a head is relayed as bytes; framing is decided by the codec. Refuses to know of connections.
 */
import type { Exchange, FieldList, RequestHead } from "@tideway/base";
import { endToEndFields } from "@tideway/wire/fields";
import { encodeRequestHead, Framing } from "@tideway/wire/http1";

/**
 * Removed from requests besides: what is written anew, what the listener has dealt with (`expect`), what was meant for a
 * proxy, and `x-real-ip`, which applications take for our word.
 */
const removedFromRequests: ReadonlySet<string> = new Set(
  (
    "host expect forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-server x-request-id " +
    "x-real-ip http2-settings proxy-authorization"
  ).split(" "),
);
/** Removed from responses besides: the listener sets the one, the other speaks to a client of a proxy, which ours is not. */
const removedFromResponses: ReadonlySet<string> = new Set(["x-request-id", "proxy-authenticate"]);

/** The fields of a response that go on to the client. */
export function responseFields(fields: FieldList): FieldList {
  return endToEndFields(fields, removedFromResponses);
}

/** The path without `prefix`, which matched whole segments of it. */
function stripped(path: string, prefix: string): string {
  if (prefix === "" || !path.startsWith(prefix)) return path;
  const rest = path.slice(prefix.length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/**
 * The head towards the upstream. `trusted`: the client is a proxy whose word about its own client is kept and added to.
 * An empty `upgrade` asks for none.
 */
export function requestHead(exchange: Exchange, prefix: string, trusted: boolean, upgrade: string): string {
  const { head, client } = exchange;
  const fields = endToEndFields(head.fields, removedFromRequests, ["host", head.authority]);
  const proto = client.secure ? "https" : "http";
  let lines = trusted ? keptForwarding(exchange, proto) : newForwarding(head, client.address, proto);
  lines += `x-request-id: ${exchange.id}\r\n`;
  if (upgrade !== "") lines += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  return encodeRequestHead(head.method, stripped(head.path, prefix) + head.query, fields, requestFraming(head), lines);
}

/** A body keeps its length, or its chunks; 0 is said only where a body was to be expected (RFC 9110 §8.6). */
export function requestFraming(head: RequestHead): number {
  if (head.bodyLength > 0) return head.bodyLength;
  if (head.bodyLength < 0) return Framing.chunked;
  const { method } = head;
  return method === "POST" || method === "PUT" || method === "PATCH" ? 0 : Framing.none;
}

function newForwarding(head: RequestHead, address: string, proto: string): string {
  const host = head.authority;
  return `x-forwarded-for: ${address}\r\nx-forwarded-proto: ${proto}\r\nx-forwarded-host: ${host}\r\nforwarded: ${element(address, proto, host)}\r\n`;
}

/** RFC 7239 §4 and §6: an IPv6 address stands in brackets and quotes, a host in quotes for its colon. */
function element(address: string, proto: string, host: string): string {
  const node = address.includes(":") ? `"[${address}]"` : address;
  return host === "" ? `for=${node};proto=${proto}` : `for=${node};proto=${proto};host="${host}"`;
}

function keptForwarding({ head, client }: Exchange, proto: string): string {
  const said = new Map<string, string>();
  for (let i = 0; i < head.fields.length; i += 2) {
    const name = head.fields[i]!;
    if (!name.startsWith("x-forwarded-") && name !== "forwarded") continue;
    const earlier = said.get(name);
    said.set(name, earlier === undefined ? head.fields[i + 1]! : `${earlier}, ${head.fields[i + 1]!}`);
  }
  const chain = said.get("x-forwarded-for");
  const elements = said.get("forwarded");
  const own = element(client.address, proto, head.authority);
  return (
    `x-forwarded-for: ${chain === undefined ? "" : `${chain}, `}${client.address}\r\n` +
    `x-forwarded-proto: ${said.get("x-forwarded-proto") ?? proto}\r\n` +
    `x-forwarded-host: ${said.get("x-forwarded-host") ?? head.authority}\r\n` +
    `forwarded: ${elements === undefined ? "" : `${elements}, `}${own}\r\n`
  );
}
