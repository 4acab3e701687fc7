/**
 * The database of Commons: one SQLite file that all instances share, spoken to through Kysely. This file owns how it is
 * opened and the adapter between `node:sqlite` and Kysely; the tables are in migrations.ts, the queries with their owners.
 *
 * Durability: WAL with synchronous=FULL, so that a post that was answered 201 survives a power failure.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { CompiledQuery, type Generated, Kysely, SqliteDialect, type SqliteStatement } from "kysely";

/** How long a writer waits for another instance's transaction; those last well under a millisecond beside the disk. */
const BUSY_TIMEOUT_MS = 5000;
const STATEMENTS_MAX = 200;

export interface Tables {
  accounts: {
    id: Generated<number>;
    name: string;
    /** The name in lower case: unique. */
    name_key: string;
    /** PHC string. */
    password: string;
    created_at: number;
  };
  sessions: {
    /** SHA-256 of the token: reading the database gives nobody a session. */
    token_hash: Uint8Array;
    account_id: number;
    created_at: number;
    expires_at: number;
  };
  posts: {
    id: Generated<number>;
    author_id: number;
    body: string;
    version: number;
    created_at: number;
    edited_at: number | null;
    deleted_at: number | null;
    idempotency_key: string | null;
    /** SHA-256 of the body that was first sent with the key. */
    idempotency_digest: Uint8Array | null;
  };
  attempts: {
    key: string;
    count: number;
    resets_at: number;
  };
}

export type Database = Kysely<Tables>;

/** The shape that the outbox asks of a database or a transaction. */
export interface Executor {
  execute(sql: string, parameters: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
}

/** `path` may be `:memory:`. Creates the directory and the file when missing. */
export function openDatabase(path: string): Database {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const sqlite = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  useWriteAheadLog(sqlite);
  sqlite.exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON");
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: new KyselyDatabase(sqlite) }) });
}

export function executorOf(db: Database): Executor {
  return {
    async execute(sql, parameters) {
      const result = await db.executeQuery<Record<string, unknown>>(CompiledQuery.raw(sql, [...parameters]));
      return result.rows;
    },
  };
}

/** True for the fault that a unique index raises. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("UNIQUE constraint failed");
}

/**
 * The change to WAL takes an exclusive lock, for which SQLite does not call its busy handler: two instances that make
 * the file at the same time would fail without these attempts.
 */
function useWriteAheadLog(sqlite: DatabaseSync): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let attempt = 1; ; attempt++) {
    try {
      sqlite.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (attempt === 200) throw error;
      Atomics.wait(pause, 0, 0, 10);
    }
  }
}

/** The slice of better-sqlite3's Database that Kysely uses, with prepared statements kept for the next call. */
class KyselyDatabase {
  readonly #sqlite: DatabaseSync;
  readonly #statements = new Map<string, SqliteStatement>();

  constructor(sqlite: DatabaseSync) {
    this.#sqlite = sqlite;
  }

  prepare(sql: string): SqliteStatement {
    // After some failures (a full disk, for one) SQLite has rolled back by itself, and asking for it again would be an
    // error that hides the real one.
    if (sql === "rollback" && !this.#sqlite.isTransaction) return nothingToDo;
    // A transaction that reads first and writes later cannot wait for another process's write: it fails at once
    // (SQLITE_BUSY_SNAPSHOT). Taking the write lock at the start makes it wait instead.
    const text = sql === "begin" ? "begin immediate" : sql;
    const known = this.#statements.get(text);
    if (known !== undefined) return known;
    const statement = adapt(this.#sqlite.prepare(text));
    if (this.#statements.size === STATEMENTS_MAX) this.#statements.clear();
    this.#statements.set(text, statement);
    return statement;
  }

  close(): void {
    this.#statements.clear();
    this.#sqlite.close();
  }
}

const nothingToDo: SqliteStatement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  *iterate() {},
};

function adapt(statement: StatementSync): SqliteStatement {
  const values = (parameters: readonly unknown[]) => parameters as readonly SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...values(parameters)),
    run: (parameters) => statement.run(...values(parameters)),
    iterate: (parameters) => statement.iterate(...values(parameters)),
  };
}

const SQLITE_FULL = 13;

/** Whether a statement failed because the disk has no room: nothing of its transaction was kept. */
export function isDiskFull(error: unknown): boolean {
  const { errcode } = error as { errcode?: number };
  return errcode !== undefined && (errcode & 0xff) === SQLITE_FULL;
}
