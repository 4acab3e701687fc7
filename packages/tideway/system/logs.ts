/**
 * The log: pino on standard error, one JSON object a line, or readable lines when a terminal looks on. Standard output
 * stays free for what a command answers. Owns levels and format; what is worth a line is each room's to say.
 */
import type { Logger } from "@tideway/base";
import { type DestinationStream, destination, pino, stdTimeFunctions } from "pino";
import pretty from "pino-pretty";

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error";
  /** Readable lines with colours instead of JSON. */
  readonly readable: boolean;
}

export interface Log extends Logger {
  /** Writes out what is buffered; call before the process ends. */
  flush(): void;
}

/** Bytes that wait for a reader of the log who has stopped reading; lines beyond are dropped, and counted. */
const waitingBytesMax = 16 * 1024 * 1024;

export function createLog(options: LogOptions): Log {
  const stream: DestinationStream = options.readable
    ? pretty({
        destination: 2,
        sync: true,
        colorize: true,
        translateTime: "SYS:HH:MM:ss.l",
        ignore: "pid,hostname,name",
        singleLine: true,
      })
    : boundedDestination();
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
    flush: () => logger.flush(),
  };
}

function boundedDestination(): DestinationStream {
  const stream = destination({ fd: 2, sync: false, minLength: 4096, periodicFlush: 200, maxLength: waitingBytesMax });
  let dropped = 0;
  stream.on("drop", () => dropped++);
  stream.on("drain", () => {
    if (dropped === 0) return;
    const line = { level: "warn", time: new Date().toISOString(), pid: process.pid, name: "tideway", dropped };
    dropped = 0;
    stream.write(`${JSON.stringify({ ...line, msg: "log lines were dropped: whoever reads the log was too slow" })}\n`);
  });
  return stream;
}
