/**
 * Which server holds which socket: new ones go to the least loaded; when a server goes away, its sockets and the events
 * that it has not handled go to another, or wait for the next. The clients see nothing of it.
 */
import type { Timer } from "@tideway/base";
import { assert } from "@tideway/base";
import type { DisconnectReason, ServerPort } from "./contract.ts";
import type { Registry } from "./registry.ts";
import { SeatState, ServerSeat } from "./seat.ts";
import { type ClientEvent, type HubSocket, SocketState } from "./socket.ts";

/** Sockets that lost their server at the same moment, and until when they wait. */
interface Wave {
  readonly sockets: Set<HubSocket>;
  timer: Timer | null;
}

export class Seating {
  readonly #registry: Registry;
  readonly #giveUp: (socket: HubSocket, reason: DisconnectReason) => void;
  readonly seats = new Set<ServerSeat>();
  /** Sockets that no server is there for, in the order in which they came. */
  readonly unseated = new Set<HubSocket>();
  readonly #waves = new Set<Wave>();
  readonly #waveOf = new Map<HubSocket, Wave>();
  /** Why a lingering socket ended, by its id: its next server is told after its last events. */
  readonly #lingering = new Map<string, { readonly socket: HubSocket; readonly reason: DisconnectReason }>();

  /** `giveUp` closes a socket's connection: nobody came for it, or it has too much waiting. */
  constructor(registry: Registry, giveUp: (socket: HubSocket, reason: DisconnectReason) => void) {
    this.#registry = registry;
    this.#giveUp = giveUp;
  }

  attach(port: ServerPort): ServerSeat {
    const seat = new ServerSeat(port, this.#registry.surroundings.outbox);
    this.seats.add(seat);
    return seat;
  }

  /** The server can be given sockets from now on. */
  open(seat: ServerSeat, instance: string): void {
    if (seat.state !== SeatState.silent) return;
    seat.state = SeatState.open;
    seat.instance = instance;
    const waiting = [...this.unseated];
    this.unseated.clear();
    for (const socket of waiting) this.place(socket);
  }

  /** Asks the least loaded server to take the socket; it waits when there is none. */
  place(socket: HubSocket): void {
    const { home } = socket.connection;
    const seat = home?.open === true ? (home as ServerSeat) : this.#leastLoaded();
    socket.seat = seat;
    if (seat === null) {
      if (socket.state < SocketState.accepted) socket.state = SocketState.waiting;
      this.unseated.add(socket);
      return;
    }
    seat.sockets.set(socket.id, socket);
    const handover = socket.state >= SocketState.connected;
    if (handover && socket.state !== SocketState.lingering) socket.state = SocketState.moving;
    if (!handover) socket.state = SocketState.arriving;
    if (handover) this.#registry.counters.handovers++;
    const recovered = handover || socket.recovered;
    const { line, handshake } = socket.connection;
    this.#registry.surroundings.outbox.push(seat.port, {
      type: "connect",
      socket: socket.id,
      connection: line.id,
      transport: line.transport,
      namespace: socket.namespace,
      handshake,
      auth: socket.auth,
      recovered,
      handover,
      rooms: recovered ? socket.roomNames : [],
      data: socket.data,
    });
  }

  /** The new server has taken it: it gets what waited. */
  settle(socket: HubSocket): void {
    this.#leaveWave(socket);
    const events = socket.events ?? [];
    socket.events = null;
    socket.eventsWeight = 0;
    if (socket.state === SocketState.moving) socket.state = SocketState.connected;
    for (const event of events) this.#give(socket, event);
    if (socket.state === SocketState.lingering) this.#finishLingering(socket);
  }

  /** Its server went away while its CONNECT waited for the store. */
  orphan(socket: HubSocket): void {
    socket.state = SocketState.orphaned;
    this.#startWave([socket]);
    this.place(socket);
  }

  /** The server does not want it. */
  refused(socket: HubSocket): void {
    this.#leaveWave(socket);
    socket.seat?.sockets.delete(socket.id);
    socket.seat = null;
    socket.events = null;
    socket.eventsWeight = 0;
    if (socket.state !== SocketState.lingering) return;
    this.#lingering.delete(socket.id);
    socket.state = SocketState.ended;
  }

  /** A client's event, for its server or the next one. */
  deliver(event: ClientEvent): void {
    const { socket, weight } = event;
    const { limits } = this.#registry.surroundings;
    if (socket.state === SocketState.connected) {
      const seat = socket.seat as ServerSeat;
      if (seat.unhandledWeight + weight <= limits.unhandledBytesMax || seat.unhandled === 0) seat.deliver(event);
      else this.#overflow(socket);
      return;
    }
    this.#wait(socket, event);
    if (socket.eventsWeight > limits.handoverQueueBytesMax) this.#overflow(socket);
  }

  /** The socket ends. True when it lingers: its next server has events of its to handle, and is told then. */
  release(socket: HubSocket, reason: DisconnectReason): boolean {
    this.#leaveWave(socket);
    if (socket.events !== null && (socket.state !== SocketState.accepted || socket.seat === null)) {
      this.#linger(socket, reason);
      return true;
    }
    // Its server has taken it, and can have what waited for its CONNECT.
    for (const event of socket.events ?? []) this.#give(socket, event);
    socket.events = null;
    this.#unseat(socket, reason);
    return false;
  }

  /** A client has taken up the session of a socket that lingers: it gets its events too. */
  adopt(socket: HubSocket): void {
    const left = this.#lingering.get(socket.id);
    if (left === undefined) return;
    this.#lingering.delete(socket.id);
    this.#leaveWave(left.socket);
    // Older than what came back to the socket itself meanwhile.
    const own = socket.events ?? [];
    socket.events = null;
    socket.eventsWeight = 0;
    for (const event of [...(left.socket.events ?? []), ...own]) this.#wait(socket, { ...event, socket });
    left.socket.events = null;
    this.#unseat(left.socket, left.reason);
    left.socket.state = SocketState.ended;
  }

  /** The server is gone, or about to go: what was its is others'. */
  close(seat: ServerSeat, state: SeatState): void {
    if (seat.state >= state) return;
    const held = seat.state < SeatState.leaving;
    seat.state = state;
    if (state === SeatState.gone) this.seats.delete(seat);
    if (!held) return;
    const sockets = [...seat.sockets.values()];
    seat.sockets.clear();
    for (const socket of sockets) {
      socket.seat = null;
      if (socket.state === SocketState.connected || socket.state === SocketState.moving) {
        socket.state = SocketState.orphaned;
      }
    }
    const lingering = this.#takeBack(seat.takeUnhandled());
    this.#startWave(sockets.filter((socket) => socket.state >= SocketState.orphaned).concat(lingering));
    // Those accepted already have their turn when their CONNECT goes out.
    for (const socket of sockets) if (socket.state !== SocketState.accepted) this.place(socket);
    for (const socket of lingering) this.place(socket);
  }

  /** Ends all waiting. */
  stop(): void {
    for (const wave of this.#waves) wave.timer?.cancel();
    this.#waves.clear();
    this.#waveOf.clear();
    this.#lingering.clear();
    this.unseated.clear();
  }

  get lingering(): number {
    return this.#lingering.size;
  }

  #leastLoaded(): ServerSeat | null {
    let least: ServerSeat | null = null;
    for (const seat of this.seats) {
      if (seat.open && (least === null || seat.sockets.size < least.sockets.size)) least = seat;
    }
    return least;
  }

  #give(socket: HubSocket, event: ClientEvent): void {
    const seat = socket.seat as ServerSeat;
    seat.deliver(event);
  }

  #wait(socket: HubSocket, event: ClientEvent): void {
    socket.events ??= [];
    socket.events.push(event);
    socket.eventsWeight += event.weight;
  }

  #overflow(socket: HubSocket): void {
    this.#registry.counters.overflows++;
    this.#giveUp(socket, "forced close");
  }

  /** Events that a server had and did not handle. Returns sockets that are no more, but for these. */
  #takeBack(events: readonly ClientEvent[]): HubSocket[] {
    const lingering: HubSocket[] = [];
    for (const event of events) {
      const { socket } = event;
      if (!socket.gone) {
        this.#wait(socket, event);
        continue;
      }
      const heir = this.#registry.sockets.get(socket.id);
      if (heir !== undefined) {
        this.#inherit(heir, { ...event, socket: heir, ack: null });
        continue;
      }
      // The same client may have been here twice.
      const left = this.#lingering.get(socket.id)?.socket;
      if (left !== undefined) {
        this.#wait(left, { ...event, socket: left });
        continue;
      }
      this.#wait(socket, event);
      this.#lingering.set(socket.id, { socket, reason: "transport close" });
      socket.state = SocketState.lingering;
      lingering.push(socket);
    }
    return lingering;
  }

  /** The same client's socket after it came back. */
  #inherit(heir: HubSocket, event: ClientEvent): void {
    if (heir.state === SocketState.connected && heir.seat?.open === true) this.#give(heir, event);
    else this.#wait(heir, event);
  }

  #linger(socket: HubSocket, reason: DisconnectReason): void {
    this.#lingering.set(socket.id, { socket, reason });
    socket.state = SocketState.lingering;
    this.#startWave([socket]);
    if (socket.seat === null && !this.unseated.has(socket)) this.place(socket);
  }

  #finishLingering(socket: HubSocket): void {
    const left = this.#lingering.get(socket.id);
    if (left?.socket === socket) this.#lingering.delete(socket.id);
    this.#unseat(socket, left?.reason ?? "transport close");
    socket.state = SocketState.ended;
  }

  #unseat(socket: HubSocket, reason: DisconnectReason): void {
    this.unseated.delete(socket);
    const { seat } = socket;
    if (seat === null) return;
    socket.seat = null;
    seat.sockets.delete(socket.id);
    this.#registry.surroundings.outbox.push(seat.port, { type: "disconnect", socket: socket.id, reason });
  }

  /* ---------------------------------------------------------------- how long they wait */

  #startWave(sockets: readonly HubSocket[]): void {
    if (sockets.length === 0) return;
    const wave: Wave = { sockets: new Set(sockets), timer: null };
    for (const socket of sockets) {
      this.#leaveWave(socket);
      this.#waveOf.set(socket, wave);
    }
    this.#waves.add(wave);
    const { clock, handoverMs } = this.#registry.surroundings;
    wave.timer = clock.after(handoverMs, () => this.#expire(wave));
  }

  #leaveWave(socket: HubSocket): void {
    const wave = this.#waveOf.get(socket);
    if (wave === undefined) return;
    this.#waveOf.delete(socket);
    wave.sockets.delete(socket);
    if (wave.sockets.size > 0) return;
    wave.timer?.cancel();
    this.#waves.delete(wave);
  }

  #expire(wave: Wave): void {
    const { outbox, logger } = this.#registry.surroundings;
    const sockets = [...wave.sockets];
    logger.warn({ sockets: sockets.length }, "hub: no server came for these sockets; their connections are closed");
    outbox.run(() => {
      for (const socket of sockets) {
        this.#leaveWave(socket);
        // What waited has had its time.
        socket.events = null;
        socket.eventsWeight = 0;
        if (socket.state === SocketState.lingering) this.#finishLingering(socket);
        else this.#giveUp(socket, "forced server close");
      }
    });
  }

  /** Throws when sockets and seats disagree. For tests, after each transition. */
  assertInvariants(): void {
    for (const seat of this.seats) {
      assert(seat.open || seat.sockets.size === 0, "only an open server holds sockets");
      for (const [id, socket] of seat.sockets) {
        assert(socket.seat === seat && socket.id === id && !this.unseated.has(socket), `${id} sits here`);
        assert(socket.state !== SocketState.ended, `${id} is alive`);
      }
    }
    for (const socket of this.unseated) {
      assert(socket.seat === null, `${socket.id} waits for a server`);
      assert(
        socket.state !== SocketState.connected && socket.state !== SocketState.ended,
        `${socket.id} is in between`,
      );
    }
    for (const socket of this.#registry.sockets.values()) {
      if (socket.state === SocketState.connected) assert(socket.seat !== null, `${socket.id} has a server`);
    }
    for (const wave of this.#waves) assert(wave.sockets.size > 0, "a wave has sockets");
  }
}
