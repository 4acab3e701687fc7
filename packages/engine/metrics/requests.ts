/**
 * What is counted of requests, by OpenTelemetry's names. Called with every request, so a series is found by two maps and
 * an array, and nothing is allocated but for the first of its kind. Its cardinality is bounded: routes come from the
 * configuration, methods are those of RFC 9110 and PATCH, statuses are numbers; beyond `seriesMax` all others share one.
 */

import type { Samples } from "./exposition.ts";
import { counter, gauge, histogram, type Labels } from "./families.ts";
import { durationBoundsMs, Histogram, sizeBoundsBytes } from "./histogram.ts";

/** As in the conventions: a method that is not among them is `_OTHER`. */
const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "_OTHER"] as const;
const otherMethod = methods.length - 1;
const methodIndex: ReadonlyMap<string, number> = new Map(methods.slice(0, otherMethod).map((name, at) => [name, at]));

const families = {
  duration: histogram("http_server_request_duration_seconds", "Time from a request's head to its end", "seconds"),
  received: histogram("http_server_request_body_size_bytes", "Size of requests' bodies, without framing", "bytes"),
  sent: histogram("http_server_response_body_size_bytes", "Size of responses' bodies, without framing", "bytes"),
  active: gauge("http_server_active_requests", "Requests under way"),
  failed: counter(
    "tideway_http_failed_requests_total",
    "Requests that Tideway answered with an error of its own, by why",
  ),
  refused: counter("tideway_http_refused_requests_total", "Requests whose bytes broke a rule or a limit, by its code"),
} as const;

/** Sent to no client as a status of its own: who ended the request without an answer. */
const errorOfStatus: Readonly<Record<number, string>> = { 0: "broken", 499: "client_gone" };

/** Steps between which a scrape may let requests go first: small enough to be no pause that anybody notices. */
const seriesPerStep = 50;

interface Series {
  readonly labels: Labels;
  readonly duration: Histogram;
  readonly received: Histogram;
  readonly sent: Histogram;
}

export interface RequestMetricsOptions {
  /** Combinations of route, method and status that are told apart; 1,000 unless given. One takes about 1 KB. */
  readonly seriesMax?: number;
  /** Codes of rules that are told apart; 100 unless given. */
  readonly rulesMax?: number;
}

export class RequestMetrics {
  readonly #seriesMax: number;
  readonly #rulesMax: number;
  /** Route → method and status as one number → series. */
  readonly #routes = new Map<string, Map<number, Series>>();
  readonly #all = new Set<Series>();
  /** Of everything beyond `seriesMax`, as OpenTelemetry's SDKs do it. */
  #overflow: Series | null = null;
  readonly #begun = new Float64Array(methods.length);
  readonly #ended = new Float64Array(methods.length);
  readonly #refused = new Map<string, number>();
  /** Why → route → how often. */
  readonly #failed = new Map<string, Map<string, number>>();

  constructor(options: RequestMetricsOptions = {}) {
    this.#seriesMax = options.seriesMax ?? 1_000;
    this.#rulesMax = options.rulesMax ?? 100;
  }

  /** A request begins. For each there is one `ended`. */
  began(method: string): void {
    this.#begun[methodIndex.get(method) ?? otherMethod]!++;
  }

  /**
   * It ended, in whatever way. `route` is its site and path as configured, empty when none was found; `status` is what was
   * answered, 499 when the client went first, 0 when the connection was broken.
   */
  ended(route: string, method: string, status: number, durationMs: number, bytesIn: number, bytesOut: number): void {
    const at = methodIndex.get(method) ?? otherMethod;
    this.#ended[at]!++;
    const known = status >= 100 && status <= 599 ? status : 0;
    const series = this.#routes.get(route)?.get(keyOf(at, known)) ?? this.#seriesFor(route, at, known);
    series.duration.observe(durationMs);
    series.received.observe(bytesIn);
    series.sent.observe(bytesOut);
  }

  /** Bytes that were refused, by the code of the rule that they broke; whether or not a request had begun. */
  refused(code: string): void {
    const key = this.#refused.has(code) || this.#refused.size < this.#rulesMax ? code : "_OTHER";
    this.#refused.set(key, (this.#refused.get(key) ?? 0) + 1);
  }

  /** A request was answered with an error of Tideway's own: no instance, too many, no such path. `why` is a word of ours. */
  failed(route: string, why: string): void {
    const key = this.#failed.has(why) || this.#failed.size < this.#rulesMax ? why : "_OTHER";
    const ofRoutes = this.#failed.get(key) ?? new Map<string, number>();
    this.#failed.set(key, ofRoutes);
    ofRoutes.set(route, (ofRoutes.get(route) ?? 0) + 1);
  }

  /** Forgets the routes that are not among `routes`: after a change of the configuration, so that their room is free again. */
  keepRoutes(routes: ReadonlySet<string>): void {
    for (const [route, ofRoute] of this.#routes) {
      if (route === "" || routes.has(route)) continue;
      this.#routes.delete(route);
      for (const series of ofRoute.values()) this.#all.delete(series);
    }
    for (const ofRoutes of this.#failed.values()) {
      for (const route of ofRoutes.keys()) if (route !== "" && !routes.has(route)) ofRoutes.delete(route);
    }
  }

  *collect(samples: Samples): Iterable<void> {
    for (const [at, method] of methods.entries()) {
      const begun = this.#begun[at]!;
      const labels = { http_request_method: method, url_scheme: "http" };
      if (at === 0 || begun > 0) samples.add(families.active, begun - this.#ended[at]!, labels);
    }
    for (const [rule, times] of this.#refused) samples.add(families.refused, times, { rule });
    for (const [reason, ofRoutes] of this.#failed) {
      for (const [route, times] of ofRoutes) samples.add(families.failed, times, { ...routeLabels(route), reason });
    }
    let count = 0;
    for (const series of [...this.#all, ...(this.#overflow === null ? [] : [this.#overflow])]) {
      samples.addHistogram(families.duration, series.duration, series.labels, 0.001);
      samples.addHistogram(families.received, series.received, series.labels);
      samples.addHistogram(families.sent, series.sent, series.labels);
      if (++count % seriesPerStep === 0) yield;
    }
  }

  /** The first of its kind, or one that has no series of its own. */
  #seriesFor(route: string, method: number, status: number): Series {
    if (this.#all.size >= this.#seriesMax) {
      this.#overflow ??= newSeries({ otel_metric_overflow: "true" });
      return this.#overflow;
    }
    const series = newSeries(labelsOf(route, methods[method]!, status));
    this.#all.add(series);
    const key = keyOf(method, status);
    const ofRoute = this.#routes.get(route);
    if (ofRoute === undefined) this.#routes.set(route, new Map([[key, series]]));
    else ofRoute.set(key, series);
    return series;
  }
}

function keyOf(method: number, status: number): number {
  return method * 1_000 + status;
}

function newSeries(labels: Labels): Series {
  return {
    labels,
    duration: new Histogram(durationBoundsMs),
    received: new Histogram(sizeBoundsBytes),
    sent: new Histogram(sizeBoundsBytes),
  };
}

/** The route's path is `http.route`, its site's name `server.address`: as configured, never what a client sent. */
function labelsOf(route: string, method: string, status: number): Labels {
  return {
    http_request_method: method,
    http_response_status_code: status === 0 ? "" : String(status),
    ...routeLabels(route),
    url_scheme: "http",
    error_type: errorOfStatus[status] ?? (status >= 500 ? String(status) : ""),
  };
}

function routeLabels(route: string): Labels {
  const slash = route.indexOf("/");
  const site = slash < 0 ? route : route.slice(0, slash);
  const [, name = "", port = ""] = /^(.*?)(?::(\d+))?$/.exec(site)!;
  return { http_route: slash < 0 ? "" : route.slice(slash), server_address: name, server_port: port };
}
