/**
 * A client comes into a namespace: CONNECT, a server's word, the session's record, the answer. What is sent to it
 * meanwhile is held back, so that CONNECT is always first.
 */
import { encodeConnect, encodeConnectError, isTooDeep } from "@tideway/wire/socketio";
import type { ClientConnection } from "./connection.ts";
import type { Departures } from "./departures.ts";
import { HoldBack } from "./hold-back.ts";
import type { Namespace } from "./namespace.ts";
import { Packet } from "./outgoing.ts";
import type { Recovery } from "./recovery.ts";
import type { Registry } from "./registry.ts";
import type { ServerSeat } from "./seat.ts";
import type { Seating } from "./seating.ts";
import { atCommit, SessionMemory } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import { HubSocket, type Sink, SocketState } from "./socket.ts";

export class Arrivals {
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #seating: Seating;
  readonly #departures: Departures;
  readonly #recovery: Recovery;

  constructor(registry: Registry, sessions: Sessions, seating: Seating, departures: Departures, recovery: Recovery) {
    this.#registry = registry;
    this.#sessions = sessions;
    this.#seating = seating;
    this.#departures = departures;
    this.#recovery = recovery;
  }

  /** A line has opened: its client must come into a namespace in time. */
  watch(connection: ClientConnection): void {
    const { clock, connectTimeoutMs } = this.#registry.surroundings;
    connection.timer ??= clock.after(connectTimeoutMs, () => this.#expire(connection));
  }

  /** CONNECT. False when its auth is not JSON. */
  begin(connection: ClientConnection, namespace: string, auth: string): boolean {
    const claims = readAuth(auth);
    if (claims === null) return false;
    const { random, clock, recovery, limits } = this.#registry.surroundings;
    const socket = new HubSocket(random.id(), namespace, connection, auth, clock.now());
    connection.sockets.set(namespace, socket);
    this.watch(connection);
    const { pid, offset } = claims;
    if (!recovery || typeof pid !== "string" || pid.length === 0 || pid.length > limits.pidLengthMax) {
      this.#startNew(socket);
      return true;
    }
    socket.state = SocketState.recovering;
    const holdBack = (held: HubSocket) => this.#holdBack(held);
    this.#recovery.begin(socket, pid, offset, holdBack, (recovered) => {
      if (recovered) this.#seating.place(socket);
      else this.#startNew(socket);
    });
    return true;
  }

  accept(seat: ServerSeat, id: string): void {
    const socket = seat.sockets.get(id);
    if (socket === undefined) return;
    if (socket.state === SocketState.moving || socket.state === SocketState.lingering) {
      this.#seating.settle(socket);
      return;
    }
    if (socket.state !== SocketState.arriving) return;
    socket.state = SocketState.accepted;
    const namespace = this.#registry.stream(socket.namespace);
    const { session } = socket;
    if (session === null || socket.recovered) {
      if (session !== null) this.#sessions.takeUp(socket);
      namespace.pipeline.run(() => this.#welcome(socket, namespace));
      return;
    }
    socket.pid = this.#registry.surroundings.random.id(18);
    this.#registry.sessions.set(socket.pid, socket);
    session.startSeq = namespace.pipeline.idle ? namespace.lastSeq : atCommit;
    const { pid, namespace: name } = socket;
    namespace.pipeline.ask<boolean>(
      (done) => this.#sessions.begin(socket, session.record(pid, socket.id, name, socket.data), done),
      (saved) => {
        this.#settleSession(socket, namespace, session, saved);
        this.#welcome(socket, namespace);
      },
    );
  }

  refuse(seat: ServerSeat, id: string, message: string, data: string): void {
    const socket = seat.sockets.get(id);
    if (socket === undefined) return;
    const { state } = socket;
    this.#seating.refused(socket);
    if (state === SocketState.lingering) return;
    // Taken over from another server and not wanted: it comes back and is asked the proper question.
    if (state !== SocketState.arriving) {
      this.#departures.closeLine(socket.connection as ClientConnection, "forced server close");
      return;
    }
    this.#turnAway(socket, message, data);
  }

  #startNew(socket: HubSocket): void {
    const { recovery, limits } = this.#registry.surroundings;
    if (recovery) socket.session = new SessionMemory(atCommit, limits.pastMembershipsMax);
    socket.sink = this.#holdBack(socket);
    this.#registry.sockets.set(socket.id, socket);
    this.#registry.namespace(socket.namespace).sockets.set(socket.id, socket);
    this.#seating.place(socket);
  }

  #settleSession(socket: HubSocket, namespace: Namespace, session: SessionMemory, saved: boolean): void {
    if (socket.gone) return;
    if (session.startSeq === atCommit) session.startSeq = namespace.lastSeq;
    if (saved) return;
    // No room for the record: the session cannot be taken up later.
    this.#registry.sessions.delete(socket.pid);
    socket.pid = "";
    socket.session = null;
  }

  /**
   * It is in: CONNECT, what it missed, what was held back. The reference sends what was missed before CONNECT; but a client
   * keeps that for later and its offset stays, so a line that breaks between the two would bring the same events again.
   */
  #welcome(socket: HubSocket, namespace: Namespace): void {
    if (socket.gone) return;
    const { line } = socket.connection;
    namespace.members.add(socket);
    const identity = socket.pid === "" ? { sid: socket.id } : { sid: socket.id, pid: socket.pid };
    line.send(new Packet(encodeConnect(socket.namespace, JSON.stringify(identity))));
    for (const packet of socket.missed ?? []) line.send(packet);
    socket.missed = null;
    const held = socket.sink;
    socket.sink = line;
    if (held instanceof HoldBack) held.release(line);
    socket.state = SocketState.connected;
    this.#arrived(socket.connection as ClientConnection);
    if (socket.seat === null) this.#seating.orphan(socket);
    else if (socket.events !== null) this.#seating.settle(socket);
  }

  #turnAway(socket: HubSocket, message: string, data: string): void {
    const json = `{"message":${JSON.stringify(message)}${data === "" ? "" : `,"data":${data}`}}`;
    socket.connection.line.send(new Packet(encodeConnectError(socket.namespace, json)));
    this.#departures.end(socket, "server namespace disconnect");
  }

  #holdBack(socket: HubSocket): Sink {
    const { limits } = this.#registry.surroundings;
    return new HoldBack(
      limits.holdBackBytesMax,
      () => {
        // An event for a client whose session begins only later: it must be found again from here on.
        const { session, namespace } = socket;
        if (session === null || socket.recovered || socket.state === SocketState.recovering) return;
        const seq = this.#registry.namespace(namespace).lastSeq;
        session.join(socket.id, Math.max(0, seq - 1));
      },
      () => {
        this.#registry.counters.overflows++;
        this.#departures.closeLine(socket.connection as ClientConnection, "slow consumer");
      },
    );
  }

  #arrived(connection: ClientConnection): void {
    for (const socket of connection.sockets.values()) if (!socket.isIn) return;
    connection.timer?.cancel();
    connection.timer = null;
  }

  #expire(connection: ClientConnection): void {
    const { clock, connectTimeoutMs, outbox } = this.#registry.surroundings;
    connection.timer = null;
    const sockets = [...connection.sockets.values()];
    outbox.run(() => {
      if (!sockets.some((socket) => socket.isIn)) {
        this.#departures.closeLine(connection, "forced server close");
        return;
      }
      for (const socket of sockets) {
        if (socket.isIn) continue;
        if (clock.now() - socket.since >= connectTimeoutMs) this.#turnAway(socket, "timeout", "");
        else this.watch(connection);
      }
    });
  }
}

/** What a CONNECT packet claims; null when it is not JSON, or nested deeper than arguments may be. */
function readAuth(auth: string): { pid?: unknown; offset?: unknown } | null {
  if (auth === "") return {};
  if (isTooDeep(auth)) return null;
  try {
    const parsed: unknown = JSON.parse(auth);
    return typeof parsed === "object" && parsed !== null ? parsed : null;
  } catch {
    return null;
  }
}
