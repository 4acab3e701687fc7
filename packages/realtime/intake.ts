/**
 * Where Node's requests become exchanges for the transports: runs the engine's middlewares before them, and knows Node's
 * own objects of each exchange while it is being answered.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Target } from "@tideway/base";
import { EngineErrorCode, encodeEngineError } from "@tideway/wire/engineio";
import type { Engine } from "./engine.ts";
import { type EngineRequest, exposed } from "./local-line.ts";
import { NodeExchange } from "./node-exchange.ts";

export interface Answering {
  readonly request: EngineRequest;
  readonly response: ServerResponse;
  /** What the application threw, for whoever is told of the refusal. */
  error?: unknown;
}

export class Intake {
  readonly #engine: Engine;
  readonly #target: Target;
  /** By the exchange's id. */
  readonly #answering = new Map<string, Answering>();

  constructor(engine: Engine, target: Target) {
    this.#engine = engine;
    this.#target = target;
  }

  find(exchangeId: string): Answering | undefined {
    return this.#answering.get(exchangeId);
  }

  request(request: IncomingMessage, response: ServerResponse): void {
    const exchange = NodeExchange.ofRequest(request, response);
    response.once("close", () => this.#answering.delete(exchange.id));
    this.#take(exchange, request, response);
  }

  upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    stream.on("error", ignore);
    const { exchange, response } = NodeExchange.ofUpgrade(request, { stream, head });
    const forget = () => this.#answering.delete(exchange.id);
    stream.once("close", forget);
    exchange.whenUpgraded = () => {
      stream.off("close", forget);
      // Whoever has it now listens by itself.
      stream.off("error", ignore);
      // Its session may only now be told who opened it.
      process.nextTick(forget);
    };
    this.#take(exchange, request, response);
  }

  #take(exchange: NodeExchange, request: EngineRequest, response: ServerResponse): void {
    this.#answering.set(exchange.id, { request, response });
    const engine = this.#engine;
    if (!engine._hasMiddlewares) {
      this.#target.handle(exchange);
      return;
    }
    exposed(request).res = response;
    engine._runMiddlewares(request, response, (error) => {
      if (!error) this.#target.handle(exchange);
      else this.#fail(exchange, request);
    });
  }

  #fail(exchange: NodeExchange, request: EngineRequest): void {
    const code = EngineErrorCode.badRequest;
    this.#engine._refused(request, { code, name: "MIDDLEWARE_FAILURE" });
    const body = Buffer.from(encodeEngineError(code));
    exchange.accept({ onBody: ignore, onBodyEnd: ignore, onDrain: ignore, onClose: ignore });
    exchange.respond(400, ["content-type", "application/json"], body.length);
    exchange.write(body);
    exchange.end();
  }
}

function ignore(): void {}
