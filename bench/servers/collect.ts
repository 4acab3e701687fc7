/**
 * For `node --expose-gc --import`: whatever program it is then says its memory after a collection, each time that a message
 * asks; without a channel to ask it by, SIGUSR2 has it collect. The program ends as if this were not there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread } from "node:worker_threads";

/** Bytes. */
export interface Memory {
  /** All that is resident, Node itself included. */
  readonly rss: number;
  /** V8's objects that something still refers to. */
  readonly heap: number;
}

/** What one collection lets go of, the next can free; V8 gives its pages back to the system a moment later. */
const collections = 8;
const restMs = 250;

async function collect(): Promise<void> {
  for (let count = 0; count < collections; count++) {
    globalThis.gc?.();
    await sleep(restMs);
  }
}

if (isMainThread) {
  process.on("message", async () => {
    await collect();
    const { rss, heapUsed } = process.memoryUsage();
    process.send?.({ rss, heap: heapUsed } satisfies Memory);
  });
  process.on("SIGUSR2", collect);
  process.channel?.unref();
}
