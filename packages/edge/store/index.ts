/**
 * Front door of `edge/store`: the stream log and session records on disk, in a worker thread. Everything that is asked
 * while one transaction runs becomes the next one (group commit); callbacks come in the order of the calls, after the
 * commit. The one home of SQL in the edge.
 */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { type Clock, type Logger, limits, OperatorError, type Timer } from "@tideway/base";
import type {
  Committed,
  SessionRecord,
  StoredEvent,
  StreamState,
  StreamStatus,
  StreamStore,
} from "@tideway/engine/hub";
import { Histogram } from "@tideway/engine/metrics";
import { lockDirectory } from "./lock.ts";
import {
  appendOperation,
  type Batch,
  type Operation,
  type Result,
  type Trim,
  type WorkerMessage,
  type WorkerOptions,
} from "./operations.ts";

export { lockDirectory } from "./lock.ts";

export interface StreamStoreOptions {
  /** Must exist. The store keeps `streams.db` there, and locks the directory. */
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long events and their idempotency keys are kept; 24 h unless given. */
  readonly retentionMs?: number;
  /** Bytes of events that one stream keeps; 1 GiB unless given. */
  readonly retentionBytes?: number;
  /** The disk lost a write that had to be durable: nothing is acknowledged any more, and the process should end. */
  readonly onFatal: (error: OperatorError) => void;
}

export interface StoreStatus {
  /** Operations that wait for a transaction, the running one included. */
  readonly queued: number;
  readonly commits: number;
  /** Of the last transaction. */
  readonly commitMs: number;
  /** Rows that retention has removed. */
  readonly trimmed: number;
  /** One value per transaction: from the first thing that was asked of it until its results were here, in ms. */
  readonly latency: Histogram;
}

export interface SqliteStreamStore extends StreamStore {
  status(): StoreStatus;
  /** Resolves when everything that was asked is committed and the file is closed. */
  close(): Promise<void>;
}

/** How often what retention does not keep is looked for. */
const trimEveryMs = 10_000;
/** A disk that syncs at once takes a tenth of a millisecond, a tired one a second. */
const latencyBoundsMs = [0.5, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000];
/** Operations of one transaction: beyond it latency grows and throughput does not. */
const batchMax = 2_000;
/** Operations that may wait. Beyond it appends are refused as if the disk were full: nobody is served by an endless queue. */
const queueMax = 200_000;

export async function openStreamStore(options: StreamStoreOptions): Promise<SqliteStreamStore> {
  const release = lockDirectory(options.directory);
  const workerData: WorkerOptions = {
    file: join(options.directory, "streams.db"),
    retentionMs: options.retentionMs ?? limits.retentionMs,
    retentionBytes: options.retentionBytes ?? limits.retentionDiskBytes,
  };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData });
  const first = await new Promise<WorkerMessage>((done) => {
    worker.once("message", done);
    worker.once("error", (error) => done({ kind: "fatal", message: String(error) }));
  });
  if (first.kind !== "ready") {
    release();
    throw new OperatorError("START_DATA_UNUSABLE", {
      where: workerData.file,
      seen: first.kind === "fatal" ? first.message : first.kind,
      hint: "Check the disk and the file's owner; restore it from a backup, or move it away to begin with an empty log.",
    });
  }
  return new ThreadedStore(worker, options, release, first.changed);
}

interface Asked {
  readonly operation: Operation;
  readonly done: (result: Result) => void;
  /** By the monotonic clock. */
  readonly since: number;
}

class ThreadedStore implements SqliteStreamStore {
  readonly #worker: Worker;
  readonly #options: StreamStoreOptions;
  readonly #release: () => void;
  readonly #exited: Promise<void>;
  #waiting: Asked[] = [];
  #running: Asked[] | null = null;
  #scheduled = false;
  #failed = false;
  #commits = 0;
  #commitMs = 0;
  readonly #latency = new Histogram(latencyBoundsMs);
  readonly #streams = new Map<string, StreamStatus>();
  #trimmer: Timer | null = null;
  #trimming = false;
  #trimmed = 0;
  #isClosed = false;
  #closing: (() => void) | null = null;

  constructor(worker: Worker, options: StreamStoreOptions, release: () => void, streams: readonly StreamStatus[]) {
    this.#worker = worker;
    this.#options = options;
    this.#release = release;
    worker.on("message", (message: WorkerMessage) => this.#onMessage(message));
    worker.on("error", (error) => this.#fail(String(error)));
    this.#exited = new Promise((done) => worker.once("exit", () => done()));
    this.#learn(streams);
    this.#trimLater();
  }

  open(namespace: string, done: (state: StreamState) => void): void {
    this.#ask({ kind: "open", namespace }, done as (result: Result) => void);
  }

  append(namespace: string, event: Parameters<StreamStore["append"]>[1], done: (result: Committed) => void): void {
    if (this.#waiting.length >= queueMax) done({ ok: false, fault: "STORE_FULL" });
    else this.#ask(appendOperation(namespace, event), done as (result: Result) => void);
  }

  saveSession(record: SessionRecord, done: (saved: boolean) => void): void {
    this.#ask({ kind: "save", record }, (result) => done((result as { saved: boolean }).saved));
  }

  dropSession(pid: string): void {
    this.#ask({ kind: "drop", pid }, () => {});
  }

  loadSession(pid: string, done: (record: SessionRecord | null) => void): void {
    this.#ask({ kind: "load", pid }, done as (result: Result) => void);
  }

  read(
    namespace: string,
    after: number,
    limit: number,
    done: (events: StoredEvent[], state: StreamState) => void,
  ): void {
    this.#ask({ kind: "read", namespace, after, limit }, (result) => {
      const { events, state } = result as { events: StoredEvent[]; state: StreamState };
      done(events, state);
    });
  }

  #ask(operation: Operation, done: (result: Result) => void): void {
    if (this.#failed) return;
    this.#waiting.push({ operation, done, since: this.#options.clock.now() });
    if (this.#running !== null || this.#scheduled) return;
    // What the rest of this tick asks belongs to the same transaction.
    this.#scheduled = true;
    this.#options.clock.defer(() => {
      this.#scheduled = false;
      if (this.#running === null) this.#next();
    });
  }

  #next(): void {
    if (this.#waiting.length === 0) {
      this.#closing?.();
      return;
    }
    const asked = this.#waiting.length <= batchMax ? this.#waiting : this.#waiting.slice(0, batchMax);
    this.#waiting = asked === this.#waiting ? [] : this.#waiting.slice(batchMax);
    this.#running = asked;
    const batch: Batch = { operations: asked.map((one) => one.operation), at: Math.round(this.#options.clock.wall()) };
    this.#worker.postMessage(batch, batch.operations.flatMap(ownMemory));
  }

  #onMessage(message: WorkerMessage): void {
    if (message.kind === "fatal") this.#fail(message.message);
    else this.#learn(message.changed);
    if (message.kind === "trimmed") this.#onTrimmed(message.rows, message.more);
    if (message.kind !== "results" || this.#running === null) return;
    const asked = this.#running;
    this.#commits++;
    this.#commitMs = message.commitMs;
    this.#latency.observe(this.#options.clock.now() - asked[0]!.since);
    if (message.overdue) this.#trim();
    this.#running = null;
    // The next transaction runs while this one's results are worked on.
    if (this.#waiting.length > 0) this.#next();
    for (let i = 0; i < asked.length; i++) asked[i]!.done(message.results[i]!);
    if (this.#running === null && !this.#scheduled) this.#next();
  }

  #learn(changed: readonly StreamStatus[]): void {
    for (const stream of changed) this.#streams.set(stream.namespace, stream);
  }

  /** Whatever is committed meanwhile takes turns with it: the worker does one thing after the other. */
  #trim(): void {
    this.#trimmer?.cancel();
    this.#trimmer = null;
    if (this.#trimming || this.#failed || this.#isClosed) return;
    this.#trimming = true;
    const trim: Trim = { trimAt: Math.round(this.#options.clock.wall()) };
    this.#worker.postMessage(trim);
  }

  #onTrimmed(rows: number, more: boolean): void {
    this.#trimming = false;
    this.#trimmed += rows;
    if (more) this.#trim();
    else this.#trimLater();
  }

  #trimLater(): void {
    if (this.#failed || this.#isClosed) return;
    this.#trimmer ??= this.#options.clock.after(trimEveryMs, () => this.#trim());
  }

  #fail(reason: string): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#trimmer?.cancel();
    this.#waiting = [];
    this.#running = null;
    this.#closing?.();
    const error = new OperatorError("STORE_FAILED", {
      where: join(this.#options.directory, "streams.db"),
      seen: reason,
      hint: "Check the disk, then start again: everything that was acknowledged is there.",
    });
    this.#options.logger.error({ reason }, "the stream log failed; nothing is acknowledged any more");
    this.#options.onFatal(error);
  }

  status(): StoreStatus {
    const queued = this.#waiting.length + (this.#running?.length ?? 0);
    return {
      queued,
      commits: this.#commits,
      commitMs: this.#commitMs,
      trimmed: this.#trimmed,
      latency: this.#latency,
    };
  }

  streams(): StreamStatus[] {
    return [...this.#streams.values()];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#trimmer?.cancel();
    if (!this.#failed && (this.#running !== null || this.#waiting.length > 0)) {
      await new Promise<void>((done) => {
        this.#closing = done;
      });
    }
    this.#worker.postMessage(null);
    await this.#exited;
    this.#release();
  }
}

/** What the worker gets instead of a copy. */
function ownMemory(operation: Operation): ArrayBuffer[] {
  return operation.kind === "append" && operation.attachments !== null ? [operation.attachments.buffer] : [];
}
