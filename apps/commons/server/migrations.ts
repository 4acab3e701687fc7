/**
 * The tables, step by step. A step, once released, is never changed; a new one follows it. Steps run in one transaction
 * that holds the write lock from its start, so instances that start together do not collide: one does the work, the
 * others wait and find it done.
 */
import { sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import { type Database, type Executor, executorOf } from "./database.ts";

/** Lets the outbox of `@tideway/realtime` make its own table in our database. */
export type MigrateOutbox = (executor: Executor) => Promise<void>;

const migrations: Record<string, Migration> = {
  "0001_accounts": {
    async up(db) {
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
    },
  },
  "0002_posts": {
    async up(db) {
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
      await sql`create index posts_deleted on posts (deleted_at) where deleted_at is not null and body <> ''`.execute(
        db,
      );
      await sql`create unique index posts_key on posts (author_id, idempotency_key)
                where idempotency_key is not null`.execute(db);
    },
  },
};

export async function migrate(db: Database, outbox: MigrateOutbox): Promise<void> {
  // Kysely's own transaction begins after it has looked at what there is to do: too late, so it is given this one.
  await db.transaction().execute(async (transaction) => {
    const migrator = new Migrator({ db: transaction, provider: { getMigrations: async () => migrations } });
    const { error } = await migrator.migrateToLatest();
    if (error !== undefined) throw error;
    await outbox(executorOf(transaction));
  });
}
