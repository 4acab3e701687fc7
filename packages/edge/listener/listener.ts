/**
 * A listening address and its connections: accepts, sheds when there are too many, looks at limits of time once a
 * second, and stops in order. What a request means is decided by `onExchange`.
 */
import { createServer, type Server, type Socket } from "node:net";
import { listenFault, type Timer } from "@tideway/base";
import { Connection } from "./connection.ts";
import { type Listener, type ListenerCounters, type ListenerOptions, SWEEP_MS } from "./contract.ts";
import { connectionsShare } from "./descriptors.ts";
import { refusal } from "./refusal.ts";
import { Shared } from "./shared.ts";

/** Idle connections that are closed at once when there is no room: looking for the oldest costs a pass over all. */
const SHED_BATCH = 32;
const KEEP_ALIVE_PROBE_MS = 60_000;

export function createListener(options: ListenerOptions): Listener {
  return new HttpListener(options);
}

class HttpListener implements Listener {
  readonly #options: ListenerOptions;
  readonly #shared: Shared;
  readonly #server: Server;
  readonly #connectionsMax: number;
  #sweep: Timer | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#shared = new Shared(options);
    this.#connectionsMax = options.limits.connectionsMax ?? connectionsShare();
    this.#server = createServer(
      {
        allowHalfOpen: true,
        // Nothing is read before the connection says how.
        pauseOnConnect: true,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: KEEP_ALIVE_PROBE_MS,
      },
      (socket) => this.#accept(socket),
    );
  }

  get counters(): ListenerCounters {
    const { connections, upgraded, counters } = this.#shared;
    return { connections: connections.size, upgraded: upgraded.size, ...counters };
  }

  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(listenFault(error, this.#options));
      server.once("error", refuse);
      server.listen({ host, port, backlog: 1024 }, () => {
        server.off("error", refuse);
        server.on("error", (error) => this.#options.logger.error({ err: error }, "accepting failed"));
        this.#sweepLater();
        const address = server.address();
        const bound = typeof address === "object" && address !== null ? address : { address: host, port };
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  async close({ graceMs }: { graceMs: number }): Promise<void> {
    const shared = this.#shared;
    shared.stopping = true;
    this.#server.close();
    for (const connection of shared.connections) connection.stop();
    await new Promise<void>((resolve) => {
      shared.onEmpty = resolve;
      if (shared.connections.size === 0) return resolve();
      this.#options.clock.after(graceMs, () => {
        for (const connection of shared.connections) connection.breakOff();
      });
    });
    this.#sweep?.cancel();
  }

  #accept(socket: Socket): void {
    const shared = this.#shared;
    shared.counters.accepted++;
    if (shared.connections.size >= this.#connectionsMax && !this.#shedIdle()) {
      this.#turnAway(socket);
      return;
    }
    shared.connections.add(new Connection(socket, shared));
  }

  /** Closes the connections that have been idle the longest; false when none is idle. */
  #shedIdle(): boolean {
    const idle: Connection[] = [];
    for (const connection of this.#shared.connections) if (connection.idleSince >= 0) idle.push(connection);
    if (idle.length === 0) return false;
    idle.sort((a, b) => a.idleSince - b.idleSince);
    const batch = idle.slice(0, Math.min(SHED_BATCH, Math.ceil(this.#connectionsMax / 16)));
    for (const connection of batch) connection.shed();
    this.#shared.counters.shed += batch.length;
    return true;
  }

  #turnAway(socket: Socket): void {
    const shared = this.#shared;
    shared.counters.shed++;
    const id = shared.nextId();
    shared.logger.warn(
      { id, address: socket.remoteAddress, connections: shared.connections.size },
      "connection turned away",
    );
    socket.on("error", () => socket.destroy());
    socket.resume();
    socket.end(refusal(503, null, id, "", shared.dateLine()), "latin1", () => socket.destroy());
  }

  #sweepLater(): void {
    this.#sweep = this.#options.clock.after(SWEEP_MS, () => {
      const now = this.#options.clock.now();
      for (const connection of this.#shared.connections) connection.sweep(now);
      this.#sweepLater();
    });
  }
}
