/** What a running Tideway says of itself: the shape behind `tideway status`, the console and their `--json`. */

export interface InstanceReport {
  readonly id: string;
  /** Health as the balancer sees it: checking, up, down, draining; without a process: failed, starting, stopped. */
  readonly state: string;
  /** Milliseconds in this state; -1 without a process. */
  readonly forMs: number;
  /** Requests under way. */
  readonly active: number;
  readonly connections: number;
  /** Decaying average of the time to a response's head; -1 before the first. */
  readonly latencyMs: number;
  /** Of the process, when Tideway runs it. */
  readonly pid?: number;
  readonly restarts?: number;
}

export interface ServiceReport {
  readonly name: string;
  readonly kind: string;
  /** Requests that wait for an instance. */
  readonly waiting: number;
  readonly instances: readonly InstanceReport[];
}

export interface RealtimeReport {
  readonly name: string;
  readonly path: string;
  readonly durability: string;
  readonly connections: number;
  readonly sockets: number;
  readonly servers: readonly { readonly instance: string; readonly sockets: number }[];
  readonly streams: readonly { readonly namespace: string; readonly last: number }[];
}

export interface StatusReport {
  readonly version: string;
  readonly configuration: string;
  readonly pid: number;
  /** Milliseconds since the start. */
  readonly uptimeMs: number;
  readonly listeners: readonly { readonly address: string; readonly connections: number; readonly requests: number }[];
  readonly sites: readonly { readonly site: string; readonly path: string; readonly service: string }[];
  readonly services: readonly ServiceReport[];
  readonly realtime: readonly RealtimeReport[];
  readonly names: { readonly address: string; readonly zones: readonly string[]; readonly queries: number } | null;
}
