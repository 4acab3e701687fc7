/**
 * What the process says of itself when a scrape asks, by OpenTelemetry's names for processes, V8 and Node. Reads the system
 * each time and keeps nothing but the event loop's delays since the last scrape.
 */
import { readdir, readFile } from "node:fs/promises";
import { type ELDHistogram, monitorEventLoopDelay, performance } from "node:perf_hooks";
import { getHeapSpaceStatistics } from "node:v8";
import { counter, gauge, type Samples } from "@tideway/engine/metrics";

const cpu = counter("process_cpu_time_seconds_total", "CPU time of the process, all threads", "seconds");
const memory = gauge("process_memory_usage_bytes", "Physical memory in use", "bytes");
const uptime = gauge("process_uptime_seconds", "Time since the process started", "seconds");
const descriptors = gauge("process_open_file_descriptor_count", "File descriptors in use");
const descriptorLimit = gauge("tideway_process_file_descriptor_limit", "File descriptors that the process may use");
const heapUsed = gauge("v8js_memory_heap_used_bytes", "Memory of V8's heap in use", "bytes");
const heapLimit = gauge("v8js_memory_heap_limit_bytes", "Memory of V8's heap that is reserved", "bytes");
const external = gauge(
  "tideway_process_external_memory_bytes",
  "Memory outside of V8's heap that its objects hold",
  "bytes",
);
const loopTime = counter("nodejs_eventloop_time_seconds_total", "Time of the event loop by state", "seconds");

const delayHelp = "Time for which one turn of the event loop held up the others, since the last scrape";
const delays = {
  min: gauge("nodejs_eventloop_delay_min_seconds", `${delayHelp}: least`, "seconds"),
  max: gauge("nodejs_eventloop_delay_max_seconds", `${delayHelp}: most`, "seconds"),
  mean: gauge("nodejs_eventloop_delay_mean_seconds", `${delayHelp}: mean`, "seconds"),
  stddev: gauge("nodejs_eventloop_delay_stddev_seconds", `${delayHelp}: standard deviation`, "seconds"),
  p50: gauge("nodejs_eventloop_delay_p50_seconds", `${delayHelp}: median`, "seconds"),
  p90: gauge("nodejs_eventloop_delay_p90_seconds", `${delayHelp}: 90 of 100 are below`, "seconds"),
  p99: gauge("nodejs_eventloop_delay_p99_seconds", `${delayHelp}: 99 of 100 are below`, "seconds"),
} as const;

export class ProcessMetrics {
  readonly #delay: ELDHistogram;

  constructor() {
    // Measured turn by turn, so that an idle process is not woken for it; older Node ignores this and measures with a timer.
    const options = { samplePerIteration: true };
    this.#delay = monitorEventLoopDelay(options);
    this.#delay.enable();
  }

  close(): void {
    this.#delay.disable();
  }

  async collect(samples: Samples): Promise<void> {
    // Thousands of descriptors take a while to list: not on the event loop.
    const [open, limit] = await Promise.all([countDescriptors(), readLimit()]);
    const { user, system } = process.cpuUsage();
    samples.add(cpu, user / 1e6, { cpu_mode: "user" });
    samples.add(cpu, system / 1e6, { cpu_mode: "system" });
    samples.add(memory, process.memoryUsage.rss());
    samples.add(external, process.memoryUsage().external);
    samples.add(uptime, process.uptime());
    if (open !== null) samples.add(descriptors, open);
    if (limit !== null) samples.add(descriptorLimit, limit);
    for (const space of getHeapSpaceStatistics()) {
      const labels = { v8js_heap_space_name: space.space_name };
      samples.add(heapUsed, space.space_used_size, labels);
      samples.add(heapLimit, space.space_size, labels);
    }
    this.#collectLoop(samples);
  }

  #collectLoop(samples: Samples): void {
    const { active, idle } = performance.eventLoopUtilization();
    samples.add(loopTime, active / 1e3, { nodejs_eventloop_state: "active" });
    samples.add(loopTime, idle / 1e3, { nodejs_eventloop_state: "idle" });
    const delay = this.#delay;
    if (delay.count === 0) return;
    samples.add(delays.min, delay.min / 1e9);
    samples.add(delays.max, delay.max / 1e9);
    samples.add(delays.mean, delay.mean / 1e9);
    samples.add(delays.stddev, delay.stddev / 1e9);
    samples.add(delays.p50, delay.percentile(50) / 1e9);
    samples.add(delays.p90, delay.percentile(90) / 1e9);
    samples.add(delays.p99, delay.percentile(99) / 1e9);
    delay.reset();
  }
}

/** Null where there is no /proc. */
async function countDescriptors(): Promise<number | null> {
  return await readdir("/proc/self/fd").then(
    (names) => names.length,
    () => null,
  );
}

async function readLimit(): Promise<number | null> {
  const text = await readFile("/proc/self/limits", "latin1").catch(() => "");
  const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1];
  return soft === undefined ? null : Number(soft);
}
