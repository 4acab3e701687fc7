/**
 * Owns what a forwarded head says: which fields pass, which are removed, which are written anew (RFC 9110 §7.6.1,
 * RFC 7239). Nothing of a head is relayed as bytes; framing is decided by the codec. Refuses to know of connections.
 */
import type { ClientInfo, Exchange, FieldList, RequestHead } from "@tideway/base";
import { forwardedPath } from "@tideway/engine/routing";
import {
  endToEndFields,
  field,
  forwardedElement,
  forwardedHost,
  forwardedLists,
  readTrace,
  type TraceSource,
  withoutTrace,
} from "@tideway/wire/fields";
import {
  encodeFieldLines,
  encodeRequestHead,
  Framing,
  inOnePiece,
  type ResponseHead,
  writeOnce,
} from "@tideway/wire/http1";
import type { RouteContext, Tracing } from "./proxy.ts";

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
const trailersForm = /(?:^|[\s,])trailers(?:$|[\s,;])/i;
const portForm = /^[1-9][0-9]{0,4}$/;
const removedFromTrusted: ReadonlySet<string> = new Set(removedFromProxies.split(" "));
const removedFromRequests: ReadonlySet<string> = new Set([...removedFromTrusted, ...removedFromOthers.split(" ")]);
/** Removed from responses besides: the listener sets the one, the other speaks to a client of a proxy, which ours is not. */
const removedFromResponses: ReadonlySet<string> = new Set(["x-request-id", "proxy-authenticate"]);

const none: FieldList = [];

/** The fields of a response that go on to the client. */
export function responseFields(fields: FieldList): FieldList {
  return endToEndFields(fields, removedFromResponses);
}

/** Those of a final response, not to be changed; written once for a response that comes again and again. */
export function finalFields({ fields, memo }: ResponseHead): FieldList {
  if (memo === undefined) return responseFields(fields);
  if (memo.by !== removedFromResponses) {
    memo.made = writeOnce(responseFields(fields));
    memo.by = removedFromResponses;
  }
  return memo.made as FieldList;
}

/** The head towards the upstream. An empty `upgrade` asks for none. */
export function requestHead(
  exchange: Exchange,
  route: RouteContext,
  tracing: Tracing | null,
  instance: { readonly host: string; readonly port: number },
  upgrade: string,
): string {
  const { head } = exchange;
  const host = hostOf(route.hostField, head, instance);
  const made = upgrade === "" && route.requestFields === null ? madeOf(exchange) : null;
  const received = tracing === null || made !== null ? null : readTrace(head.fields);
  let trace = "";
  if (received !== null && received !== "") exchange.trace = received;
  else if (tracing !== null && tracing.source !== null) trace = newTrace(exchange, tracing.source, tracing.flags);
  if (made?.head === head && made.route === route && made.host === host) {
    if (made.front === "") made.front = inOnePiece(frontOf(head, route, host, made.lines));
    return `${made.front}${exchange.id}\r\n${trace}\r\n`;
  }
  if (made !== null) {
    made.head = head;
    made.route = route;
    made.host = host;
    made.front = "";
  }
  if (upgrade === "" && route.requestFields === null && received !== "") {
    const lines = made?.lines ?? passingLines(exchange);
    return `${frontOf(head, route, host, lines)}${exchange.id}\r\n${trace}\r\n`;
  }
  let fields = ["host", host, ...passingFields(exchange)];
  if (received === "") fields = withoutTrace(fields);
  let lines = `${forwardingLines(exchange)}x-request-id: ${exchange.id}\r\n${trace}`;
  if (route.requestFields !== null) {
    fields = route.requestFields(withLines(fields, lines), exchange);
    lines = "";
  }
  lines += connectionLines(head.fields, upgrade);
  const target = forwardedPath(route, head.path) + head.query;
  return encodeRequestHead(head.method, target, fields, requestFraming(head), lines);
}

/** What is the same for every request of a client with the same fields, and more for the same head. */
interface Made {
  readonly lines: string;
  /** The last head with these fields, where it went, and its text up to the request id; empty until it came twice in a row. */
  head: RequestHead | null;
  route: RouteContext | null;
  host: string;
  front: string;
}

/** Null while nobody expects another request with these fields, or they speak of a trace, which is another one each time. */
function madeOf(exchange: Exchange): Made | null {
  const { head, client } = exchange;
  const { memo } = head;
  if (memo === undefined) return null;
  if (memo.by === client) return memo.made as Made;
  if (readTrace(head.fields) !== null) return null;
  const made: Made = { lines: passingLines(exchange), head: null, route: null, host: "", front: "" };
  memo.made = made;
  memo.by = client;
  return made;
}

/** All up to the request id. `lines` are what `passingLines` gives. */
function frontOf(head: RequestHead, route: RouteContext, host: string, lines: string): string {
  const target = forwardedPath(route, head.path) + head.query;
  const own = `${lines}x-request-id: `;
  return encodeRequestHead(head.method, target, none, requestFraming(head), own, hostLine(host, head)).slice(0, -2);
}

/** The lines of all fields but `host`, framing and what is each request's own. */
function passingLines(exchange: Exchange): string {
  const lines = connectionLines(exchange.head.fields, "");
  return encodeFieldLines(passingFields(exchange)) + forwardingLines(exchange) + lines;
}

/** The client's own fields that go on. */
function passingFields({ head, client }: Exchange): FieldList {
  return endToEndFields(head.fields, client.via === undefined ? removedFromRequests : removedFromTrusted);
}

function forwardingLines({ head, client }: Exchange): string {
  const proto = client.secure ? "https" : "http";
  if (client.via === undefined) return newForwarding(client.address, proto, head.authority);
  return keptForwarding(head, client, client.via, proto);
}

/** What the client said was checked when it was read. */
function hostLine(host: string, head: RequestHead): string {
  return host === head.authority ? `host: ${host}\r\n` : encodeFieldLines(["host", host]);
}

function hostOf(hostField: string, head: RequestHead, { host, port }: { host: string; port: number }): string {
  // HTTP/1.0 may name no host; an empty field would be right (RFC 9112 §3.2), but many servers refuse it.
  if (hostField === "preserve" && head.authority !== "") return head.authority;
  if (hostField !== "upstream" && hostField !== "preserve") return hostField;
  const name = host.includes(":") ? `[${host}]` : host;
  return port === 80 ? name : `${name}:${port}`;
}

/** A trace of our own; the next attempt of the same request has the same, with another parent. */
function newTrace(exchange: Exchange, source: TraceSource, flags: string): string {
  const pair = source.next();
  if (exchange.trace === undefined || exchange.trace === "") exchange.trace = pair.slice(0, 32);
  return `traceparent: 00-${exchange.trace}-${pair.slice(33)}-${flags}\r\n`;
}

/** What this connection is asked for: an upgrade, and trailers when the client can take them (RFC 9110 §10.1.4). */
function connectionLines(fields: FieldList, upgrade: string): string {
  const te = field(fields, "te");
  const trailers = te !== undefined && trailersForm.test(te);
  if (upgrade !== "")
    return trailers
      ? `connection: upgrade, te\r\nupgrade: ${upgrade}\r\nte: trailers\r\n`
      : `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  return trailers ? "connection: te\r\nte: trailers\r\n" : "";
}

/** Lines that were written for speed, as fields again for who wants to see them. */
function withLines(fields: FieldList, lines: string): FieldList {
  for (const line of lines.split("\r\n")) {
    const colon = line.indexOf(": ");
    if (colon > 0) fields.push(line.slice(0, colon), line.slice(colon + 2));
  }
  return fields;
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
