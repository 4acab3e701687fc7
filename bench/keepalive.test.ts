import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { test } from "node:test";
import { Kept } from "./load/keep.ts";
import { startGateways } from "./measure/contenders.ts";
import { residentOf } from "./measure/memory.ts";

const connections = 120;

test("kept connections, small: each gateway holds all of them, and answers each once more", async () => {
  await using gateways = await startGateways({ core: "any", connections: 4 * connections });
  for (const { name, port, program } of gateways.contenders) {
    const kept = new Kept();
    assert.deepEqual(await kept.open(port, connections), { answered: connections }, name);
    assert.deepEqual(await kept.ask(), { answered: connections }, name);
    assert.ok(residentOf(program.pid) > 0);
    if (name === "tideway") assert.ok((await program.ask<{ rss: number }>({})).rss > 0);
    kept.close();
  }
});

test("a connection that the server closes meanwhile does not count", async (t) => {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const kept = new Kept();
  assert.deepEqual(await kept.open((server.address() as { port: number }).port, 5), { answered: 5 });
  const closed = [once(sockets[1]!, "close"), once(sockets[3]!, "close")];
  sockets[1]!.destroy();
  sockets[3]!.destroy();
  await Promise.all(closed);
  assert.deepEqual(await kept.ask(), { answered: 3 });
  kept.close();
});
