/** Questions that the application answers about a request: once, in time, and a no when its code throws. */
import type { Clock, Logger } from "@tideway/base";
import type { HeldExchange } from "./hold.ts";
import { decisionTimeoutMs } from "./options.ts";

/** Runs the application's code; what it throws is a no. */
export function ask<T>(logger: Logger, decide: (value: T) => void, no: T, question: () => void): void {
  try {
    question();
  } catch (error) {
    logger.error({ err: error }, "the application failed to decide on a request");
    decide(no);
  }
}

/** A decision that counts once, is `otherwise` when it does not come in time, and nothing when the client has gone. */
export function once<T>(clock: Clock, held: HeldExchange, otherwise: T, then: (value: T) => void): (value: T) => void {
  let open = true;
  const decide = (value: T) => {
    if (!open) return;
    open = false;
    timer.cancel();
    if (!held.gone) then(value);
  };
  const timer = clock.after(decisionTimeoutMs, () => decide(otherwise));
  return decide;
}
