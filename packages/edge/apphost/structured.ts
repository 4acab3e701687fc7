/**
 * Lines that are logged as JSON already (pino, bunyan, winston and their like): their level, words and fields go into
 * Tideway's own log as such, instead of a quoted text in a text. Anything else stays a line. Knows no particular logger.
 */
/** What an application prints is never below what Tideway logs: whether it says its details is the application's to say. */
type Level = "info" | "warn" | "error";

export interface LoggedLine {
  readonly level: Level;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** Fields that every line of Tideway's log has from Tideway; an application's own would stand there twice. */
const OURS = new Set(["level", "time", "timestamp", "pid", "hostname", "name", "v", "msg", "message"]);

export function readLine(line: string): LoggedLine {
  const plain: LoggedLine = { level: "info", fields: {}, message: line };
  if (!line.startsWith("{")) return plain;
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch {
    return plain;
  }
  const { msg, message = msg, level } = entry as Record<string, unknown>;
  if (typeof message !== "string" || level === undefined) return plain;
  const fields = Object.fromEntries(Object.entries(entry as object).filter(([name]) => !OURS.has(name)));
  return { level: levelOf(level), fields, message };
}

/** By number as pino and bunyan count (30 is info), or by name as syslog and winston say it. */
function levelOf(level: unknown): Level {
  if (typeof level === "number") return level >= 50 ? "error" : level >= 40 ? "warn" : "info";
  const name = String(level).toLowerCase();
  if (/^(?:err|fatal|crit|alert|emerg|panic)/.test(name)) return "error";
  return name.startsWith("warn") ? "warn" : "info";
}
