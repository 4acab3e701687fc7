/**
 * Owns a listening address of a TCP service: accepting, the bounds on connections, the settings, the record of each
 * connection, and stopping. What happens to one connection is in `connection.ts`.
 */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Clock, type Logger, listenFault, Repeats } from "@tideway/base";
import { acceptStream, keepAliveMs, resetStream, Tunnels } from "../tunnel/index.ts";
import { type Front, TcpConnection } from "./connection.ts";
import {
  defaultTcpLimits,
  type TcpCounters,
  TcpEnd,
  type TcpLimits,
  type TcpListener,
  type TcpListenerOptions,
  type TcpRecord,
  type TcpSettings,
} from "./contract.ts";
import { Crowd, type Seats, SharedSeats } from "./crowd.ts";

const backlog = 1_024;
/** Ends that somebody should look at. */
const troubling: ReadonlySet<TcpEnd> = new Set([TcpEnd.crowded, TcpEnd.noInstance, TcpEnd.unreachable]);

export function createTcpListener(options: TcpListenerOptions): TcpListener {
  return new TcpFront(options);
}

class TcpFront implements TcpListener, Front {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tunnels: Tunnels;
  readonly seats: Seats;
  readonly counts = { accepted: 0, refused: 0, malformed: 0, unserved: 0, connectFailures: 0 };
  settings: TcpSettings;
  limits: TcpLimits;
  readonly #options: TcpListenerOptions;
  readonly #server: Server;
  readonly #crowd: Crowd;
  /** What a flood of clients would write again and again. */
  readonly #repeats: Repeats;
  readonly #connections = new Set<TcpConnection>();
  #onEmpty: (() => void) | null = null;

  constructor(options: TcpListenerOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.logger = options.logger;
    this.settings = options;
    this.limits = { ...defaultTcpLimits, ...options.limits };
    this.tunnels = new Tunnels(options.clock, this.limits.idleMs);
    this.#crowd = new Crowd(this.limits.connectionsMax, this.limits.connectionsPerAddressMax);
    this.seats = options.census === undefined ? this.#crowd : new SharedSeats(this.#crowd, options.census);
    this.#repeats = new Repeats(options.clock);
    this.#server = createServer(
      { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, pauseOnConnect: true },
      (socket) => this.#accept(socket),
    );
  }

  get counters(): TcpCounters {
    const { idled, bytesFromClients, bytesFromUpstreams } = this.tunnels.counters;
    return { connections: this.#connections.size, ...this.counts, idled, bytesFromClients, bytesFromUpstreams };
  }

  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const refuse = (error: Error): void => reject(listenFault(error, this.#options));
      server.once("error", refuse);
      server.listen({ host, port, backlog }, () => {
        server.off("error", refuse);
        // Accepting can fail later (no descriptors left): the listener goes on when there are some again.
        server.on("error", (error) => {
          this.#repeats.note(error.message, (times) => this.logger.error({ err: error, times }, "accepting failed"));
        });
        const bound = server.address() as AddressInfo;
        resolve({ host: bound.address, port: bound.port });
      });
    });
  }

  configure(settings: TcpSettings): void {
    this.settings = settings;
    this.limits = { ...defaultTcpLimits, ...settings.limits };
    this.#crowd.max = this.limits.connectionsMax;
    this.#crowd.perAddressMax = this.limits.connectionsPerAddressMax;
    this.tunnels.limitIdle(this.limits.idleMs);
  }

  async close({ graceMs }: { graceMs: number }): Promise<void> {
    this.#server.close();
    for (const connection of this.#connections) if (connection.isUnknown) connection.breakOff();
    if (this.#connections.size === 0) return;
    const deadline = this.clock.after(graceMs, () => {
      for (const connection of this.#connections) connection.breakOff();
    });
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    deadline.cancel();
  }

  #accept(socket: Socket): void {
    this.counts.accepted++;
    const { seats } = this;
    if (!seats.enter() && !(seats.makeRoom(this.clock.now()) > 0 && seats.enter())) {
      this.#turnAway(socket);
      return;
    }
    const connection = new TcpConnection(acceptStream(socket), this);
    this.#connections.add(connection);
    connection.open();
  }

  #turnAway(socket: Socket): void {
    this.counts.refused++;
    const fields = { service: this.settings.service.name, address: socket.remoteAddress };
    this.#repeats.note("", (times) => this.logger.warn({ ...fields, times }, "connection turned away"));
    resetStream(socket);
  }

  forget(connection: TcpConnection, record: TcpRecord): void {
    this.#connections.delete(connection);
    const message = `connection ended: ${record.end}`;
    const { onRecord } = this.#options;
    if (troubling.has(record.end))
      this.#repeats.note(record.end, (times) => this.logger.warn({ ...record, times }, message));
    else if (onRecord === undefined) this.logger.debug(record, message);
    try {
      onRecord?.(record);
    } catch (error) {
      this.logger.error({ err: error }, "the access log failed");
    }
    if (this.#connections.size === 0) this.#onEmpty?.();
  }
}
