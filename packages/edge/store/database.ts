/**
 * The stream log in SQLite: tables, statements, and a batch of operations as one transaction. Synchronous; it runs in the
 * store's worker. Owns durability (WAL, synchronous=FULL: a commit returns after the disk has it) and retention.
 *
 * A batch is committed whole or not at all. When the disk is full its appends are refused and nothing of it stays; any
 * other failed write throws {@link StoreFailure}, and the caller must not go on: after a failed fsync nobody knows what
 * the disk holds, and a second fsync may lie.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import {
  type Committed,
  resolveRecord,
  type SessionRecord,
  type StoredEvent,
  type StreamState,
  type StreamStatus,
} from "@tideway/engine/hub";
import { unpackAttachments } from "./attachments.ts";
import type { AppendOperation, Batch, Operation, Result, WorkerOptions } from "./operations.ts";

/** The disk did not take a write that had to be durable. */
export class StoreFailure extends Error {
  override name = "StoreFailure";
}

const schemaVersion = 1;
const SQLITE_FULL = 13;
/** Rows of each kind that one trim removes at the most, so that no batch waits long behind it. */
const trimRowsMax = 2_000;
/** So many times its bytes, and a stream is trimmed before the next look. */
const overdueFactor = 1.05;
/** Sessions are small and dear to their clients: they are kept for a week after their last change at least. */
const sessionMsMin = 7 * 24 * 60 * 60 * 1000;
const busyTimeoutMs = 5_000;
/** What an event takes on disk beside its own text. */
const rowBytes = 48;

const schema = `
  CREATE TABLE streams (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL,
    last INTEGER NOT NULL, oldest INTEGER NOT NULL, bytes INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE events (
    stream INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, rooms TEXT NOT NULL, except_rooms TEXT NOT NULL,
    json TEXT NOT NULL, attachments BLOB, bytes INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE keys (
    stream INTEGER NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (stream, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keys_by_age ON keys (at);
  CREATE TABLE sessions (
    pid TEXT PRIMARY KEY, socket TEXT NOT NULL, namespace TEXT NOT NULL, rooms TEXT NOT NULL, data TEXT NOT NULL,
    start_seq INTEGER NOT NULL, floor INTEGER NOT NULL, at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_age ON sessions (at);
  PRAGMA user_version = ${schemaVersion};
`;

/** A stream's row, kept in memory: this process is the only writer. */
interface Stream {
  readonly id: number;
  readonly epoch: string;
  last: number;
  oldest: number;
  bytes: number;
  /** When the oldest was committed; null when none is kept. */
  oldestAt: number | null;
  /** Its row is to be written. */
  dirty: boolean;
  /** It is to be told of. */
  changed: boolean;
}

interface EventRow {
  seq: number;
  at: number;
  rooms: string;
  except_rooms: string;
  json: string;
  attachments: Uint8Array | null;
}

export class StreamDatabase {
  readonly #db: DatabaseSync;
  readonly #options: WorkerOptions;
  readonly #makeEpoch: () => string;
  #streams = new Map<string, Stream>();
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #insertEvent: StatementSync;
  readonly #insertKey: StatementSync;
  readonly #findKey: StatementSync;
  readonly #insertStream: StatementSync;
  readonly #updateStream: StatementSync;
  readonly #saveSession: StatementSync;
  readonly #dropSession: StatementSync;
  readonly #loadSession: StatementSync;
  readonly #readEvents: StatementSync;
  readonly #oldestEvents: StatementSync;
  readonly #removeEvents: StatementSync;

  /** `makeEpoch` names a stream that is created: never the same twice. */
  constructor(options: WorkerOptions, makeEpoch: () => string) {
    this.#options = options;
    this.#makeEpoch = makeEpoch;
    // Somebody may look into the file with a shell, and hold it for a moment.
    const db = new DatabaseSync(options.file, { timeout: busyTimeoutMs });
    this.#db = db;
    // A checkpoint syncs twice more: with small commits the default of 1,000 pages came three times a second, and each was a
    // commit of several milliseconds. 8,000 pages are 32 MiB, which are read in a moment at the next start.
    db.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8000; PRAGMA temp_store = MEMORY",
    );
    const { user_version: version } = db.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version === 0) db.exec(`BEGIN; ${schema} COMMIT;`);
    else if (version !== schemaVersion)
      throw new Error(`${options.file} has schema ${version}; this version knows ${schemaVersion}`);
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#insertEvent = db.prepare(
      "INSERT INTO events (stream, seq, at, rooms, except_rooms, json, attachments, bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#insertKey = db.prepare("INSERT INTO keys (stream, key, seq, at) VALUES (?, ?, ?, ?)");
    this.#findKey = db.prepare("SELECT seq, at FROM keys WHERE stream = ? AND key = ?");
    this.#insertStream = db.prepare(
      "INSERT INTO streams (namespace, epoch, last, oldest, bytes) VALUES (?, ?, 0, 1, 0) RETURNING id",
    );
    this.#updateStream = db.prepare("UPDATE streams SET last = ?, oldest = ?, bytes = ? WHERE id = ?");
    this.#saveSession = db.prepare(
      "INSERT OR REPLACE INTO sessions (pid, socket, namespace, rooms, data, start_seq, floor, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#dropSession = db.prepare("DELETE FROM sessions WHERE pid = ?");
    this.#loadSession = db.prepare("SELECT * FROM sessions WHERE pid = ?");
    this.#readEvents = db.prepare(
      "SELECT seq, at, rooms, except_rooms, json, attachments FROM events WHERE stream = ? AND seq > ? ORDER BY seq LIMIT ?",
    );
    this.#oldestEvents = db.prepare("SELECT seq, at, bytes FROM events WHERE stream = ? ORDER BY seq");
    this.#removeEvents = db.prepare("DELETE FROM events WHERE stream = ? AND seq < ?");
    this.#loadStreams();
  }

  /** A stream is so much over its bytes that a trim should not wait. */
  get isOverdue(): boolean {
    const bytesMax = this.#options.retentionBytes * overdueFactor;
    for (const { bytes } of this.#streams.values()) if (bytes > bytesMax) return true;
    return false;
  }

  /** The streams that have changed since this was asked last. */
  takeChanged(): StreamStatus[] {
    const taken: StreamStatus[] = [];
    for (const [namespace, stream] of this.#streams) {
      if (!stream.changed) continue;
      stream.changed = false;
      taken.push({ ...stateOf(stream), namespace, bytes: stream.bytes, oldestAt: stream.oldestAt });
    }
    return taken;
  }

  #loadStreams(): void {
    const rows = this.#db
      .prepare(
        "SELECT *, (SELECT at FROM events WHERE stream = streams.id ORDER BY seq LIMIT 1) AS oldestAt FROM streams",
      )
      .all() as unknown as (Omit<Stream, "dirty" | "changed"> & { namespace: string })[];
    this.#streams = new Map(
      rows.map(({ namespace, ...stream }) => [namespace, { ...stream, dirty: false, changed: true }]),
    );
  }

  /** Runs a batch as one transaction; the results are in the order of the operations, and durable. */
  run(batch: Batch): Result[] {
    try {
      this.#begin.run();
      const results = batch.operations.map((operation) => this.#apply(operation, batch.at));
      for (const stream of this.#streams.values()) this.#write(stream);
      this.#commit.run();
      return results;
    } catch (cause) {
      if (!isFull(cause)) throw new StoreFailure(cause instanceof Error ? cause.message : String(cause), { cause });
      this.#undo();
      return this.#refuse(batch);
    }
  }

  #undo(): void {
    if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
    this.#loadStreams();
  }

  /** With a full disk nothing can be written, but what is there can be read. */
  #refuse(batch: Batch): Result[] {
    return batch.operations.map((operation): Result => {
      if (operation.kind === "append") return { ok: false, fault: "STORE_FULL" };
      if (operation.kind === "save") return { saved: false };
      if (operation.kind === "drop") return null;
      if (operation.kind === "load") return this.#load(operation.pid);
      const stream = this.#streams.get(operation.namespace);
      const state = stream === undefined ? { epoch: "", last: 0, oldest: 1 } : stateOf(stream);
      if (operation.kind === "open") return state;
      return { events: stream === undefined ? [] : this.#read(stream, operation.after, operation.limit), state };
    });
  }

  #apply(operation: Operation, at: number): Result {
    switch (operation.kind) {
      case "append":
        return this.#append(this.#stream(operation.namespace), operation, at);
      case "open":
        return stateOf(this.#stream(operation.namespace));
      case "save":
        return this.#save(operation.record, at);
      case "drop":
        this.#dropSession.run(operation.pid);
        return null;
      case "load":
        return this.#load(operation.pid);
      case "read": {
        const stream = this.#stream(operation.namespace);
        return { events: this.#read(stream, operation.after, operation.limit), state: stateOf(stream) };
      }
    }
  }

  #stream(namespace: string): Stream {
    const known = this.#streams.get(namespace);
    if (known !== undefined) return known;
    const epoch = this.#makeEpoch();
    const { id } = this.#insertStream.get(namespace, epoch) as { id: number };
    const stream: Stream = { id, epoch, last: 0, oldest: 1, bytes: 0, oldestAt: null, dirty: false, changed: true };
    this.#streams.set(namespace, stream);
    return stream;
  }

  #append(stream: Stream, event: AppendOperation, at: number): Committed {
    const { rooms, except, json, attachments, key } = event;
    if (key !== null) {
      const earlier = this.#findKey.get(stream.id, key) as { seq: number; at: number } | undefined;
      if (earlier !== undefined) return { ok: true, seq: earlier.seq, at: earlier.at, duplicate: true };
    }
    const seq = stream.last + 1;
    const bytes = json.length + rooms.length + except.length + (attachments?.length ?? 0) + rowBytes;
    this.#insertEvent.run(stream.id, seq, at, rooms, except, json, attachments, bytes);
    if (key !== null) this.#insertKey.run(stream.id, key, seq, at);
    stream.last = seq;
    stream.bytes += bytes;
    stream.oldestAt ??= at;
    stream.dirty = true;
    stream.changed = true;
    return { ok: true, seq, at, duplicate: false };
  }

  #save(given: SessionRecord, at: number): { saved: boolean } {
    const record = resolveRecord(given, this.#load(given.pid), this.#stream(given.namespace).last);
    const { pid, socket, namespace, rooms, data, startSeq, floor } = record;
    this.#saveSession.run(pid, socket, namespace, JSON.stringify(rooms), data, startSeq, floor, at);
    return { saved: true };
  }

  #load(pid: string): SessionRecord | null {
    const row = this.#loadSession.get(pid) as
      | { socket: string; namespace: string; rooms: string; data: string; start_seq: number; floor: number }
      | undefined;
    if (row === undefined) return null;
    const { socket, namespace, data, start_seq: startSeq, floor } = row;
    return { pid, socket, namespace, rooms: JSON.parse(row.rooms) as SessionRecord["rooms"], data, startSeq, floor };
  }

  #read(stream: Stream, after: number, limit: number): StoredEvent[] {
    const rows = this.#readEvents.all(stream.id, after, limit) as unknown as EventRow[];
    return rows.map((row) => ({
      seq: row.seq,
      at: row.at,
      rooms: JSON.parse(row.rooms) as string[],
      except: JSON.parse(row.except_rooms) as string[],
      payload: { json: row.json, attachments: unpackAttachments(row.attachments) },
    }));
  }

  #write(stream: Stream): void {
    if (!stream.dirty) return;
    this.#updateStream.run(stream.last, stream.oldest, stream.bytes, stream.id);
    stream.dirty = false;
  }

  /** Removes a bounded number of what is too old or too much, as a transaction of its own. */
  trim(at: number): { readonly rows: number; readonly more: boolean } {
    const { retentionMs } = this.#options;
    try {
      this.#begin.run();
      let events = 0;
      for (const stream of this.#streams.values()) events += this.#trimStream(stream, at, trimRowsMax - events);
      const keys = this.#forget("keys", "stream, key", at - retentionMs);
      const sessions = this.#forget("sessions", "pid", at - Math.max(retentionMs, sessionMsMin));
      this.#commit.run();
      return { rows: events + keys + sessions, more: Math.max(events, keys, sessions) === trimRowsMax };
    } catch (cause) {
      if (!isFull(cause)) throw new StoreFailure(cause instanceof Error ? cause.message : String(cause), { cause });
      // Even this needs some room. The next look tries again.
      this.#undo();
      return { rows: 0, more: false };
    }
  }

  /** How many events it removed: at most `rowsMax`. Looks at one more than that and no others. */
  #trimStream(stream: Stream, at: number, rowsMax: number): number {
    const { retentionMs, retentionBytes } = this.#options;
    // The common case needs no look at the rows.
    const { oldestAt } = stream;
    if (oldestAt === null || (oldestAt >= at - retentionMs && stream.bytes <= retentionBytes)) return 0;
    let removed = 0;
    let next: number | null = null;
    for (const row of this.#oldestEvents.iterate(stream.id) as Iterable<{ seq: number; at: number; bytes: number }>) {
      next = row.at;
      if (removed === rowsMax || (row.at >= at - retentionMs && stream.bytes <= retentionBytes)) break;
      stream.bytes -= row.bytes;
      stream.oldest = row.seq + 1;
      removed++;
      next = null;
    }
    if (removed === 0) return 0;
    stream.oldestAt = next;
    stream.changed = true;
    this.#removeEvents.run(stream.id, stream.oldest);
    stream.dirty = true;
    this.#write(stream);
    return removed;
  }

  #forget(table: "keys" | "sessions", primary: string, before: number): number {
    const { changes } = this.#db
      .prepare(
        `DELETE FROM ${table} WHERE (${primary}) IN (SELECT ${primary} FROM ${table} WHERE at < ? LIMIT ${trimRowsMax})`,
      )
      .run(before);
    return Number(changes);
  }

  /** Bounds the file: how a full disk is tried out. */
  limitPages(count: number): void {
    this.#db.exec(`PRAGMA max_page_count = ${count}`);
  }

  close(): void {
    this.#db.close();
  }
}

function stateOf(stream: Stream): StreamState {
  return { epoch: stream.epoch, last: stream.last, oldest: stream.oldest };
}

function isFull(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && (errcode & 0xff) === SQLITE_FULL;
}
