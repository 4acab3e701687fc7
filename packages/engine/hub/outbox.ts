/**
 * Messages to servers leave when a transition is complete, never in its middle: a server in this process may call back at
 * once, and must then find the hub in order. First in, first out over all servers.
 */
import type { Logger } from "@tideway/base";
import type { ServerPort, ToServer } from "./contract.ts";

export class Outbox {
  readonly #logger: Logger;
  // Places that are used again: most transitions say one thing.
  readonly #ports: (ServerPort | null)[] = [];
  readonly #messages: (ToServer | null)[] = [];
  #count = 0;
  #depth = 0;
  #sending = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** One transition; they may nest. */
  run(transition: () => void): void {
    this.enter();
    try {
      transition();
    } finally {
      this.leave();
    }
  }

  /** Begins a transition. */
  enter(): void {
    this.#depth++;
  }

  /** Ends it; the outermost one's end lets the messages out. */
  leave(): void {
    if (--this.#depth > 0 || this.#sending || this.#count === 0) return;
    this.#sending = true;
    try {
      for (let at = 0; at < this.#count; at++) {
        const [port, message] = [this.#ports[at]!, this.#messages[at]!];
        this.#ports[at] = this.#messages[at] = null;
        this.#send(port, message);
      }
    } finally {
      this.#count = 0;
      this.#sending = false;
    }
  }

  push(port: ServerPort, message: ToServer): void {
    this.#ports[this.#count] = port;
    this.#messages[this.#count++] = message;
  }

  #send(port: ServerPort, message: ToServer): void {
    try {
      port.send(message);
    } catch (err) {
      this.#logger.error({ err, type: message.type }, "hub: a server's port threw");
    }
  }
}
