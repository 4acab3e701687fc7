import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import type { IdleTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { realtimeServers, startRealtimeServer } from "./realtime-servers.ts";

const clients = 120;

/** Open descriptors of a process: each socket that it holds is one. */
function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

for (const server of realtimeServers) {
  test(`the idle load, small: ${server.name} holds every socket, and says its memory`, async () => {
    const { script, port } = await startRealtimeServer("any", server);
    const load = await startLoad("any");
    try {
      const before = { descriptors: descriptors(script.pid), ...(await script.ask<{ rss: number }>({})) };
      const task: IdleTask = { type: "idle", port, protocol: server.protocol, clients };
      assert.deepEqual(await load.ask(task), { connected: clients });
      // One more than the clients: the sender.
      assert.equal(descriptors(script.pid) - before.descriptors, clients + 1);
      const after = await script.ask<{ rss: number }>({});
      assert.ok(before.rss > 0 && after.rss > 0);
    } finally {
      await load.stop();
      await script.stop();
    }
  });
}
