/**
 * The opening handshake, server's side (RFC 6455 §4.2). Looks at a request's head that was already parsed and checked as
 * HTTP; writes nothing, and has SHA-1 handed in. Extensions are declined by not naming them (§9.1); the one that may be agreed
 * upon is permessage-deflate, when the server wants it.
 */
import { agreeOnDeflate, type DeflateTerms, parseExtensions } from "./extensions.ts";

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** What the handshake needs of a request: `RequestHead` fits. Field names are in lower case. */
export interface HandshakeRequest {
  readonly method: string;
  readonly version: number;
  /** Lower case; empty unless `Connection` named the upgrade. */
  readonly upgrade: string;
  readonly fields: readonly string[];
}

/** SHA-1 of a text of ASCII, in base64. */
export type Sha1 = (text: string) => string;

export type HandshakeResult =
  /**
   * `fields` are those of the 101 that the handshake itself asks for, beside `connection` and `upgrade`; `deflateBits` is
   * the window to compress with, or 0 when nothing is compressed in either direction.
   */
  | { readonly ok: true; readonly fields: string[]; readonly deflateBits: number }
  | { readonly ok: false; readonly status: 400 | 405 | 426; readonly fields: string[]; readonly message: string };

/**
 * Checks a request to open a WebSocket. The first subprotocol offered is accepted, for a browser insists on one. With
 * `deflate` null no extension is looked at.
 */
export function checkHandshake(
  request: HandshakeRequest,
  sha1: Sha1,
  deflate: DeflateTerms | null = null,
): HandshakeResult {
  if (request.method !== "GET") return refuse(405, "a WebSocket is opened with GET", ["allow", "GET"]);
  if (request.version !== 11) return refuse(400, "a WebSocket is opened over HTTP/1.1");
  if (request.upgrade !== "websocket") return refuse(400, "the Upgrade field must say websocket");
  const version = only(request.fields, "sec-websocket-version");
  if (version !== "13") return refuse(426, "only version 13 is spoken here", ["sec-websocket-version", "13"]);
  const key = only(request.fields, "sec-websocket-key");
  // 16 bytes in base64: 21 free characters, one that holds two bits, two of padding.
  if (key === null || !/^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key))
    return refuse(400, "the Sec-WebSocket-Key is not 16 bytes");
  const fields = ["sec-websocket-accept", acceptKey(key, sha1)];
  const protocols = all(request.fields, "sec-websocket-protocol");
  if (protocols !== "") {
    const names = protocols.split(",").map((name) => name.trim());
    const valid =
      names.every((name) => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) && new Set(names).size === names.length;
    if (!valid) return refuse(400, "the Sec-WebSocket-Protocol field is malformed");
    fields.push("sec-websocket-protocol", names[0]!);
  }
  if (deflate === null) return { ok: true, fields, deflateBits: 0 };
  const offers = parseExtensions(all(request.fields, "sec-websocket-extensions"));
  if (offers === null) return refuse(400, "the Sec-WebSocket-Extensions field is malformed");
  const agreement = agreeOnDeflate(offers, deflate);
  if (agreement !== null) fields.push("sec-websocket-extensions", agreement.field);
  return { ok: true, fields, deflateBits: agreement?.windowBits ?? 0 };
}

/** The `Sec-WebSocket-Accept` that proves to a client that its key was read. */
export function acceptKey(key: string, sha1: Sha1): string {
  return sha1(key + GUID);
}

function refuse(status: 400 | 405 | 426, message: string, fields: string[] = []): HandshakeResult {
  return { ok: false, status, fields, message };
}

/** The one value of a field; null when it is absent or comes twice. */
function only(fields: readonly string[], name: string): string | null {
  let found: string | null = null;
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== name) continue;
    if (found !== null) return null;
    found = fields[i + 1]!;
  }
  return found;
}

function all(fields: readonly string[], name: string): string {
  const values: string[] = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) values.push(fields[i + 1]!);
  return values.join(",");
}
