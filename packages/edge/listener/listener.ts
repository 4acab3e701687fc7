/**
 * A listening address and its connections: accepts, looks at limits of time once a second, and stops in order. Who comes in
 * is the door's to decide, what a request means `onExchange`'s.
 */
import { createServer, type Server } from "node:net";
import { listenFault } from "@tideway/base";
import type { Listener, ListenerChanges, ListenerCounters, ListenerOptions } from "./contract.ts";
import { Door } from "./door.ts";
import { Shared } from "./shared.ts";
import { Sweep } from "./sweep.ts";

const KEEP_ALIVE_PROBE_MS = 60_000;
/** Connections that wait to be accepted: over it a client hears nothing, and tries again after 1, 3, 7 s. The system has a bound of its own. */
const BACKLOG = 4_096;

export function createListener(options: ListenerOptions): Listener {
  return new HttpListener(options);
}

class HttpListener implements Listener {
  readonly #options: ListenerOptions;
  readonly #shared: Shared;
  readonly #door: Door;
  readonly #server: Server;
  readonly #sweep: Sweep;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#shared = new Shared(options);
    this.#door = new Door(this.#shared);
    this.#sweep = new Sweep(options.clock, this.#shared.connections, (now) => this.#door.sweep(now));
    this.#server = createServer(
      {
        allowHalfOpen: true,
        // Nothing is read before the connection says how.
        pauseOnConnect: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
      },
      (socket) => this.#door.accept(socket),
    );
  }

  get counters(): ListenerCounters {
    const { connections, upgraded, counters } = this.#shared;
    return { connections: connections.size + this.#door.waiting, upgraded: upgraded.size, ...counters };
  }

  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(listenFault(error, this.#options));
      server.once("error", refuse);
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off("error", refuse);
        server.on("error", (error) => this.#door.acceptingFailed(error));
        this.#shared.census.join(this.#shared);
        this.#sweep.start();
        const address = server.address();
        const bound = typeof address === "object" && address !== null ? address : { address: host, port };
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  reconfigure(changes: ListenerChanges): void {
    this.#shared.reconfigure(changes);
  }

  async close({ graceMs }: { graceMs: number }): Promise<void> {
    const shared = this.#shared;
    shared.stopping = true;
    this.#server.close();
    this.#door.close();
    for (const connection of shared.connections) connection.stop();
    await new Promise<void>((resolve) => {
      shared.onEmpty = resolve;
      if (shared.connections.size === 0) return resolve();
      this.#options.clock.after(graceMs, () => {
        for (const connection of shared.connections) connection.breakOff();
      });
    });
    this.#sweep.stop();
    shared.census.part(shared);
  }
}
