/** Knows which requests are being answered, so that stopping can wait for them and for nothing else (open sockets, idle lines). */
import type { ServerResponse } from "node:http";

export class RequestDrain {
  readonly #busy = new Set<ServerResponse>();
  #onIdle: (() => void) | null = null;

  track(response: ServerResponse): void {
    this.#busy.add(response);
    response.once("close", () => {
      this.#busy.delete(response);
      if (this.#busy.size === 0) this.#onIdle?.();
    });
  }

  /** Resolves when every tracked response has left or broken off. */
  async idle(): Promise<void> {
    if (this.#busy.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve));
  }
}
