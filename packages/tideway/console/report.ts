/** What a running Tideway says of itself: the shape behind `tideway status`, the console, `/metrics` and their `--json`. */

/** Counts since the start; whole numbers that only grow. */
export interface CountersReport {
  /** Of a service: requests that came. Of an instance: those that it was given, retries included. */
  readonly requests: number;
  /** Requests that were sent once more. Of an instance: those that it was given after another try. */
  readonly retries: number;
  /** No answer, or one whose status counts as none. */
  readonly failures: number;
  readonly ejections: number;
}

export interface ServiceCountersReport extends CountersReport {
  /** Requests that had to wait for an instance or a connection; of those, who waited in vain. */
  readonly queued: number;
  readonly queueTimeouts: number;
  /** Refused because too many waited already. */
  readonly queueRefusals: number;
  /** Refused because every instance was down. */
  readonly unavailable: number;
  /** Times that the circuit breaker opened, and requests that it refused. */
  readonly breakerOpenings: number;
  readonly breakerRefusals: number;
}

export interface InstanceReport {
  readonly id: string;
  /** Health as the balancer sees it: checking, up, down, draining; without a process: failed, starting, stopped. */
  readonly state: string;
  /** What brought it into this state; empty when nothing is known. */
  readonly why?: string;
  /** Milliseconds in this state; -1 without a process. */
  readonly forMs: number;
  /** Requests under way. */
  readonly active: number;
  readonly connections: number;
  /** Of the connections, those that wait for a request. */
  readonly idle?: number;
  /** Decaying average of the time to a response's head; -1 before the first. */
  readonly latencyMs: number;
  /** Share of the traffic relative to the others, and what it is while the instance starts slowly. */
  readonly weight?: number;
  readonly weightNow?: number;
  readonly counters?: CountersReport;
  /** Of the process, when Tideway runs it. */
  readonly pid?: number;
  readonly restarts?: number;
}

export interface ServiceReport {
  readonly name: string;
  readonly kind: string;
  /** Requests that wait for an instance. */
  readonly waiting: number;
  /** closed, open, half-open; of services that have instances. */
  readonly breaker?: string;
  readonly counters?: ServiceCountersReport;
  /** Names among the upstreams; `fault` says why one could not be resolved the last time, and is empty when it could. */
  readonly names?: readonly { readonly name: string; readonly addresses: readonly string[]; readonly fault: string }[];
  readonly instances: readonly InstanceReport[];
}

export interface ListenerReport {
  readonly address: string;
  /** Open now, without upgraded ones; and those. */
  readonly connections: number;
  readonly upgraded?: number;
  /** Since the start. */
  readonly accepted: number;
  readonly requests: number;
  /** Requests whose bytes broke a rule or a limit. */
  readonly refused: number;
  /** Connections that were turned away or closed because there were too many. */
  readonly shed: number;
  /** All bytes of connections that have closed. */
  readonly bytesIn?: number;
  readonly bytesOut?: number;
}

/** A listener that carries a TCP or UDP service. */
export interface StreamReport {
  readonly address: string;
  readonly protocol: "tcp" | "udp";
  readonly service: string;
  /** As its room counts: `connections` and `sessions` are open now, all others are counts since the start. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface RealtimeReport {
  readonly name: string;
  readonly path: string;
  readonly durability: string;
  readonly connections: number;
  readonly sockets: number;
  readonly servers: readonly { readonly instance: string; readonly sockets: number }[];
  readonly streams: readonly {
    readonly namespace: string;
    /** Sequences of the oldest event that is kept, and of the last. */
    readonly first: number;
    readonly last: number;
    readonly bytes: number;
    /** Of the oldest event that is kept; -1 when none is. */
    readonly ageMs: number;
  }[];
}

/** One difference that a reload applied. */
export interface Change {
  readonly what: "listener" | "service" | "realtime" | "routes" | "names" | "console" | "log";
  readonly name: string;
  /** added, removed, changed, or in words. */
  readonly how: string;
}

export interface ReloadReport {
  readonly changes: readonly Change[];
}

export interface RouteReport {
  /** Of the one that has these sites to itself; absent where they are those of every listener without sites of its own. */
  readonly listener?: string;
  readonly site: string;
  readonly path: string;
  /** What a request must meet besides, in short; absent where nothing. */
  readonly when?: string;
  /** Which answers, or what does in its place. */
  readonly service: string;
}

export interface StatusReport {
  readonly version: string;
  readonly configuration: string;
  readonly pid: number;
  /** Milliseconds since the start. */
  readonly uptimeMs: number;
  readonly listeners: readonly ListenerReport[];
  readonly streams?: readonly StreamReport[];
  readonly sites: readonly RouteReport[];
  readonly services: readonly ServiceReport[];
  readonly realtime: readonly RealtimeReport[];
  readonly names: { readonly address: string; readonly zones: readonly string[]; readonly queries: number } | null;
}
