/**
 * DNS over TCP (RFC 7766): messages behind a length of two bytes, several on one connection, in pieces of any size.
 * Bounded in connections, in bytes that wait, and in idle time. Knows nothing of what a message says: `respond` does.
 */
import net from "node:net";
import type { Clock, Logger, Timer } from "@tideway/base";

export interface TcpLimits {
  /** Connections at once; one more, and the one idle for longest is closed. */
  readonly connectionsMax: number;
  /** Without a whole message for this long, a connection is closed. */
  readonly idleTimeoutMs: number;
  /** Bytes of one question; a longer one closes the connection. */
  readonly questionBytesMax: number;
}

export const tcpLimitDefaults: TcpLimits = Object.freeze({
  connectionsMax: 256,
  idleTimeoutMs: 10_000,
  questionBytesMax: 4096,
});

interface Connection {
  readonly socket: net.Socket;
  pending: Buffer;
  lastMessageAt: number;
}

export interface TcpOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: TcpLimits;
  /** The answer to one message; null for none, and the connection is closed. */
  respond(message: Buffer): Buffer | null;
}

export class TcpNameServer {
  readonly server: net.Server;
  readonly #options: TcpOptions;
  /** In order of their last message: the first is the one idle for longest. */
  readonly #connections = new Set<Connection>();
  #sweep: Timer | null = null;

  constructor(options: TcpOptions) {
    this.#options = options;
    this.server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  close(): void {
    this.#sweep?.cancel();
    this.#sweep = null;
    this.server.close();
    for (const { socket } of this.#connections) socket.destroy();
  }

  #accept(socket: net.Socket): void {
    const connection: Connection = { socket, pending: Buffer.alloc(0), lastMessageAt: this.#options.clock.now() };
    const { limits, logger } = this.#options;
    if (this.#connections.size >= limits.connectionsMax) {
      const [oldest] = this.#connections;
      if (oldest !== undefined) this.#drop(oldest);
    }
    this.#connections.add(connection);
    socket.on("data", (chunk) => this.#receive(connection, chunk as Buffer));
    // What was asked has been answered by now, for answers are written at once: the end is the end of both directions.
    socket.on("end", () => socket.end());
    socket.on("drain", () => this.#answerPending(connection));
    socket.on("error", (error) => logger.debug({ error: error.message }, "DNS connection broke"));
    socket.on("close", () => this.#connections.delete(connection));
    this.#sweep ??= this.#options.clock.after(limits.idleTimeoutMs, () => this.#sweepIdle());
  }

  #drop(connection: Connection): void {
    this.#connections.delete(connection);
    connection.socket.destroy();
  }

  #receive(connection: Connection, chunk: Buffer): void {
    connection.pending = connection.pending.length === 0 ? chunk : Buffer.concat([connection.pending, chunk]);
    this.#answerPending(connection);
  }

  /**
   * Answers the whole messages that have arrived, as far as the client reads. One that asks without reading waits: what it
   * sent stays unanswered, and it is not read, until it has taken what was written.
   */
  #answerPending(connection: Connection): void {
    const { limits, clock, respond } = this.#options;
    const { socket } = connection;
    let bytes = connection.pending;
    socket.cork();
    while (bytes.length >= 2 && !socket.writableNeedDrain) {
      const length = bytes.readUInt16BE(0);
      if (length <= limits.questionBytesMax && bytes.length < length + 2) break;
      const answer = length > limits.questionBytesMax ? null : respond(bytes.subarray(2, length + 2));
      if (answer === null) {
        this.#drop(connection);
        return;
      }
      const prefix = Buffer.allocUnsafe(2);
      prefix.writeUInt16BE(answer.length);
      socket.write(prefix);
      socket.write(answer);
      bytes = bytes.subarray(length + 2);
      connection.lastMessageAt = clock.now();
    }
    socket.uncork();
    if (bytes.length !== connection.pending.length) {
      this.#connections.delete(connection);
      this.#connections.add(connection);
    }
    connection.pending = bytes;
    if (socket.writableNeedDrain) socket.pause();
    else socket.resume();
  }

  #sweepIdle(): void {
    const { clock, limits } = this.#options;
    const now = clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const connection of this.#connections) {
      const left = connection.lastMessageAt + limits.idleTimeoutMs - now;
      if (left <= 0) this.#drop(connection);
      else next = Math.min(next, left);
    }
    this.#sweep = this.#connections.size === 0 ? null : clock.after(next, () => this.#sweepIdle());
  }
}
