/**
 * The tables, step by step. A step, once released, is never changed; a new one follows it. How many are done stands in
 * SQLite's `user_version`, which is part of the transaction like any row.
 *
 * All steps run in one transaction that holds the write lock before it looks at what there is to do, so that instances
 * which start together do not collide: one does the work, the others wait and find it done. (Kysely's own Migrator looks
 * first and locks later, and runs no transaction at all with its dialect for SQLite.)
 */
import { sql } from "kysely";
import { type Database, type Executor, executorOf } from "./database.ts";

/** Lets the outbox of `@tideway/realtime` make its own tables in our database. */
export type MigrateOutbox = (executor: Executor) => Promise<void>;

const steps: readonly ((db: Database) => Promise<void>)[] = [makeAccounts, makePosts];

export async function migrate(db: Database, outbox: MigrateOutbox): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    const { rows } = await sql<{ user_version: number }>`pragma user_version`.execute(transaction);
    const done = rows[0]!.user_version;
    if (done > steps.length) {
      throw new Error(
        `the database is of a newer Commons (step ${done}, this one knows ${steps.length}): start that one`,
      );
    }
    for (const step of steps.slice(done)) await step(transaction);
    if (done < steps.length) await sql.raw(`pragma user_version = ${steps.length}`).execute(transaction);
    await outbox(executorOf(transaction));
  });
}

async function makeAccounts(db: Database): Promise<void> {
  await db.schema
    .createTable("accounts")
    .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("name_key", "text", (column) => column.notNull().unique())
    .addColumn("password", "text", (column) => column.notNull())
    .addColumn("created_at", "integer", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("sessions")
    .addColumn("token_hash", "blob", (column) => column.primaryKey().notNull())
    .addColumn("account_id", "integer", (column) => column.notNull().references("accounts.id").onDelete("cascade"))
    .addColumn("created_at", "integer", (column) => column.notNull())
    .addColumn("expires_at", "integer", (column) => column.notNull())
    .modifyEnd(sql`without rowid`)
    .execute();
  await db.schema.createIndex("sessions_expiry").on("sessions").column("expires_at").execute();
  await db.schema
    .createTable("attempts")
    .addColumn("key", "text", (column) => column.primaryKey().notNull())
    .addColumn("count", "integer", (column) => column.notNull())
    .addColumn("resets_at", "integer", (column) => column.notNull())
    .modifyEnd(sql`without rowid`)
    .execute();
}

async function makePosts(db: Database): Promise<void> {
  await db.schema
    .createTable("posts")
    // AUTOINCREMENT: an id is never used twice, so a cursor keeps its meaning.
    .addColumn("id", "integer", (column) => column.primaryKey().autoIncrement())
    .addColumn("author_id", "integer", (column) => column.notNull().references("accounts.id"))
    .addColumn("body", "text", (column) => column.notNull())
    .addColumn("version", "integer", (column) => column.notNull().defaultTo(1))
    .addColumn("created_at", "integer", (column) => column.notNull())
    .addColumn("edited_at", "integer")
    .addColumn("deleted_at", "integer")
    .addColumn("idempotency_key", "text")
    .addColumn("idempotency_digest", "blob")
    .execute();
  await sql`create index posts_timeline on posts (id desc) where deleted_at is null`.execute(db);
  await sql`create index posts_deleted on posts (deleted_at) where deleted_at is not null and body <> ''`.execute(db);
  await sql`create unique index posts_key on posts (author_id, idempotency_key)
                where idempotency_key is not null`.execute(db);
}
