/**
 * The access log of the running configuration: one line per request, as JSON or in the Combined format, with the rest of the
 * log or in a file of its own. What else clients do is told in the log as long as requests are: connections of TCP services,
 * and the end of upgraded ones, for which the Combined format has no line. Owns where the lines go and the change from one configuration to the next; what a line
 * looks like and how it is written is `edge/logging`'s. Queries and bodies stay out unless asked for: they hold secrets.
 */
import { resolve } from "node:path";
import type { Clock } from "@tideway/base";
import type { TcpRecord } from "@tideway/edge/layer4";
import type { UpgradeEnd } from "@tideway/edge/listener";
import {
  type AccessLogFormat,
  type AccessRecord,
  createAccessLog,
  type LineCounters,
  LineWriter,
} from "@tideway/edge/logging";
import { type HttpFaultCode, requestFaults } from "@tideway/wire/http1";
import type { Log } from "./logs.ts";

/** `log.requests` of the configuration: true is JSON with the rest of the log. */
export type RequestLogOption =
  | boolean
  | AccessLogFormat
  | {
      readonly format?: AccessLogFormat;
      /** Relative to the configuration's folder; with the rest of the log when left out. */
      readonly file?: string | undefined;
      readonly queries?: boolean;
    };

interface Running {
  /** Null when no request is logged. */
  readonly write: ((record: AccessRecord) => void) | null;
  /** Its lines say which rule a refused request broke; otherwise the log does. */
  readonly tellsRules: boolean;
  readonly file: { readonly path: string; readonly writer: LineWriter } | null;
}

const silent: Running = { write: null, tellsRules: false, file: null };

export class AccessLog {
  readonly #log: Log;
  readonly #clock: Clock;
  #running: Running = silent;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    process.on("exit", this.#lastWords);
  }

  /** However the process ends, short of being killed: the lines of its last moment say why. */
  readonly #lastWords = (): void => this.#running.file?.writer.flushSync();

  /** Called with every request. */
  readonly record = (record: AccessRecord): void => {
    const { write, tellsRules } = this.#running;
    write?.(record);
    if (record.fault === "" || tellsRules) return;
    const { id, address, status, fault } = record;
    this.#log.info({ id, address, status, rule: fault, section: sectionOf(fault) }, "request refused");
  };

  /** Called with every connection of a TCP service, when it has ended. */
  readonly connectionEnded = (record: TcpRecord): void => {
    this.#tell({ ...record }, `connection ended: ${record.end}`);
  };

  /** Called with every upgraded connection, when it has closed: what its request's line could not know yet. */
  readonly upgradeEnded = ({ record, durationMs, bytesIn, bytesOut }: UpgradeEnd): void => {
    const { id, address, service, instance } = record;
    const fields = { id, address, service, instance, in: bytesIn, out: bytesOut, ms: Math.round(durationMs * 10) / 10 };
    this.#tell(fields, "upgraded connection closed");
  };

  #tell(fields: object, message: string): void {
    if (this.#running.write === null) this.#log.debug(fields, message);
    else this.#log.info(fields, message);
  }

  /** Of the file, when there is one. */
  get counters(): LineCounters | null {
    return this.#running.file?.writer.counters ?? null;
  }

  /**
   * Opens what `option` asks for; `root` is the configuration's folder. Throws START_LOG_UNUSABLE, and then nothing has changed.
   * A file that stays the same is looked at anew: it may have been moved away.
   */
  prepare(option: RequestLogOption, root: string): { commit(): void; rollBack(): Promise<void> } {
    const old = this.#running;
    const fresh = this.#open(option, root);
    const isKept = fresh.file?.writer === old.file?.writer;
    return {
      commit: () => {
        this.#running = fresh;
        if (isKept) fresh.file?.writer.reopen();
        else void old.file?.writer.close();
      },
      rollBack: async () => {
        if (!isKept) await fresh.file?.writer.close();
      },
    };
  }

  /** Writes what is left. */
  async close(): Promise<void> {
    const { file } = this.#running;
    this.#running = silent;
    process.off("exit", this.#lastWords);
    await file?.writer.close();
  }

  #open(option: RequestLogOption, root: string): Running {
    if (option === false) return silent;
    const wanted = option === true ? {} : typeof option === "string" ? { format: option } : option;
    const { format = "json", queries = false } = wanted;
    const file = wanted.file === undefined ? null : this.#openFile(resolve(root, wanted.file));
    const log = this.#log;
    if (file === null && format === "json" && log.line === null)
      return { write: (record) => sayReadably(log, record), tellsRules: true, file };
    const write =
      file === null
        ? (log.line ?? ((line: string) => process.stderr.write(line)))
        : file.writer.write.bind(file.writer);
    return { write: createAccessLog({ format, queries, sectionOf, write }), tellsRules: format === "json", file };
  }

  #openFile(path: string): NonNullable<Running["file"]> {
    const { file } = this.#running;
    if (file?.path === path) return file;
    const log = this.#log;
    const writer = new LineWriter({
      to: path,
      clock: this.#clock,
      onFailure: (error) => log.error({ file: path, err: error }, "the access log cannot be written"),
      onDropped: (lines) =>
        log.warn({ file: path, dropped: lines }, "access log lines were dropped: its disk was full or slow"),
    });
    return { path, writer };
  }
}

/** On a terminal a person reads along. */
function sayReadably(log: Log, record: AccessRecord): void {
  const { id, address, method, host, path, status, bytesIn, bytesOut, durationMs, service, instance, fault } = record;
  const ms = Math.round(durationMs * 10) / 10;
  const fields: Record<string, unknown> = { id, address, method, host, path, status, in: bytesIn, out: bytesOut, ms };
  if (service !== "") fields["service"] = service;
  if (instance !== "") fields["instance"] = instance;
  if (fault !== "") fields["rule"] = fault;
  log.info(fields, fault === "" ? "request" : "request refused");
}

/** Where the listener's own limits stand; every other code is the codec's. */
const sections: Readonly<Record<string, string>> = {
  BODY_TOO_LARGE: "RFC 9110 §15.5.14",
  HEAD_TIMEOUT: "RFC 9110 §15.5.9",
  STALLED: "RFC 9110 §15.5.9",
};

function sectionOf(code: string): string {
  return sections[code] ?? requestFaults[code as HttpFaultCode]?.section ?? "";
}
