/** What compression did, for a scrape: how much it saved, and what went as it was for want of a compressor. */
import type { CompressionCounters } from "@tideway/edge/compression";
import { counter, gauge, type MetricsSource } from "@tideway/engine/metrics";

const open = gauge("tideway_compression_open_streams", "Compressors that are open");
const answers = counter("tideway_compression_responses_total", "Responses by what became of them");
const bytesIn = counter("tideway_compression_received_bytes_total", "Bytes of bodies before compression", "bytes");
const bytesOut = counter("tideway_compression_sent_bytes_total", "Bytes of bodies after compression", "bytes");

export function compressionMetrics(counters: CompressionCounters): MetricsSource {
  return (samples) => {
    samples.add(open, counters.open);
    samples.add(answers, counters.whole, { result: "whole" });
    samples.add(answers, counters.streamed, { result: "streamed" });
    samples.add(answers, counters.refused, { result: "refused" });
    samples.add(bytesIn, counters.bytesIn);
    samples.add(bytesOut, counters.bytesOut);
  };
}
