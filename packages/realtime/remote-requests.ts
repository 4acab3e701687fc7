/**
 * Clients' requests when they are answered by Tideway's edge: it asks this process about each, as far as the application
 * wants to be asked. Owns the engine's middlewares, `allowRequest`, `generateId` and the engine's events over a link, and
 * the request objects of clients whose sockets are here.
 *
 * A client that another process had let in (a handover) is known by what it said when it came: the middlewares run again on
 * that, so that `socket.request` has what they put there. Their answer then changes nothing.
 */

import { answerCors, encodeWishes, isDecided, type OriginRule, resolveCors } from "@tideway/edge/transports";
import type { ClientRequest, Handshake, ToHub, ToServer } from "@tideway/engine/hub";
import { EngineErrorCode, encodeEngineError } from "@tideway/wire/engineio";
import type { Engine } from "./engine.ts";
import type { EngineRequest } from "./local-line.ts";
import type { ServerOptions } from "./options.ts";
import { RecordedResponse, replayRequest } from "./replayed-request.ts";
import type { RequestMessage } from "./session.ts";
import { transportsOptions } from "./transport-options.ts";
import { callListeners, callUser } from "./user-code.ts";

type Asked = Extract<ToServer, { type: "request" }>;
type Answer = Omit<Extract<ToHub, { type: "verdict" }>, "type" | "request" | "payload">;
type Waiting = (request: EngineRequest | null) => void;

const nothing = {
  outcome: "pass",
  status: 0,
  message: "",
  session: "",
  origin: false,
  fields: [],
  granted: [],
} as const;

export class RemoteRequests {
  readonly #engine: Engine;
  readonly #options: Partial<ServerOptions>;
  readonly #tell: (message: ToHub) => void;
  /** By the hub's number: asked about, and not over. */
  readonly #asked = new Map<number, EngineRequest>();
  /** By connection: of lines that may come to be here. From then on they have it. */
  readonly #known = new Map<string, EngineRequest>();
  readonly #recalling = new Map<string, Waiting[]>();
  readonly #wishes: string;
  #told = "";

  constructor(
    engine: Engine,
    options: Partial<ServerOptions> & { readonly path: string },
    tell: (message: ToHub) => void,
  ) {
    this.#engine = engine;
    this.#options = options;
    this.#tell = tell;
    const wishes = transportsOptions(options, () => undefined);
    this.#wishes = encodeWishes(wishes);
  }

  /** There is a (new) hub: it is told what this process wants, and what it was asked by another is void. */
  joined(): void {
    this.#told = "";
    this.#asked.clear();
    this.#known.clear();
    this.wishesChanged();
  }

  /** Somebody began or ceased to be interested. */
  wishesChanged(): void {
    const engine = this.#engine;
    const { allowRequest, cors } = this.#options;
    const asks = engine._touchesRequests || engine._namesSessions || allowRequest !== undefined || isDecided(cors);
    const hears = engine.listenerCount("connection_error") > 0;
    const told = `${asks} ${hears}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#tell({ type: "door", asks, hears, wishes: this.#wishes });
  }

  on(message: RequestMessage): void {
    if (message.type === "request") this.#onRequest(message);
    else if (message.type === "request-over") this.#onOver(message.request, message.connection);
    else this.#onRefused(message);
  }

  #onRequest({ request: number, head }: Asked): void {
    const request = replayRequest(head);
    const response = new RecordedResponse(request);
    this.#asked.set(number, request);
    let open = true;
    let origin = false;
    const say = (answer: Answer, body: Uint8Array = new Uint8Array(0)) => {
      if (!open) return;
      open = false;
      this.#tell({ type: "verdict", request: number, ...answer, origin, payload: { json: "", attachments: [body] } });
    };
    const fail = (name: string, error: unknown) => {
      const code = EngineErrorCode.badRequest;
      this.#engine._refused(request, { code, name }, name === "ID_GENERATION_ERROR" ? error : undefined);
      const fields = [...response.fields, "content-type", "application/json"];
      say({ ...nothing, outcome: "answer", status: 400, fields }, Buffer.from(encodeEngineError(code)));
    };
    response.whenAnswered = () => {
      const { statusCode: status, fields, body } = response;
      say({ ...nothing, outcome: "answer", status, fields }, body);
    };
    const run = (error?: unknown) => {
      if (!open) return;
      if (error) fail("MIDDLEWARE_FAILURE", error);
      else this.#judge(head, request, response).then(say, (fault: unknown) => fail("ID_GENERATION_ERROR", fault));
    };
    this.#crossOrigin(request, response, (allowed) => {
      origin = allowed;
      this.#run(request, response, run);
    });
  }

  /** CORS by a function, which only this process can ask: as the first of the engine's middlewares. */
  #crossOrigin(request: EngineRequest, response: RecordedResponse, then: (allowed: boolean) => void): void {
    const { cors } = this.#options;
    if (cors === undefined || !isDecided(cors)) {
      then(false);
      return;
    }
    const { method = "GET", headers } = request;
    const { origin, "access-control-request-headers": requested } = headers;
    let decided = false;
    const decide = (rule: OriginRule) => {
      if (decided) return;
      decided = true;
      const { fields, preflight, allowed } = answerCors(cors, rule, { method, origin, requested });
      const given = preflight ?? fields;
      for (let i = 0; i + 1 < given.length; i += 2) response.appendHeader(given[i]!, given[i + 1]!);
      if (preflight === null) then(allowed);
      else response.writeHead(204).end();
    };
    callUser(undefined, () => {
      try {
        resolveCors(cors, origin, decide);
      } catch (error) {
        decide(false);
        throw error;
      }
    }, []);
  }

  #onOver(number: number, connection: string): void {
    const request = this.#asked.get(number);
    this.#asked.delete(number);
    if (request !== undefined && connection !== "") this.#known.set(connection, request);
  }

  #onRefused({ request: number, head, refusal }: Extract<ToServer, { type: "request-refused" }>): void {
    const request = this.#asked.get(number) ?? replayRequest(head);
    const { code, message, name } = refusal;
    this.#engine._refused(request, { code: code as EngineErrorCode, message, name });
  }

  /** The request that opened a line; null when there is no more to it than the handshake says. */
  recall(connection: string, handshake: Handshake, then: Waiting): void {
    const known = this.#known.get(connection);
    if (known !== undefined || !this.#engine._hasMiddlewares) {
      then(known ?? null);
      return;
    }
    const waiting = this.#recalling.get(connection);
    if (waiting !== undefined) {
      waiting.push(then);
      return;
    }
    this.#recalling.set(connection, [then]);
    const { headers, url, address, secure } = handshake;
    const request = replayRequest({ method: "GET", headers, url, address, secure, opens: true, upgrade: false });
    const response = new RecordedResponse(request);
    const done = () => {
      const all = this.#recalling.get(connection);
      if (all === undefined) return;
      this.#recalling.delete(connection);
      this.#known.set(connection, request);
      for (const one of all) one(request);
    };
    response.whenAnswered = done;
    this.#run(request, response, done);
  }

  /** The line has its request, or is over, or is no longer this process's. */
  forget(connection: string): void {
    this.#known.delete(connection);
  }

  #run(request: EngineRequest, response: RecordedResponse, done: (error?: unknown) => void): void {
    request.res = response;
    callUser(undefined, () => {
      try {
        this.#engine._runMiddlewares(request, response, done);
      } catch (error) {
        done(error);
        throw error;
      }
    }, []);
  }

  /** Middlewares have let it pass: what the application says besides. */
  async #judge(head: ClientRequest, request: EngineRequest, response: RecordedResponse): Promise<Answer> {
    response.whenAnswered = null;
    const { allowRequest } = this.#options;
    const engine = this.#engine;
    const refused = head.opens && allowRequest !== undefined ? await ask(allowRequest, request) : null;
    // Some middlewares (sessions) add their fields only now, and keep what is to be kept at the end.
    if (engine._hasMiddlewares) {
      if (!response.headersSent) response.writeHead(head.upgrade ? 101 : 200);
      response.end();
    }
    const { fields } = response;
    if (refused !== null) return { ...nothing, outcome: "forbid", message: refused, fields };
    const session = head.opens && engine._namesSessions ? await engine.generateId(request) : "";
    const added: Record<string, string | string[]> = {};
    if (head.opens) callListeners(engine, "initial_headers", [added, request]);
    callListeners(engine, "headers", [added, request]);
    const granted = Object.entries(added).flatMap(([name, values]) =>
      [values].flat().flatMap((value) => [name, String(value)]),
    );
    return { ...nothing, session: String(session), fields, granted };
  }
}

/** Null for a yes, otherwise what the client is told. */
function ask(allowRequest: ServerOptions["allowRequest"], request: EngineRequest): Promise<string | null> {
  return new Promise((resolve) => {
    callUser(undefined, () => {
      try {
        return allowRequest(request, (message, allowed) => resolve(allowed ? null : (message ?? "")));
      } catch (error) {
        resolve("");
        throw error;
      }
    }, []);
  });
}
