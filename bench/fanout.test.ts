import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { Crowd, numbered } from "./load/crowd.ts";
import type { FanoutResult, FanoutTask } from "./load/process.ts";
import { startLoad } from "./load/start.ts";
import { realtimeServers, startRealtimeServer } from "./realtime-servers.ts";

const clients = 20;
const bytes = 100;

for (const server of realtimeServers) {
  suite(`the fan-out load, small: ${server.name}`, () => {
    test("every client receives every message once, whole and in order, for any number in flight", async () => {
      const { script, port } = await startRealtimeServer("any", server);
      const crowd = await Crowd.open({ port, protocol: server.protocol, clients, keeps: true });
      try {
        const random = new SeededRandom(11);
        const said: string[] = [];
        for (let batch = 0; batch < 10; batch++) {
          const inFlight = 1 + Math.floor(random.fraction() * 16);
          const texts = Array.from({ length: inFlight }, (_, index) => numbered(said.length + index, bytes));
          said.push(...texts);
          await crowd.say(texts);
        }
        const expected = server.protocol === "plain" ? said : said.map((text) => `42${JSON.stringify(["post", text])}`);
        for (const client of crowd.clients) assert.deepEqual(client.texts, expected);
        assert.equal(crowd.deliveries, said.length * clients);
      } finally {
        crowd.close();
        await script.stop();
      }
    });

    test("the load's process counts whole batches only, and the server's CPU time", async () => {
      const { script, port } = await startRealtimeServer("any", server);
      const load = await startLoad("any");
      try {
        const inFlight = 4;
        const task: FanoutTask = {
          type: "fanout",
          port,
          protocol: server.protocol,
          serverPid: script.pid,
          clients,
          inFlight,
          bytes,
          warmUpMs: 20,
          measureMs: 60,
        };
        const result = await load.ask<FanoutResult>(task);
        assert.ok(result.deliveries > 0);
        assert.equal(result.deliveries % (clients * inFlight), 0);
        assert.ok(result.elapsedMs >= task.measureMs);
        assert.ok(result.cpuMs >= 0);
      } finally {
        await load.stop();
        await script.stop();
      }
    });
  });
}
