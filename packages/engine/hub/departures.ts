/** How sockets and connections end: one place that takes them out of everything that knows them. */
import { encodeDisconnect } from "@tideway/wire/socketio";
import type { Answers } from "./answers.ts";
import type { ClientConnection } from "./connection.ts";
import type { DisconnectReason } from "./contract.ts";
import { Packet } from "./outgoing.ts";
import type { Registry } from "./registry.ts";
import type { Seating } from "./seating.ts";
import type { Sessions } from "./sessions.ts";
import { type HubSocket, nowhere, type Seat, SocketState } from "./socket.ts";

/** After these the client does not want its session back, or must not have it. */
const finalReasons: ReadonlySet<DisconnectReason> = new Set([
  "client namespace disconnect",
  "server namespace disconnect",
  "parse error",
]);

export class Departures {
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #answers: Answers;
  readonly #seating: Seating;

  constructor(registry: Registry, sessions: Sessions, answers: Answers, seating: Seating) {
    this.#registry = registry;
    this.#sessions = sessions;
    this.#answers = answers;
    this.#seating = seating;
  }

  /** Ends one socket; its server is told. */
  end(socket: HubSocket, reason: DisconnectReason): void {
    if (socket.gone) return;
    const { id, pid, seat } = socket;
    const connection = socket.connection as ClientConnection;
    const { sockets, sessions } = this.#registry;
    if (connection.sockets.get(socket.namespace) === socket) connection.sockets.delete(socket.namespace);
    if (sockets.get(id) === socket) sockets.delete(id);
    if (sessions.get(pid) === socket) sessions.delete(pid);
    const namespace = this.#registry.namespaces.get(socket.namespace);
    const rooms = socket.rooms === null ? null : new Set(socket.rooms);
    if (finalReasons.has(reason)) namespace?.watched?.ended(socket);
    namespace?.remove(socket);
    // Its server, should it linger, is told where it was.
    socket.rooms = rooms;
    this.#sessions.forget(socket);
    if (finalReasons.has(reason)) this.#sessions.drop(socket);
    this.#answers.left(socket);
    if (seat !== null && !connection.closedAlready) {
      connection.former ??= new Set();
      connection.former.add(seat);
    }
    if (!this.#seating.release(socket, reason)) socket.state = SocketState.ended;
    socket.sink = nowhere;
    socket.missed = null;
    socket.acks = null;
    socket.owed = null;
    if (namespace !== undefined) this.#registry.tidy(namespace);
  }

  /** Ends one socket from the server's side: the client is told, and the stock one does not come back by itself. */
  dismiss(socket: HubSocket): void {
    const connection = socket.connection as ClientConnection;
    socket.sink.send(new Packet(encodeDisconnect(socket.namespace)));
    connection.ended(socket.namespace);
    this.end(socket, "server namespace disconnect");
  }

  /** The line is gone: all its sockets with it. */
  lineGone(connection: ClientConnection, reason: DisconnectReason): void {
    if (connection.closedAlready) return;
    connection.closedAlready = true;
    connection.timer?.cancel();
    connection.timer = null;
    this.#registry.connections.delete(connection);
    for (const socket of [...connection.sockets.values()]) this.end(socket, reason);
    const { home, former, line } = connection;
    if (home === null && former === null) return;
    const message = { type: "line-closed", connection: line.id, reason } as const;
    const seats = new Set([...(home === null ? [] : [home]), ...(former ?? [])]);
    for (const seat of seats) this.#registry.surroundings.outbox.push(seat.port, message);
  }

  /**
   * A server is gone, and with it answers that it owed to clients: the handlers have run, perhaps to their end, so the
   * events cannot be given to another. Socket.IO has no packet that says so; but a client whose line ends tells whoever
   * waits ("socket has been disconnected"), comes back, and is recovered. So their lines are closed, and no others.
   */
  leaveUnanswered(seat: Seat): void {
    const lines = new Set<ClientConnection>();
    for (const { owed, connection } of this.#registry.sockets.values()) {
      if (owed === null) continue;
      for (const by of owed.values()) if (by === seat) lines.add(connection as ClientConnection);
    }
    for (const line of lines) this.#closeUnanswered(line);
  }

  /** An answer that this client waits for can no longer reach it: the same is done, for the same reason. */
  leaveWaiting({ connection }: HubSocket): void {
    this.#closeUnanswered(connection as ClientConnection);
  }

  #closeUnanswered(line: ClientConnection): void {
    this.#registry.counters.unanswered++;
    this.closeLine(line, "transport close");
  }

  /** Closes the line of that id, because its server wishes so. Rare: lines are not kept by their ids. */
  closeNamed(id: string): void {
    for (const connection of this.#registry.connections) {
      if (connection.line.id === id) this.closeLine(connection as ClientConnection, "forced close");
    }
  }

  /** Closes a line. The stock client reconnects. */
  closeLine(connection: ClientConnection, reason: DisconnectReason): void {
    if (connection.closedAlready) return;
    this.lineGone(connection, reason);
    connection.line.close(reason);
  }
}
