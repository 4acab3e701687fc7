/** Front door of `engine/metrics`: counting what happens, and saying it as text. */
export {
  Exposition,
  MetricsFormat,
  type MetricsSource,
  metricsContentTypes,
  metricsFormatFor,
  type Samples,
} from "./exposition.ts";
export { counter, type Family, gauge, histogram, info, type Labels } from "./families.ts";
export { durationBoundsMs, Histogram, sizeBoundsBytes } from "./histogram.ts";
export { RequestMetrics, type RequestMetricsOptions } from "./requests.ts";
