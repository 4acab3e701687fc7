/**
 * Owns how long a connection may wait for its next request.
 */
import type { FieldList } from "@tideway/base";

/** So much less than the server's own limit do we let a connection idle, so that it is we who close (http1-rules). */
const idleMarginMs = 4_000;

/** `Keep-Alive: timeout=5` of the server, less a margin; our own limit when it says nothing. 0: do not reuse. */
export function idleLimit(fields: FieldList, otherwiseMs: number): number {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== "keep-alive") continue;
    const seconds = /(?:^|[,;\s])timeout=(\d{1,6})\b/i.exec(fields[i + 1]!);
    if (seconds !== null) return Math.max(0, Math.min(otherwiseMs, Number(seconds[1]) * 1000 - idleMarginMs));
  }
  return otherwiseMs;
}
