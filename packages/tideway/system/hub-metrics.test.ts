import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Hub, MemoryStore } from "@tideway/engine/hub";
import { FakeClient, FakeServer } from "@tideway/engine/hub/testing";
import { Exposition, Histogram } from "@tideway/engine/metrics";
import { readMetrics, readValue } from "@tideway/engine/metrics/testing";
import { hubMetrics } from "./hub-metrics.ts";

test("a hub's events, recoveries, queues, drops and its store's commits are in the metrics, and only ever grow where they should", () => {
  const clock = new FakeClock();
  const random = new SeededRandom(1);
  const store = new MemoryStore({ clock, random, retentionMs: 60_000 });
  const hub = new Hub({ clock, random, store, limits: { recentBytesMax: 0 } });
  const server = new FakeServer(hub);
  const [one, two] = [new FakeClient(hub).connect(), new FakeClient(hub).connect()];
  server.emit([], ["to both"]);
  server.emit([one.sid], ["to one"]);
  one.read();
  two.read();
  one.emit("word");
  server.handles = false;
  two.emit("left lying");
  one.drop();
  server.emit([one.sid], ["missed"]);
  one.connect();
  one.drop();
  server.emit([one.sid], ["trimmed"]);
  clock.advance(61_000);
  server.emit([], ["new"]);
  one.connect();
  const latency = new Histogram([1, 10]);
  for (const ms of [0.5, 5, 50]) latency.observe(ms);
  const source = hubMetrics(() => [
    {
      name: "live",
      hub: hub.status(),
      store: { queued: 3, commits: 3, commitMs: 50, trimmed: 9, latency },
    },
  ]);
  for (const format of ["prometheus", "openmetrics"] as const) {
    const exposition = new Exposition(format);
    source(exposition);
    const metrics = readMetrics(exposition.text(), format);
    const value = (name: string, labels: Record<string, string> = {}) =>
      readValue(metrics, `tideway_${name}`, { tideway_service: "live", ...labels });
    assert.equal(value("realtime_events_total", { direction: "in" }), 2);
    assert.equal(value("realtime_events_total", { direction: "out" }), 4, "two, one, and one that one of them got");
    assert.equal(value("realtime_emits_total", { result: "taken" }), 5);
    assert.equal(value("realtime_emits_total", { result: "refused" }), 0);
    assert.equal(value("realtime_recoveries_total", { result: "recovered" }), 1);
    assert.equal(value("realtime_recoveries_total", { result: "trimmed" }), 0);
    assert.equal(value("realtime_recoveries_total", { result: "unknown_session" }), 1);
    assert.equal(value("realtime_recovered_events_total"), 1);
    assert.equal(value("realtime_unhandled_events"), 1);
    assert.ok(value("realtime_stream_bytes", { namespace: "/" }) > 0);
    assert.equal(value("realtime_stream_oldest_sequence", { namespace: "/" }), 5);
    assert.equal(value("store_queued_operations"), 3);
    assert.equal(value("store_trimmed_rows_total"), 9);
    assert.equal(value("store_commit_duration_seconds_count"), 3);
  }
});
