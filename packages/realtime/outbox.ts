/**
 * Publishing together with a change in the application's own database, exactly once: the event is written to a table in
 * the same transaction as the change, and a relay publishes what is in the table.
 *
 * Why it is exactly once: a committed row is published until a receipt comes, so at least once; every attempt carries the
 * key `<box>:<row>`, and the hub answers a known key with the first receipt and publishes nothing, so at most once, for
 * as long as the hub keeps keys (the stream's retention). Rows are deleted only after their receipt. Why it is in order:
 * a relay publishes one row after the other, and never the next before the receipt of the last, so that however many
 * relays run and crash, no row is first published before all earlier ones were.
 *
 * The order is that of the rows' ids. With SQLite that is the order of commits. With PostgreSQL transactions that run at
 * the same time may commit in another order than their ids; those that depend on one another (the second read or locked
 * what the first wrote) are in order.
 *
 * The database is the application's: it is reached through the narrow `Executor`, and so is the transaction.
 */
import type { Clock, Logger, Timer } from "@tideway/base";
import { silentLogger } from "@tideway/base";
import { systemClock } from "@tideway/edge/clock";
import { encodeArguments } from "@tideway/wire/socketio";

/** Runs one SQL statement and gives its rows: three lines around any driver. */
export interface Executor {
  execute(sql: string, parameters: readonly unknown[]): Promise<readonly Record<string, unknown>[]>;
}

export interface OutboxEvent {
  /** @default "/" */
  readonly namespace?: string;
  /** A room, or several (a client in more than one gets the event once); left out: the whole namespace. */
  readonly room?: string | readonly string[];
  readonly event: string;
  /** JSON values; no binary data. */
  readonly args?: readonly unknown[];
}

/** What the relay needs of an `io`. */
export interface Publisher {
  of(namespace: string): {
    to(rooms: string[]): {
      idempotencyKey(key: string): { publish(event: string, ...args: unknown[]): Promise<unknown> };
    };
  };
}

export interface RelayOptions {
  /** How often it looks for rows that nobody woke it for, in ms. @default 1000 */
  readonly pollMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Relay {
  /** Ends it after the row it is at; what is left in the table is another's. */
  close(): Promise<void>;
}

export interface Outbox {
  /** Makes the tables where they are missing. */
  migrate(executor: Executor): Promise<void>;
  /** Writes an event, through the transaction whose change it tells of. Call `wake` after the commit. */
  add(transaction: Executor, event: OutboxEvent): Promise<void>;
  /** Has this process's relays look at once. */
  wake(): void;
  /** Publishes what is in the table, now and from now on. `executor` must not be inside a transaction. */
  relay(io: Publisher, executor: Executor, options?: RelayOptions): Relay;
}

export type Dialect = "sqlite" | "postgres";

const rowsPerRead = 100;
const retryFirstMs = 50;
const retryMaxMs = 5_000;

const identity = {
  sqlite: "INTEGER PRIMARY KEY AUTOINCREMENT",
  postgres: "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
} as const;

/** The outbox of a database of this kind. */
export function outbox(options: { readonly dialect: Dialect }): Outbox {
  const { dialect } = options;
  const mark = dialect === "sqlite" ? () => "?" : (position: number) => `$${position}`;
  const relays = new Set<OutboxRelay>();
  return {
    async migrate(executor) {
      await executor.execute(
        `CREATE TABLE IF NOT EXISTS tideway_outbox (
           id ${identity[dialect]},
           namespace TEXT NOT NULL,
           rooms TEXT NOT NULL,
           event TEXT NOT NULL,
           args TEXT NOT NULL,
           fault TEXT,
           created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
         )`,
        [],
      );
      // The box's name makes keys of two databases differ; it is made once and moves with a copy of the database.
      await executor.execute(
        "CREATE TABLE IF NOT EXISTS tideway_outbox_box (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL)",
        [],
      );
      await executor.execute(
        `INSERT INTO tideway_outbox_box (one, id) VALUES (1, ${mark(1)}) ON CONFLICT (one) DO NOTHING`,
        [crypto.randomUUID()],
      );
    },
    async add(transaction, { namespace = "/", room = [], event, args = [] }) {
      const { json, attachments } = encodeArguments([...args]);
      if (attachments.length > 0) throw new TypeError("an outbox holds JSON values; binary arguments are not taken");
      await transaction.execute(
        `INSERT INTO tideway_outbox (namespace, rooms, event, args) VALUES (${mark(1)}, ${mark(2)}, ${mark(3)}, ${mark(4)})`,
        [namespace, JSON.stringify([room].flat()), event, json],
      );
    },
    wake() {
      for (const relay of relays) relay.wake();
    },
    relay(io, executor, relayOptions = {}) {
      const relay = new OutboxRelay(io, executor, mark, relayOptions, () => relays.delete(relay));
      relays.add(relay);
      return relay;
    },
  };
}

interface Row {
  readonly id: string;
  readonly namespace: string;
  readonly rooms: string[];
  readonly event: string;
  readonly args: unknown[];
}

class OutboxRelay implements Relay {
  readonly #io: Publisher;
  readonly #executor: Executor;
  readonly #mark: (position: number) => string;
  readonly #pollMs: number;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #running: Promise<void>;
  #closed = false;
  /** Something was committed since the last look. */
  #woken = false;
  #sleep: { readonly timer: Timer; readonly end: () => void; readonly wakes: boolean } | null = null;

  constructor(
    io: Publisher,
    executor: Executor,
    mark: (position: number) => string,
    options: RelayOptions,
    onClosed: () => void,
  ) {
    this.#io = io;
    this.#executor = executor;
    this.#mark = mark;
    this.#pollMs = options.pollMs ?? 1_000;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#running = this.#run().finally(onClosed);
  }

  wake(): void {
    this.#woken = true;
    if (this.#sleep?.wakes === true) this.#sleep.end();
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#sleep?.end();
    return this.#running;
  }

  async #run(): Promise<void> {
    let retryMs = retryFirstMs;
    while (!this.#closed) {
      try {
        this.#woken = false;
        const more = await this.#publishSome();
        retryMs = retryFirstMs;
        if (!more && !this.#woken) await this.#rest(this.#pollMs, true);
      } catch (err) {
        this.#logger.warn({ err, retryMs }, "outbox: publishing failed; it will be tried again");
        await this.#rest(retryMs, false);
        retryMs = Math.min(retryMaxMs, retryMs * 2);
      }
    }
  }

  /** Publishes the oldest rows; true when there may be more. */
  async #publishSome(): Promise<boolean> {
    const rows = await this.#read();
    if (rows.length === 0) return false;
    const box = await this.#box();
    const published: string[] = [];
    try {
      for (const row of rows) {
        if (this.#closed) return false;
        await this.#publish(row, `${box}:${row.id}`);
        published.push(row.id);
      }
    } finally {
      await this.#remove(published);
    }
    return rows.length === rowsPerRead;
  }

  async #publish(row: Row, key: string): Promise<void> {
    try {
      await this.#io
        .of(row.namespace)
        .to(row.rooms)
        .idempotencyKey(key)
        .publish(row.event, ...row.args);
    } catch (error) {
      // Nothing but this row is at fault, and never will be well: set aside, so that it does not hold up all others.
      if ((error as { code?: unknown }).code !== "TOO_LARGE") throw error;
      this.#logger.error({ row: row.id, event: row.event }, "outbox: an event is too large and was set aside");
      const sql = `UPDATE tideway_outbox SET fault = ${this.#mark(1)} WHERE id = ${this.#mark(2)}`;
      await this.#executor.execute(sql, ["TOO_LARGE", row.id]);
    }
  }

  async #read(): Promise<Row[]> {
    const rows = await this.#executor.execute(
      `SELECT id, namespace, rooms, event, args FROM tideway_outbox WHERE fault IS NULL ORDER BY id LIMIT ${rowsPerRead}`,
      [],
    );
    return rows.map((row) => ({
      id: String(row["id"]),
      namespace: String(row["namespace"]),
      rooms: JSON.parse(String(row["rooms"])) as string[],
      event: String(row["event"]),
      args: JSON.parse(String(row["args"])) as unknown[],
    }));
  }

  async #box(): Promise<string> {
    const [row] = await this.#executor.execute("SELECT id FROM tideway_outbox_box WHERE one = 1", []);
    if (row === undefined) throw new Error("the outbox has no name: run migrate()");
    return String(row["id"]);
  }

  async #remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    const marks = ids.map((_, index) => this.#mark(index + 1)).join(", ");
    await this.#executor.execute(`DELETE FROM tideway_outbox WHERE fault IS NULL AND id IN (${marks})`, ids);
  }

  /** Waits; a `wake` ends it early only where `wakes` says so, for waking must not defeat the pauses between retries. */
  #rest(delayMs: number, wakes: boolean): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        this.#sleep?.timer.cancel();
        this.#sleep = null;
        resolve();
      };
      this.#sleep = { timer: this.#clock.after(delayMs, end), end, wakes };
    });
  }
}
