/** What the real-time services did and what they hold, for a scrape: by service, from counters that are kept anyway. */
import type { Counters } from "@tideway/edge/transports";
import { counter, gauge, type MetricsSource } from "@tideway/engine/metrics";

const connections = gauge(
  "tideway_realtime_connections",
  "Sessions and readers of rooms that are open, by the transport they use now",
);
const roomRequests = counter(
  "tideway_realtime_room_requests_total",
  "Well-formed requests to rooms over plain HTTP, by what they want",
);
const roomEvents = counter(
  "tideway_realtime_room_events_total",
  "Events that readers of rooms over plain HTTP were given",
);
const roomGaps = counter(
  "tideway_realtime_room_gaps_total",
  "Times that such a reader was told that something is missing",
);
const opened = counter("tideway_realtime_sessions_total", "Sessions that were opened");
const closed = counter("tideway_realtime_sessions_closed_total", "Sessions that are over");
const upgraded = counter("tideway_realtime_upgrades_total", "Sessions that moved from polling to a WebSocket");
const refused = counter("tideway_realtime_refused_total", "Requests that were refused");
const packets = counter("tideway_realtime_packets_total", "Engine.IO packets, heartbeats included");
const bytes = counter("tideway_realtime_bytes_total", "Bytes of frames and payloads on the wire", "bytes");
const queuedPackets = gauge("tideway_realtime_queued_packets", "Packets that wait for clients to take them");
const queuedBytes = gauge("tideway_realtime_queued_bytes", "Bytes that wait for clients to take them", "bytes");
const dropped = counter("tideway_realtime_dropped_total", "Volatile packets that were dropped for slow clients");
const slow = counter("tideway_realtime_slow_consumers_total", "Sessions that were closed because they did not read");
const throttled = counter(
  "tideway_realtime_throttled_total",
  "Times that a client was read later for sending too fast",
);

/** A realtime service, as far as a scrape is concerned. */
interface Counted {
  readonly name: string;
  readonly counters: Readonly<Counters>;
}

/** `services` is asked at each scrape: a reload changes which there are. */
export function realtimeMetrics(services: () => readonly Counted[]): MetricsSource {
  return (samples) => {
    for (const { name, counters } of services()) {
      const labels = { tideway_service: name };
      samples.add(connections, counters.polling, { ...labels, transport: "polling" });
      samples.add(connections, counters.webSockets, { ...labels, transport: "websocket" });
      samples.add(connections, counters.sse, { ...labels, transport: "sse" });
      samples.add(connections, counters.longPolls, { ...labels, transport: "longpoll" });
      for (const [transport, count] of Object.entries(counters.roomRequests)) {
        samples.add(roomRequests, count, { ...labels, transport });
      }
      for (const [transport, count] of Object.entries(counters.roomEvents)) {
        samples.add(roomEvents, count, { ...labels, transport });
      }
      samples.add(roomGaps, counters.roomGaps, labels);
      samples.add(opened, counters.opened, labels);
      samples.add(closed, counters.closed, labels);
      samples.add(upgraded, counters.upgraded, labels);
      samples.add(refused, counters.refusedFull, { ...labels, why: "full" });
      samples.add(refused, counters.refused - counters.refusedFull, { ...labels, why: "request" });
      samples.add(packets, counters.packetsIn, { ...labels, direction: "in" });
      samples.add(packets, counters.packetsOut, { ...labels, direction: "out" });
      samples.add(bytes, counters.bytesIn, { ...labels, direction: "in" });
      samples.add(bytes, counters.bytesOut, { ...labels, direction: "out" });
      samples.add(queuedPackets, counters.queuedPackets, labels);
      samples.add(queuedBytes, counters.queuedBytes, labels);
      samples.add(dropped, counters.volatileDropped, labels);
      samples.add(slow, counters.slowConsumers, labels);
      samples.add(throttled, counters.throttled, labels);
    }
  };
}
