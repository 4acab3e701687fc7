/**
 * A request that is answered elsewhere, as Node's own objects: for middlewares of the engine, which want an `IncomingMessage`
 * and a `ServerResponse` whatever process they run in. There is a head and no body; what is written to the response is kept.
 */
import { IncomingMessage, type OutgoingHttpHeader, type OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import type { ClientRequest } from "@tideway/engine/hub";
import { type EngineRequest, exposed } from "./local-line.ts";

/** Where the client is, for those who look at `request.socket`; nothing is read from it, and what is written is dropped. */
class Stub extends Duplex {
  readonly remoteAddress: string;
  readonly remoteFamily: string;
  readonly encrypted: boolean;

  constructor(address: string, secure: boolean) {
    super({ read() {}, write: (_chunk, _encoding, done) => done() });
    this.remoteAddress = address;
    this.remoteFamily = address.includes(":") ? "IPv6" : "IPv4";
    this.encrypted = secure;
  }

  setTimeout(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
}

/** The request, its query read and its body at its end. */
export function replayRequest(head: ClientRequest): EngineRequest {
  const { method, url, headers, address, secure } = head;
  const request: EngineRequest = new IncomingMessage(new Stub(address, secure) as unknown as Socket);
  request.method = method;
  request.url = url;
  request.httpVersion = "1.1";
  request.httpVersionMajor = 1;
  request.httpVersionMinor = 1;
  request.headers = { ...headers };
  request.rawHeaders = Object.entries(headers).flatMap(([name, values]) =>
    [values].flat().flatMap((value) => [name, value]),
  );
  request.complete = true;
  request.push(null);
  return exposed(request);
}

type HeaderList = OutgoingHttpHeaders | OutgoingHttpHeader[];

/** Keeps what is answered. */
export class RecordedResponse extends ServerResponse {
  readonly #pieces: Buffer[] = [];
  /** Called once, when the answer is whole. */
  whenAnswered: (() => void) | null = null;

  constructor(request: IncomingMessage) {
    super(request);
    this.assignSocket(request.socket);
    this.shouldKeepAlive = false;
  }

  /** Names and values in turn. */
  get fields(): string[] {
    return Object.entries(this.getHeaders()).flatMap(([name, values]) =>
      [values ?? []].flat().flatMap((value) => [name, String(value)]),
    );
  }

  get body(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  // What is given here would otherwise go out past `getHeaders`.
  override writeHead(status: number, reason?: string | HeaderList, given?: HeaderList): this {
    const headers = typeof reason === "object" ? reason : given;
    if (Array.isArray(headers)) {
      const flat = headers.flat() as string[];
      for (let i = 0; i + 1 < flat.length; i += 2) this.setHeader(flat[i]!, flat[i + 1]!);
    } else {
      for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) this.setHeader(name, value);
    }
    return super.writeHead(status);
  }

  override write(chunk: unknown, encoding?: unknown, done?: unknown): boolean {
    if (!this.headersSent) this.writeHead(this.statusCode);
    this.#keep(chunk, encoding);
    const callback = typeof encoding === "function" ? encoding : done;
    if (typeof callback === "function") process.nextTick(callback as () => void);
    return true;
  }

  override end(chunk?: unknown, encoding?: unknown, done?: unknown): this {
    if (this.writableEnded) return this;
    if (!this.headersSent) this.writeHead(this.statusCode);
    if (typeof chunk !== "function") this.#keep(chunk, encoding);
    const callback = [chunk, encoding, done].find((given) => typeof given === "function") as (() => void) | undefined;
    super.end(callback);
    this.whenAnswered?.();
    return this;
  }

  #keep(chunk: unknown, encoding: unknown): void {
    if (typeof chunk === "string") this.#pieces.push(Buffer.from(chunk, encoding as BufferEncoding));
    else if (chunk instanceof Uint8Array) this.#pieces.push(Buffer.from(chunk));
  }
}
