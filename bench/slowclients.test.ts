import assert from "node:assert/strict";
import { test } from "node:test";
import type { SteadyResult, SteadyTask } from "./load/steady.ts";
import { Script } from "./measure/processes.ts";

test("the healthy load, small: every request through the gateway is answered whole", async () => {
  const start = <Ready>(path: string, ...args: string[]) =>
    Script.start<Ready>("any", new URL(path, import.meta.url), args);
  const origin = await start<{ port: number }>("./servers/origin.ts");
  const ours = await start<{ port: number }>("./servers/proxy-tideway.ts", String(origin.ready.port));
  const load = await start("./load/steady.ts");
  try {
    const task: SteadyTask = { port: ours.ready.port, clients: 6, restMs: 1, measureMs: 300 };
    const { requests, failed, medianMs, p99Ms } = await load.script.ask<SteadyResult>(task);
    assert.ok(requests >= 6, `${requests} requests`);
    assert.equal(failed, 0);
    assert.ok(medianMs > 0 && p99Ms >= medianMs);
  } finally {
    for (const { script } of [load, ours, origin]) await script.stop();
  }
});
