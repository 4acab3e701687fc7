/**
 * What one connection leaves in the logs: a record per request, a line per refusal, a line at its end.
 */
import type { Socket } from "node:net";
import type { ExchangeEnd } from "@tideway/base";
import type { Peer } from "./client.ts";
import type { RequestRecord } from "./contract.ts";
import type { HttpExchange } from "./exchange.ts";
import type { Intake } from "./intake.ts";
import type { Output } from "./output.ts";
import type { Refused } from "./refusal.ts";
import type { Shared } from "./shared.ts";

export class Journal {
  readonly #shared: Shared;
  readonly #peer: Peer;
  readonly #intake: Intake;
  readonly #output: Output;
  readonly #openedAt: number;
  requests = 0;
  /** Bytes that earlier records told. */
  #toldIn = 0;
  #toldOut = 0;

  constructor(shared: Shared, peer: Peer, intake: Intake, output: Output) {
    this.#shared = shared;
    this.#peer = peer;
    this.#intake = intake;
    this.#output = output;
    this.#openedAt = shared.clock.now();
  }

  /**
   * `exchange` is null when the head itself was refused; `fault` is then the code of the rule it broke. Null when nobody
   * wants records.
   */
  record(exchange: HttpExchange | null, id: string, status: number, fault = ""): RequestRecord | null {
    const { onRecord, clock } = this.#shared;
    if (onRecord === undefined) return null;
    const durationMs = exchange === null ? 0 : clock.now() - exchange.startedAt;
    const { bytesDecoded } = this.#intake;
    const bytesWritten = this.#output.bytes;
    const record: RequestRecord = {
      id,
      at: clock.wall() - durationMs,
      method: exchange?.head.method ?? "",
      host: exchange?.head.host ?? "",
      path: exchange?.head.path ?? "",
      version: exchange?.head.version ?? 0,
      route: exchange?.route ?? "",
      status,
      bytesIn: exchange?.bytesIn ?? 0,
      bytesOut: exchange?.bytesOut ?? 0,
      wireBytesIn: bytesDecoded - this.#toldIn,
      wireBytesOut: bytesWritten - this.#toldOut,
      durationMs,
      headMs: exchange === null || exchange.headAt < 0 ? -1 : exchange.headAt - exchange.startedAt,
      service: exchange?.service ?? "",
      instance: exchange?.instance ?? "",
      trace: exchange?.trace ?? "",
      address: exchange?.client.address ?? this.#peer.info.address,
      peer: this.#peer.address,
      fault,
      reason: exchange?.reason ?? "",
      upgraded: status === 101,
      head: exchange?.head ?? null,
    };
    this.#toldIn = bytesDecoded;
    this.#toldOut = bytesWritten;
    try {
      onRecord(record);
    } catch (error) {
      this.#logFailed(id, error);
    }
    return record;
  }

  /** The record that follows has its code: whoever wants records tells it there. */
  refused(id: string, refused: Refused): void {
    const { logger, onRecord } = this.#shared;
    const { code, rule, section, message } = refused;
    const fields = { id, address: this.#peer.info.address, code, rule, section };
    if (onRecord === undefined) logger.info(fields, `request refused: ${message}`);
    else logger.debug(fields, `request refused: ${message}`);
  }

  /** Tells an exchange that it ends early. */
  cut(exchange: HttpExchange, why: ExchangeEnd): void {
    try {
      exchange.cut(why);
    } catch (error) {
      this.targetFailed(exchange, error);
    }
  }

  /** An exchange is over, in whatever way: tells those who wait for it. */
  over(exchange: HttpExchange): void {
    const guards = exchange.over();
    if (guards !== null) guards.over((error) => this.targetFailed(exchange, error));
  }

  targetFailed(exchange: HttpExchange, error: unknown): void {
    this.#shared.logger.error({ id: exchange.id, service: exchange.service, err: error }, "a target failed");
  }

  targetBroke(exchange: HttpExchange, what: string): void {
    this.#shared.logger.error({ id: exchange.id, service: exchange.service }, what);
  }

  lineFailed(error: Error): void {
    this.#shared.logger.debug({ address: this.#peer.info.address, reason: error.message }, "connection failed");
  }

  left(how: string, bytesIn: number, bytesOut: number): void {
    const durationMs = Math.round(this.#shared.clock.now() - this.#openedAt);
    this.#shared.logger.debug(
      { address: this.#peer.info.address, requests: this.requests, bytesIn, bytesOut, durationMs },
      how,
    );
  }

  /** The connection is another's now. What comes of it is told when it closes. */
  handedOver(exchange: HttpExchange, socket: Socket): void {
    const record = this.record(exchange, exchange.id, exchange.status);
    const shared = this.#shared;
    const startedAt = shared.clock.now();
    const { bytesDecoded } = this.#intake;
    const bytesWritten = this.#output.bytes;
    shared.upgraded.add(socket);
    socket.once("close", () => {
      shared.upgraded.delete(socket);
      shared.closed(socket, this.#peer.seat);
      const bytesIn = socket.bytesRead - bytesDecoded;
      const bytesOut = socket.bytesWritten - bytesWritten;
      const durationMs = shared.clock.now() - startedAt;
      try {
        if (record !== null) shared.onUpgradeEnd?.({ record, durationMs, bytesIn, bytesOut });
      } catch (error) {
        this.#logFailed(exchange.id, error);
      }
      this.over(exchange);
    });
  }

  #logFailed(id: string, error: unknown): void {
    this.#shared.logger.error({ id, err: error }, "the access log failed");
  }
}
