/** What the hubs of the real-time services decided, and how their stream logs fare, for a scrape. */
import type { StoreStatus } from "@tideway/edge/store";
import type { HubStatus } from "@tideway/engine/hub";
import { counter, gauge, histogram, type MetricsSource } from "@tideway/engine/metrics";

const events = counter("tideway_realtime_events_total", "Events of clients (in), and packets of emits to them (out)");
const emits = counter("tideway_realtime_emits_total", "Emits of applications, by what became of them");
const recoveries = counter("tideway_realtime_recoveries_total", "Clients that came back, by what became of them");
const recovered = counter("tideway_realtime_recovered_events_total", "Events that clients had missed and were sent");
const ghosts = counter("tideway_realtime_ghosts_total", "Lines whose client came back before their loss was noticed");
const handovers = counter("tideway_realtime_handovers_total", "Sockets that were given to another process");
const closed = counter("tideway_realtime_hub_closed_total", "Connections that the hub closed, by why");
const joins = counter("tideway_realtime_refused_joins_total", "Times that a socket was in too many rooms");
const unhandled = gauge(
  "tideway_realtime_unhandled_events",
  "Events of clients that a process has got and not handled",
);
const unseated = gauge("tideway_realtime_unseated_sockets", "Sockets that wait for a process");
const pending = gauge("tideway_realtime_pending_bytes", "Bytes of emits that wait for the store", "bytes");
const streamBytes = gauge("tideway_realtime_stream_bytes", "Bytes of events that a stream keeps", "bytes");
const streamOldest = gauge("tideway_realtime_stream_oldest_sequence", "Sequence of the oldest event that is kept");
const queued = gauge("tideway_store_queued_operations", "Operations that wait for a transaction");
const trimmed = counter("tideway_store_trimmed_rows_total", "Rows that retention has removed");
const commits = histogram(
  "tideway_store_commit_duration_seconds",
  "From the first thing that was asked of a transaction to its results",
  "seconds",
);

/** A realtime service, as far as its hub is concerned. */
export interface CountedHub {
  readonly name: string;
  readonly hub: HubStatus;
  /** Null when nothing is kept on disk. */
  readonly store: StoreStatus | null;
}

/** `hubs` is asked at each scrape: a reload changes which there are. */
export function hubMetrics(hubs: () => readonly CountedHub[]): MetricsSource {
  return (samples) => {
    for (const { name, hub, store } of hubs()) {
      const labels = { tideway_service: name };
      const { counters } = hub;
      samples.add(events, counters.events, { ...labels, direction: "in" });
      samples.add(events, counters.deliveries, { ...labels, direction: "out" });
      samples.add(emits, counters.emits - counters.refusedEmits, { ...labels, result: "taken" });
      samples.add(emits, counters.refusedEmits, { ...labels, result: "refused" });
      samples.add(recoveries, counters.recovered, { ...labels, result: "recovered" });
      samples.add(recoveries, counters.unrecoveredSession, { ...labels, result: "unknown_session" });
      samples.add(recoveries, counters.unrecoveredOffset, { ...labels, result: "foreign_offset" });
      samples.add(recoveries, counters.unrecoveredTrimmed, { ...labels, result: "trimmed" });
      samples.add(recoveries, counters.unrecoveredTooMuch, { ...labels, result: "too_much" });
      samples.add(recovered, counters.recoveredEvents, labels);
      samples.add(ghosts, counters.ghosts, labels);
      samples.add(handovers, counters.handovers, labels);
      samples.add(closed, counters.faults, { ...labels, why: "fault" });
      samples.add(closed, counters.overflows, { ...labels, why: "overflow" });
      samples.add(closed, counters.unanswered, { ...labels, why: "unanswered" });
      samples.add(closed, counters.refusedConnections, { ...labels, why: "full" });
      samples.add(joins, counters.refusedJoins, labels);
      samples.add(unseated, hub.unseated, labels);
      const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
      samples.add(unhandled, sum(hub.servers.map((server) => server.unhandled)), labels);
      samples.add(pending, sum(hub.namespaces.map(({ pendingBytes }) => pendingBytes)), labels);
      for (const { namespace, bytes, oldest } of hub.streams) {
        samples.add(streamBytes, bytes, { ...labels, namespace });
        samples.add(streamOldest, oldest, { ...labels, namespace });
      }
      if (store === null) continue;
      samples.add(queued, store.queued, labels);
      samples.add(trimmed, store.trimmed, labels);
      samples.addHistogram(commits, store.latency, labels, 0.001);
    }
  };
}
