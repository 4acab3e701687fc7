/** Who is in a room: no flapping by quick returns, handovers, or a hub that starts again. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { Hub } from "./hub.ts";
import { FakeClient, FakeServer, recovering } from "./testing.ts";

function watch(server: FakeServer, by = "", members: string[] = []): void {
  server.port.send({ type: "watch", namespace: "/", room: "lobby", by, graceMs: 10_000, members });
}

/** What a server has heard since the last look: `+member`, `-member`, with `!` where it is the first. */
function changes(server: FakeServer): string[] {
  return server.take("presence").map(({ member, here, first }) => `${here ? "+" : "-"}${member}${first ? "!" : ""}`);
}

function data(server: FakeServer, socket: string, value: unknown): void {
  server.port.send({ type: "data", socket, data: JSON.stringify(value) });
}

/** A client in the lobby. */
function enter(hub: Hub, server: FakeServer): FakeClient {
  const client = new FakeClient(hub).connect();
  server.join(client.sid, "lobby");
  return client;
}

test("a join is told at once, a leave by word at once, a lost line only after the grace", () => {
  const { hub, server, clock } = recovering();
  watch(server);
  const [one, two, three] = [enter(hub, server), enter(hub, server), enter(hub, server)];
  assert.deepEqual(changes(server), [`+${one.sid}!`, `+${two.sid}!`, `+${three.sid}!`]);
  server.leave(one.sid, "lobby");
  two.line.say("1");
  assert.deepEqual(changes(server), [`-${one.sid}!`, `-${two.sid}!`]);
  three.drop();
  clock.advance(9_999);
  assert.deepEqual(changes(server), []);
  clock.advance(1);
  assert.deepEqual(changes(server), [`-${three.sid}!`]);
  three.connect();
  assert.deepEqual(changes(server), [`+${three.sid}!`], "it is recovered, and in its rooms");
  hub.assertInvariants();
  hub.close();
  assert.equal(clock.pendingCount, 0);
});

test("a quick return is neither leave nor join, however often, and a ghost is no leave either", () => {
  const { hub, server, clock } = recovering();
  watch(server);
  const client = enter(hub, server);
  changes(server);
  for (let times = 0; times < 5; times++) {
    if (times % 2 === 0) client.drop();
    else client.vanish();
    clock.advance(8_000);
    client.connect();
  }
  clock.advance(60_000);
  assert.equal(client.recovered, true);
  assert.deepEqual(changes(server), []);
});

test("without recovery a user who comes back as another socket has not left, and several tabs are one member", () => {
  const { hub, server, clock } = recovering({ recovery: false });
  watch(server, "user");
  const tab = enter(hub, server);
  assert.deepEqual(changes(server), [], "nobody yet");
  data(server, tab.sid, { user: "ada" });
  const other = enter(hub, server);
  data(server, other.sid, { user: "ada" });
  assert.deepEqual(changes(server), ["+ada!"]);
  tab.drop();
  other.drop();
  clock.advance(5_000);
  const again = enter(hub, server);
  data(server, again.sid, { user: "ada" });
  clock.advance(60_000);
  assert.deepEqual(changes(server), []);
  data(server, again.sid, { user: 7 });
  assert.deepEqual(changes(server), ["+7!", "-ada!"]);
  for (const nobody of [null, [1], { user: {} }, { __proto__: null }]) data(server, again.sid, nobody);
  assert.deepEqual(changes(server), ["-7!"]);
  hub.assertInvariants();
});

test("a handover is not heard of; the next server is told who is there, and what changed while nobody watched", () => {
  const { hub, server, clock } = recovering();
  watch(server);
  const [stays, goes] = [enter(hub, server), enter(hub, server)];
  changes(server);
  server.port.gone();
  goes.drop();
  clock.advance(15_000);
  const next = new FakeServer(hub, "next");
  const comes = enter(hub, next);
  next.heard.length = 0;
  watch(next);
  const heard = next.heard.slice();
  assert.deepEqual(heard[0], { type: "present", namespace: "/", room: "lobby", members: [stays.sid, goes.sid] });
  assert.deepEqual(changes(next), [`-${goes.sid}!`, `+${comes.sid}!`]);
  assert.equal(stays.line.reason, null);
});

test("each server that watches is told, one of them that it is the first; a new one gets the list and no joins again", () => {
  const { hub, server } = recovering();
  watch(server);
  const client = enter(hub, server);
  changes(server);
  const second = new FakeServer(hub, "second");
  watch(second);
  assert.deepEqual(second.heard.filter(({ type }) => type === "present").length, 1);
  assert.deepEqual(changes(second), []);
  server.leave(client.sid, "lobby");
  assert.deepEqual([changes(server), changes(second)], [[`-${client.sid}!`], [`-${client.sid}`]]);
  server.port.send({ type: "unwatch", namespace: "/", room: "lobby" });
  second.join(client.sid, "lobby");
  assert.deepEqual([changes(server), changes(second)], [[], [`+${client.sid}!`]]);
});

test("another hub is told whom the server knows of: those who come back in time have not left", () => {
  const { hub, server, store, clock } = recovering();
  watch(server);
  const [back, away] = [enter(hub, server), enter(hub, server)];
  changes(server);
  hub.close();
  const again = new Hub({ clock, random: new SeededRandom(9), store, recovery: true });
  const next = new FakeServer(again);
  watch(next, "", [back.sid, away.sid]);
  Object.assign(back, { hub: again });
  clock.advance(5_000);
  back.connect();
  assert.equal(back.recovered, true);
  assert.deepEqual(changes(next), []);
  clock.advance(5_000);
  assert.deepEqual(changes(next), [`-${away.sid}!`]);
  back.line.say("1");
  assert.deepEqual(changes(next), [`-${back.sid}!`]);
});

test("beyond their bound rooms are not watched; a room that nobody watched for the time of a handover is forgotten", () => {
  const { hub, server, clock } = recovering({ limits: { watchedRoomsMax: 1 } });
  watch(server);
  server.port.send({ type: "watch", namespace: "/", room: "other", by: "", graceMs: 1, members: [] });
  assert.deepEqual(
    server.take("present").map(({ room }) => room),
    ["lobby"],
  );
  server.port.send({ type: "unwatch", namespace: "/", room: "lobby" });
  clock.advance(30_000);
  server.port.send({ type: "watch", namespace: "/", room: "other", by: "", graceMs: 1, members: [] });
  assert.equal(server.take("present").length, 1);
  hub.assertInvariants();
});
