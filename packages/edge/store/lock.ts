/**
 * One process per directory. The lock is the database's own exclusive lock on an otherwise empty file: the kernel gives
 * it up in whatever way the process ends, so nothing is ever stale.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { OperatorError } from "@tideway/base";

/** Takes the directory for this process; throws START_ALREADY_RUNNING when another has it. Call what it returns to let go. */
export function lockDirectory(directory: string): () => void {
  const file = join(directory, "lock");
  let lock: DatabaseSync | null = null;
  try {
    lock = new DatabaseSync(file, { timeout: 0 });
    lock.exec("BEGIN EXCLUSIVE");
  } catch (cause) {
    lock?.close();
    throw refusal(directory, cause);
  }
  const held = lock;
  return () => {
    if (held.isOpen) held.close();
  };
}

const SQLITE_BUSY = 5;

function refusal(directory: string, cause: unknown): OperatorError {
  const busy = (cause as { errcode?: number }).errcode === SQLITE_BUSY;
  const seen = busy ? "another process holds it" : cause instanceof Error ? cause.message : String(cause);
  return new OperatorError(busy ? "START_ALREADY_RUNNING" : "START_DATA_UNUSABLE", {
    where: `data, ${directory}`,
    seen,
    hint: busy
      ? "Stop the other one (tideway status shows its process), or give this one a data directory of its own."
      : "Name a directory that this user may write to, on a disk with room.",
    cause,
  });
}
