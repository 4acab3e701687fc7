/**
 * Posts: create, edit, delete, restore, list. Every change writes the post and its event in one transaction, so that an
 * event is published exactly when its change is committed. Who may do what is decided here; who asks is known already.
 */
import { createHash } from "node:crypto";
import type { Selectable } from "kysely";
import { type Account, type Post, PostEvent, type PostPage } from "../contract.ts";
import { type Database, type Executor, executorOf, type Tables } from "./database.ts";
import { ApiError } from "./errors.ts";

/** How long a deleted post can be restored; afterwards its text is gone for good. */
export const RESTORE_WINDOW_MS = 10 * 60_000;

export interface Announcer {
  /** Puts an event into the outbox; part of the transaction that `executor` stands for. */
  add(executor: Executor, event: PostEvent, args: readonly unknown[]): Promise<void>;
  /** The transaction is committed: there is something to publish. */
  wake(): void;
}

type Row = Selectable<Tables["posts"]> & { author_name: string };

export class Posts {
  readonly #db: Database;
  readonly #announcer: Announcer;
  readonly #now: () => number;

  constructor(db: Database, announcer: Announcer, now: () => number) {
    this.#db = db;
    this.#announcer = announcer;
    this.#now = now;
  }

  async list(cursor: string | null, limit: number): Promise<PostPage> {
    let query = select(this.#db)
      .where("posts.deleted_at", "is", null)
      .orderBy("posts.id", "desc")
      .limit(limit + 1);
    if (cursor !== null) query = query.where("posts.id", "<", decodeCursor(cursor));
    const rows = await query.execute();
    const page = rows.slice(0, limit);
    return {
      posts: page.map((row) => toPost(row)),
      next: rows.length > limit ? encodeCursor(page.at(-1)!.id) : null,
    };
  }

  /**
   * `replayed` when the key was known: the post of the first time, as it is now. The same key with another text is a
   * fault of the caller, and refused.
   */
  async create(author: Account, body: string, key: string | null): Promise<{ post: Post; replayed: boolean }> {
    const digest = key === null ? null : createHash("sha256").update(body).digest();
    const outcome = await this.#db.transaction().execute(async (transaction) => {
      if (key !== null && digest !== null) {
        const earlier = await select(transaction)
          .where("posts.author_id", "=", Number(author.id))
          .where("posts.idempotency_key", "=", key)
          .executeTakeFirst();
        if (earlier !== undefined) {
          if (!digest.equals(earlier.idempotency_digest!)) throw new ApiError("KEY_REUSED");
          return { post: toPost(earlier, author), replayed: true };
        }
      }
      const { id } = await transaction
        .insertInto("posts")
        .values({
          author_id: Number(author.id),
          body,
          version: 1,
          created_at: this.#now(),
          idempotency_key: key,
          idempotency_digest: digest,
        })
        .returning("id")
        .executeTakeFirstOrThrow();
      const post = toPost(await rowOf(transaction, id));
      await this.#announcer.add(executorOf(transaction), PostEvent.created, [post, { key }]);
      return { post, replayed: false };
    });
    if (!outcome.replayed) this.#announcer.wake();
    return outcome;
  }

  /** `version` is the one that was edited: when another edit came first, POST_CHANGED with the post as it is. */
  edit(editor: Account, id: string, body: string, version: number): Promise<Post> {
    return this.#change(editor, id, PostEvent.changed, (row) => {
      if (row.deleted_at !== null) throw new ApiError("POST_NOT_FOUND");
      if (row.version !== version) throw new ApiError("POST_CHANGED", { post: toPost(row) });
      return row.body === body ? null : { body, edited_at: this.#now() };
    });
  }

  /** Deleting twice is deleting once. */
  delete(editor: Account, id: string): Promise<Post> {
    return this.#change(editor, id, PostEvent.deleted, (row) =>
      row.deleted_at !== null ? null : { deleted_at: this.#now() },
    );
  }

  restore(editor: Account, id: string): Promise<Post> {
    return this.#change(editor, id, PostEvent.restored, (row) => {
      if (row.deleted_at === null) return null;
      if (row.body === "" || row.deleted_at + RESTORE_WINDOW_MS < this.#now()) throw new ApiError("POST_GONE");
      return { deleted_at: null };
    });
  }

  /** Erases the text of posts that can no longer be restored. The row stays: its id and key must not be used again. */
  async sweep(): Promise<void> {
    await this.#db
      .updateTable("posts")
      .set({ body: "" })
      .where("deleted_at", "is not", null)
      .where("deleted_at", "<", this.#now() - RESTORE_WINDOW_MS)
      .where("body", "<>", "")
      .execute();
  }

  async #change(
    editor: Account,
    id: string,
    event: PostEvent,
    decide: (row: Row) => Partial<Pick<Row, "body" | "edited_at" | "deleted_at">> | null,
  ): Promise<Post> {
    const outcome = await this.#db.transaction().execute(async (transaction) => {
      const row = await select(transaction).where("posts.id", "=", Number(id)).executeTakeFirst();
      const own = row !== undefined && String(row.author_id) === editor.id;
      if (row === undefined || (row.deleted_at !== null && !own)) throw new ApiError("POST_NOT_FOUND");
      if (!own) throw new ApiError("NOT_YOURS");
      const change = decide(row);
      if (change === null) return { post: toPost(row, editor), changed: false };
      await transaction
        .updateTable("posts")
        .set({ ...change, version: row.version + 1 })
        .where("id", "=", row.id)
        .execute();
      const next = { ...row, ...change, version: row.version + 1 };
      await this.#announcer.add(executorOf(transaction), event, [toPost(next)]);
      return { post: toPost(next, editor), changed: true };
    });
    if (outcome.changed) this.#announcer.wake();
    return outcome.post;
  }
}

function select(db: Database) {
  return db
    .selectFrom("posts")
    .innerJoin("accounts", "accounts.id", "posts.author_id")
    .selectAll("posts")
    .select("accounts.name as author_name");
}

function rowOf(db: Database, id: number): Promise<Row> {
  return select(db).where("posts.id", "=", id).executeTakeFirstOrThrow();
}

/** For everybody, unless `reader` is the author: then with the text of a deleted post as well. */
function toPost(row: Row, reader?: Account): Post {
  const hidden = row.deleted_at !== null && reader?.id !== String(row.author_id);
  return {
    id: String(row.id),
    author: { id: String(row.author_id), name: row.author_name },
    body: hidden ? "" : row.body,
    version: row.version,
    createdAt: new Date(row.created_at).toISOString(),
    editedAt: row.edited_at === null ? null : new Date(row.edited_at).toISOString(),
    deletedAt: row.deleted_at === null ? null : new Date(row.deleted_at).toISOString(),
  };
}

function encodeCursor(id: number): string {
  return Buffer.from(`before:${id}`).toString("base64url");
}

function decodeCursor(cursor: string): number {
  const match = /^before:([1-9]\d{0,14})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"));
  if (match === null) throw new ApiError("BAD_CURSOR");
  return Number(match[1]);
}
