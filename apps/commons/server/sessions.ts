/**
 * Sessions: an unguessable token in the visitor's cookie, its SHA-256 in the database. Each sign-in makes a new one and
 * ends the one that came with it, so a token planted before sign-in is worth nothing after it.
 */
import { createHash, randomBytes } from "node:crypto";
import type { Account } from "../contract.ts";
import type { Database } from "./database.ts";

export const SESSION_LIFE_MS = 30 * 24 * 60 * 60_000;
const TOKEN = /^[A-Za-z0-9_-]{43}$/;

export class Sessions {
  readonly #db: Database;
  readonly #now: () => number;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** Returns the token for the cookie; `previous` is the token that came with the request, if any. */
  async begin(accountId: string, previous: string | undefined): Promise<string> {
    const token = randomBytes(32).toString("base64url");
    const now = this.#now();
    await this.#db.transaction().execute(async (transaction) => {
      if (previous !== undefined) {
        await transaction.deleteFrom("sessions").where("token_hash", "=", hashOf(previous)).execute();
      }
      await transaction
        .insertInto("sessions")
        .values({
          token_hash: hashOf(token),
          account_id: Number(accountId),
          created_at: now,
          expires_at: now + SESSION_LIFE_MS,
        })
        .execute();
    });
    return token;
  }

  async find(token: string | undefined): Promise<Account | null> {
    if (token === undefined || !TOKEN.test(token)) return null;
    const row = await this.#db
      .selectFrom("sessions")
      .innerJoin("accounts", "accounts.id", "sessions.account_id")
      .select(["accounts.id", "accounts.name"])
      .where("sessions.token_hash", "=", hashOf(token))
      .where("sessions.expires_at", ">", this.#now())
      .executeTakeFirst();
    return row === undefined ? null : { id: String(row.id), name: row.name };
  }

  async end(token: string | undefined): Promise<void> {
    if (token === undefined) return;
    await this.#db.deleteFrom("sessions").where("token_hash", "=", hashOf(token)).execute();
  }

  async sweep(): Promise<void> {
    await this.#db.deleteFrom("sessions").where("expires_at", "<=", this.#now()).execute();
  }
}

function hashOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
