/**
 * The contract between the hub and whoever serves rooms over plain HTTP: who may, what was, what comes, and publishing.
 * No code here, only shapes.
 *
 * A reading is a place in a namespace's stream and a room. History is asked for, page by page, as fast as the reader takes
 * it; at its end the reading may follow: from then on it is given each event as it takes effect. As the place alone says what
 * is to come next, there is nothing to hold back and nothing to splice: a reader that cannot keep up stops following, and
 * goes on by pages from where it is.
 */
import type { Handshake, Payload, PublishFault } from "./contract.ts";

export type RoomAction = "read" | "publish";

/** May this client do this to this room? Asked of a server that has opened rooms of the namespace. */
export interface RoomQuestion {
  readonly namespace: string;
  readonly room: string;
  readonly action: RoomAction;
  /** Name of the event that is to be published; empty for "read". */
  readonly event: string;
  readonly handshake: Handshake;
}

export const RoomVerdict = {
  yes: "yes",
  /** The room is not opened, or not to this client: nobody is told which. */
  no: "no",
  /** There is no server to ask, or it did not answer in time. */
  later: "later",
} as const;
export type RoomVerdict = (typeof RoomVerdict)[keyof typeof RoomVerdict];

/** One event of a room. Shared by all who read it. */
export interface RoomEvent {
  /** Names the place behind it; empty for a volatile one, which has none. */
  readonly offset: string;
  /** Milliseconds since the epoch, at commit. */
  readonly at: number;
  readonly payload: Payload;
  /** The transports' own: what is built by the first that needs it. */
  wire: unknown;
}

export interface RoomPage {
  /** Oldest first. */
  readonly events: readonly RoomEvent[];
  /** Something between where the page was to begin and where it does is not kept any more, or the place was foreign. */
  readonly gap: boolean;
  /** Nothing comes behind it yet: now, in this tick, the reading may follow. */
  readonly last: boolean;
}

export interface RoomFollower {
  /** An event of the room has taken effect. Must not do more than write it down: the fan-out is under way. */
  onEvent(event: RoomEvent): void;
  /** Whether the client may read must be asked anew. */
  onRecall(): void;
}

export interface RoomReading {
  /** Names the place behind all that was given, and behind what is not the room's. */
  readonly offset: string;
  /**
   * The next page: at most `eventsMax` events, and no more once they have `bytesMax` bytes. It may be empty and not the last:
   * then it looked at much that is not the room's, and is to be asked again. One at a time.
   */
  read(eventsMax: number, bytesMax: number, done: (page: RoomPage) => void): void;
  /** False when something has come since the last page. */
  follow(follower: RoomFollower): boolean;
  /** What was given is given; what comes is asked for by pages. */
  unfollow(): void;
  close(): void;
}

export type RoomPublished =
  | { readonly ok: true; readonly offset: string; readonly seq: number }
  | { readonly ok: false; readonly code: PublishFault };

export interface RoomsPort {
  /** `done` comes once: at once, or within 10 s; never after what is returned was called. */
  permit(question: RoomQuestion, done: (verdict: RoomVerdict) => void): () => void;
  /**
   * A reading that begins behind the place `after`: an offset, "0" for the oldest event that is kept, null for now. A place
   * that is none of this stream's has a gap behind it, and begins with the oldest. `done` gets null when there is no stream.
   */
  begin(namespace: string, room: string, after: string | null, done: (reading: RoomReading | null) => void): void;
  /** `done` comes after the commit. With a key that is known nothing is published: the answer is the first one's. */
  publish(
    namespace: string,
    room: string,
    payload: Payload,
    key: string | null,
    done: (published: RoomPublished) => void,
  ): void;
}
