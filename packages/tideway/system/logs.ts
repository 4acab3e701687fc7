/**
 * The log: pino on standard error, one JSON object a line, or readable lines when a terminal looks on. Standard output
 * stays free for what a command answers. Owns levels and format; what is worth a line is each room's to say.
 */
import type { Logger } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import { LineWriter } from "@tideway/edge/logging";
import { type DestinationStream, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Readable lines with colours instead of JSON. */
  readonly readable: boolean;
}

export interface Log extends Logger {
  /** Takes a whole line of JSON, its end included; null when the log is for a person to read. */
  readonly line: ((text: string) => void) | null;
  /** From now on. */
  setLevel(level: LogOptions["level"]): void;
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
}

export function createLog(options: LogOptions): Log {
  const writer = options.readable ? null : standardError();
  const stream: DestinationStream =
    writer ??
    pretty({
      destination: 2,
      sync: true,
      colorize: true,
      translateTime: "SYS:HH:MM:ss.l",
      ignore: "pid,hostname,name",
      singleLine: true,
    });
  const logger = pino(
    {
      name: "tideway",
      level: options.level,
      formatters: { level: (label) => ({ level: label }) },
      timestamp: stdTimeFunctions.isoTime,
      base: { pid: process.pid },
    },
    stream,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    line: writer === null ? null : (text) => writer.write(text),
    setLevel: (level) => {
      logger.level = level;
    },
    flush: () => (writer === null ? logger.flush() : writer.flushSync()),
  };
}

/** A reader of the log who has stopped reading costs memory up to a bound; then lines are dropped, and the gap is said. */
function standardError(): LineWriter {
  const writer = new LineWriter({
    to: 2,
    clock: systemClock,
    onDropped(dropped) {
      const line = { level: "warn", time: new Date().toISOString(), pid: process.pid, name: "tideway", dropped };
      const msg = "log lines were dropped: whoever reads the log was too slow";
      writer.write(`${JSON.stringify({ ...line, msg })}\n`);
    },
  });
  process.once("exit", () => writer.flushSync());
  return writer;
}
