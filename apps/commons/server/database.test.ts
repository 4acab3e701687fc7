import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { sql } from "kysely";
import { executorOf, openDatabase } from "./database.ts";
import { migrate } from "./migrations.ts";

function temporaryDatabase(t: { after(run: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "commons-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "data", "commons.sqlite");
}

/** Runs `code` in a process of its own with `open` and `migrate` at hand; resolves with what it printed. */
async function inProcess(path: string, code: string): Promise<string> {
  const module = `
    import { openDatabase } from "./database.ts";
    import { migrate } from "./migrations.ts";
    import { sql } from "kysely";
    const db = openDatabase(${JSON.stringify(path)});
    ${code}
    await db.destroy();`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", module], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [exitCode] = await once(child, "close");
  assert.equal(exitCode, 0, output);
  return output;
}

test("commits are durable and readers are not held up: WAL, synchronous FULL, foreign keys", async (t) => {
  const db = openDatabase(temporaryDatabase(t));
  t.after(() => db.destroy());
  const pragma = async (name: string) => (await executorOf(db).execute(`PRAGMA ${name}`, []))[0];
  assert.deepEqual({ ...(await pragma("journal_mode")) }, { journal_mode: "wal" });
  assert.deepEqual({ ...(await pragma("synchronous")) }, { synchronous: 2 });
  assert.deepEqual({ ...(await pragma("foreign_keys")) }, { foreign_keys: 1 });
});

test("processes that make and migrate one file at the same time do not collide", async (t) => {
  const path = temporaryDatabase(t);
  const code = `
    await migrate(db, (executor) => executor.execute("create table if not exists box (n integer)", []).then(() => {}));
    const { rows } = await sql\`pragma user_version\`.execute(db);
    console.log("migrated", rows[0].user_version);`;
  const outputs = await Promise.all([1, 2, 3, 4].map(() => inProcess(path, code)));
  assert.deepEqual(new Set(outputs), new Set(["migrated 2\n"]));
});

test("a database of a newer Commons is refused, not touched", async (t) => {
  const db = openDatabase(temporaryDatabase(t));
  t.after(() => db.destroy());
  await sql`pragma user_version = 99`.execute(db);
  await assert.rejects(
    migrate(db, async () => {}),
    /newer Commons \(step 99/,
  );
});

test("what is migrated is left as it is, and a failing step leaves nothing half made", async (t) => {
  const db = openDatabase(temporaryDatabase(t));
  t.after(() => db.destroy());
  const broken = migrate(db, async () => {
    throw new Error("no outbox");
  });
  await assert.rejects(broken, /no outbox/);
  assert.deepEqual(await executorOf(db).execute("select name from sqlite_schema", []), []);
  await migrate(db, async () => {});
  await db.insertInto("accounts").values({ name: "ada", name_key: "ada", password: "x", created_at: 0 }).execute();
  await migrate(db, async () => {});
  assert.equal((await db.selectFrom("accounts").selectAll().execute()).length, 1);
});

test("transactions of two processes that read first and write later wait for each other", async (t) => {
  const path = temporaryDatabase(t);
  const db = openDatabase(path);
  t.after(() => db.destroy());
  await sql`create table counter (n integer)`.execute(db);
  await sql`insert into counter values (0)`.execute(db);
  const code = `
    for (let time = 0; time < 50; time++) {
      await db.transaction().execute(async (transaction) => {
        const { rows } = await sql\`select n from counter\`.execute(transaction);
        await sql\`update counter set n = \${rows[0].n + 1}\`.execute(transaction);
      });
    }`;
  await Promise.all([inProcess(path, code), inProcess(path, code)]);
  const { rows } = await sql<{ n: number }>`select n from counter`.execute(db);
  assert.equal(rows[0]?.n, 100);
});

test("a transaction that fails leaves nothing, and the connection goes on", async (t) => {
  const db = openDatabase(temporaryDatabase(t));
  t.after(() => db.destroy());
  await migrate(db, async () => {});
  const account = { name: "ada", name_key: "ada", password: "x", created_at: 0 };
  await assert.rejects(
    db.transaction().execute(async (transaction) => {
      await transaction.insertInto("accounts").values(account).execute();
      await transaction.insertInto("accounts").values(account).execute();
    }),
    /UNIQUE constraint failed/,
  );
  assert.equal((await db.selectFrom("accounts").selectAll().execute()).length, 0);
  await db.insertInto("accounts").values(account).execute();
});
