/**
 * Who is in a room, for servers that watch it. Owns when somebody counts as come or gone: a member is a client's socket, or
 * all sockets whose `socket.data` has the same value under one name (a user with several tabs). Whoever loses the line stays
 * for a grace, so that a quick return is no leave; and what servers were told outlives them for the time of a handover, so
 * that the next one hears of what changed since, and of nothing else.
 *
 * Costs nothing in namespaces where nobody watches. Memory: a few words per socket in a watched room.
 */
import type { Timer } from "@tideway/base";
import type { ToHub } from "./contract.ts";
import type { Registry } from "./registry.ts";
import type { ServerSeat } from "./seat.ts";
import type { HubSocket } from "./socket.ts";

type Watch = Extract<ToHub, { type: "watch" }>;

/** One watched room. */
interface Roster {
  readonly namespace: string;
  readonly room: string;
  /** Name in `socket.data`; empty for the socket's id. */
  readonly by: string;
  readonly graceMs: number;
  /** By socket id: whom it counts for. Those in their grace are here too. */
  readonly memberOf: Map<string, string>;
  /** How many sockets count for a member. */
  readonly counts: Map<string, number>;
  /** By socket id: when it is given up. */
  readonly lost: Map<string, Timer>;
  /** Members that a server was told of. */
  readonly announced: Set<string>;
  /** The first of them is told that it is the first. */
  readonly watchers: Set<ServerSeat>;
  /** Runs while nobody watches. */
  forget: Timer | null;
}

/** A namespace's part: where it says who joins, leaves and is lost. */
export class WatchedRooms {
  readonly rosters = new Map<string, Roster>();
  readonly #presence: Presence;

  constructor(presence: Presence) {
    this.#presence = presence;
  }

  joined(socket: HubSocket, room: string): void {
    const roster = this.rosters.get(room);
    if (roster !== undefined) this.#presence.count(roster, socket);
  }

  left(socket: HubSocket, room: string): void {
    const roster = this.rosters.get(room);
    if (roster !== undefined) this.#presence.discount(roster, socket.id);
  }

  /** Its line is gone, without a word. */
  lost(socket: HubSocket): void {
    for (const room of socket.rooms ?? []) {
      const roster = this.rosters.get(room);
      if (roster !== undefined) this.#presence.lose(roster, socket.id);
    }
  }

  /** It said that it leaves, or was told to. */
  ended(socket: HubSocket): void {
    for (const room of socket.rooms ?? []) this.left(socket, room);
  }

  /** Its data are others. */
  renamed(socket: HubSocket): void {
    for (const room of socket.rooms ?? []) this.joined(socket, room);
  }
}

export class Presence {
  readonly #registry: Registry;
  #rosters = 0;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  hear(seat: ServerSeat, message: Extract<ToHub, { type: "watch" | "unwatch" }>): void {
    if (message.type === "watch") this.#watch(seat, message);
    else this.#unwatch(seat, message.namespace, message.room);
  }

  #watch(seat: ServerSeat, watch: Watch): void {
    const { outbox, limits, logger } = this.#registry.surroundings;
    const namespace = this.#registry.stream(watch.namespace);
    namespace.watched ??= new WatchedRooms(this);
    const { rosters } = namespace.watched;
    let roster = rosters.get(watch.room);
    if (roster === undefined) {
      if (this.#rosters >= limits.watchedRoomsMax) {
        logger.error(
          { room: watch.room, max: limits.watchedRoomsMax },
          "hub: too many rooms are watched; not this one",
        );
        return;
      }
      this.#rosters++;
      roster = begin(watch);
      rosters.set(watch.room, roster);
      // This hub was not there yet: whom its server knows of has the grace to come back.
      for (const member of watch.members) {
        const place = ` ${member}`;
        roster.announced.add(member);
        roster.memberOf.set(place, member);
        roster.counts.set(member, 1);
        this.lose(roster, place);
      }
      for (const socket of namespace.rooms.get(watch.room) ?? []) this.#place(roster, socket);
    }
    roster.forget?.cancel();
    roster.forget = null;
    roster.watchers.add(seat);
    const { room } = watch;
    outbox.push(seat.port, { type: "present", namespace: watch.namespace, room, members: [...roster.announced] });
    for (const member of new Set([...roster.announced, ...roster.counts.keys()])) this.#announce(roster, member);
  }

  #unwatch(seat: ServerSeat, namespace: string, room: string): void {
    const watched = this.#registry.namespaces.get(namespace)?.watched;
    const roster = watched?.rosters.get(room);
    if (watched === undefined || watched === null || roster === undefined) return;
    this.#leave(watched, roster, seat);
  }

  gone(seat: ServerSeat): void {
    for (const { watched } of this.#registry.namespaces.values()) {
      for (const roster of watched?.rosters.values() ?? []) this.#leave(watched!, roster, seat);
    }
  }

  close(): void {
    for (const { watched } of this.#registry.namespaces.values()) {
      for (const roster of watched?.rosters.values() ?? []) end(roster);
      watched?.rosters.clear();
    }
  }

  /** The socket is in the room, or its data are others. */
  count(roster: Roster, socket: HubSocket): void {
    const before = roster.memberOf.get(socket.id);
    this.#place(roster, socket);
    const now = roster.memberOf.get(socket.id);
    if (now !== undefined) this.#announce(roster, now);
    if (before !== undefined && before !== now) this.#announce(roster, before);
  }

  discount(roster: Roster, id: string): void {
    const member = remove(roster, id);
    if (member !== undefined) this.#announce(roster, member);
  }

  lose(roster: Roster, id: string): void {
    if (!roster.memberOf.has(id) || roster.lost.has(id)) return;
    const { clock, outbox } = this.#registry.surroundings;
    roster.lost.set(
      id,
      clock.after(roster.graceMs, () => outbox.run(() => this.discount(roster, id))),
    );
  }

  #place(roster: Roster, socket: HubSocket): void {
    const { id } = socket;
    const member = memberOf(roster.by, socket);
    roster.lost.get(id)?.cancel();
    roster.lost.delete(id);
    if (roster.memberOf.get(id) === member) return;
    remove(roster, id);
    if (member === undefined) return;
    roster.memberOf.set(id, member);
    roster.counts.set(member, (roster.counts.get(member) ?? 0) + 1);
    // A place that was kept for it by name is its own now.
    remove(roster, ` ${member}`);
  }

  /** Tells the watchers what they do not know yet; without any, it is told later. */
  #announce(roster: Roster, member: string): void {
    const { namespace, room, announced, watchers } = roster;
    const here = roster.counts.has(member);
    if (watchers.size === 0 || announced.has(member) === here) return;
    if (here) announced.add(member);
    else announced.delete(member);
    let first = true;
    for (const { port } of watchers) {
      this.#registry.surroundings.outbox.push(port, { type: "presence", namespace, room, member, here, first });
      first = false;
    }
  }

  #leave(watched: WatchedRooms, roster: Roster, seat: ServerSeat): void {
    if (!roster.watchers.delete(seat) || roster.watchers.size > 0) return;
    const { clock, handoverMs } = this.#registry.surroundings;
    roster.forget = clock.after(handoverMs, () => {
      end(roster);
      watched.rosters.delete(roster.room);
      this.#rosters--;
    });
  }
}

function begin({ namespace, room, by, graceMs }: Watch): Roster {
  return {
    namespace,
    room,
    by,
    graceMs,
    memberOf: new Map(),
    counts: new Map(),
    lost: new Map(),
    announced: new Set(),
    watchers: new Set(),
    forget: null,
  };
}

function end(roster: Roster): void {
  roster.forget?.cancel();
  for (const timer of roster.lost.values()) timer.cancel();
  roster.lost.clear();
}

/** Takes a socket out; for whom it counted. */
function remove(roster: Roster, id: string): string | undefined {
  const { memberOf: members, counts, lost } = roster;
  const member = members.get(id);
  lost.get(id)?.cancel();
  lost.delete(id);
  if (member === undefined) return undefined;
  members.delete(id);
  const count = (counts.get(member) ?? 0) - 1;
  if (count > 0) counts.set(member, count);
  else counts.delete(member);
  return member;
}

/** Undefined for a socket whose data do not name anybody (yet). */
function memberOf(by: string, { id, data }: HubSocket): string | undefined {
  if (by === "") return id;
  if (data === "") return undefined;
  const parsed: unknown = JSON.parse(data);
  if (typeof parsed !== "object" || parsed === null || !Object.hasOwn(parsed, by)) return undefined;
  const value = (parsed as Record<string, unknown>)[by];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}
