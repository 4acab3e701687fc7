/** What every server script of the benchmarks shares: it says its port when it is ready, and its memory when asked. */
import "./collect.ts";

/** Tells the benchmark that this server is ready, and answers its questions from then on. Ends with its parent. */
export function announce(port: number): void {
  process.channel?.ref();
  process.once("disconnect", () => process.exit());
  process.send?.({ port });
}
