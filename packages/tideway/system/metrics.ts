/**
 * The metrics of the running system: what is counted of every request, what the process says of itself, and what the status
 * report holds, put together when a scrape asks. Owns the joining; names and numbers are `engine/metrics`' and the console's.
 */
import { setImmediate as others } from "node:timers/promises";
import type { RequestRecord } from "@tideway/edge/listener";
import type { LineCounters } from "@tideway/edge/logging";
import {
  counter,
  durationBoundsMs,
  Exposition,
  Histogram,
  histogram,
  type MetricsFormat,
  type MetricsSource,
  RequestMetrics,
} from "@tideway/engine/metrics";
import { collectStatus, type StatusReport } from "../console/index.ts";
import { ProcessMetrics } from "./process-metrics.ts";

const serviceHead = histogram(
  "tideway_service_response_head_seconds",
  "Time from a request's head to its answer's, where an instance answered: queue, tries and service",
  "seconds",
);
const logLines = counter("tideway_access_log_lines_total", "Lines of the access log's file");
const logDropped = counter("tideway_access_log_dropped_lines_total", "Lines that a full or slow disk did not take");

export interface MetricsOptions {
  readonly status: () => StatusReport;
  /** Of the access log's file; null when there is none. */
  readonly accessLog: () => LineCounters | null;
  /** Whatever else knows something. */
  readonly sources?: readonly MetricsSource[];
}

/** The slice of a listener's record that is counted. */
export type CountedRecord = Pick<
  RequestRecord,
  | "method"
  | "route"
  | "status"
  | "durationMs"
  | "headMs"
  | "bytesIn"
  | "bytesOut"
  | "service"
  | "instance"
  | "fault"
  | "reason"
>;

export class Metrics {
  readonly #requests = new RequestMetrics();
  /** By service: as many as the configuration has had. */
  readonly #heads = new Map<string, Histogram>();
  readonly #process = new ProcessMetrics();
  readonly #options: MetricsOptions;

  constructor(options: MetricsOptions) {
    this.#options = options;
  }

  /** Called with every request, before it is routed. */
  readonly began = (method: string): void => {
    this.#requests.began(method);
  };

  /** Called with every record of a listener. */
  readonly record = (record: CountedRecord): void => {
    const { method, status, service, headMs } = record;
    if (record.fault !== "") this.#requests.refused(record.fault);
    if (record.reason !== "") this.#requests.failed(record.route, record.reason);
    // A refused head was no request yet: nothing is known of it.
    if (method === "") return;
    this.#requests.ended(record.route, method, status, record.durationMs, record.bytesIn, record.bytesOut);
    if (headMs < 0 || record.instance === "") return;
    const head = this.#heads.get(service);
    if (head === undefined) this.#firstOf(service).observe(headMs);
    else head.observe(headMs);
  };

  /** After a change of the configuration: `routes` as records name them. */
  keepRoutes(routes: ReadonlySet<string>): void {
    this.#requests.keepRoutes(routes);
  }

  /** Everything that is known now. Gives way to requests in between. */
  readonly scrape = async (format: MetricsFormat): Promise<Exposition> => {
    const exposition = new Exposition(format);
    collectStatus(this.#options.status(), exposition);
    const sources: MetricsSource[] = [
      (samples) => this.#requests.collect(samples),
      (samples) => this.#collectOwn(samples),
      ...(this.#options.sources ?? []),
    ];
    for (const source of sources) for (const _ of source(exposition) ?? []) await others();
    await this.#process.collect(exposition);
    return exposition;
  };

  close(): void {
    this.#process.close();
  }

  #firstOf(service: string): Histogram {
    const fresh = new Histogram(durationBoundsMs);
    this.#heads.set(service, fresh);
    return fresh;
  }

  #collectOwn(samples: Parameters<MetricsSource>[0]): void {
    for (const [service, head] of this.#heads) {
      samples.addHistogram(serviceHead, head, { tideway_service: service }, 0.001);
    }
    const lines = this.#options.accessLog();
    if (lines === null) return;
    samples.add(logLines, lines.lines);
    samples.add(logDropped, lines.dropped);
  }
}
