/**
 * For `node --expose-gc --import`: whatever program it is then says its resident memory after a collection, each time that a
 * message asks. The program ends as if this were not there.
 */
import { isMainThread } from "node:worker_threads";

if (isMainThread) {
  process.on("message", () => {
    // Twice: the first collection lets go of what the second can free.
    globalThis.gc?.();
    globalThis.gc?.();
    process.send?.({ rss: process.memoryUsage.rss() });
  });
  process.channel?.unref();
}
