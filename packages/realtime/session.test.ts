/** What waits for the hub's word never waits for ever: not for a hub that is away, and not for one that never heard of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import type { ToHub } from "@tideway/engine/hub";
import { HubSession, type SessionEvents, type Uplink } from "./session.ts";

const nothing: SessionEvents = {
  onConnect() {},
  onEvent() {},
  onDisconnect() {},
  onRooms() {},
  onUpgraded() {},
  onLineClosed() {},
  onRequest() {},
  onFault() {},
  onServerEvent() {},
};
const everybody = { namespace: "/", rooms: [], except: [] };

/** A session whose hub is away. What it says is lost, as beyond the bound of a link's buffer. */
function away(): { session: HubSession; clock: FakeClock; uplink: { open: boolean } } {
  const clock = new FakeClock();
  const session = new HubSession(nothing, clock);
  const uplink: Uplink & { open: boolean } = { open: false, send(_message: ToHub) {} };
  session.start(uplink);
  return { session, clock, uplink };
}

test("a publish and a question that never reached the hub are given up, although the hub is back", async () => {
  const { session, clock, uplink } = away();
  const published = assert.rejects(session.publish(everybody, ["a"], null), { code: "HUB_LOST" });
  const found = assert.rejects(session.find(everybody), { code: "HUB_LOST" });
  clock.advance(1_000);
  uplink.open = true;
  clock.advance(9_000);
  await Promise.all([published, found]);
});

test("an emit's time-out counts from the emit, whether or not there is a hub", () => {
  const { session, clock, uplink } = away();
  let missing = 0;
  const collector = {
    onAnswer: () => false,
    onAnswered: (count: number) => {
      missing = count;
    },
  };
  session.emit(everybody, ["a"], { volatile: false, compress: true, timeoutMs: 300 }, collector);
  clock.advance(299);
  uplink.open = true;
  assert.equal(missing, 0);
  clock.advance(1);
  assert.equal(missing, 1);
});

test("a volatile emit does not wait for a hub that is away, and its answers are given up", () => {
  const { session, clock, uplink } = away();
  let missing = 0;
  const collector = {
    onAnswer: () => false,
    onAnswered: (count: number) => {
      missing = count;
    },
  };
  session.emit(everybody, ["a"], { volatile: true, compress: true, timeoutMs: 0 }, collector);
  uplink.open = true;
  clock.advance(10_000);
  assert.equal(missing, 1);
});

test("a server that stops waits for the answers it owes, and not for one that a handler never gives", async () => {
  const { session, clock } = away();
  session.owed.owe(1);
  session.owed.owe(2);
  let ended = false;
  const settled = session.owed.settled().then(() => {
    ended = true;
  });
  session.reply("socket", 1, []);
  await Promise.resolve();
  assert.equal(ended, false);
  session.reply("socket", 2, []);
  await settled;
  session.owed.owe(3);
  clock.advance(4_999);
  const patience = session.owed.settled();
  clock.advance(1);
  await patience;
  await session.owed.settled();
  session.owed.owe(4);
  const lost = session.owed.settled();
  session.lost("HUB_LOST");
  await lost;
});
