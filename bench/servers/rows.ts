/**
 * What SQLite does by itself: rows of a stream's size into a table (argument: a folder), many a transaction, each transaction
 * on disk before the next one begins. No thread, no hub, nobody who hears of them.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { numbered } from "../load/crowd.ts";
import type { PublishTask } from "./publishing.ts";

const database = new DatabaseSync(join(process.argv[2]!, "rows.db"));
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
database.exec(
  "CREATE TABLE rows (stream INTEGER, seq INTEGER, at INTEGER, json TEXT, PRIMARY KEY (stream, seq)) WITHOUT ROWID",
);
const insert = database.prepare("INSERT INTO rows VALUES (1, ?, ?, ?)");
let seq = 0;

process.on("message", ({ events, bytes, window }: PublishTask) => {
  const start = performance.now();
  for (let left = events; left > 0; left -= window) {
    database.exec("BEGIN IMMEDIATE");
    for (let row = 0; row < Math.min(window, left); row++) insert.run(++seq, seq, numbered(seq, bytes));
    database.exec("COMMIT");
  }
  process.send?.({ elapsedMs: performance.now() - start });
});
process.once("disconnect", () => process.exit());
process.send?.({});
