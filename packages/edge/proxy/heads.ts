/**
 * Owns what a forwarded head says: which fields pass, which are removed, which are written anew (RFC 9110 §7.6.1,
 * RFC 7239). Nothing of a head is relayed as bytes; framing is decided by the codec. Refuses to know of connections.
 */
import type { ClientInfo, Exchange, FieldList, RequestHead } from "@tideway/base";
import { endToEndFields, field, forwardedElement, forwardedHost, forwardedLists } from "@tideway/wire/fields";
import { encodeRequestHead, Framing } from "@tideway/wire/http1";

/**
 * Removed from requests besides: what is written anew, what the listener has dealt with (`expect`), what was meant for a
 * proxy, and `x-real-ip`, which applications take for our word.
 */
const removedFromProxies =
  "host expect forwarded x-forwarded-for x-forwarded-proto x-forwarded-host x-forwarded-port x-request-id x-real-ip http2-settings proxy-authorization";
/** From anybody but a trusted proxy what else such proxies say: who was authenticated, which prefix was cut, was it TLS. */
const removedFromOthers =
  "x-forwarded-server x-forwarded-by x-forwarded-ssl x-forwarded-scheme x-forwarded-protocol x-forwarded-prefix x-forwarded-path x-forwarded-uri " +
  "x-forwarded-method x-forwarded-user x-forwarded-email x-forwarded-groups x-forwarded-preferred-username " +
  "x-forwarded-access-token x-forwarded-client-cert x-forwarded-tls-client-cert";
const portForm = /^[1-9][0-9]{0,4}$/;
const removedFromTrusted: ReadonlySet<string> = new Set(removedFromProxies.split(" "));
const removedFromRequests: ReadonlySet<string> = new Set([...removedFromTrusted, ...removedFromOthers.split(" ")]);
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

/** The head towards the upstream. An empty `upgrade` asks for none. */
export function requestHead(exchange: Exchange, prefix: string, upgrade: string): string {
  const { head, client } = exchange;
  const removed = client.via === undefined ? removedFromRequests : removedFromTrusted;
  const fields = endToEndFields(head.fields, removed, ["host", head.authority]);
  const proto = client.secure ? "https" : "http";
  let lines =
    client.via === undefined
      ? newForwarding(client.address, proto, head.authority)
      : keptForwarding(head, client, client.via, proto);
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

function newForwarding(address: string, proto: string, host: string): string {
  const own = forwardedElement(address, proto, host);
  return `x-forwarded-for: ${address}\r\nx-forwarded-proto: ${proto}\r\nx-forwarded-host: ${host}\r\nforwarded: ${own}\r\n`;
}

/** What the trusted proxy `via` said of its client goes on, and the proxy itself is added: it is our client. */
function keptForwarding(
  { fields, authority }: RequestHead,
  client: ClientInfo,
  via: ClientInfo,
  proto: string,
): string {
  const { addresses, elements } = forwardedLists(fields);
  const own = forwardedElement(via.address, via.secure ? "https" : "http", authority);
  const host = forwardedHost(fields);
  let lines =
    `x-forwarded-for: ${addresses === "" ? "" : `${addresses}, `}${via.address}\r\n` +
    `x-forwarded-proto: ${proto}\r\nx-forwarded-host: ${host === "" ? authority : host}\r\n` +
    `forwarded: ${elements === "" ? "" : `${elements}, `}${own}\r\n`;
  const port = field(fields, "x-forwarded-port");
  if (port !== undefined && portForm.test(port)) lines += `x-forwarded-port: ${port}\r\n`;
  // What the applications behind such proxies are used to; its value is ours, so that all fields tell one story.
  if (field(fields, "x-real-ip") !== undefined) lines += `x-real-ip: ${client.address}\r\n`;
  return lines;
}
