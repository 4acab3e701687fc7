/** Configurations of a whole Tideway as a gateway in front of one origin. Beside them stand those of `peers/`. */

/** Nothing but the way: no access log, no console, no trace; metrics are always counted. `connections` are those of clients. */
export function plainGateway(origin: number, connections?: number): string {
  const limits = connections === undefined ? "" : `limits: { connectionsMax: ${connections} },`;
  return `export default {
  listen: [{ port: 0 }], ${limits} console: false, log: { level: "warn", requests: false }, trace: { create: false },
  services: { origin: { upstreams: ["http://127.0.0.1:${origin}"], health: { kind: "tcp" } } },
  sites: { "*": { "/": "origin" } },
};\n`;
}

export interface FullOptions {
  readonly origin: number;
  /** Where the access log goes. */
  readonly log: string;
  /** Whether each request is given a `traceparent`, for which nginx has no equivalent. */
  readonly traces: boolean;
}

/**
 * Access log in JSON to a file, a rate per address that nobody reaches, metrics that may be scraped; request id and
 * forwarded fields are always on.
 */
export function fullGateway({ origin, log, traces }: FullOptions): string {
  return `export default {
  listen: [{ port: 0 }], console: { port: 0, metrics: "open" }, trace: { create: ${traces} },
  log: { level: "warn", requests: { format: "json", file: ${JSON.stringify(log)} } },
  services: { origin: { upstreams: ["http://127.0.0.1:${origin}"], health: { kind: "tcp" } } },
  sites: { "*": { "/": { to: "origin", limits: { rate: { requests: 1_000_000, per: "second", by: "address" } } } } },
};\n`;
}
