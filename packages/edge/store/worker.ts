/** The store's thread: runs batches on the database, one after another, so that the event loop never waits for the disk. */
import { randomBytes } from "node:crypto";
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { StreamDatabase } from "./database.ts";
import type { Batch, Trim, WorkerMessage, WorkerOptions } from "./operations.ts";

const port = parentPort!;
const say = (message: WorkerMessage) => port.postMessage(message);

function failed(error: unknown): void {
  say({ kind: "fatal", message: error instanceof Error ? error.message : String(error) });
  // Nothing is answered after this: what was not acknowledged never will be.
  port.close();
}

try {
  const database = new StreamDatabase(workerData as WorkerOptions, () => randomBytes(6).toString("base64url"));
  port.on("message", (asked: Batch | Trim | null) => {
    if (asked === null) {
      database.close();
      port.close();
      return;
    }
    try {
      if ("trimAt" in asked) {
        const trimmed = database.trim(asked.trimAt);
        say({ kind: "trimmed", ...trimmed, changed: database.takeChanged() });
        return;
      }
      const start = performance.now();
      const results = database.run(asked);
      const commitMs = performance.now() - start;
      say({ kind: "results", results, commitMs, overdue: database.isOverdue, changed: database.takeChanged() });
    } catch (error) {
      failed(error);
    }
  });
  say({ kind: "ready", changed: database.takeChanged() });
  // For the start after a kill.
  flushCompileCache();
} catch (error) {
  failed(error);
}
