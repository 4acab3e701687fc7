/** What the hub knows: its connections, sockets, sessions and namespaces, and what it was given to work with. */
import type { Clock, Logger, Random } from "@tideway/base";
import { assert } from "@tideway/base";
import type { StreamState, StreamStore } from "./contract.ts";
import type { HubLimits } from "./limits.ts";
import { Namespace, StreamPhase } from "./namespace.ts";
import type { Outbox } from "./outbox.ts";
import { type RecentEvent, RecentEvents, readRecent } from "./recent.ts";
import type { ClientLine, HubSocket } from "./socket.ts";

/** What has happened so far; only ever grows. */
export interface HubCounters {
  connections: number;
  /** Packets that were none, or not in their place. */
  faults: number;
  events: number;
  emits: number;
  /** Packets of emits that were put into clients' queues: one per emit and client. */
  deliveries: number;
  /** Emits that were not taken. */
  refusedEmits: number;
  recovered: number;
  /** Events that clients had missed and were sent on recovery. */
  recoveredEvents: number;
  /** Clients that asked for recovery and could not have it: the sum of the four below. */
  unrecovered: number;
  /** Nobody knows their session (any more). */
  unrecoveredSession: number;
  /** Their offset is not of this stream, or from before what their session remembers. */
  unrecoveredOffset: number;
  /** Retention had taken some of what they missed. */
  unrecoveredTrimmed: number;
  /** They missed more than a recovery may send. */
  unrecoveredTooMuch: number;
  ghosts: number;
  handovers: number;
  /** Connections closed because something of theirs would have had to wait beyond its bound. */
  overflows: number;
  /** Connections that were closed at once because there were too many. */
  refusedConnections: number;
  /** Times that a socket was not put into rooms because it was in too many. */
  refusedJoins: number;
  /** Connections closed because a server was gone that owed their client an answer. */
  unanswered: number;
}

export interface HubSurroundings {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: StreamStore | null;
  /** Whether sessions can be taken up again; never without a store. */
  readonly recovery: boolean;
  readonly limits: HubLimits;
  readonly connectTimeoutMs: number;
  readonly handoverMs: number;
  readonly logger: Logger;
  readonly outbox: Outbox;
}

export class Registry {
  readonly surroundings: HubSurroundings;
  readonly connections = new Set<ClientLine>();
  /** By id: those that a server knows. */
  readonly sockets = new Map<string, HubSocket>();
  /** By private id: those that live, or are being taken up. */
  readonly sessions = new Map<string, HubSocket>();
  readonly namespaces = new Map<string, Namespace>();
  readonly counters: HubCounters = {
    connections: 0,
    faults: 0,
    events: 0,
    emits: 0,
    deliveries: 0,
    refusedEmits: 0,
    recovered: 0,
    recoveredEvents: 0,
    unrecovered: 0,
    unrecoveredSession: 0,
    unrecoveredOffset: 0,
    unrecoveredTrimmed: 0,
    unrecoveredTooMuch: 0,
    ghosts: 0,
    handovers: 0,
    overflows: 0,
    refusedConnections: 0,
    refusedJoins: 0,
    unanswered: 0,
  };
  readonly recent: RecentEvents;
  #numbers = 0;

  constructor(surroundings: HubSurroundings) {
    this.surroundings = surroundings;
    this.recent = new RecentEvents(surroundings.limits.recentBytesMax);
  }

  /** A number that this hub has not given before. */
  next(): number {
    return ++this.#numbers;
  }

  namespace(name: string): Namespace {
    const known = this.namespaces.get(name);
    if (known !== undefined) return known;
    const made = new Namespace(name, this.surroundings.outbox);
    this.namespaces.set(name, made);
    return made;
  }

  /** The namespace with its stream open, or being opened: what goes into its pipeline now comes after. */
  stream(name: string): Namespace {
    const namespace = this.namespace(name);
    if (namespace.phase !== StreamPhase.closed) return namespace;
    const { store, random, recovery, limits } = this.surroundings;
    if (store === null) {
      namespace.opened({ epoch: random.id(9), last: 0, oldest: 1 });
    } else {
      namespace.phase = StreamPhase.opening;
      const kept = { bytesMax: limits.recentBytesMax, pageEvents: limits.recoveryReadEvents };
      namespace.pipeline.ask<{ state: StreamState; recent: readonly RecentEvent[] }>(
        (done) =>
          store.open(name, (state) => {
            if (!recovery || state.last === 0) done({ state, recent: [] });
            else readRecent(store, name, state, kept, (recent) => done({ state, recent }));
          }),
        ({ state, recent }) => {
          namespace.opened(state);
          for (const event of recent) this.recent.keep(namespace.recent, event);
        },
      );
    }
    return namespace;
  }

  /** Forgets a namespace that only a client has named. */
  tidy(namespace: Namespace): void {
    if (namespace.isDisposable && this.namespaces.get(namespace.name) === namespace) {
      this.namespaces.delete(namespace.name);
    }
  }

  /** Throws when what is known here contradicts itself. For tests, after each transition. */
  assertInvariants(): void {
    let named = 0;
    for (const namespace of this.namespaces.values()) {
      namespace.assertInvariants();
      assert(!namespace.isDisposable, `${namespace.name} is there for something`);
      named += namespace.sockets.size;
    }
    assert(named === this.sockets.size, "every socket that is known is in its namespace, and the other way round");
    for (const connection of this.connections) {
      for (const [name, socket] of connection.sockets) {
        assert(socket.namespace === name && socket.connection === connection && !socket.gone, `${socket.id} is here`);
      }
    }
    for (const socket of this.sockets.values()) {
      assert(this.connections.has(socket.connection), `${socket.id} has a connection`);
      assert(socket.connection.sockets.get(socket.namespace) === socket, `the connection knows ${socket.id}`);
      assert(socket.pid === "" || this.sessions.get(socket.pid) === socket, `the session of ${socket.id} is its own`);
    }
    for (const [pid, socket] of this.sessions) assert(socket.pid === pid && !socket.gone, "sessions are alive");
  }
}
