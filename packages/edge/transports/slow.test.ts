/** A client that does not read, over a real socket. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import type { DisconnectReason, Line } from "@tideway/engine/hub";
import { packet, startOurs } from "./servers.testing.ts";

test("a paused client is cut off once the kernel and the queue are full, and healthy ones read on", async () => {
  const lines: Line[] = [];
  const ends: DisconnectReason[] = [];
  const server = await startOurs(
    (line) => {
      lines.push(line);
      return { text() {}, binary() {}, upgraded() {}, closed: (reason) => void ends.push(reason) };
    },
    { pingIntervalMs: 25_000, pingTimeoutMs: 20_000 },
  );
  const head =
    "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n" +
    "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const [paused, healthy] = [connect(server.port, "127.0.0.1"), connect(server.port, "127.0.0.1")];
  for (const client of [paused, healthy]) {
    client.write(head);
    await once(client, "data");
    client.on("error", () => {});
  }
  paused.pause();
  let read = 0;
  healthy.on("data", (chunk) => {
    read += chunk.length;
  });
  const one = packet("x".repeat(50_000));
  let sent = 0;
  while (ends.length === 0) {
    for (const line of lines) line.send(one);
    sent++;
    assert.ok(sent < 1_000, "50 MB for one that does not read");
    // The healthy one's share of the tick: until it has read what was sent.
    while (ends.length === 0 && read < sent * 50_000) await new Promise((done) => setImmediate(done));
  }
  assert.deepEqual(ends, ["slow consumer"]);
  while (read < sent * 50_000) await once(healthy, "data");
  paused.destroy();
  healthy.destroy();
  await server.close();
});
