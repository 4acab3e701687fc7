/** Retention beside the work: nobody waits for it, nobody is lied to about what it took. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { Hub } from "@tideway/engine/hub";
import { FakeClient, FakeServer } from "@tideway/engine/hub/testing";
import { event, folderFor, openDisk, seqOf } from "./opened.testing.ts";

/** The worker takes one thing after the other: when this is answered, what was asked before has been done. */
const settled = async (ask: Awaited<ReturnType<typeof openDisk>>["ask"]) => void (await ask.load("nobody"));

test("a stream that nobody writes to any more loses its old events too, and says what it has", async (t) => {
  const { ask, clock, store } = await openDisk(t, folderFor(t), { retentionMs: 60_000 });
  const born = clock.date;
  for (let n = 1; n <= 5; n++) await ask.append("/", event(`[${n}]`, `k${n}`));
  const [full] = store.streams();
  assert.deepEqual([full?.namespace, full?.oldest, full?.last, full?.oldestAt], ["/", 1, 5, born]);
  assert.ok(full!.bytes > 250, `${full!.bytes} bytes`);
  clock.advance(30_000);
  await ask.append("/", event("[6]"));
  await settled(ask);
  assert.equal(store.status().trimmed, 0);
  clock.advance(40_000);
  await settled(ask);
  const [left] = store.streams();
  assert.deepEqual([left?.oldest, left?.last, left?.oldestAt], [6, 6, born + 30_000]);
  assert.equal(store.status().trimmed, 10, "five events and five keys");
  clock.advance(60_000);
  await settled(ask);
  const [empty] = store.streams();
  assert.deepEqual([empty?.oldest, empty?.last, empty?.bytes, empty?.oldestAt], [7, 6, 0, null]);
  assert.equal(seqOf(await ask.append("/", event("[7]"))), 7, "the sequence goes on");
});

test("what is too much goes at once, in pieces between which commits have their turn", async (t) => {
  const { ask, store } = await openDisk(t, folderFor(t), { retentionBytes: 50_000 });
  const big = JSON.stringify(["x".repeat(100)]);
  // One transaction's worth is far over the bound: more than one trim takes at a time.
  await Promise.all(Array.from({ length: 6_000 }, () => ask.append("/", event(big))));
  let between = 0;
  while (store.streams()[0]!.bytes > 52_500) {
    await ask.append("/", event(big));
    between++;
  }
  assert.ok(between >= 1 && between < 100, `${between} commits went in between`);
  const { events, state } = await ask.read("/", 0, 10_000);
  assert.equal(events[0]?.seq, state.oldest);
  assert.equal(events.at(-1)?.seq, 6_000 + between);
  assert.equal(events.length, state.last - state.oldest + 1, "what is left is dense");
});

test("status after a restart is what it was before", async (t) => {
  const folder = folderFor(t);
  const first = await openDisk(t, folder);
  for (const namespace of ["/", "/chat"]) await first.ask.append(namespace, event('["hello"]'));
  const before = first.store.streams();
  await first.store.close();
  const second = await openDisk(t, folder);
  assert.deepEqual(second.store.streams(), before);
});

test("commit latency is counted once per transaction, from the first that waits", async (t) => {
  const { ask, store } = await openDisk(t, folderFor(t));
  await Promise.all(Array.from({ length: 100 }, (_, n) => ask.append("/", event(`[${n}]`))));
  const { commits, latency } = store.status();
  let counted = 0;
  for (let bucket = 0; bucket <= latency.bounds.length; bucket++) counted += latency.countIn(bucket);
  assert.equal(counted, commits);
});

test("a client whose offset was trimmed gets a new session, one whose gap is whole is recovered", async (t) => {
  const { ask, clock, store } = await openDisk(t, folderFor(t), { retentionMs: 60_000 });
  // Nothing at hand: everything is read from the disk.
  const limits = { recentBytesMax: 0 };
  const hub = new Hub({ clock, random: new SeededRandom(5), store, durability: "disk", limits });
  const server = new FakeServer(hub);
  const [early, late] = [new FakeClient(hub), new FakeClient(hub)];
  const come = async (client: FakeClient) => {
    client.connect();
    while (!client.connected) {
      await settled(ask);
      client.read();
    }
  };
  await come(early);
  await come(late);
  const { sid } = late;
  server.emit([], ["first"]);
  await settled(ask);
  early.drop();
  server.emit([], ["second"]);
  await settled(ask);
  late.drop();
  clock.advance(45_000);
  server.emit([], ["third"]);
  await settled(ask);
  clock.advance(45_000);
  await settled(ask);
  await come(late);
  await come(early);
  await settled(ask);
  late.read();
  assert.deepEqual([late.recovered, late.sid, late.events], [true, sid, ['["first"]', '["second"]', '["third"]']]);
  assert.deepEqual([early.recovered, early.events], [false, ['["first"]']]);
  const { recovered, unrecovered, unrecoveredTrimmed } = hub.status().counters;
  assert.deepEqual([recovered, unrecovered, unrecoveredTrimmed], [1, 1, 1]);
  const connects = server.take("connect").map((message) => message.recovered);
  assert.deepEqual(connects, [false, false, true, false], "its server is told so");
  hub.close();
});
