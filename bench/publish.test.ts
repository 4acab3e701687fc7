import assert from "node:assert/strict";
import { test } from "node:test";
import { startPublishing } from "./publish.ts";

for (const durability of ["disk", "memory"] as const) {
  test(`the publishing load, small: ${durability}: every event is delivered once, and its time is measured`, async () => {
    await using publishing = await startPublishing(durability);
    assert.ok((await publishing.publish({ events: 500, bytes: 100, window: 100 })) > 0);
    const said = await publishing.say(1000, 200);
    // Those that were published before do not count, and none comes twice: it would be counted here.
    assert.ok(said.events > 100 && said.events <= 200, `${said.events} events`);
    assert.equal(said.delivered, said.events);
    assert.ok(said.p50Ms > 0 && said.p50Ms <= said.p99Ms && said.p99Ms <= said.p999Ms);
  });
}
