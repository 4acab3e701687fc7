/**
 * Those who read rooms of one namespace over plain HTTP, where their stream's events reach them: who follows which room. Costs
 * nothing in namespaces of which nobody opened a room.
 */
import type { Payload, Selector } from "./contract.ts";
import type { RoomEvent, RoomFollower } from "./room-contract.ts";

/** A reading that follows, as the fan-out sees it. */
export interface Follower {
  readonly follower: RoomFollower;
  /** All up to here was given to it, or is not its room's. */
  seq: number;
}

export function roomEvent(offset: string, at: number, payload: Payload): RoomEvent {
  return { offset, at, payload, wire: null };
}

/** Whether an event was for those in the room, as far as no socket is concerned. */
export function isForRoom(room: string, to: Pick<Selector, "rooms" | "except">): boolean {
  return to.rooms.includes(room) && !to.except.includes(room);
}

export class Readers {
  readonly #rooms = new Map<string, Set<Follower>>();
  /** Events up to here are not kept in the form for readers. */
  readonly openedSeq: number;
  /** Sequence of the event that is being given out; 0 when none is. */
  delivering = 0;

  constructor(openedSeq: number) {
    this.openedSeq = openedSeq;
  }

  add(room: string, follower: Follower): void {
    const followers = this.#rooms.get(room);
    if (followers === undefined) this.#rooms.set(room, new Set([follower]));
    else followers.add(follower);
  }

  delete(room: string, follower: Follower): void {
    const followers = this.#rooms.get(room);
    if (followers?.delete(follower) === true && followers.size === 0) this.#rooms.delete(room);
  }

  /** To all who follow a room that it was sent to. To how many; 0 for `seq` is a volatile event. */
  deliver({ rooms, except }: Selector, event: RoomEvent, seq: number): number {
    let sent = 0;
    this.delivering = seq;
    for (const room of rooms) {
      const followers = this.#rooms.get(room);
      if (followers === undefined || except.includes(room)) continue;
      for (const each of followers) {
        if (seq > 0) {
          // A room that is named twice.
          if (each.seq >= seq) continue;
          each.seq = seq;
        }
        each.follower.onEvent(event);
        sent++;
      }
    }
    this.delivering = 0;
    return sent;
  }

  recall(): void {
    const all = [...this.#rooms.values()].flatMap((followers) => [...followers]);
    for (const { follower } of all) follower.onRecall();
  }
}
