/** For tests: the application on a real socket with a database of its own, and a client that keeps cookies as a browser does. */
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { sql } from "kysely";
import type { ErrorBody, PostEvent } from "../contract.ts";
import { Accounts } from "./accounts.ts";
import { createApp } from "./app.ts";
import { Attempts } from "./attempts.ts";
import { type Database, openDatabase } from "./database.ts";
import { migrate } from "./migrations.ts";
import type { Passwords } from "./passwords.ts";
import { type Announcer, Posts } from "./posts.ts";
import { Sessions } from "./sessions.ts";

/** Counts what a guesser could time. */
export class PlainPasswords implements Passwords {
  verified = 0;

  async hash(password: string): Promise<string> {
    return `plain:${password}`;
  }

  async verify(hash: string | null, password: string): Promise<boolean> {
    this.verified++;
    return hash === `plain:${password}`;
  }
}

export interface Announced {
  readonly event: PostEvent;
  readonly args: readonly unknown[];
}

/** An outbox in the same database, read back by tests; `broken` makes its part of the transaction fail. */
export class TableAnnouncer implements Announcer {
  broken = false;
  woken = 0;

  async migrate(db: Database): Promise<void> {
    await sql`create table announced (n integer primary key, event text not null, args text not null)`.execute(db);
  }

  async add(executor: Parameters<Announcer["add"]>[0], event: PostEvent, args: readonly unknown[]): Promise<void> {
    await executor.execute("insert into announced (event, args) values (?, ?)", [event, JSON.stringify(args)]);
    if (this.broken) throw new Error("the outbox is broken");
  }

  wake(): void {
    this.woken++;
  }

  async read(db: Database): Promise<Announced[]> {
    const { rows } = await sql<{
      event: PostEvent;
      args: string;
    }>`select event, args from announced order by n`.execute(db);
    return rows.map((row) => ({ event: row.event, args: JSON.parse(row.args) }));
  }
}

export class TestCommons {
  readonly db = openDatabase(":memory:");
  readonly passwords = new PlainPasswords();
  readonly announcer = new TableAnnouncer();
  readonly faults: unknown[] = [];
  readonly posts: Posts;
  readonly sessions: Sessions;
  time = Date.UTC(2026, 0, 1);
  readonly #http: HttpServer;

  private constructor() {
    const now = () => this.time;
    this.sessions = new Sessions(this.db, now);
    this.posts = new Posts(this.db, this.announcer, now);
    const app = createApp({
      accounts: new Accounts(this.db, new Attempts(this.db, now), this.passwords, now),
      sessions: this.sessions,
      posts: this.posts,
      checkHealth: async () => {
        await sql`select 1`.execute(this.db);
      },
      onFault: (error) => this.faults.push(error),
    });
    this.#http = createAdaptorServer({ fetch: app.fetch, createServer }) as HttpServer;
  }

  static async start(): Promise<TestCommons> {
    const commons = new TestCommons();
    await migrate(commons.db, async () => {});
    await commons.announcer.migrate(commons.db);
    await new Promise<void>((resolve) => commons.#http.listen(0, "127.0.0.1", resolve));
    return commons;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  visitor(headers: Record<string, string> = {}): Visitor {
    return new Visitor(this.origin, headers);
  }

  async member(name: string): Promise<Visitor> {
    const visitor = this.visitor();
    await visitor.expect(201, "POST", "/api/accounts", { name, password: `secret of ${name}` });
    return visitor;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#http.close(() => resolve());
      this.#http.closeAllConnections();
    });
    await this.db.destroy();
  }
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
}

export class Visitor {
  cookie = "";
  readonly #origin: string;
  readonly #headers: Record<string, string>;

  constructor(origin: string, headers: Record<string, string>) {
    this.#origin = origin;
    this.#headers = headers;
  }

  /** A string is sent as it is; anything else as JSON. */
  async request(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const response = await fetch(this.#origin + path, {
      method,
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(this.cookie === "" ? {} : { cookie: this.cookie }),
        ...this.#headers,
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const set = response.headers.get("set-cookie");
    if (set !== null) this.cookie = /Max-Age=0/.test(set) ? "" : set.split(";")[0]!;
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
  }

  async expect(status: number, method: string, path: string, body?: unknown, headers?: Record<string, string>) {
    const answer = await this.request(method, path, body, headers);
    if (answer.status !== status) {
      throw new Error(`${method} ${path}: ${answer.status} in place of ${status}: ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  /** The refusal's code, with the status that must come with it. */
  async refused(status: number, method: string, path: string, body?: unknown, headers?: Record<string, string>) {
    return ((await this.expect(status, method, path, body, headers)) as ErrorBody).error;
  }
}
