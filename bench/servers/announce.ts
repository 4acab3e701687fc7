/** What every server script of the benchmarks shares: it says its port when it is ready, and its memory when asked. */

/** Tells the benchmark that this server is ready, and answers its questions from then on. Ends with its parent. */
export function announce(port: number): void {
  process.on("message", () => {
    // Twice: the first collection lets go of what the second can free.
    globalThis.gc?.();
    globalThis.gc?.();
    process.send?.({ rss: process.memoryUsage.rss() });
  });
  process.once("disconnect", () => process.exit());
  process.send?.({ port });
}
