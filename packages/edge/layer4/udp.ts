/**
 * Owns a listening address of a UDP service: one socket, the sessions of its clients by address and port, their bound and
 * their limit of silence. What one session does is in `session.ts`.
 */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type Clock, canonicalAddress, type Logger, listenFault, Repeats, type Timer } from "@tideway/base";
import {
  defaultUdpLimits,
  type UdpCounters,
  UdpEnd,
  type UdpLimits,
  type UdpListener,
  type UdpListenerOptions,
  type UdpSettings,
} from "./datagrams.ts";
import { numeric } from "./lookup.ts";
import { Session, type SessionOwner } from "./session.ts";

/** How exact the order of the sessions is: one is moved to the end once in so long, not with every datagram. */
const orderMs = 1_000;
/** How long a session must have been quiet to be ended when room is needed, or when the listener stops. */
const quietMs = 1_000;
const sweepMaxMs = 1_000;
/** Datagrams that wait to be read; the system may give less. */
const receiveBytes = 1 << 20;

export function createUdpListener(options: UdpListenerOptions): UdpListener {
  return new UdpFront(options);
}

class UdpFront implements UdpListener, SessionOwner {
  readonly clock: Clock;
  readonly #logger: Logger;
  readonly #options: UdpListenerOptions;
  #settings: UdpSettings;
  #limits: UdpLimits;
  #socket: Socket | null = null;
  /** About in the order of what passed last: the first has been quiet the longest, give or take `orderMs`. */
  readonly #sessions = new Map<string, Session>();
  #sweeper: Timer | null = null;
  #onEmpty: (() => void) | null = null;
  #stopping = false;
  readonly #repeats: Repeats;
  readonly counts = {
    opened: 0,
    displaced: 0,
    datagramsFromClients: 0,
    datagramsFromUpstreams: 0,
    bytesFromClients: 0,
    bytesFromUpstreams: 0,
    unserved: 0,
    dropped: 0,
    failures: 0,
  };

  constructor(options: UdpListenerOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.#logger = options.logger;
    this.#settings = options;
    this.#limits = { ...defaultUdpLimits, ...options.limits };
    this.#repeats = new Repeats(options.clock);
  }

  get counters(): UdpCounters {
    return { sessions: this.#sessions.size, ...this.counts };
  }

  get queueMax(): number {
    return this.#limits.queueMax;
  }

  get responses(): number | undefined {
    return this.#settings.responses;
  }

  async listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#options;
    try {
      const { address, family } = await lookup(host);
      const socket = createSocket({
        type: family === 6 ? "udp6" : "udp4",
        recvBufferSize: receiveBytes,
        lookup: numeric,
      });
      this.#socket = socket;
      socket.on("message", (datagram, from) => this.#receive(datagram, from));
      const listening = once(socket, "listening");
      socket.bind({ address, port, exclusive: true });
      await listening;
      socket.on("error", (error) => this.#logger.error({ err: error }, "receiving datagrams failed"));
      const bound = socket.address();
      return { host: bound.address, port: bound.port };
    } catch (error) {
      this.#socket?.close();
      this.#socket = null;
      throw listenFault(error as Error, this.#options);
    }
  }

  configure(settings: UdpSettings): void {
    this.#settings = settings;
    this.#limits = { ...defaultUdpLimits, ...settings.limits };
    this.#sweeper?.cancel();
    this.#sweeper = null;
    if (this.#sessions.size > 0) this.#sweepLater();
  }

  async close({ graceMs }: { graceMs: number }): Promise<void> {
    const socket = this.#socket;
    this.#stopping = true;
    if (this.#sessions.size > 0) {
      const deadline = this.clock.after(graceMs, () => {
        for (const session of [...this.#sessions.values()]) session.breakOff();
      });
      await new Promise<void>((resolve) => {
        this.#onEmpty = resolve;
      });
      deadline.cancel();
    }
    this.#socket = null;
    if (socket === null) return;
    socket.close();
    await once(socket, "close");
  }

  /* ---------------------------------------------------------------- from clients */

  #receive(datagram: Buffer, { address, port }: RemoteInfo): void {
    const counts = this.counts;
    counts.datagramsFromClients++;
    counts.bytesFromClients += datagram.length;
    const now = this.clock.now();
    const key = `${address} ${port}`;
    let session = this.#sessions.get(key);
    if (session?.isStranded === true) {
      session.end(UdpEnd.moved);
      session = undefined;
    }
    if (session === undefined) {
      const opened = this.#open(key, address, port, now);
      if (opened === null) return;
      session = opened;
    } else this.#list(session, now);
    session.forward(datagram, now);
  }

  #open(key: string, address: string, port: number, now: number): Session | null {
    // Port 0 cannot be answered, and no honest client has it.
    if (this.#stopping || port === 0 || !this.#hasRoom(now)) {
      this.counts.dropped++;
      return null;
    }
    const session = new Session(key, address, port, this);
    const member = this.#settings.service.take(session, canonicalAddress(address));
    if (member === null) {
      this.counts.unserved++;
      const fields = { service: this.#settings.service.name, address };
      this.#repeats.note("", (times) => {
        this.#logger.warn({ ...fields, times }, "datagram dropped: no instance");
      });
      return null;
    }
    this.counts.opened++;
    this.#sessions.set(key, session);
    session.open(member);
    if (this.#sweeper === null) this.#sweepLater();
    return session;
  }

  #hasRoom(now: number): boolean {
    if (this.#sessions.size < this.#limits.sessionsMax) return true;
    const [quietest] = this.#sessions.values();
    if (quietest === undefined || now - quietest.activeAt < quietMs) return false;
    this.counts.displaced++;
    quietest.end(UdpEnd.displaced);
    return true;
  }

  #list(session: Session, now: number): void {
    if (now - session.listedAt < orderMs) return;
    session.listedAt = now;
    this.#sessions.delete(session.key);
    this.#sessions.set(session.key, session);
  }

  /* ---------------------------------------------------------------- to clients */

  answer(session: Session, datagram: Buffer): void {
    const socket = this.#socket;
    this.counts.datagramsFromUpstreams++;
    this.counts.bytesFromUpstreams += datagram.length;
    this.#list(session, session.activeAt);
    if (socket === null || socket.getSendQueueCount() >= this.#limits.queueMax) this.counts.dropped++;
    else socket.send(datagram, session.port, session.address, this.#sent);
  }

  unopened(error: Error): void {
    const fields = { service: this.#settings.service.name, err: error };
    this.#repeats.note("unopened", (times) => this.#logger.error({ ...fields, times }, "no socket for a session"));
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.counts.dropped++;
  };

  /* ---------------------------------------------------------------- time */

  #sweepLater(): void {
    const delay = Math.min(sweepMaxMs, this.#limits.idleMs / 4);
    this.#sweeper = this.clock.after(delay, () => {
      this.#sweeper = null;
      this.#sweep(this.clock.now());
      if (this.#sessions.size > 0) this.#sweepLater();
    });
  }

  #sweep(now: number): void {
    const idleMs = this.#stopping ? Math.min(quietMs, this.#limits.idleMs) : this.#limits.idleMs;
    for (const session of this.#sessions.values()) {
      // What follows was listed later, and has been active since.
      if (now - session.listedAt < idleMs) return;
      if (now - session.activeAt >= idleMs) session.end(session.isUnanswered ? UdpEnd.silent : UdpEnd.idle);
    }
  }

  ended(session: Session, end: UdpEnd): void {
    this.#sessions.delete(session.key);
    if (end === UdpEnd.silent || end === UdpEnd.refused) this.counts.failures++;
    const { instance, port, datagramsIn, datagramsOut, bytesIn, bytesOut } = session;
    const record = {
      service: this.#settings.service.name,
      instance,
      address: canonicalAddress(session.address),
      port,
      datagramsIn,
      datagramsOut,
      bytesIn,
      bytesOut,
      durationMs: Math.round(this.clock.now() - session.openedAt),
      end,
    };
    this.#logger.debug(record, `session ended: ${end}`);
    try {
      this.#options.onRecord?.(record);
    } catch (error) {
      this.#logger.error({ err: error }, "the access log failed");
    }
    if (this.#sessions.size > 0) return;
    this.#sweeper?.cancel();
    this.#sweeper = null;
    this.#onEmpty?.();
  }
}
