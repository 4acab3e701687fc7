/**
 * Front door of `edge/nameserver`: DNS over UDP and TCP on one port. Owns the sockets, EDNS, sizes, rates and counts; what
 * a name has is decided by `answer`, which is handed in. Never a resolver: RD is ignored and RA stays clear. RFC 1035,
 * 6891 (EDNS), 7766 (TCP). Malformed messages get FORMERR or nothing, and no packet can make it throw.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Clock, type Logger, OperatorError } from "@tideway/base";
import { type Answer, type Query, Rcode } from "@tideway/engine/zones";
import {
  answerBytesMax,
  Reading,
  type ReadMessage,
  readMessage,
  Transport,
  writeAnswer,
  writeBare,
} from "./message.ts";
import { type RateLimit, RateLimiter, rateLimitDefaults, Verdict } from "./rate.ts";
import { type TcpLimits, TcpNameServer, tcpLimitDefaults } from "./tcp.ts";

export type { RateLimit } from "./rate.ts";
export type { TcpLimits } from "./tcp.ts";

export interface NameServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** UDP and TCP port; 0 takes one that is free for both. */
  readonly port: number;
  /** What the zones say; `engine/zones` fits. Called once per question, and must not wait. */
  answer(query: Query): Answer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rateLimit?: Partial<RateLimit>;
  readonly tcp?: Partial<TcpLimits>;
  /** The configuration's key that an error about the port names; `names.listen.port` unless given. */
  readonly option?: string;
}

export interface NameServerCounters {
  udpQuestions: number;
  tcpQuestions: number;
  answers: number;
  /** Truncated to fit UDP: the client comes again by TCP. */
  truncated: number;
  malformed: number;
  /** Not answered on purpose: no header, or an answer itself. */
  ignored: number;
  /** Over the rate: told to come by TCP, and not answered at all. */
  slipped: number;
  limited: number;
  /** Answers that could not be sent, or that found the socket's queue full. */
  unsent: number;
  faults: number;
}

export interface NameServer {
  /** Resolves with the address in use; rejects with an OperatorError when the port cannot be had. */
  listen(): Promise<{ host: string; port: number }>;
  close(): Promise<void>;
  counters(): Readonly<NameServerCounters & { tcpConnections: number }>;
}

/** Tries for a port that is free for TCP and UDP alike, when any will do. */
const FREE_PORT_TRIES = 16;
/** Datagrams that may wait in the socket; more are dropped, as the network itself would. */
const SEND_QUEUE_MAX = 1024;

export function createNameServer(options: NameServerOptions): NameServer {
  return new DnsServer(options);
}

class DnsServer implements NameServer {
  readonly #options: NameServerOptions;
  readonly #limiter: RateLimiter;
  readonly #counters: NameServerCounters = {
    udpQuestions: 0,
    tcpQuestions: 0,
    answers: 0,
    truncated: 0,
    malformed: 0,
    ignored: 0,
    slipped: 0,
    limited: 0,
    unsent: 0,
    faults: 0,
  };
  #udp: dgram.Socket | null = null;
  #tcp: TcpNameServer | null = null;

  constructor(options: NameServerOptions) {
    this.#options = options;
    this.#limiter = new RateLimiter({ ...rateLimitDefaults, ...options.rateLimit });
  }

  counters(): Readonly<NameServerCounters & { tcpConnections: number }> {
    return { ...this.#counters, tcpConnections: this.#tcp?.connectionCount ?? 0 };
  }

  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    for (let left = FREE_PORT_TRIES; ; left--) {
      try {
        return await this.#bind(host, port);
      } catch (error) {
        await this.close();
        const code = (error as NodeJS.ErrnoException).code;
        if (port === 0 && code === "EADDRINUSE" && left > 1) continue;
        throw this.#listenError(error, code);
      }
    }
  }

  async close(): Promise<void> {
    const udp = this.#udp;
    const tcp = this.#tcp;
    this.#udp = null;
    this.#tcp = null;
    const closed: Promise<unknown>[] = [];
    if (tcp?.server.listening) closed.push(once(tcp.server, "close"));
    if (udp !== null) closed.push(once(udp, "close"));
    tcp?.close();
    udp?.close();
    await Promise.all(closed);
  }

  /** TCP first: its port, once had, is tried for UDP. */
  async #bind(host: string, port: number): Promise<{ host: string; port: number }> {
    const { clock, logger } = this.#options;
    const tcp = new TcpNameServer({
      clock,
      logger,
      limits: { ...tcpLimitDefaults, ...this.#options.tcp },
      respond: (message) => {
        this.#counters.tcpQuestions++;
        return this.#respond(message, Transport.tcp);
      },
    });
    this.#tcp = tcp;
    tcp.server.listen({ host, port });
    await once(tcp.server, "listening");
    // Accepting can fail later (no descriptors left): the server goes on when there are some again.
    tcp.server.on("error", (error) => logger.error({ error: error.message }, "DNS over TCP cannot accept"));
    const bound = tcp.server.address() as AddressInfo;
    const udp = dgram.createSocket({ type: bound.family === "IPv6" ? "udp6" : "udp4", recvBufferSize: 1 << 20 });
    this.#udp = udp;
    udp.bind({ address: bound.address, port: bound.port, exclusive: true });
    await once(udp, "listening");
    udp.on("error", (error) => logger.error({ error: error.message }, "DNS over UDP met an error"));
    udp.on("message", (message, remote) => this.#receive(udp, message, remote));
    return { host: bound.address, port: bound.port };
  }

  #receive(udp: dgram.Socket, message: Buffer, remote: dgram.RemoteInfo): void {
    const counters = this.#counters;
    counters.udpQuestions++;
    const verdict = this.#limiter.judge(remote.address, this.#options.clock.now());
    if (verdict === Verdict.drop) {
      counters.limited++;
      return;
    }
    const slip = verdict === Verdict.slip;
    if (slip) counters.slipped++;
    const answer = slip ? this.#slip(message) : this.#respond(message, Transport.udp);
    if (answer === null) return;
    if (remote.port === 0 || udp.getSendQueueCount() >= SEND_QUEUE_MAX) {
      counters.unsent++;
      return;
    }
    udp.send(answer, remote.port, remote.address, (error) => {
      if (error !== null) counters.unsent++;
    });
  }

  #slip(message: Buffer): Buffer | null {
    const read = readMessage(message);
    return read.reading === Reading.query ? writeBare(read, Rcode.noError, true) : null;
  }

  #respond(message: Buffer, transport: Transport): Buffer | null {
    const counters = this.#counters;
    const read = readMessage(message);
    switch (read.reading) {
      case Reading.ignored:
        counters.ignored++;
        return null;
      case Reading.malformed:
        counters.malformed++;
        return writeBare(read, Rcode.formatError);
      case Reading.badVersion:
        counters.malformed++;
        return writeBare(read, Rcode.badVersion);
    }
    counters.answers++;
    return this.#answer(read, transport);
  }

  #answer(read: ReadMessage, transport: Transport): Buffer {
    try {
      const written = writeAnswer(read, this.#options.answer(read.query), answerBytesMax(transport, read.edns));
      if (written.truncated) this.#counters.truncated++;
      return written.bytes;
    } catch (error) {
      // Ours, not the client's: it is told so, and the next question is answered.
      this.#counters.faults++;
      this.#options.logger.error(
        { error: (error as Error).message, question: read.query.questions[0] },
        "a DNS answer failed",
      );
      return writeBare(read, Rcode.serverFailure);
    }
  }

  #listenError(error: unknown, code: string | undefined): unknown {
    const { host, port, option = "names.listen.port" } = this.#options;
    const seen = `${host}:${port} (UDP and TCP)`;
    if (code === "EADDRINUSE") {
      const hint = `Stop the program that uses port ${port} (ss -lntup shows it), or set ${option} to another port.`;
      return new OperatorError("START_PORT_IN_USE", { where: option, seen, hint, cause: error });
    }
    if (code === "EACCES") {
      const hint = `Set ${option} to a port from 1024 up, or allow Node to use low ports.`;
      return new OperatorError("START_PORT_FORBIDDEN", { where: option, seen, hint, cause: error });
    }
    if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND" || code === "EINVAL") {
      const where = option.replace(/port$/, "host");
      const hint = `Set ${where} to an address of this machine, such as 127.0.0.1.`;
      return new OperatorError("START_ADDRESS_UNAVAILABLE", { where, seen, hint, cause: error });
    }
    return error;
  }
}
