/**
 * Rooms that clients reach by themselves: `io.open(pattern, { read, publish })`. Owns the patterns of one namespace and the
 * application's word on each client: over plain HTTP, where the hub asks for it, and for sockets that ask to join. What is
 * read and published is the hub's (`engine/hub/open-rooms.ts`).
 *
 * A room is open to a client when one of the patterns that match it says so; the order of opening means nothing. Whatever a
 * function throws is a no: that is what most of them do with a token that is none.
 */
import type { Logger } from "@tideway/base";
import type { RoomAction, ToServer } from "@tideway/engine/hub";
import type { Room } from "./broadcast-operator.ts";
import { type Handshake, readHandshake } from "./handshake.ts";
import type { HubSession, RoomOpener } from "./session.ts";
import type { Socket } from "./socket.ts";
import type { Any } from "./typed-events.ts";

/** May this client read the room? `socket` is there when a socket asks to join, and undefined over plain HTTP. */
export type ReadRule = (
  handshake: Handshake,
  room: Room,
  socket: Socket<Any, Any, Any, Any> | undefined,
) => boolean | Promise<boolean>;
/** May this client publish an event of that name in the room, over plain HTTP? */
export type PublishRule = (handshake: Handshake, room: Room, event: string) => boolean | Promise<boolean>;

export interface RoomRules {
  /** Who may read, and join by `tideway:join`: everybody, nobody, or those to whom the function says true. @default false */
  readonly read?: boolean | ReadRule;
  /** Who may publish over plain HTTP. @default false */
  readonly publish?: boolean | PublishRule;
}

/**
 * Names of rooms: a text stands for itself, with `*` for one or more characters, whatever they are; a regular expression must
 * match the whole name.
 */
export type RoomPattern = string | RegExp;

/** What `open` gives back. */
export interface OpenedRooms {
  readonly pattern: RoomPattern;
  /** Takes it back. Those who read such a room over plain HTTP are asked about again; sockets stay in theirs. */
  close(): void;
  /** Has those who read now over plain HTTP come back and be asked about again: rights have changed. */
  recheck(): void;
}

interface Entry {
  readonly matches: (room: Room) => boolean;
  readonly rules: RoomRules;
}

interface Decision {
  readonly allowed: boolean;
  /** It holds for every client. */
  readonly forAll: boolean;
}

/** The events by which a socket asks, in namespaces with opened rooms. */
const joinEvent = "tideway:join";
const leaveEvent = "tideway:leave";
const roomLengthMax = 512;

export class RoomPermissions implements RoomOpener {
  readonly #session: HubSession;
  readonly #namespace: string;
  readonly #logger: Logger;
  readonly #entries = new Set<Entry>();
  #warned = false;

  constructor(session: HubSession, namespace: string, logger: Logger) {
    this.#session = session;
    this.#namespace = namespace;
    this.#logger = logger;
  }

  open(pattern: RoomPattern, rules: RoomRules): OpenedRooms {
    checkRules(rules);
    const entry: Entry = { matches: matcherOf(pattern), rules };
    this.#entries.add(entry);
    if (this.#session.isOpen) this.announce();
    return {
      pattern,
      close: () => {
        if (this.#entries.delete(entry) && this.#session.isOpen) this.#tell(true);
      },
      recheck: () => {
        if (this.#session.isOpen) this.#tell(true);
      },
    };
  }

  announce(): void {
    this.#tell(false);
  }

  #tell(recall: boolean): void {
    this.#session.tell({ type: "open", namespace: this.#namespace, rooms: this.#entries.size > 0, recall });
  }

  /** The hub asks on behalf of a client over plain HTTP. */
  onPermit({ ask, room, action, event, handshake }: Extract<ToServer, { type: "permit" }>): void {
    void this.#decide(action, readHandshake(handshake, ""), room, event).then(({ allowed, forAll }) => {
      this.#session.tell({ type: "permitted", ask, allowed, forAll });
    });
  }

  /** A socket's event. True when it is one of those by which it asks for a room. */
  onEvent(socket: Socket<Any, Any, Any, Any>, [name, room, done]: readonly unknown[]): boolean {
    if (this.#entries.size === 0 || (name !== joinEvent && name !== leaveEvent)) return false;
    const answer = typeof done === "function" ? (done as (answer: object) => void) : () => {};
    if (typeof room !== "string" || room.length > roomLengthMax) answer({ ok: false });
    else if (name === joinEvent) void this.#join(socket, room, answer);
    else this.#leave(socket, room, answer);
    return true;
  }

  async #join(socket: Socket<Any, Any, Any, Any>, room: Room, answer: (answer: object) => void): Promise<void> {
    const { allowed } = await this.#decide("read", socket.handshake, room, "", socket);
    if (!allowed) {
      answer({ ok: false });
      return;
    }
    // Another server may have it by now: the hub knows.
    const to = { namespace: this.#namespace, rooms: [socket.id], except: [] };
    if (socket.connected) void socket.join(room);
    else this.#session.tell({ type: "join", to, rooms: [room] });
    try {
      answer({ ok: true, offset: await this.#session.place(this.#namespace) });
    } catch {
      // The hub is gone, and the line with it: the client will ask again.
      answer({ ok: false });
    }
  }

  /** Only what it may have joined by itself: other rooms are the application's affair. */
  #leave(socket: Socket<Any, Any, Any, Any>, room: Room, answer: (answer: object) => void): void {
    const ok = [...this.#entries].some(({ matches, rules }) => rules.read !== undefined && matches(room));
    if (ok) void socket.leave(room);
    answer({ ok });
  }

  async #decide(
    action: RoomAction,
    handshake: Handshake,
    room: Room,
    event: string,
    socket?: Socket<Any, Any, Any, Any>,
  ): Promise<Decision> {
    const entries = [...this.#entries].filter(({ matches, rules }) => Boolean(rules[action]) && matches(room));
    if (entries.length === 0) return { allowed: false, forAll: true };
    if (entries.some(({ rules }) => rules[action] === true)) return { allowed: true, forAll: true };
    for (const { rules } of entries) {
      try {
        const allowed =
          action === "read"
            ? await (rules.read as ReadRule)(handshake, room, socket)
            : await (rules.publish as PublishRule)(handshake, room, event);
        if (allowed === true) return { allowed, forAll: false };
      } catch (error) {
        this.#report(action, room, error);
      }
    }
    return { allowed: false, forAll: false };
  }

  #report(action: RoomAction, room: Room, err: unknown): void {
    this.#logger.warn(
      { err, action, room, namespace: this.#namespace },
      "a rule of an opened room threw: that is a no",
    );
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning(`a ${action} rule of an opened room threw: that is a no. Said once. ${String(err)}`, {
      code: "TIDEWAY_ROOM_RULE",
    });
  }
}

function checkRules(rules: RoomRules): void {
  for (const action of ["read", "publish"] as const) {
    const rule: unknown = rules[action];
    if (rule !== undefined && typeof rule !== "boolean" && typeof rule !== "function") {
      throw new TypeError(`open(): \`${action}\` is a boolean or a function, not ${typeof rule}`);
    }
  }
  if (rules.read === undefined && rules.publish === undefined) {
    throw new TypeError("open(): say who may `read` or `publish`");
  }
}

function matcherOf(pattern: RoomPattern): (room: Room) => boolean {
  if (pattern instanceof RegExp) {
    if (pattern.global || pattern.sticky) throw new TypeError("open(): stateful regular expressions are not supported");
    // The whole name, whatever the flags: a part that fits must not open the rest.
    const whole = new RegExp(`(?<![^])(?:${pattern.source})(?![^])`, pattern.flags);
    return (room) => whole.test(room);
  }
  if (typeof pattern !== "string" || pattern === "") {
    throw new TypeError("open(): name the rooms by a text or a regular expression");
  }
  const [first, ...rest] = pattern.split("*") as [string, ...string[]];
  const last = rest.pop();
  if (last === undefined) return (room) => room === pattern;
  return (room) => {
    if (!room.startsWith(first)) return false;
    let at = first.length;
    // The leftmost place of each part leaves most to the next: there is no going back.
    for (const part of rest) {
      const found = room.indexOf(part, at + 1);
      if (found < at + 1) return false;
      at = found + part.length;
    }
    return room.length - last.length > at && room.endsWith(last);
  };
}
