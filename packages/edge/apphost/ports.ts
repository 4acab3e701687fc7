/**
 * Finds private ports for instances. They lie below the range from which systems take ports for outgoing connections
 * (32768 up on Linux, 49152 on macOS): in that range a probe of a port where nobody listens yet could be given the very
 * same port as its own, connect to itself, and take the port from the application.
 */
import net from "node:net";
import type { Random } from "@tideway/base";

const FIRST = 20_000;
const LAST = 32_000;
const TRIES = 200;

export class PortPicker {
  readonly #random: Random;
  /** Ports of our own instances, also of those that do not listen yet. */
  readonly #taken = new Set<number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** A port of `host` where nobody listens now, kept from further picks until `release`. */
  async pick(host: string): Promise<number> {
    for (let i = 0; i < TRIES; i++) {
      const port = FIRST + Math.floor(this.#random.fraction() * (LAST - FIRST));
      if (this.#taken.has(port)) continue;
      this.#taken.add(port);
      if (await isFree(host, port)) return port;
      this.#taken.delete(port);
    }
    throw new Error(`no free port between ${FIRST} and ${LAST} on ${host}`);
  }

  release(port: number): void {
    this.#taken.delete(port);
  }
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
