import assert from "node:assert/strict";
import { test } from "node:test";
import { handOver } from "./handover.ts";

test("an application killed twice and deployed, small: no line drops, and each client has each event once", async () => {
  const result = await handOver({ raw: 60, stock: 4, cores: { server: "any", load: "any" } });
  assert.equal(result.handovers.length, 3);
  assert.ok(result.said > 3, `${result.said} events`);
  const { dropped, lost, repeated } = result;
  assert.deepEqual({ dropped, lost, repeated }, { dropped: 0, lost: 0, repeated: 0 });
});
