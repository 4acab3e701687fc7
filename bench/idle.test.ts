import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { idleContenders } from "./idle.ts";
import type { CountTask, IdleTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";

const clients = 120;

/** Open descriptors of a process: each socket that it holds is one. */
function descriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

for (const { name, protocol, start } of idleContenders) {
  test(`the idle load, small: ${name} holds every socket, and says its memory`, async () => {
    const server = await start("any");
    const load = await startLoad("any");
    try {
      const before = { descriptors: descriptors(server.program.pid), ...(await server.memory()) };
      const task: IdleTask = { type: "idle", port: server.port, protocol, clients };
      assert.deepEqual(await load.ask(task), { connected: clients });
      // One more than the clients: the sender.
      assert.equal(descriptors(server.program.pid) - before.descriptors, clients + 1);
      const after = await server.memory();
      assert.ok(before.rss > before.heap && after.rss > after.heap);
      // Objects of its sockets are there, but not so many that the small load is none.
      assert.ok(after.heap > before.heap);
      assert.deepEqual(await load.ask({ type: "count" } satisfies CountTask), { alive: clients });
    } finally {
      await load.stop();
      await server.program.stop();
    }
  });
}
