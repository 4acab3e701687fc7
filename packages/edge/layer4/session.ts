/**
 * Owns one client of a UDP service as the instance sees it: a connected socket of its own, so that answers find back to
 * the client and the system tells when nobody listens. Refuses to know when it has been idle for too long.
 */
import { createSocket, type Socket } from "node:dgram";
import { isIP } from "node:net";
import type { Clock } from "@tideway/base";
import { HealthState } from "@tideway/engine/balancing";
import { UdpEnd } from "./datagrams.ts";
import { numeric } from "./lookup.ts";
import type { Layer4Member, Line } from "./member.ts";

export interface SessionOwner {
  readonly clock: Clock;
  readonly queueMax: number;
  /** How many datagrams answer each one; undefined: nobody knows. */
  readonly responses: number | undefined;
  readonly counts: { dropped: number };
  answer(session: Session, datagram: Buffer): void;
  /** A socket could not be had, for a reason of our own. */
  unopened(error: Error): void;
  ended(session: Session, end: UdpEnd): void;
}

/** Datagrams that wait until the socket is connected, which takes no more than a tick for an address. */
const waitingMax = 16;
/** What the system says when nobody is there. Anything else (too large, a firewall of ours) is not the instance's fault. */
const unreachable: ReadonlySet<string | undefined> = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
]);

export class Session implements Line {
  readonly key: string;
  /** Where the client's datagrams came from. */
  readonly address: string;
  readonly port: number;
  readonly openedAt: number;
  /** When something passed last, and when the owner moved it to the end of its list. */
  activeAt: number;
  listedAt: number;
  datagramsIn = 0;
  datagramsOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  readonly #owner: SessionOwner;
  #member: Layer4Member | null = null;
  #socket: Socket | null = null;
  #waiting: Buffer[] | null = [];
  /** Since when nothing answered the client's datagrams; -1: all that were sent were answered. */
  #askedAt = -1;
  #over = false;

  constructor(key: string, address: string, port: number, owner: SessionOwner) {
    this.key = key;
    this.address = address;
    this.port = port;
    this.#owner = owner;
    this.openedAt = owner.clock.now();
    this.activeAt = this.openedAt;
    this.listedAt = this.openedAt;
  }

  get instance(): string {
    return this.#member?.id ?? "";
  }

  /** `member` has counted it already. */
  open(member: Layer4Member): void {
    const { host, port } = member;
    this.#member = member;
    const socket = createSocket({ type: isIP(host) === 6 ? "udp6" : "udp4", lookup: numeric });
    this.#socket = socket;
    socket.on("error", (error) => this.#failed(error));
    socket.on("message", (datagram) => this.#answered(datagram));
    socket.on("connect", () => {
      const waiting = this.#waiting ?? [];
      this.#waiting = null;
      for (const datagram of waiting) this.#send(datagram);
    });
    socket.connect(port, host);
  }

  /** True when its instance went down after it began: what the client sends had better go elsewhere. */
  get isStranded(): boolean {
    const { health } = this.#member!;
    return health.state === HealthState.down && health.since > this.openedAt;
  }

  /** True when responses were due and not one came since the client asked. */
  get isUnanswered(): boolean {
    return this.#askedAt >= 0 && (this.#owner.responses ?? 0) > 0;
  }

  forward(datagram: Buffer, now: number): void {
    this.activeAt = now;
    this.datagramsIn++;
    this.bytesIn += datagram.length;
    if (this.#askedAt < 0) this.#askedAt = now;
    if (this.#waiting === null) this.#send(datagram);
    else if (this.#waiting.length < waitingMax && !this.#over) this.#waiting.push(datagram);
    else this.#owner.counts.dropped++;
  }

  breakOff(): void {
    this.end(UdpEnd.brokenOff);
  }

  /** Its instance has failed when it was silent or refused. */
  end(end: UdpEnd, why: string = end): void {
    if (this.#over) return;
    this.#over = true;
    const member = this.#member!;
    if (end === UdpEnd.silent || end === UdpEnd.refused) {
      member.failed(why, end === UdpEnd.refused, Math.max(this.#askedAt, this.openedAt));
    }
    this.#socket?.close();
    member.leave(this);
    this.#owner.ended(this, end);
  }

  #send(datagram: Buffer): void {
    const socket = this.#socket!;
    if (this.#over) return;
    if (socket.getSendQueueCount() >= this.#owner.queueMax) this.#owner.counts.dropped++;
    else socket.send(datagram, this.#sent);
  }

  readonly #sent = (error: Error | null): void => {
    if (error !== null) this.#failed(error);
  };

  #failed(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    if (unreachable.has(error.code)) this.end(UdpEnd.refused, error.code);
    else if (this.#waiting === null) this.#owner.counts.dropped++;
    else {
      // It never came to be: no descriptor was left, for example.
      this.#owner.counts.dropped += this.#waiting.length;
      this.#owner.unopened(error);
      this.end(UdpEnd.brokenOff);
    }
  }

  #answered(datagram: Buffer): void {
    if (this.#over) return;
    const now = this.#owner.clock.now();
    this.activeAt = now;
    this.datagramsOut++;
    this.bytesOut += datagram.length;
    if (this.#askedAt >= 0) {
      this.#member!.answered(now - this.#askedAt, now);
      this.#askedAt = -1;
    }
    this.#owner.answer(this, datagram);
    const { responses = 0 } = this.#owner;
    if (responses > 0 && this.datagramsOut >= responses * this.datagramsIn) this.end(UdpEnd.answered);
  }
}
