/** A server at this hub: which sockets it holds, and which of their events it has got but not yet handled. */
import type { ServerPort } from "./contract.ts";
import type { Outbox } from "./outbox.ts";
import { Queue } from "./queue.ts";
import type { ClientEvent, HubSocket, Seat } from "./socket.ts";

export const SeatState = {
  /** It has not said hello. */
  silent: 0,
  open: 1,
  /** It is about to stop: it holds nothing any more, and may still say things. */
  leaving: 2,
  gone: 3,
} as const;
export type SeatState = (typeof SeatState)[keyof typeof SeatState];

export class ServerSeat implements Seat {
  readonly port: ServerPort;
  readonly #outbox: Outbox;
  readonly sockets = new Map<string, HubSocket>();
  instance = "";
  state: SeatState = SeatState.silent;
  unhandledWeight = 0;
  #seq = 0;
  #unhandled = new Queue<ClientEvent>();

  constructor(port: ServerPort, outbox: Outbox) {
    this.port = port;
    this.#outbox = outbox;
  }

  get open(): boolean {
    return this.state === SeatState.open;
  }

  get unhandled(): number {
    return this.#unhandled.length;
  }

  deliver(event: ClientEvent): void {
    event.seq = ++this.#seq;
    this.#unhandled.push(event);
    this.unhandledWeight += event.weight;
    const { socket, seq, payload, ack } = event;
    this.#outbox.push(this.port, { type: "event", socket: socket.id, seq, payload, ack });
  }

  /** All up to `seq` are handled. An answer that has not been given is this server's to give, and nobody else's. */
  done(seq: number): void {
    for (let event = this.#unhandled.first; event !== null && event.seq <= seq; event = this.#unhandled.first) {
      this.unhandledWeight -= event.weight;
      this.#unhandled.shift();
      const { socket, ack } = event;
      if (ack === null || socket.acks?.has(ack) !== true) continue;
      socket.owed ??= new Map();
      socket.owed.set(ack, this);
    }
  }

  /** Takes away what it has not handled, oldest first. */
  takeUnhandled(): ClientEvent[] {
    const events = [...this.#unhandled];
    this.#unhandled = new Queue();
    this.unhandledWeight = 0;
    return events;
  }
}
