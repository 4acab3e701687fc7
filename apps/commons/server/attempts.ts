/**
 * Limits against guessing, shared by all instances through the database: a count per key that starts anew after its
 * window. An attempt is counted before it is tried, so that many at once cannot pass together.
 *
 * Three counts stand before a password: per address; per account and address, so that a stranger cannot lock somebody
 * else out; and per account over all addresses, much higher, against guessing from many places.
 */
import type { Database } from "./database.ts";
import { ApiError } from "./errors.ts";

export interface Limit {
  readonly countMax: number;
  readonly windowMs: number;
}

const QUARTER_HOUR_MS = 15 * 60_000;
const HOUR_MS = 60 * 60_000;

export const SIGN_IN_PER_ADDRESS: Limit = { countMax: 60, windowMs: QUARTER_HOUR_MS };
export const SIGN_IN_PER_ACCOUNT_AND_ADDRESS: Limit = { countMax: 10, windowMs: QUARTER_HOUR_MS };
export const SIGN_IN_PER_ACCOUNT: Limit = { countMax: 100, windowMs: HOUR_MS };
export const SIGN_UP_PER_ADDRESS: Limit = { countMax: 100, windowMs: HOUR_MS };

export class Attempts {
  readonly #db: Database;
  readonly #now: () => number;

  constructor(db: Database, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** Counts one attempt; throws SLOW_DOWN over the limit. */
  async take(key: string, limit: Limit): Promise<void> {
    const now = this.#now();
    const row = await this.#db
      .insertInto("attempts")
      .values({ key, count: 1, resets_at: now + limit.windowMs })
      .onConflict((conflict) =>
        conflict.column("key").doUpdateSet((eb) => ({
          count: eb
            .case()
            .when("attempts.resets_at", "<=", now)
            .then(1)
            // One above the limit is enough to know: the count cannot grow without end.
            .else(eb.fn<number>("min", [eb("attempts.count", "+", 1), eb.val(limit.countMax + 1)]))
            .end(),
          resets_at: eb
            .case()
            .when("attempts.resets_at", "<=", now)
            .then(now + limit.windowMs)
            .else(eb.ref("attempts.resets_at"))
            .end(),
        })),
      )
      .returning(["count", "resets_at"])
      .executeTakeFirstOrThrow();
    if (row.count <= limit.countMax) return;
    throw new ApiError("SLOW_DOWN", { retryAfterSeconds: Math.ceil((row.resets_at - now) / 1000) });
  }

  /** Takes one attempt back: it succeeded, so it was no guess. */
  async giveBack(key: string): Promise<void> {
    await this.#db
      .updateTable("attempts")
      .set((eb) => ({ count: eb("count", "-", 1) }))
      .where("key", "=", key)
      .where("count", ">", 0)
      .execute();
  }

  async forget(key: string): Promise<void> {
    await this.#db.deleteFrom("attempts").where("key", "=", key).execute();
  }

  async sweep(): Promise<void> {
    await this.#db.deleteFrom("attempts").where("resets_at", "<=", this.#now()).execute();
  }
}

/** What counts as one address: IPv4 as it is, IPv6 by its /64, of which one household has all. */
export function addressKey(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const rest = tail === "" ? [] : tail.split(":");
    while (groups.length + rest.length < 8) groups.push("0");
    groups.push(...rest);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
