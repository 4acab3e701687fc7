import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import { limits, silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createListener } from "@tideway/edge/listener";
import { counter } from "@tideway/engine/metrics";
import { readMetrics, readValue } from "@tideway/engine/metrics/testing";
import type { StatusReport } from "../console/index.ts";
import { fixedAnswer } from "./answers.ts";
import { compressionMetrics } from "./compression-metrics.ts";
import { Metrics } from "./metrics.ts";

const report: StatusReport = {
  version: "0.1.0",
  configuration: "",
  pid: 1,
  uptimeMs: 0,
  listeners: [],
  sites: [],
  services: [],
  realtime: [],
  names: null,
};

const cats = counter("tideway_cats_total", "Cats");
const duration = "http_server_request_duration_seconds";

test("requests through a listener are counted by route and status, refusals by rule; the process tells of itself", async (t) => {
  const metrics = new Metrics({
    status: () => report,
    accessLog: () => ({ lines: 5, dropped: 1 }),
    sources: [
      (samples) => samples.add(cats, 2),
      compressionMetrics({ open: 1, whole: 2, streamed: 3, refused: 4, bytesIn: 50, bytesOut: 6 }),
    ],
  });
  t.after(() => metrics.close());
  const target = fixedAnswer("ping", { status: 200, body: "pong", type: "text/plain" });
  const held: (() => void)[] = [];
  const reached = Promise.withResolvers<void>();
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    limits,
    onExchange(exchange) {
      metrics.began(exchange.head.method);
      exchange.route = "www.abc.test/ping";
      exchange.instance = "ping-1";
      if (exchange.head.path === "/held") {
        held.push(() => target.handle(exchange));
        reached.resolve();
      } else target.handle(exchange);
    },
    onRecord: metrics.record,
  });
  const { port } = await listener.listen();
  t.after(() => listener.close({ graceMs: 0 }));
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
  const socket = connect(port, "127.0.0.1").resume();
  socket.write(`${get("/a")}${get("/b")}${get("/held")}BROKEN\r\n\r\n`);
  await reached.promise;

  const read = async (format: "prometheus" | "openmetrics") =>
    readMetrics((await metrics.scrape(format)).text(), format);
  const during = await read("openmetrics");
  assert.equal(readValue(during, "http_server_active_requests", { http_request_method: "GET" }), 1);
  assert.equal(readValue(during, `${duration}_count`, { http_route: "/ping", http_response_status_code: "200" }), 2);

  held[0]!();
  await once(socket, "end");
  socket.end();
  const after = await read("prometheus");
  assert.equal(readValue(after, "http_server_active_requests", { http_request_method: "GET" }), 0);
  assert.equal(readValue(after, `${duration}_count`, { http_route: "/ping", server_address: "www.abc.test" }), 3);
  assert.equal(readValue(after, "http_server_response_body_size_bytes_sum", { http_route: "/ping" }), 12);
  assert.equal(readValue(after, "tideway_service_response_head_seconds_count", { tideway_service: "ping" }), 3);
  assert.equal(readValue(after, "tideway_http_refused_requests_total", { rule: "REQUEST_LINE" }), 1);
  assert.equal(
    after.get(duration)!.samples.filter(({ name }) => name.endsWith("_count")).length,
    1,
    "a refused head has no series",
  );
  assert.equal(readValue(after, "tideway_access_log_dropped_lines_total"), 1);
  assert.equal(readValue(after, "tideway_cats_total"), 2);
  assert.equal(readValue(after, "tideway_compression_responses_total", { result: "streamed" }), 3);

  assert.ok(readValue(after, "process_memory_usage_bytes") > 10_000_000);
  assert.ok(readValue(after, "process_cpu_time_seconds_total", { cpu_mode: "user" }) > 0);
  assert.ok(readValue(after, "process_open_file_descriptor_count") > 3);
  assert.ok(readValue(after, "nodejs_eventloop_time_seconds_total", { nodejs_eventloop_state: "active" }) > 0);
  assert.ok(readValue(after, "v8js_memory_heap_used_bytes", { v8js_heap_space_name: "old_space" }) > 0);
  assert.equal(readValue(after, "target_info", { service_name: "tideway" }), 1);
});

test("counters go on over a change of the configuration; removed routes make room", async (t) => {
  const metrics = new Metrics({ status: () => report, accessLog: () => null });
  t.after(() => metrics.close());
  const record = (route: string) => {
    metrics.began("GET");
    metrics.record({
      method: "GET",
      route,
      status: 200,
      durationMs: 1,
      headMs: 1,
      bytesIn: 0,
      bytesOut: 0,
      service: "web",
      instance: "",
      fault: "",
      reason: "",
    });
  };
  record("*/kept");
  record("*/removed");
  metrics.keepRoutes(new Set(["*/kept"]));
  record("*/kept");
  const read = readMetrics((await metrics.scrape("prometheus")).text(), "prometheus");
  assert.equal(readValue(read, `${duration}_count`, { http_route: "/kept" }), 2);
  assert.throws(() => readValue(read, `${duration}_count`, { http_route: "/removed" }));
});
