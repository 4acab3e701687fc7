/** A request's head in the shapes that sessions, hooks and the hub want: query, headers, handshake. */
import { hash } from "node:crypto";
import type { Exchange, RequestHead } from "@tideway/base";
import type { Handshake, TransportName } from "@tideway/engine/hub";
import { isSameHost } from "./cors.ts";
import type { TransportRequest } from "./options.ts";

/** The query's parameters; of one that is repeated the last counts, as in the reference. */
export function queryOf(exchange: Exchange): Map<string, string> {
  return new Map(new URLSearchParams(exchange.head.query));
}

/** The first value of a field; undefined when it is absent. */
export function fieldOf(exchange: Exchange, name: string): string | undefined {
  const { fields } = exchange.head;
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1]!;
  return undefined;
}

export function requestOf(
  exchange: Exchange,
  query: ReadonlyMap<string, string>,
  transport: TransportName,
  sid: string | null,
  issued: number,
): TransportRequest {
  const { head, client } = exchange;
  const origin = fieldOf(exchange, "origin");
  return {
    headers: headersOf(head.fields),
    address: client.address,
    secure: client.secure,
    xdomain: origin !== undefined && !isSameHost(origin, head.authority),
    url: head.path + head.query,
    query: record(query),
    issued,
    requestId: exchange.id,
    method: head.method,
    transport,
    sid,
  };
}

/** The part of a request that the hub keeps for as long as the client stays. */
export function handshakeOf({ address, secure, xdomain, issued }: TransportRequest, head: RequestHead): Handshake {
  return new KeptHandshake(head, address, secure, xdomain, issued);
}

/**
 * A handshake as texts, of which headers and query are made when somebody asks for them, anew each time: as objects they are
 * a tenth of what an idle connection keeps, and most are never looked at again.
 */
class KeptHandshake implements Handshake {
  readonly address: string;
  readonly secure: boolean;
  readonly xdomain: boolean;
  readonly url: string;
  readonly issued: number;
  /** Names and values by turns, each in a line: neither can hold one's end. */
  readonly #fields: string;

  constructor(head: RequestHead, address: string, secure: boolean, xdomain: boolean, issued: number) {
    this.address = address;
    this.secure = secure;
    this.xdomain = xdomain;
    this.url = whole(head.path + head.query);
    this.issued = issued;
    this.#fields = head.fields.join("\n");
  }

  get headers(): Handshake["headers"] {
    return headersOf(this.#fields === "" ? [] : this.#fields.split("\n"));
  }

  get query(): Handshake["query"] {
    const at = this.url.indexOf("?");
    return record(at < 0 ? new Map() : new Map(new URLSearchParams(this.url.slice(at))));
  }

  /** As it goes over a link. */
  toJSON(): Handshake {
    const { headers, address, secure, xdomain, url, query, issued } = this;
    return { headers, address, secure, xdomain, url, query, issued };
  }
}

/** The same text in one piece: a joined or cut one keeps what it was made of. */
function whole(text: string): string {
  return Buffer.from(text, "utf8").toString("utf8");
}

/** Fields as Node's `http` shows them: repeated ones joined, `cookie` with semicolons, `set-cookie` as a list. */
function headersOf(fields: readonly string[]): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    const value = fields[i + 1]!;
    const known = headers[name];
    if (name === "set-cookie") headers[name] = Array.isArray(known) ? [...known, value] : [value];
    else if (known === undefined) headers[name] = value;
    else headers[name] = `${known as string}${name === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}

/** Without a prototype: the names are the client's. */
function record(map: ReadonlyMap<string, string>): Record<string, string> {
  const out: Record<string, string> = Object.create(null);
  for (const [name, value] of map) out[name] = value;
  return out;
}

export const sha1 = (text: string) => hash("sha1", text, "base64");
