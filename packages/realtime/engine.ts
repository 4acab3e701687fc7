/**
 * `io.engine`: Engine.IO's server as Socket.IO's users reach for it, in front of our transports. Owns its middlewares, its
 * events and how sessions are named.
 *
 * Events: `initial_headers` and `headers` `(headers, request)`, `connection_error` `({ req, code, message, context })`,
 * `connection` `(conn)`. On a link requests are answered by the edge, which asks this process about each (see
 * `remote-requests.ts`) as soon as there are middlewares or listeners; `clientsCount` counts the lines on which this server
 * holds sockets.
 */
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Refusal } from "@tideway/edge/transports";
import type { TransportName } from "@tideway/engine/hub";
import { EngineErrorCode, engineErrors } from "@tideway/wire/engineio";
import type { RequestSource } from "./attach.ts";
import { type EngineRequest, exposed } from "./local-line.ts";
import type { ServerOptions } from "./options.ts";
import { callListeners } from "./user-code.ts";

export type EngineMiddleware = (
  request: IncomingMessage,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => unknown;

export type GenerateId = (request: IncomingMessage) => string | PromiseLike<string>;

const randomId: GenerateId = () => randomBytes(15).toString("base64url");

/** What stands behind the engine when this server has the hub. */
export interface EngineDoor {
  readonly clientsCount: number;
  attach(server: RequestSource): void;
  request(request: IncomingMessage, response: ServerResponse): void;
  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void;
  /** Ends every session. */
  closeSessions(): void;
}

/** What stands behind it when the edge has the hub. */
interface Elsewhere {
  /** What this engine wants to see of requests may have changed. */
  onWishes(): void;
  closeLines(): void;
}

export class Engine extends EventEmitter {
  static readonly errors = {
    UNKNOWN_TRANSPORT: EngineErrorCode.unknownTransport,
    UNKNOWN_SID: EngineErrorCode.unknownSid,
    BAD_HANDSHAKE_METHOD: EngineErrorCode.badHandshakeMethod,
    BAD_REQUEST: EngineErrorCode.badRequest,
    FORBIDDEN: EngineErrorCode.forbidden,
    UNSUPPORTED_PROTOCOL_VERSION: EngineErrorCode.unsupportedProtocol,
  } as const;
  static readonly errorMessages: Readonly<Record<number, string>> = Object.fromEntries(
    Object.entries(engineErrors).map(([code, { message }]) => [code, message]),
  );

  /** As they hold, defaults included. */
  readonly opts: Partial<ServerOptions>;
  httpServer: unknown;
  readonly #middlewares: EngineMiddleware[] = [];
  readonly #linesKnown: () => number;
  #door: EngineDoor | null = null;
  #generateId: GenerateId | null = null;
  #elsewhere: Elsewhere | null = null;

  constructor(opts: Partial<ServerOptions>, linesKnown: () => number) {
    super();
    this.opts = {
      pingInterval: 25_000,
      pingTimeout: 20_000,
      upgradeTimeout: 10_000,
      maxHttpBufferSize: 1_000_000,
      transports: ["polling", "websocket"],
      allowUpgrades: true,
      ...opts,
    };
    this.#linesKnown = linesKnown;
  }

  get clientsCount(): number {
    return this.#door?.clientsCount ?? this.#linesKnown();
  }

  /** Looks at every HTTP request, upgrades among them, before it is verified; `next(error)` answers it with 400. */
  use(middleware: EngineMiddleware): void {
    this.#middlewares.push(middleware);
    this.#elsewhere?.onWishes();
  }

  /** Names the session that `request` opens. To be replaced: unique, unguessable, or a promise of it. */
  get generateId(): GenerateId {
    return this.#generateId ?? randomId;
  }

  set generateId(generateId: GenerateId) {
    this.#generateId = generateId;
    this.#elsewhere?.onWishes();
  }

  /** What a client on this transport may upgrade to. */
  upgrades(transport: TransportName): string[] {
    const { allowUpgrades, transports } = this.opts;
    return transport === "polling" && allowUpgrades && transports?.includes("websocket") ? ["websocket"] : [];
  }

  attach(server: RequestSource): void {
    this.#here("io.engine.attach()").attach(server);
  }

  handleRequest(request: IncomingMessage, response: ServerResponse): void {
    this.#here("io.engine.handleRequest()").request(request, response);
  }

  handleUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    this.#here("io.engine.handleUpgrade()").upgrade(request, stream, head);
  }

  /** Ends every session (over a link: those of this server's sockets); their clients reconnect. */
  close(): this {
    this.#door?.closeSessions();
    this.#elsewhere?.closeLines();
    return this;
  }

  /** Requests come in here. @internal */
  _open(door: EngineDoor): void {
    this.#door = door;
  }

  /** Requests come in at the edge. @internal */
  _openElsewhere(elsewhere: Elsewhere): void {
    this.#elsewhere = elsewhere;
    const { onWishes } = elsewhere;
    // Told before a listener is there.
    for (const event of ["newListener", "removeListener"]) super.on(event, () => queueMicrotask(onWishes));
  }

  /** Whether middlewares or listeners may put something on requests. @internal */
  get _touchesRequests(): boolean {
    return this.#middlewares.length > 0 || this.listenerCount("headers") + this.listenerCount("initial_headers") > 0;
  }

  /** @internal */
  get _hasMiddlewares(): boolean {
    return this.#middlewares.length > 0;
  }

  /** @internal */
  get _namesSessions(): boolean {
    return this.#generateId !== null;
  }

  /** @internal */
  _runMiddlewares(request: IncomingMessage, response: ServerResponse, done: (error?: unknown) => void): void {
    const step = (index: number) => {
      const middleware = this.#middlewares[index];
      if (middleware === undefined) done();
      else middleware(request, response, (error) => (error ? done(error) : step(index + 1)));
    };
    step(0);
  }

  /** @internal */
  _refused(request: EngineRequest, { code, message, name }: Refusal, error?: unknown): void {
    if (this.listenerCount("connection_error") === 0) return;
    const req = exposed(request);
    const query = req._query ?? {};
    let context: Record<string, unknown>;
    if (code === EngineErrorCode.unknownTransport) context = { transport: query["transport"] };
    else if (code === EngineErrorCode.unknownSid) context = { sid: query["sid"] };
    else if (code === EngineErrorCode.badHandshakeMethod) context = { method: req.method };
    else if (code === EngineErrorCode.unsupportedProtocol)
      context = { protocol: Number.parseInt(query["EIO"] ?? "3", 10) };
    else if (code === EngineErrorCode.forbidden) context = { message };
    else context = error === undefined ? { name } : { name, error };
    callListeners(this, "connection_error", [{ req, code, message: Engine.errorMessages[code], context }]);
  }

  #here(what: string): EngineDoor {
    if (this.#door === null) throw new Error(notHere(what));
    return this.#door;
  }
}

function notHere(what: string): string {
  return `${what}: clients' requests are answered by Tideway's edge, not by this process`;
}
