/**
 * What one connection leaves in the logs: a record per request, a line per refusal, a line at its end.
 */
import type { Clock, Logger } from "@tideway/base";
import type { HttpFault } from "@tideway/wire/http1";
import type { RequestRecord } from "./contract.ts";
import type { HttpExchange } from "./exchange.ts";

export class Journal {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onRecord: ((record: RequestRecord) => void) | undefined;
  readonly #address: string;
  readonly #openedAt: number;
  requests = 0;

  constructor(clock: Clock, logger: Logger, onRecord: ((record: RequestRecord) => void) | undefined, address: string) {
    this.#clock = clock;
    this.#logger = logger;
    this.#onRecord = onRecord;
    this.#address = address;
    this.#openedAt = clock.now();
  }

  /** `exchange` is null when the head itself was refused; `fault` is then the code of the rule it broke. */
  record(exchange: HttpExchange | null, id: string, status: number, fault = ""): void {
    const onRecord = this.#onRecord;
    if (onRecord === undefined) return;
    const record: RequestRecord = {
      id,
      method: exchange?.head.method ?? "",
      host: exchange?.head.host ?? "",
      path: exchange?.head.path ?? "",
      status,
      bytesIn: exchange?.bytesIn ?? 0,
      bytesOut: exchange?.bytesOut ?? 0,
      durationMs: exchange === null ? 0 : this.#clock.now() - exchange.startedAt,
      service: exchange?.service ?? "",
      instance: exchange?.instance ?? "",
      trace: exchange?.trace ?? "",
      address: exchange?.client.address ?? this.#address,
      fault,
    };
    try {
      onRecord(record);
    } catch (error) {
      this.#logger.error({ id, err: error }, "the access log failed");
    }
  }

  refused(id: string, code: string, fault: HttpFault | null): void {
    const rule = fault === null ? {} : { rule: fault.rule, section: fault.section };
    const what = fault === null ? "too slow" : fault.message;
    this.#logger.info({ id, address: this.#address, code, ...rule }, `request refused: ${what}`);
  }

  targetFailed(exchange: HttpExchange, error: unknown): void {
    this.#logger.error({ id: exchange.id, service: exchange.service, err: error }, "a target failed");
  }

  targetBroke(exchange: HttpExchange, what: string): void {
    this.#logger.error({ id: exchange.id, service: exchange.service }, what);
  }

  lineFailed(error: Error): void {
    this.#logger.debug({ address: this.#address, reason: error.message }, "connection failed");
  }

  left(how: string, bytesIn: number, bytesOut: number): void {
    const durationMs = Math.round(this.#clock.now() - this.#openedAt);
    this.#logger.info({ address: this.#address, requests: this.requests, bytesIn, bytesOut, durationMs }, how);
  }
}
