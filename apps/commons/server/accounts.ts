/** Accounts: signing up and proving who one is. Owns the order of limits and checks; a session begins elsewhere. */
import type { Account } from "../contract.ts";
import {
  type Attempts,
  addressKey,
  SIGN_IN_PER_ACCOUNT,
  SIGN_IN_PER_ACCOUNT_AND_ADDRESS,
  SIGN_IN_PER_ADDRESS,
  SIGN_UP_PER_ADDRESS,
} from "./attempts.ts";
import { type Database, isUniqueViolation } from "./database.ts";
import { ApiError } from "./errors.ts";
import { type Passwords, passwordFault } from "./passwords.ts";

export interface Credentials {
  readonly name: string;
  readonly password: string;
}

export class Accounts {
  readonly #db: Database;
  readonly #attempts: Attempts;
  readonly #passwords: Passwords;
  readonly #now: () => number;

  constructor(db: Database, attempts: Attempts, passwords: Passwords, now: () => number) {
    this.#db = db;
    this.#attempts = attempts;
    this.#passwords = passwords;
    this.#now = now;
  }

  async signUp({ name, password }: Credentials, address: string): Promise<Account> {
    const fault = passwordFault(password, name);
    if (fault !== null) throw new ApiError("INVALID", { fields: { password: fault } });
    // Names are public on every post, so saying that one is taken tells nothing; saying it early spares the hash.
    const taken = await this.#find(name);
    if (taken !== undefined) throw nameTaken();
    await this.#attempts.take(`sign-up:${addressKey(address)}`, SIGN_UP_PER_ADDRESS);
    const hash = await this.#passwords.hash(password);
    try {
      const row = await this.#db
        .insertInto("accounts")
        .values({ name, name_key: name.toLowerCase(), password: hash, created_at: this.#now() })
        .returning("id")
        .executeTakeFirstOrThrow();
      return { id: String(row.id), name };
    } catch (error) {
      if (isUniqueViolation(error)) throw nameTaken();
      throw error;
    }
  }

  /** An unknown name takes the same path, the same counts and the same time as a wrong password. */
  async signIn({ name, password }: Credentials, address: string): Promise<Account> {
    const from = addressKey(address);
    const perAddress = `sign-in:${from}`;
    const perPair = `sign-in:${from}:${name.toLowerCase()}`;
    const perAccount = `sign-in:*:${name.toLowerCase()}`;
    await this.#attempts.take(perAddress, SIGN_IN_PER_ADDRESS);
    await this.#attempts.take(perPair, SIGN_IN_PER_ACCOUNT_AND_ADDRESS);
    await this.#attempts.take(perAccount, SIGN_IN_PER_ACCOUNT);
    const row = await this.#find(name);
    const right = await this.#passwords.verify(row?.password ?? null, password);
    if (!right || row === undefined) throw new ApiError("WRONG_CREDENTIALS");
    await this.#attempts.giveBack(perAddress);
    await this.#attempts.giveBack(perAccount);
    await this.#attempts.forget(perPair);
    return { id: String(row.id), name: row.name };
  }

  #find(name: string) {
    return this.#db
      .selectFrom("accounts")
      .select(["id", "name", "password"])
      .where("name_key", "=", name.toLowerCase())
      .executeTakeFirst();
  }
}

function nameTaken(): ApiError {
  return new ApiError("NAME_TAKEN", { fields: { name: "This name is taken." } });
}
