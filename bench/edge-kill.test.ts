import assert from "node:assert/strict";
import { test } from "node:test";
import { killEdge } from "./edge-kill.ts";

test("an edge killed twice with -9 and started again, small: every client is back and has each event once", async () => {
  const kills = 2;
  const raw = 60;
  const stock = 4;
  const result = await killEdge({ kills, raw, stock, cores: { server: "any", load: "any" } });
  assert.equal(result.returns.length, kills);
  assert.ok(result.said > kills, `${result.said} events`);
  // Every line was lost each time, and no other.
  const { dropped, lost, repeated, unrecovered } = result;
  assert.deepEqual(
    { dropped, lost, repeated, unrecovered },
    { dropped: kills * (raw + stock), lost: 0, repeated: 0, unrecovered: 0 },
  );
});
