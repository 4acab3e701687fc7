/**
 * Who comes in: a connection that was accepted gets a place, with its PROXY header first where one is due, or is turned
 * away with an answer. Owns those that wait for their header and those that are turned away; the census counts.
 */
import type { Socket } from "node:net";
import { type ClientInfo, Repeats } from "@tideway/base";
import type { Census } from "./census.ts";
import { clientOf, Peer } from "./client.ts";
import { Connection } from "./connection.ts";
import { LINGER_STOPPING_MS } from "./contract.ts";
import { Preamble } from "./preamble.ts";
import { refusal } from "./refusal.ts";
import type { Shared } from "./shared.ts";
import { Incoming } from "./stream.ts";

const nothing = Buffer.alloc(0);

/** Why somebody is turned away, with what is answered. */
const Reason = {
  connections: { status: 503, code: "CONNECTIONS", message: "too many connections are open" },
  descriptors: { status: 503, code: "DESCRIPTORS", message: "the process runs out of descriptors" },
  address: { status: 429, code: "CONNECTIONS_PER_ADDRESS", message: "too many connections from one address" },
} as const;
type Reason = (typeof Reason)[keyof typeof Reason];

export class Door {
  readonly #shared: Shared;
  readonly #census: Census;
  readonly #repeats: Repeats;
  readonly #waiting = new Set<Preamble>();
  /** Turned away, and since when: so that what the client sent meanwhile makes no reset that overtakes its answer. */
  readonly #leaving = new Map<Socket, number>();

  constructor(shared: Shared) {
    this.#shared = shared;
    this.#census = shared.census;
    this.#repeats = new Repeats(shared.clock);
  }

  /** Connections whose PROXY header is not whole. */
  get waiting(): number {
    return this.#waiting.size;
  }

  accept(socket: Socket): void {
    const shared = this.#shared;
    shared.counters.accepted++;
    const peer = clientOf(socket);
    if (!this.#census.enter() && !(this.#shed() && this.#census.enter())) {
      this.#turnAway(socket, peer, this.#census.descriptorsShort ? Reason.descriptors : Reason.connections);
    } else if (!shared.wantsHeader(peer.address)) this.#admit(new Incoming(socket), peer, peer, nothing);
    else this.#waiting.add(new Preamble(new Incoming(socket), peer, shared, this));
  }

  /** A PROXY header told whose connection it is; `rest` came behind it. */
  ready(preamble: Preamble, incoming: Incoming, peer: ClientInfo, client: ClientInfo, rest: Buffer): void {
    this.#waiting.delete(preamble);
    this.#admit(incoming, peer, client, rest);
  }

  /** No connection comes of it: `code` says why, empty when its other end closed. */
  lost(preamble: Preamble, peer: ClientInfo, code: string, section: string, message: string): void {
    if (!this.#waiting.delete(preamble)) return;
    this.#census.leave("");
    const { counters, logger } = this.#shared;
    if (code === "") return;
    counters.refused++;
    this.#repeats.note(code, (times) => {
      const fields = { address: peer.address, code, section: `PROXY protocol §${section}`, times };
      logger.info(fields, `connection refused: ${message}`);
    });
  }

  /** About once a second. */
  sweep(now: number): void {
    for (const preamble of this.#waiting) preamble.sweep(now);
    for (const [socket, since] of this.#leaving) if (now - since >= LINGER_STOPPING_MS) socket.destroy();
    const shed = this.#census.sweep(now);
    if (shed > 0) this.#noteShed(shed, "idle connections were closed: the process runs out of descriptors");
    this.#repeats.sweep(now);
  }

  /** Nobody comes in any more. */
  close(): void {
    for (const preamble of this.#waiting) preamble.breakOff();
    for (const socket of this.#leaving.keys()) socket.destroy();
  }

  acceptingFailed(error: Error): void {
    const { code = error.message } = error as NodeJS.ErrnoException;
    this.#repeats.note(code, (times) => this.#shared.logger.error({ err: error, times }, "accepting failed"));
  }

  #admit(incoming: Incoming, peer: ClientInfo, client: ClientInfo, rest: Buffer): void {
    const seat = this.#census.claim(client.address);
    if (seat === null) {
      this.#census.leave("");
      this.#turnAway(incoming.socket, client, Reason.address);
      return;
    }
    const whose = new Peer(client, peer.address, seat, this.#shared.trusts);
    const connection = new Connection(incoming, this.#shared, whose);
    this.#shared.connections.add(connection);
    if (rest.length > 0) connection.onRead(rest);
  }

  #shed(): boolean {
    const shed = this.#census.makeRoom(this.#shared.clock.now());
    if (shed > 0) this.#noteShed(shed, "idle connections were closed to make room");
    return shed > 0;
  }

  #noteShed(shed: number, message: string): void {
    const { counters, logger } = this.#shared;
    counters.shed += shed;
    this.#repeats.note(message, (times) => logger.info({ connections: this.#census.total, times }, message));
  }

  #turnAway(socket: Socket, client: ClientInfo, reason: Reason): void {
    const shared = this.#shared;
    const { status, code, message } = reason;
    shared.counters.shed++;
    const id = shared.nextId();
    this.#repeats.note(code, (times) => {
      const fields = { id, address: client.address, code, connections: this.#census.total, times };
      shared.logger.warn(fields, `connection turned away: ${message}`);
    });
    socket.on("error", () => socket.destroy());
    // Written before this returns: there is nothing before it.
    socket.end(refusal(status, null, id, "", shared.dateLine()), "latin1");
    if (this.#leaving.size < this.#census.leavingMax) {
      this.#leaving.set(socket, shared.clock.now());
      socket.on("close", () => this.#leaving.delete(socket));
      socket.resume();
      // Its descriptor is free at once, for a flood is accepted in one go.
    } else socket.destroy();
  }
}
