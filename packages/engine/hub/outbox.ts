/**
 * Messages to servers leave when a transition is complete, never in its middle: a server in this process may call back at
 * once, and must then find the hub in order. First in, first out over all servers.
 */
import type { Logger } from "@tideway/base";
import type { ServerPort, ToServer } from "./contract.ts";

export class Outbox {
  readonly #logger: Logger;
  #ports: ServerPort[] = [];
  #messages: ToServer[] = [];
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
    if (--this.#depth > 0 || this.#sending || this.#messages.length === 0) return;
    this.#sending = true;
    try {
      for (let at = 0; at < this.#messages.length; at++) this.#send(this.#ports[at]!, this.#messages[at]!);
    } finally {
      this.#ports = [];
      this.#messages = [];
      this.#sending = false;
    }
  }

  push(port: ServerPort, message: ToServer): void {
    this.#ports.push(port);
    this.#messages.push(message);
  }

  #send(port: ServerPort, message: ToServer): void {
    try {
      port.send(message);
    } catch (err) {
      this.#logger.error({ err, type: message.type }, "hub: a server's port threw");
    }
  }
}
