/**
 * Node's own `http.Server` as a source of Exchanges (`base/exchange.ts`): one request and its response behind the
 * contract that our listener offers. Node parses and frames; this file only translates.
 */
import { randomBytes } from "node:crypto";
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import {
  assert,
  type ByteStream,
  type ClientInfo,
  type Exchange,
  ExchangeEnd,
  type ExchangeHandler,
  type FieldList,
  type RequestHead,
} from "@tideway/base";

/** What comes of an `upgrade` event: the connection, and the bytes that came behind the request. */
export interface UpgradeOffer {
  readonly stream: Duplex;
  readonly head: Buffer;
}

const clients = new WeakMap<Socket, ClientInfo>();

export class NodeExchange implements Exchange {
  readonly id: string = randomBytes(12).toString("base64url");
  readonly head: RequestHead;
  readonly client: ClientInfo;
  service = "";
  instance = "";
  /** Called when it has become an upgraded connection. */
  whenUpgraded: (() => void) | null = null;

  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #offer: UpgradeOffer | null;
  #handler: ExchangeHandler | null = null;
  #over = false;

  /** For a `request` event. */
  static ofRequest(request: IncomingMessage, response: ServerResponse): NodeExchange {
    return new NodeExchange(request, response, null);
  }

  /** For an `upgrade` event: Node made no response object, so that a refusal needs one of its own. */
  static ofUpgrade(
    request: IncomingMessage,
    offer: UpgradeOffer,
  ): { exchange: NodeExchange; response: ServerResponse } {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    response.assignSocket(offer.stream as Socket);
    response.on("finish", () => offer.stream.end());
    return { exchange: new NodeExchange(request, response, offer), response };
  }

  private constructor(request: IncomingMessage, response: ServerResponse, offer: UpgradeOffer | null) {
    this.#request = request;
    this.#response = response;
    this.#offer = offer;
    this.head = readHead(request);
    this.client = offer === null ? readClient(request.socket) : new NodeClient(request.socket);
  }

  accept(handler: ExchangeHandler): void {
    this.#handler = handler;
    this.#response.on("drain", () => handler.onDrain());
    this.#response.on("close", () => {
      if (this.#over) return;
      this.#over = true;
      handler.onClose(ExchangeEnd.gone);
    });
    this.#request.on("error", ignore);
    this.#response.on("error", ignore);
    if (this.#offer !== null) {
      process.nextTick(() => this.#onBodyEnd());
      return;
    }
    this.#request.on("data", (chunk: Buffer) => {
      if (!this.#over) handler.onBody(chunk);
    });
    this.#request.on("end", () => this.#onBodyEnd());
  }

  #onBodyEnd(): void {
    if (!this.#over) this.#handler?.onBodyEnd(lowerCased(this.#request.rawTrailers));
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }

  inform(status: number, fields: FieldList): void {
    if (this.#over || this.head.version < 11) return;
    if (status === 102) this.#response.writeProcessing();
    else if (status === 103) this.#response.writeEarlyHints(hints(fields));
  }

  respond(status: number, fields: FieldList, bodyLength: number): void {
    if (this.#over) return;
    const all = [...fields, "x-request-id", this.id];
    if (bodyLength >= 0 && status !== 204 && status !== 304) all.push("content-length", String(bodyLength));
    this.#response.writeHead(status, all);
  }

  write(chunk: Uint8Array): boolean {
    return this.#over || this.#response.write(chunk);
  }

  end(trailers?: FieldList): void {
    if (this.#over) return;
    this.#over = true;
    if (trailers !== undefined && trailers.length > 0) this.#response.addTrailers(pairs(trailers));
    this.#response.end();
    // What is left of the body is read away, so that the connection can be used again.
    this.#request.resume();
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#request.socket.destroy();
  }

  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array } {
    const offer = this.#offer;
    assert(offer !== null, "only an exchange of an upgrade can be upgraded");
    this.#over = true;
    this.whenUpgraded?.();
    const stream = offer.stream as Socket;
    this.#response.detachSocket(stream);
    stream.setTimeout(0);
    stream.setNoDelay(true);
    if (fields !== null) {
      let text = `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${this.head.upgrade}\r\nconnection: Upgrade\r\n`;
      for (const [name, value] of pairs(fields)) {
        if (name !== "upgrade" && name !== "connection") text += `${name}: ${value}\r\n`;
      }
      stream.write(`${text}x-request-id: ${this.id}\r\n\r\n`, "latin1");
    }
    return { stream, head: offer.head };
  }
}

function readHead(request: IncomingMessage): RequestHead {
  const url = request.url ?? "/";
  const queryAt = url.indexOf("?");
  const authority = (request.headers.host ?? "").toLowerCase();
  const length = request.headers["content-length"];
  const chunked = request.headers["transfer-encoding"] !== undefined;
  return {
    method: request.method ?? "GET",
    path: queryAt < 0 ? url : url.slice(0, queryAt),
    query: queryAt < 0 ? "" : url.slice(queryAt),
    host: authority.replace(/:\d*$/, ""),
    authority,
    version: request.httpVersionMajor * 10 + request.httpVersionMinor,
    fields: lowerCased(request.rawHeaders),
    bodyLength: chunked ? -1 : Number(length ?? 0),
    upgrade: (request.headers.upgrade ?? "").toLowerCase(),
  };
}

/** The ports are rarely asked for, and Node remembers for good what it was asked. */
class NodeClient implements ClientInfo {
  readonly address: string;
  readonly secure: boolean;
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.address = socket.remoteAddress ?? "";
    this.secure = "encrypted" in socket && socket.encrypted === true;
    this.#socket = socket;
  }

  get port(): number {
    return this.#socket.remotePort ?? 0;
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }
}

function readClient(socket: Socket): ClientInfo {
  const known = clients.get(socket);
  if (known !== undefined) return known;
  const client = new NodeClient(socket);
  clients.set(socket, client);
  return client;
}

/** Names, at the even places, in lower case. */
function lowerCased(raw: readonly string[]): FieldList {
  return raw.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text));
}

function pairs(fields: FieldList): [string, string][] {
  const all: [string, string][] = [];
  for (let index = 0; index + 1 < fields.length; index += 2) all.push([fields[index]!, fields[index + 1]!]);
  return all;
}

function hints(fields: FieldList): Record<string, string | string[]> {
  const byName = new Map<string, string[]>();
  for (const [name, value] of pairs(fields)) byName.set(name, [...(byName.get(name) ?? []), value]);
  return Object.fromEntries(byName);
}

/** Node reports the end of a connection by "close" as well, and that is what we act on. */
function ignore(): void {}
