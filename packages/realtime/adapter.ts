/**
 * `namespace.adapter`: the rooms of a namespace's sockets on this server, as Socket.IO's adapter shows them, with its events
 * `create-room`, `join-room`, `leave-room` and `delete-room`. A view: the hub decides who is in a room and delivers. It is made
 * when somebody asks for it; a server that never does pays nothing.
 *
 * Not here, because the hub has taken their place: `broadcastWithAck`, `persistSession` and `restoreSession`.
 */
import { EventEmitter } from "node:events";
import type { BroadcastOperator, RemoteSocket, Room, SocketId } from "./broadcast-operator.ts";
import type { Any } from "./typed-events.ts";
import { callListeners } from "./user-code.ts";

export interface BroadcastOptions {
  readonly rooms: ReadonlySet<Room>;
  readonly except?: ReadonlySet<Room>;
  readonly flags?: {
    readonly volatile?: boolean;
    readonly compress?: boolean;
    readonly local?: boolean;
    readonly broadcast?: boolean;
    readonly binary?: boolean;
    readonly timeout?: number;
  };
}

interface MemberSocket {
  readonly id: SocketId;
  readonly rooms: ReadonlySet<Room>;
  join(rooms: Room[]): unknown;
  leave(room: Room): unknown;
}

/** What an adapter needs of its namespace. */
export interface AdapterOwner {
  readonly name: string;
  /** Every socket of the namespace that this server holds, those that are not let in yet too. */
  _members(): Iterable<MemberSocket>;
  _member(id: SocketId): MemberSocket | undefined;
  _audience(options: BroadcastOptions): BroadcastOperator<Any, Any>;
  serverSideEmit(event: string, ...args: unknown[]): boolean;
}

export class Adapter extends EventEmitter {
  readonly nsp: AdapterOwner;
  readonly rooms: Map<Room, Set<SocketId>> = new Map();
  readonly sids: Map<SocketId, Set<Room>> = new Map();

  constructor(nsp: AdapterOwner) {
    super();
    this.nsp = nsp;
    for (const { id, rooms } of nsp._members()) for (const room of rooms) this.#put(id, room);
  }

  init(): void {}

  close(): void {}

  addAll(id: SocketId, rooms: ReadonlySet<Room>): void {
    this.nsp._member(id)?.join([...rooms]);
  }

  del(id: SocketId, room: Room): void {
    this.nsp._member(id)?.leave(room);
  }

  delAll(id: SocketId): void {
    for (const room of [...(this.sids.get(id) ?? [])]) this.del(id, room);
  }

  broadcast(packet: { readonly data: readonly [event: string, ...args: unknown[]] }, options: BroadcastOptions): void {
    const [event, ...args] = packet.data;
    this.nsp._audience(options).emit(event, ...args);
  }

  /** Ids of the sockets in any of `rooms`; all of the namespace when there are none. */
  sockets(rooms: ReadonlySet<Room>): Promise<Set<SocketId>> {
    return this.nsp._audience({ rooms }).allSockets();
  }

  socketRooms(id: SocketId): Set<Room> | undefined {
    return this.sids.get(id);
  }

  fetchSockets(options: BroadcastOptions): Promise<RemoteSocket<Any, Any>[]> {
    return this.nsp._audience(options).fetchSockets();
  }

  addSockets(options: BroadcastOptions, rooms: Room[]): void {
    this.nsp._audience(options).socketsJoin(rooms);
  }

  delSockets(options: BroadcastOptions, rooms: Room[]): void {
    this.nsp._audience(options).socketsLeave(rooms);
  }

  disconnectSockets(options: BroadcastOptions, close: boolean): void {
    this.nsp._audience(options).disconnectSockets(close);
  }

  serverSideEmit([event, ...args]: readonly [event: string, ...args: unknown[]]): void {
    this.nsp.serverSideEmit(event, ...args);
  }

  /** @internal */
  _joined(id: SocketId, room: Room): void {
    if (this.#put(id, room)) callListeners(this, "create-room", [room]);
    callListeners(this, "join-room", [room, id]);
  }

  /** @internal */
  _left(id: SocketId, room: Room): void {
    const members = this.rooms.get(room);
    if (members === undefined || !members.delete(id)) return;
    this.sids.get(id)?.delete(room);
    callListeners(this, "leave-room", [room, id]);
    if (members.size > 0 || !this.rooms.delete(room)) return;
    callListeners(this, "delete-room", [room]);
  }

  /** @internal */
  _gone(id: SocketId): void {
    for (const room of [...(this.sids.get(id) ?? [])]) this._left(id, room);
    this.sids.delete(id);
  }

  /** True when the room is new. */
  #put(id: SocketId, room: Room): boolean {
    const of = this.sids.get(id);
    if (of === undefined) this.sids.set(id, new Set([room]));
    else of.add(room);
    const members = this.rooms.get(room);
    if (members === undefined) this.rooms.set(room, new Set([id]));
    else members.add(id);
    return members === undefined;
  }
}
