/** Presence with stock clients. The hub's own rules, on a fake clock, are in `engine/hub/presence.test.ts`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { type Socket as Client, io as connectClient } from "socket.io-client";
import { presence, Server } from "./index.ts";

test("stock clients: tabs of one user are one member, a quick return is no leave, a goodbye is one", async (t) => {
  const http = createServer();
  const io = new Server(http, { connectionStateRecovery: {} });
  io.on("connection", (socket) => {
    socket.data.user = socket.handshake.auth["user"];
    socket.join("lobby");
  });
  const lobby = presence(io, "lobby", { by: "user", graceMs: 60_000 });
  assert.equal(presence(io, "lobby"), lobby);
  const seen: string[] = [];
  lobby.on("join", (member, first) => seen.push(`+${member} ${first}`));
  lobby.on("leave", (member) => seen.push(`-${member}`));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  const clients: Client[] = [];
  t.after(async () => {
    for (const client of clients) client.disconnect();
    await io.close();
  });
  const join = async (user: string) => {
    const auth = { user };
    const client = connectClient(`http://127.0.0.1:${port}/`, { forceNew: true, auth, reconnectionDelay: 10 });
    clients.push(client);
    await once(client as never, "connect");
    return client;
  };
  const came = once(lobby, "join");
  const ada = await join("ada");
  await came;
  const tab = await join("ada");
  const cameToo = once(lobby, "join");
  const bob = await join("bob");
  await cameToo;
  assert.deepEqual(lobby.members, ["ada", "bob"]);
  for (let times = 0; times < 3; times++) {
    const back = once(bob as never, "connect");
    bob.io.engine.close();
    await back;
  }
  assert.deepEqual(seen, ["+ada true", "+bob true"]);
  tab.disconnect();
  const gone = once(lobby, "leave");
  ada.disconnect();
  await gone;
  assert.deepEqual(seen, ["+ada true", "+bob true", "-ada"]);
  assert.deepEqual([lobby.has("ada"), lobby.has("bob")], [false, true]);
  lobby.close();
  bob.disconnect();
  await io.fetchSockets();
  assert.equal(seen.length, 3, "closed: nothing more is heard");
});
