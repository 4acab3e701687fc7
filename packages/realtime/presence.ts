/**
 * Who is in a room, over all servers of the hub: `presence(io, "lobby")`. Owns this server's view of it; when somebody counts
 * as come or gone is the hub's to decide (`engine/hub/presence.ts`).
 */
import { EventEmitter } from "node:events";
import { limits } from "@tideway/base";
import { type HubSession, type RoomWatcher, watcherKey } from "./session.ts";

export interface PresenceOptions {
  /**
   * Name in `socket.data`: sockets with the same string or number there are one member, and those without one are nobody.
   * Unless given, each socket is a member, by its id.
   */
  readonly by?: string;
  /** How long somebody whose line was lost still counts, in ms. @default 10000 */
  readonly graceMs?: number;
}

/**
 * `join` and `leave` come with the member and with whether this server is the first of those that watch the room: what must
 * be done once (an emit to the room) is done where it is true.
 */
export interface PresenceEvents {
  join: [member: string, first: boolean];
  leave: [member: string, first: boolean];
}

export class Presence extends EventEmitter<PresenceEvents> implements RoomWatcher {
  readonly room: string;
  readonly #namespace: string;
  readonly #session: HubSession;
  readonly #options: PresenceOptions;
  readonly #members = new Set<string>();

  /** @internal */
  constructor(session: HubSession, namespace: string, room: string, options: PresenceOptions) {
    super();
    this.room = room;
    this.#session = session;
    this.#namespace = namespace;
    this.#options = options;
  }

  /** As this server knows it now. While there is no hub, as it was. */
  get members(): readonly string[] {
    return [...this.#members];
  }

  has(member: string): boolean {
    return this.#members.has(member);
  }

  /** No more events; nobody else is concerned. */
  close(): void {
    const { room } = this;
    const key = watcherKey(this.#namespace, room);
    if (this.#session.watchers.get(key) !== this) return;
    this.#session.watchers.delete(key);
    if (this.#session.isOpen) this.#session.tell({ type: "unwatch", namespace: this.#namespace, room });
  }

  /** @internal */
  watch(): void {
    const { by = "", graceMs = limits.presenceGraceMs } = this.#options;
    const namespace = this.#namespace;
    this.#session.tell({ type: "watch", namespace, room: this.room, by, graceMs, members: this.members });
  }

  /** @internal */
  onPresence(message: Parameters<RoomWatcher["onPresence"]>[0]): void {
    if (message.type === "presence") {
      this.#set(message.member, message.here, message.first);
      return;
    }
    // What others were told while this server had no hub.
    const members = new Set(message.members);
    for (const member of this.members) if (!members.has(member)) this.#set(member, false, false);
    for (const member of members) this.#set(member, true, false);
  }

  #set(member: string, here: boolean, first: boolean): void {
    if (this.#members.has(member) === here) return;
    if (here) this.#members.add(member);
    else this.#members.delete(member);
    this.emit(here ? "join" : "leave", member, first);
  }
}

/** What has rooms: a `Namespace`, or a `Server` for its namespace `/`. */
type Rooms = { readonly name: string; readonly session: HubSession } | { readonly sockets: RoomsOfServer };
interface RoomsOfServer {
  readonly name: string;
  readonly session: HubSession;
}

/** The presence of a room, from now until `close()`. One per room and server: asked again, it is the same one. */
export function presence(of: Rooms, room: string, options: PresenceOptions = {}): Presence {
  const { name, session } = "session" in of ? of : of.sockets;
  const key = watcherKey(name, room);
  const known = session.watchers.get(key);
  if (known instanceof Presence) return known;
  const made = new Presence(session, name, room, options);
  session.watchers.set(key, made);
  if (session.isOpen) made.watch();
  return made;
}
