import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createTransports } from "@tideway/edge/transports";
import { Exposition } from "@tideway/engine/metrics";
import { readMetrics, readValue } from "@tideway/engine/metrics/testing";
import { realtimeMetrics } from "./realtime-metrics.ts";

test("each realtime service tells of its connections, traffic, queues and drops, under its name", () => {
  const open = () => ({ text() {}, binary() {}, upgraded() {}, closed() {} });
  const common = { clock: new FakeClock(), random: new SeededRandom(1), logger: silentLogger, open };
  const [chat, news] = [createTransports(common), createTransports(common)];
  const changed = { polling: 2, webSockets: 3, opened: 9, closed: 4, upgraded: 1, refused: 7, refusedFull: 5 };
  Object.assign(chat.counters, changed, { packetsIn: 10, packetsOut: 20, bytesIn: 300, bytesOut: 400 });
  Object.assign(chat.counters, {
    queuedPackets: 6,
    queuedBytes: 600,
    volatileDropped: 8,
    slowConsumers: 2,
    throttled: 1,
  });
  Object.assign(chat.counters, { sse: 5, longPolls: 4, roomGaps: 3 });
  Object.assign(chat.counters.roomRequests, { poll: 11, longpoll: 12, sse: 13, publish: 14 });
  Object.assign(chat.counters.roomEvents, { poll: 21, longpoll: 22, sse: 23 });
  const source = realtimeMetrics(() => [
    { name: "chat", counters: chat.counters },
    { name: "news", counters: news.counters },
  ]);
  for (const format of ["prometheus", "openmetrics"] as const) {
    const exposition = new Exposition(format);
    source(exposition);
    const metrics = readMetrics(exposition.text(), format);
    const value = (name: string, labels: Record<string, string>) => readValue(metrics, name, labels);
    const all = "tideway_realtime_";
    assert.equal(value(`${all}connections`, { tideway_service: "chat", transport: "polling" }), 2);
    assert.equal(value(`${all}connections`, { tideway_service: "chat", transport: "websocket" }), 3);
    assert.equal(value(`${all}connections`, { tideway_service: "news", transport: "websocket" }), 0);
    const by = (name: string, transport: string) => value(`${all}${name}`, { tideway_service: "chat", transport });
    assert.deepEqual([by("connections", "sse"), by("connections", "longpoll")], [5, 4]);
    const requests = ["poll", "longpoll", "sse", "publish"].map((transport) => by("room_requests_total", transport));
    assert.deepEqual(requests, [11, 12, 13, 14]);
    assert.deepEqual(
      ["poll", "longpoll", "sse"].map((transport) => by("room_events_total", transport)),
      [21, 22, 23],
    );
    assert.equal(value(`${all}room_gaps_total`, { tideway_service: "chat" }), 3);
    assert.equal(value(`${all}refused_total`, { tideway_service: "chat", why: "full" }), 5);
    assert.equal(value(`${all}refused_total`, { tideway_service: "chat", why: "request" }), 2);
    assert.equal(value(`${all}packets_total`, { tideway_service: "chat", direction: "out" }), 20);
    assert.equal(value(`${all}bytes_total`, { tideway_service: "chat", direction: "in" }), 300);
    assert.equal(value(`${all}queued_bytes`, { tideway_service: "chat" }), 600);
    assert.equal(value(`${all}dropped_total`, { tideway_service: "chat" }), 8);
    assert.equal(value(`${all}slow_consumers_total`, { tideway_service: "chat" }), 2);
    assert.equal(value(`${all}throttled_total`, { tideway_service: "chat" }), 1);
  }
});
