/** A session's stored record: when it is written, so that it is true and no store takes it for old. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClient, recovering } from "./testing.ts";

test("a living session is written again before the store could take it for old", () => {
  const { hub, clock, server } = recovering({}, { retentionMs: 24 * 3600_000 });
  const client = new FakeClient(hub).connect();
  for (let hour = 0; hour < 50; hour++) clock.advance(3600_000);
  client.drop();
  server.emit([], ["missed"]);
  client.connect();
  assert.equal(client.recovered, true);
  hub.close();
  assert.equal(clock.pendingCount, 0);
});

test("a session that is taken up is not written for that; it is with the next look, so that its time begins anew", () => {
  const { hub, clock, server, store } = recovering({}, { retentionMs: 24 * 3600_000 });
  const saved: string[] = [];
  const save = store.saveSession.bind(store);
  store.saveSession = (record, done) => {
    saved.push(record.pid);
    save(record, done);
  };
  const client = new FakeClient(hub).connect();
  client.drop();
  clock.advance(23 * 3600_000);
  client.connect();
  assert.deepEqual([client.recovered, saved.length], [true, 1]);
  clock.advance(60_000);
  assert.equal(saved.length, 2);
  clock.advance(120_000);
  assert.equal(saved.length, 2, "once is enough");
  client.drop();
  clock.advance(23 * 3600_000);
  server.emit([], ["missed"]);
  client.connect();
  assert.equal(client.recovered, true);
  hub.close();
  assert.equal(clock.pendingCount, 0);
});
