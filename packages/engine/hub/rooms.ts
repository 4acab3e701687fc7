/**
 * What servers do to sockets through the namespace's order: rooms, ends, questions about who is there, data.
 *
 * A change by a single socket's id is known at once and stored at once, ahead of later emits. One by a selector is known
 * only in its turn; until then nothing later is given to the store. So an event that is committed always implies the
 * memberships that were there before it.
 */
import type { ClientConnection } from "./connection.ts";
import type { FoundSocket, Selector } from "./contract.ts";
import type { Departures } from "./departures.ts";
import type { Namespace } from "./namespace.ts";
import type { Registry } from "./registry.ts";
import type { ServerSeat } from "./seat.ts";
import { atCommit } from "./session.ts";
import type { Sessions } from "./sessions.ts";
import type { HubSocket } from "./socket.ts";

export const RoomChange = { join: 0, leave: 1 } as const;
export type RoomChange = (typeof RoomChange)[keyof typeof RoomChange];

export class Rooms {
  readonly #registry: Registry;
  readonly #sessions: Sessions;
  readonly #departures: Departures;

  constructor(registry: Registry, sessions: Sessions, departures: Departures) {
    this.#registry = registry;
    this.#sessions = sessions;
    this.#departures = departures;
  }

  change(seat: ServerSeat, change: RoomChange, to: Selector, rooms: readonly string[]): void {
    const namespace = this.#registry.stream(to.namespace);
    const { pipeline } = namespace;
    const socket = single(namespace, to);
    if (socket !== null && !pipeline.barred) {
      const apply = this.#plan(namespace, socket, change, rooms, pipeline.idle ? namespace.lastSeq : atCommit);
      pipeline.run(() => apply(socket.seat === seat ? null : seat));
      return;
    }
    const inTurn = () => {
      for (const found of namespace.select(to)) {
        const own = found === socket && found.seat === seat;
        this.#plan(namespace, found, change, rooms, namespace.lastSeq)(own ? null : seat);
      }
    };
    if (this.#registry.surroundings.recovery) pipeline.runBefore(inTurn);
    else pipeline.run(inTurn);
  }

  close(to: Selector, connection: boolean): void {
    const namespace = this.#registry.namespaces.get(to.namespace);
    namespace?.pipeline.run(() => {
      for (const socket of namespace.select(to)) {
        const line = socket.connection as ClientConnection;
        if (connection) this.#departures.closeLine(line, "forced server close");
        else this.#departures.dismiss(socket);
      }
    });
  }

  expel(to: Selector): void {
    const namespace = this.#registry.namespaces.get(to.namespace);
    namespace?.pipeline.run(() => {
      for (const { connection } of namespace.select(to)) {
        const line = connection as ClientConnection;
        for (const socket of [...line.sockets.values()]) this.#departures.dismiss(socket);
        this.#departures.closeLine(line, "forced server close");
      }
    });
  }

  find(seat: ServerSeat, request: number, to: Selector): void {
    const { outbox } = this.#registry.surroundings;
    const namespace = this.#registry.namespaces.get(to.namespace);
    if (namespace === undefined) {
      outbox.push(seat.port, { type: "found", request, sockets: [] });
      return;
    }
    namespace.pipeline.run(() => {
      const sockets = namespace.select(to).map(describe);
      outbox.push(seat.port, { type: "found", request, sockets });
    });
  }

  /** Where the stream is, behind what went in before. */
  where(seat: ServerSeat, request: number, name: string): void {
    const namespace = this.#registry.stream(name);
    namespace.pipeline.run(() => {
      this.#registry.surroundings.outbox.push(seat.port, { type: "place", request, offset: namespace.offset });
    });
  }

  keepData(seat: ServerSeat, id: string, data: string): void {
    const socket = seat.sockets.get(id);
    const { limits, logger } = this.#registry.surroundings;
    if (socket === undefined || socket.data === data) return;
    if (data.length > limits.dataLengthMax) {
      const fields = { socket: id, length: data.length, lengthMax: limits.dataLengthMax };
      logger.warn(fields, "hub: the data of a socket is too long; it is not kept");
      return;
    }
    socket.data = data;
    this.#registry.namespaces.get(socket.namespace)?.watched?.renamed(socket);
    this.#sessions.save(socket);
  }

  /** Writes the change into the session; what is returned makes it true, and tells the socket's server if `by` is set. */
  #plan(
    namespace: Namespace,
    socket: HubSocket,
    change: RoomChange,
    rooms: readonly string[],
    seq: number,
  ): (by: ServerSeat | null) => void {
    const { roomsPerSocketMax } = this.#registry.surroundings.limits;
    const allowed = change === RoomChange.join ? this.#admit(socket, rooms) : rooms;
    const settled = this.#remember(socket, change, allowed, seq);
    return (by) => {
      if (socket.gone) return;
      const changed =
        change === RoomChange.join
          ? allowed.filter((room) => (socket.rooms?.size ?? 0) < roomsPerSocketMax && namespace.join(socket, room))
          : allowed.filter((room) => namespace.leave(socket, room));
      for (const settle of settled) settle(namespace.lastSeq);
      if (by === null || changed.length === 0 || socket.seat === null) return;
      const none: readonly string[] = [];
      this.#registry.surroundings.outbox.push(socket.seat.port, {
        type: "rooms",
        socket: socket.id,
        joined: change === RoomChange.join ? changed : none,
        left: change === RoomChange.join ? none : changed,
      });
    };
  }

  /** Which of the rooms there is room for. Its server, who takes it to be in all of them, is told of the others. */
  #admit(socket: HubSocket, rooms: readonly string[]): readonly string[] {
    const { limits, logger, outbox } = this.#registry.surroundings;
    const { session } = socket;
    const isIn = (room: string) => room === socket.id || (session?.has(room) ?? socket.rooms?.has(room) ?? false);
    let free = limits.roomsPerSocketMax - (session?.size ?? socket.rooms?.size ?? 0);
    // The common case: no list is made.
    if (rooms.length <= free) return rooms;
    const refused: string[] = [];
    const allowed = rooms.filter((room) => {
      if (isIn(room) || free-- > 0) return true;
      refused.push(room);
      return false;
    });
    if (refused.length === 0) return rooms;
    if (this.#registry.counters.refusedJoins++ === 0) {
      const fields = { socket: socket.id, roomsMax: limits.roomsPerSocketMax };
      logger.warn(fields, "hub: a socket is in too many rooms, and is not put into more; said once");
    }
    const { id, seat } = socket;
    if (seat !== null) outbox.push(seat.port, { type: "rooms", socket: id, joined: [], left: refused });
    return allowed;
  }

  #remember(
    socket: HubSocket,
    change: RoomChange,
    rooms: readonly string[],
    seq: number,
  ): readonly ((seq: number) => void)[] {
    const { session } = socket;
    if (session === null) return [];
    const settled: ((seq: number) => void)[] = [];
    for (const room of rooms) {
      if (room === socket.id) continue;
      if (change === RoomChange.join) {
        if (!session.has(room)) settled.push(session.join(room, seq));
      } else {
        const settle = session.leave(room, seq);
        if (settle !== null) settled.push(settle);
      }
    }
    if (settled.length > 0) this.#sessions.save(socket);
    return settled;
  }
}

/** The one socket that a selector names by its id; null when it may mean others. */
function single(namespace: Namespace, to: Selector): HubSocket | null {
  const [room] = to.rooms;
  if (room === undefined || to.rooms.length > 1 || to.except.length > 0 || namespace.rooms.has(room)) return null;
  return namespace.sockets.get(room) ?? null;
}

function describe(socket: HubSocket): FoundSocket {
  const { id, connection, auth, data } = socket;
  return { id, handshake: connection.handshake, auth, rooms: socket.roomNames, data };
}
