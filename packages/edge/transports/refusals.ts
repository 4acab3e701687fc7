/** Requests that are not served: Engine.IO's error answers, the log's lines about them, and who else is told. */
import type { Logger } from "@tideway/base";
import { EngineErrorCode, encodeEngineError, engineErrors } from "@tideway/wire/engineio";
import { shown } from "./admission.ts";
import type { Counters } from "./counters.ts";
import type { TransportsOptions } from "./options.ts";
import { refuse } from "./polling.ts";
import { fieldOf, requestOf } from "./request.ts";
import type { Incoming, Refusal } from "./verify.ts";

const retryAfterSeconds = 5;

export class Refusals {
  readonly #options: TransportsOptions;
  readonly #counters: Counters;
  readonly #logger: Logger;

  constructor(options: TransportsOptions, counters: Counters, logger: Logger) {
    this.#options = options;
    this.#counters = counters;
    this.#logger = logger;
  }

  refuse(incoming: Incoming, refusal: Refusal): void {
    const { code, message, status: own } = refusal;
    this.#counters.refused++;
    this.tell(incoming, refusal);
    const { exchange, upgrade, fields } = incoming;
    const { authority } = exchange.head;
    const seen = { code, address: exchange.client.address, origin: fieldOf(exchange, "origin"), authority };
    if (code === EngineErrorCode.forbidden) {
      this.#logger.info(
        seen,
        own === undefined
          ? "handshake forbidden: by `allowRequest`, or an origin that neither `origins` nor `cors` allows"
          : "handshake refused: too many sessions, by `sessionsMax` or `sessionsPerAddressMax`",
      );
    } else {
      this.#logger.debug(seen, engineErrors[code].message);
    }
    // A WebSocket client gets 400 whatever it did wrong, as from the reference.
    const status = own ?? (upgrade ? 400 : engineErrors[code].status);
    const later = own === undefined ? [] : ["retry-after", String(retryAfterSeconds)];
    const answer = ["content-type", "application/json", ...later, ...fields];
    refuse(exchange, status, answer, encodeEngineError(code, message));
  }

  /** Tells whoever listens for refusals, here or in another process. */
  tell(incoming: Incoming, refusal: Refusal): void {
    const { door, onRefused } = this.#options;
    const { exchange, query, transport, sid } = incoming;
    onRefused?.(incoming.exchange.id, refusal);
    if (door?.hears !== true) return;
    const { code, message = engineErrors[code].message, name = "" } = refusal;
    const request = shown(
      requestOf(exchange, query, transport, sid === "" ? null : sid, this.#options.clock.wall()),
      incoming.upgrade,
      false,
    );
    door.refused(incoming.admission?.question ?? 0, request, { code, message, name });
  }
}
