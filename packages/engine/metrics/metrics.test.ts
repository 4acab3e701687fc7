import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { boundText, Exposition, MetricsFormat, metricsFormatFor } from "./exposition.ts";
import { counter, gauge, histogram, info } from "./families.ts";
import { Histogram } from "./histogram.ts";
import { RequestMetrics } from "./requests.ts";
import { type ReadMetrics, readMetrics, readValue } from "./testing.ts";

const formats = Object.values(MetricsFormat);
const { prometheus, openmetrics } = MetricsFormat;

function scrape(metrics: RequestMetrics, format: MetricsFormat = prometheus): ReadMetrics {
  const exposition = new Exposition(format);
  for (const _ of metrics.collect(exposition));
  return readMetrics(exposition.text(), format);
}

suite("the text", () => {
  test("in Prometheus' format, byte for byte", () => {
    const exposition = new Exposition(prometheus);
    const waits = new Histogram([5, 1_000]);
    for (const ms of [0, 5, 5.5, 1_000, 1_001]) waits.observe(ms);
    exposition.add(counter("tideway_retries_total", "Requests sent again"), 3, { service: "web" });
    exposition.addHistogram(histogram("tideway_wait_seconds", "Waits", "seconds"), waits, { service: "web" }, 0.001);
    exposition.add(info("tideway_build_info", "What runs"), 1, { version: "1.0", none: "" });
    exposition.add(gauge("tideway_load", "A ratio"), Number.POSITIVE_INFINITY);
    assert.equal(
      exposition.text(),
      `# HELP tideway_retries_total Requests sent again
# TYPE tideway_retries_total counter
tideway_retries_total{service="web"} 3
# HELP tideway_wait_seconds Waits
# TYPE tideway_wait_seconds histogram
tideway_wait_seconds_bucket{service="web",le="0.005"} 2
tideway_wait_seconds_bucket{service="web",le="1"} 4
tideway_wait_seconds_bucket{service="web",le="+Inf"} 5
tideway_wait_seconds_sum{service="web"} 2.0115
tideway_wait_seconds_count{service="web"} 5
# HELP tideway_build_info What runs
# TYPE tideway_build_info gauge
tideway_build_info{version="1.0"} 1
# HELP tideway_load A ratio
# TYPE tideway_load gauge
tideway_load +Inf
`,
    );
  });

  test("in OpenMetrics: types without suffixes, units, bounds that are floats, an end", () => {
    const exposition = new Exposition(openmetrics);
    const sizes = new Histogram([0, 100, 1_000_000]);
    sizes.observe(7);
    exposition.add(counter("process_cpu_time_seconds_total", 'CPU "time"', "seconds"), 1.5, { cpu_mode: "user" });
    exposition.addHistogram(histogram("tideway_size_bytes", "Sizes", "bytes"), sizes);
    exposition.add(info("target_info", "The target"), 1, { service_name: "tideway" });
    assert.equal(
      exposition.text(),
      `# TYPE process_cpu_time_seconds counter
# UNIT process_cpu_time_seconds seconds
# HELP process_cpu_time_seconds CPU \\"time\\"
process_cpu_time_seconds_total{cpu_mode="user"} 1.5
# TYPE tideway_size_bytes histogram
# UNIT tideway_size_bytes bytes
# HELP tideway_size_bytes Sizes
tideway_size_bytes_bucket{le="0.0"} 0
tideway_size_bytes_bucket{le="100.0"} 1
tideway_size_bytes_bucket{le="1e+06"} 1
tideway_size_bytes_bucket{le="+Inf"} 1
tideway_size_bytes_sum 7
tideway_size_bytes_count 1
# TYPE target info
# HELP target The target
target_info{service_name="tideway"} 1
# EOF
`,
    );
  });

  test("samples of a family stand together, however they were put in", () => {
    const one = gauge("tideway_one", "One");
    const two = gauge("tideway_two", "Two");
    for (const format of formats) {
      const exposition = new Exposition(format);
      exposition.add(one, 1, { at: "a" });
      exposition.add(two, 2);
      exposition.add(one, Number.NaN, { at: "b" });
      const read = readMetrics(exposition.text(), format);
      assert.equal(read.get("tideway_one")?.samples.length, 2);
      assert.ok(Number.isNaN(readValue(read, "tideway_one", { at: "b" })));
    }
  });

  test("a long text comes in pieces that are the same text", () => {
    const family = gauge("tideway_one", "One");
    const exposition = new Exposition(prometheus);
    for (let i = 0; i < 5_000; i++) exposition.add(family, i, { at: `${i} of many` });
    const pieces = [...exposition.pieces()];
    assert.ok(pieces.length > 1 && pieces.every(({ length }) => length < 70_000));
    assert.equal(pieces.join(""), exposition.text());
    assert.equal(readMetrics(exposition.text(), prometheus).get("tideway_one")?.samples.length, 5_000);
  });

  test("any text may be a label's value, and comes out as it went in", () => {
    const family = gauge("tideway_one", 'Help with \\ and "');
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), fc.constantFrom(...formats), (value, format) => {
        const exposition = new Exposition(format);
        exposition.add(family, 1, { site: value });
        // As it arrives: in UTF-8.
        const read = readMetrics(Buffer.from(exposition.text()).toString(), format);
        assert.equal(read.get("tideway_one")?.samples[0]?.labels.get("site"), value.toWellFormed());
      }),
    );
  });

  test("bounds are spelt as Go spells them", () => {
    const spelt: [number, string, string][] = [
      [0, "0", "0.0"],
      [0.00001, "1e-05", "1e-05"],
      [0.0001, "0.0001", "0.0001"],
      [0.005, "0.005", "0.005"],
      [1, "1", "1.0"],
      [2.5, "2.5", "2.5"],
      [100_000, "100000", "100000.0"],
      [1_000_000, "1e+06", "1e+06"],
      [1_048_576, "1.048576e+06", "1.048576e+06"],
      [1e10, "1e+10", "1e+10"],
      [7_500 * 0.001, "7.5", "7.5"],
    ];
    for (const [value, plain, float] of spelt) {
      assert.equal(boundText(value, false), plain);
      assert.equal(boundText(value, true), float);
    }
  });

  test("a name that a scraper would refuse fails where it is written", () => {
    assert.throws(() => counter("tideway_retries", "no _total"));
    assert.throws(() => gauge("tideway_retries_total", "_total is a counter's"));
    assert.throws(() => histogram("tideway_wait", "no unit", "seconds"));
    assert.throws(() => gauge("tideway-load", "a hyphen"));
    assert.throws(() => info("tideway_build", "no _info"));
  });
});

suite("the format", () => {
  const asked: [string, MetricsFormat][] = [
    ["", prometheus],
    ["*/*", prometheus],
    ["text/html,*/*;q=0.8", prometheus],
    ["application/openmetrics-text", openmetrics],
    ["application/openmetrics-text; version=1.0.0", openmetrics],
    ["application/openmetrics-text; version=2.0.0", prometheus],
    ["application/openmetrics-text;q=0", prometheus],
    ["application/openmetrics-text;q=0.2, text/plain", prometheus],
    ["text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.6", openmetrics],
    // What Prometheus 3 sends.
    [
      "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5," +
        "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
      openmetrics,
    ],
  ];
  for (const [accept, format] of asked) {
    test(`for Accept: ${accept === "" ? "(none)" : accept} is ${format}`, () => {
      assert.equal(metricsFormatFor(accept), format);
    });
  }
});

suite("requests", () => {
  const route = "www.abc.test:8080/db";
  const ofRoute = {
    http_request_method: "GET",
    http_response_status_code: "200",
    http_route: "/db",
    server_address: "www.abc.test",
    server_port: "8080",
  };

  test("are counted by route, method and status, with their time and their bodies", () => {
    const metrics = new RequestMetrics();
    metrics.ended(route, "GET", 200, 4, 0, 100);
    metrics.ended(route, "GET", 200, 40, 0, 2_000_000);
    metrics.ended(route, "POST", 201, 9_999, 5_000, 0);
    for (const format of formats) {
      const read = scrape(metrics, format);
      const name = "http_server_request_duration_seconds";
      assert.equal(readValue(read, `${name}_count`, ofRoute), 2);
      assert.ok(Math.abs(readValue(read, `${name}_sum`, ofRoute) - 0.044) < 1e-9);
      assert.equal(readValue(read, `${name}_bucket`, { ...ofRoute, le: "0.005" }), 1);
      assert.equal(readValue(read, `${name}_bucket`, { ...ofRoute, le: "0.05" }), 2);
      assert.equal(readValue(read, "http_server_response_body_size_bytes_sum", ofRoute), 2_000_100);
      assert.equal(readValue(read, "http_server_request_body_size_bytes_sum", { http_request_method: "POST" }), 5_000);
    }
  });

  test("have the error's type where the conventions want one: a server's fault, a client that went, a broken line", () => {
    const metrics = new RequestMetrics();
    for (const status of [200, 404, 499, 503, 0]) metrics.ended(route, "GET", status, 1, 0, 0);
    const read = scrape(metrics).get("http_server_request_duration_seconds")!;
    const counts = read.samples.filter(({ name }) => name.endsWith("_count"));
    const told = counts.map(({ labels }) => [labels.get("http_response_status_code"), labels.get("error_type")]);
    assert.deepEqual(told, [
      ["200", undefined],
      ["404", undefined],
      ["499", "client_gone"],
      ["503", "503"],
      [undefined, "broken"],
    ]);
  });

  test("under way are counted up and down by method", () => {
    const metrics = new RequestMetrics();
    metrics.began("GET");
    metrics.began("GET");
    metrics.began("PURGE");
    metrics.ended("", "GET", 200, 1, 0, 0);
    metrics.ended("", "PURGE", 405, 1, 0, 0);
    const read = scrape(metrics);
    assert.equal(readValue(read, "http_server_active_requests", { http_request_method: "GET" }), 1);
    assert.equal(readValue(read, "http_server_active_requests", { http_request_method: "_OTHER" }), 0);
  });

  test("with methods and statuses that clients or applications make up cannot grow the number of series", () => {
    const metrics = new RequestMetrics({ seriesMax: 50 });
    for (let i = 0; i < 5_000; i++) metrics.ended("*/", `METHOD${i}`, i, 1, 0, 0);
    metrics.ended("*/other", "GET", 200, 1, 0, 0);
    const counts = scrape(metrics)
      .get("http_server_request_duration_seconds")!
      .samples.filter(({ name }) => name.endsWith("_count"));
    assert.equal(counts.length, 51);
    assert.deepEqual(
      new Set(counts.map(({ labels }) => labels.get("http_request_method"))),
      new Set(["_OTHER", undefined]),
    );
    assert.equal(
      counts.reduce((sum, { value }) => sum + value, 0),
      5_001,
      "nothing is lost: the rest is in the series of the overflow",
    );
  });

  test("of a route that is no longer configured make room; those of others go on counting", () => {
    const metrics = new RequestMetrics({ seriesMax: 2 });
    metrics.ended("*/old", "GET", 200, 1, 0, 0);
    metrics.ended("*/kept", "GET", 200, 1, 0, 0);
    metrics.keepRoutes(new Set(["*/kept", "*/new"]));
    metrics.ended("*/kept", "GET", 200, 1, 0, 0);
    metrics.ended("*/new", "GET", 200, 1, 0, 0);
    const read = scrape(metrics);
    const name = "http_server_request_duration_seconds_count";
    assert.equal(readValue(read, name, { http_route: "/kept" }), 2);
    assert.equal(readValue(read, name, { http_route: "/new" }), 1);
    assert.throws(() => readValue(read, name, { http_route: "/old" }));
  });

  test("that were refused are counted by rule, within a bound", () => {
    const metrics = new RequestMetrics({ rulesMax: 2 });
    for (const code of ["BARE_LF", "BARE_LF", "OBS_FOLD", "HOST_MISSING", "VERSION"]) metrics.refused(code);
    const read = scrape(metrics);
    const name = "tideway_http_refused_requests_total";
    assert.equal(readValue(read, name, { rule: "BARE_LF" }), 2);
    assert.equal(readValue(read, name, { rule: "_OTHER" }), 2);
  });

  test("that Tideway answers with an error of its own are counted by why, and by route while that is configured", () => {
    const metrics = new RequestMetrics();
    for (const route of ["*/old", "*/kept", "*/kept", ""]) metrics.failed(route, "HTTP_TOO_MANY");
    metrics.failed("*/kept", "unavailable");
    metrics.keepRoutes(new Set(["*/kept"]));
    const name = "tideway_http_failed_requests_total";
    const read = scrape(metrics);
    assert.equal(readValue(read, name, { reason: "HTTP_TOO_MANY", http_route: "/kept", server_address: "*" }), 2);
    assert.equal(readValue(read, name, { reason: "unavailable" }), 1);
    assert.equal(read.get(name)!.samples.length, 3, "the removed route is gone, requests without a route stay");
  });

  test("of any kind give a text that every reader takes, and counts that only rise", () => {
    const request = fc.record({
      route: fc.constantFrom("", "*/", "www.abc.test/db", "[::1]:80/x"),
      method: fc.constantFrom("GET", "POST", "x"),
      status: fc.constantFrom(0, 101, 200, 499, 503, 999),
      ms: fc.double({ min: -1, max: 1e6, noNaN: true }),
      bytes: fc.nat(1e9),
    });
    fc.assert(
      fc.property(fc.array(request), fc.array(request), fc.constantFrom(...formats), (first, then, format) => {
        const metrics = new RequestMetrics();
        const count = (requests: typeof first) => {
          for (const { route, method, status, ms, bytes } of requests) {
            metrics.began(method);
            metrics.ended(route, method, status, ms, bytes, bytes);
          }
          return scrape(metrics, format);
        };
        const [before, after] = [count(first), count(then)];
        const later = new Map(
          [...after.values()].flatMap(({ samples }) => samples.map((each) => [keyOf(each), each.value])),
        );
        for (const sample of [...before.values()].flatMap(({ samples }) => samples)) {
          assert.ok(later.get(keyOf(sample))! >= sample.value, keyOf(sample));
        }
      }),
    );
  });
});

function keyOf({ name, labels }: { name: string; labels: ReadonlyMap<string, string> }): string {
  return JSON.stringify([name, ...labels]);
}
