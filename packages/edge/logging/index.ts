/** Front door of `edge/logging`: the access log's lines, and the writing of lines that never holds anybody up. */
import { combinedLines } from "./combined.ts";
import type { AccessLogOptions, AccessRecord } from "./contract.ts";
import { jsonLines } from "./json.ts";

export {
  type AccessLogFormat,
  type AccessLogOptions,
  type AccessRecord,
  accessLogFormats,
  type LineWriterOptions,
} from "./contract.ts";
export { type LineCounters, LineWriter } from "./writer.ts";

/** Makes what is called with every request. */
export function createAccessLog(options: AccessLogOptions): (record: AccessRecord) => void {
  const lineOf = options.format === "json" ? jsonLines(options) : combinedLines(options);
  return (record) => options.write(lineOf(record));
}
