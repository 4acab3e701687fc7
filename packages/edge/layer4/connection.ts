/**
 * Owns one client's connection from its acceptance to its end: who the client is, which instance takes it (another one is
 * tried while nothing was sent), and what is told of it. Between, it is a tunnel.
 *
 * Not one byte of the client is read before an instance has accepted (a PROXY header excepted), so that what a client sends
 * ahead stays in the system's buffers, and its first bytes reach one instance only.
 */
import type { Socket } from "node:net";
import {
  type AddressRanges,
  type ClientInfo,
  type Clock,
  canonicalAddress,
  type Logger,
  type Timer,
} from "@tideway/base";
import type { ProxyHeader } from "@tideway/wire/proxyprotocol";
import { connectStream, type OpenedStream, resetStream, type Tunnel, type Tunnels } from "../tunnel/index.ts";
import { isOwnFault, proxyHeader } from "../upstream/index.ts";
import { TcpEnd, type TcpLimits, type TcpRecord, type TcpSettings } from "./contract.ts";
import type { Seats } from "./crowd.ts";
import { HeaderReader } from "./header.ts";
import type { Layer4Member, Line } from "./member.ts";

/** What the connections of one listener have in common. */
export interface Front {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: TcpSettings;
  readonly limits: TcpLimits;
  readonly tunnels: Tunnels;
  readonly seats: Seats;
  readonly counts: { refused: number; malformed: number; unserved: number; connectFailures: number };
  forget(connection: TcpConnection, record: TcpRecord): void;
}

const untried: readonly Layer4Member[] = [];
const nothing = Buffer.alloc(0);

export class TcpConnection implements Line {
  readonly #socket: Socket;
  readonly #memory: OpenedStream["memory"];
  readonly #front: Front;
  /** As they were when it was accepted. */
  readonly #settings: TcpSettings;
  readonly #openedAt: number;
  /** The other end of the socket; or both ends, as its PROXY header says. */
  #client: ClientInfo;
  #via = "";
  /** What it has to leave the census with. */
  #seat = "";
  #reader: HeaderReader | null = null;
  #tried = untried;
  #tries = 0;
  #member: Layer4Member | null = null;
  #opening: OpenedStream | null = null;
  #deadline: Timer | null = null;
  #connectMs = -1;
  #tunnel: Tunnel | null = null;
  #over = false;

  constructor(accepted: OpenedStream, front: Front) {
    const { socket, memory } = accepted;
    this.#socket = socket;
    this.#memory = memory;
    this.#front = front;
    this.#settings = front.settings;
    this.#openedAt = front.clock.now();
    this.#client = {
      address: canonicalAddress(socket.remoteAddress ?? ""),
      port: socket.remotePort ?? 0,
      localPort: 0,
      secure: false,
    };
  }

  /** It has entered the census. */
  open(): void {
    this.#socket.on("error", this.#failed);
    this.#socket.on("close", this.#lost);
    if (!mustSay(this.#settings.proxyProtocol, this.#client.address)) this.#admit(nothing);
    else {
      const { clock, limits } = this.#front;
      this.#reader = new HeaderReader(this.#socket, clock, limits.headerMs, (header, rest, fault) =>
        this.#introduced(header, rest, fault),
      );
    }
  }

  /** True while it waits for a PROXY header: nothing is lost when it ends. */
  get isUnknown(): boolean {
    return this.#reader !== null;
  }

  breakOff(): void {
    if (this.#tunnel === null) this.#refuse(TcpEnd.brokenOff);
    else this.#tunnel.breakOff();
  }

  /* ---------------------------------------------------------------- who it is */

  #introduced(header: ProxyHeader | null, rest: Buffer, fault: string): void {
    this.#reader = null;
    if (header === null && fault === "") {
      // A balancer's probe: it connects and closes.
      this.#refuse(TcpEnd.gone);
      return;
    }
    if (header === null) {
      this.#front.counts.malformed++;
      this.#refuse(TcpEnd.badHeader, fault);
      return;
    }
    this.#via = this.#client.address;
    const { addresses, protocol } = header;
    if (addresses !== null && protocol !== "UNIX" && protocol !== "UNIX_DGRAM") {
      const { source, destination } = addresses;
      this.#client = {
        address: canonicalAddress(source.address),
        port: source.port,
        localAddress: canonicalAddress(destination.address),
        localPort: destination.port,
        secure: false,
      };
    }
    this.#admit(rest);
  }

  #admit(late: Buffer): void {
    const seat = this.#front.seats.claim(this.#client.address);
    if (seat === null) {
      this.#front.counts.refused++;
      this.#refuse(TcpEnd.crowded);
      return;
    }
    this.#seat = seat;
    this.#connect(late);
  }

  /* ---------------------------------------------------------------- which instance */

  #connect(late: Buffer): void {
    const { clock, limits } = this.#front;
    const { service } = this.#settings;
    const member = this.#tries < limits.triesMax ? service.take(this, this.#client.address, this.#tried) : null;
    if (member === null) {
      this.#front.counts.unserved++;
      this.#refuse(this.#tries === 0 ? TcpEnd.noInstance : TcpEnd.unreachable);
      return;
    }
    const startedAt = clock.now();
    this.#tries++;
    this.#member = member;
    const opening = connectStream(member);
    this.#opening = opening;
    this.#deadline = clock.after(limits.connectMs, () => {
      this.#missed(`no connection in ${limits.connectMs} ms`, false, startedAt);
      this.#connect(late);
    });
    const { socket } = opening;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      // Later ones are the tunnel's to hear.
      if (this.#opening !== opening) return;
      this.#missed(error.code ?? error.message, isOwnFault(error.code), startedAt);
      this.#connect(late);
    });
    socket.once("connect", () => {
      if (this.#opening !== opening) return;
      const now = clock.now();
      this.#connectMs = now - startedAt;
      member.answered(this.#connectMs, now);
      this.#join(opening, late);
    });
  }

  /** The instance did not accept. */
  #missed(why: string, isOurs: boolean, startedAt: number): void {
    const member = this.#member!;
    this.#front.counts.connectFailures++;
    if (!isOurs) member.failed(why, true, startedAt);
    this.#tried = [...this.#tried, member];
    this.#give();
    if (!isOurs) return;
    const fields = { service: this.#settings.service.name, instance: member.id, reason: why };
    this.#front.logger.warn(fields, "connecting failed for a reason of our own");
  }

  /** The instance is not, or no longer, this connection's. */
  #give(): void {
    this.#deadline?.cancel();
    const opening = this.#opening;
    this.#opening = null;
    opening?.socket.destroy();
    this.#member?.leave(this);
    this.#member = null;
  }

  /* ---------------------------------------------------------------- the connection itself */

  #join({ socket: upstream, memory }: OpenedStream, late: Buffer): void {
    const client = this.#socket;
    this.#deadline?.cancel();
    this.#opening = null;
    client.off("error", this.#failed);
    client.off("close", this.#lost);
    // One packet: whoever waits for the header wants the rest, too.
    upstream.cork();
    const { proxyProtocol } = this.#settings.service;
    if (proxyProtocol !== undefined) upstream.write(proxyHeader(proxyProtocol, this.#ends()));
    this.#tunnel = this.#front.tunnels.open(client, upstream, {
      lateFromClient: late,
      clientMemory: this.#memory,
      upstreamMemory: memory,
      onClosed: (end) => this.#ended(end, ""),
    });
    upstream.uncork();
  }

  #ends(): ClientInfo {
    if (this.#client.localAddress !== undefined) return this.#client;
    const { localAddress, localPort = 0 } = this.#socket;
    // A client that is gone has no address any more; its end follows.
    if (localAddress === undefined) return this.#client;
    return { ...this.#client, localAddress: canonicalAddress(localAddress), localPort };
  }

  /* ---------------------------------------------------------------- its end */

  readonly #failed = (): void => {
    this.#socket.destroy();
  };

  readonly #lost = (): void => this.#ended(TcpEnd.gone, "");

  /** Before there was a connection to an instance: the client gets a reset, for it got nothing of what it came for. */
  #refuse(end: TcpEnd, fault = ""): void {
    this.#socket.off("close", this.#lost);
    resetStream(this.#socket);
    this.#ended(end, fault);
  }

  #ended(end: TcpEnd, fault: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#reader?.cancel();
    this.#reader = null;
    const instance = this.#tunnel === null ? "" : (this.#member?.id ?? "");
    this.#give();
    const { address, port } = this.#client;
    this.#front.seats.leave(this.#seat);
    this.#front.forget(this, {
      service: this.#settings.service.name,
      instance,
      address,
      port,
      via: this.#via,
      bytesIn: this.#tunnel?.bytesFromClient ?? 0,
      bytesOut: this.#tunnel?.bytesFromUpstream ?? 0,
      durationMs: Math.round(this.#front.clock.now() - this.#openedAt),
      connectMs: Math.round(this.#connectMs),
      tries: this.#tries,
      end,
      fault,
    });
  }
}

function mustSay(who: boolean | AddressRanges | undefined, address: string): boolean {
  if (who === undefined || typeof who === "boolean") return who === true;
  return who.has(address);
}
