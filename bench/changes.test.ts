import assert from "node:assert/strict";
import { test } from "node:test";
import { change } from "./changes.ts";

test("changes under load, small: no request fails, no socket is dropped, and the changes have happened", async () => {
  const result = await change({ reloads: 2, deploys: 1, sockets: 40, readers: 4, core: "any" }, () => {});
  assert.equal(result.reloadMs.length, 2);
  assert.equal(result.deployMs.length, 1);
  assert.ok(result.requests > 20, `${result.requests} requests`);
  assert.deepEqual(result.failed, []);
  assert.equal(result.sockets, 40);
  assert.deepEqual(result.dropped, []);
  assert.equal(result.alive, 40);
});
