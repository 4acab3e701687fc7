/** What a hub says of itself, for `tideway status`, the console and metrics. */
import type { Answers } from "./answers.ts";
import type { StreamStatus } from "./contract.ts";
import type { Namespace } from "./namespace.ts";
import type { HubCounters, Registry } from "./registry.ts";
import { SeatState } from "./seat.ts";
import type { Seating } from "./seating.ts";

export interface HubStatus {
  readonly durability: string;
  readonly recovery: boolean;
  readonly connections: number;
  readonly transports: { readonly polling: number; readonly websocket: number };
  /** In a namespace, or on the way into one. */
  readonly sockets: number;
  readonly rooms: number;
  readonly namespaces: readonly {
    readonly name: string;
    readonly sockets: number;
    readonly rooms: number;
    /** What waits for the store: entries of its pipeline, and the bytes of emits among them. */
    readonly pending: number;
    readonly pendingBytes: number;
  }[];
  readonly streams: readonly StreamStatus[];
  readonly servers: readonly {
    readonly instance: string;
    readonly leaving: boolean;
    readonly sockets: number;
    /** Clients' events that it has got and not handled. */
    readonly unhandled: number;
    readonly unhandledBytes: number;
  }[];
  /** Sockets that no server is there for. */
  readonly unseated: number;
  /** Sockets whose line is gone, with events that a server has still to handle. */
  readonly lingering: number;
  /** Emits that wait for clients' answers. */
  readonly questions: number;
  readonly counters: Readonly<HubCounters>;
}

export function statusOf(registry: Registry, seating: Seating, answers: Answers, durability: string): HubStatus {
  const transports = { polling: 0, websocket: 0 };
  for (const { line } of registry.connections) transports[line.transport]++;
  const namespaces = [...registry.namespaces.values()];
  return {
    durability,
    recovery: registry.surroundings.recovery,
    connections: registry.connections.size,
    transports,
    sockets: registry.sockets.size,
    rooms: namespaces.reduce((sum, { rooms }) => sum + rooms.size, 0),
    namespaces: namespaces.map(({ name, sockets, rooms, pipeline, pendingWeight }) => ({
      name,
      sockets: sockets.size,
      rooms: rooms.size,
      pending: pipeline.length,
      pendingBytes: pendingWeight,
    })),
    streams: registry.surroundings.store?.streams() ?? unstored(namespaces),
    servers: [...seating.seats].map((seat) => ({
      instance: seat.instance,
      leaving: seat.state === SeatState.leaving,
      sockets: seat.sockets.size,
      unhandled: seat.unhandled,
      unhandledBytes: seat.unhandledWeight,
    })),
    unseated: seating.unseated.size,
    lingering: seating.lingering,
    questions: answers.pending,
    counters: { ...registry.counters },
  };
}

/** Streams of which nothing is kept. */
function unstored(namespaces: readonly Namespace[]): StreamStatus[] {
  return namespaces
    .filter(({ epoch }) => epoch !== "")
    .map(({ name: namespace, epoch, lastSeq: last }) => {
      return { namespace, epoch, last, oldest: last + 1, bytes: 0, oldestAt: null };
    });
}
