import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { type PacedTask, paced } from "./load/paced.ts";
import { startGateways } from "./measure/contenders.ts";

const task = { type: "paced", connections: 8, perSecond: 2000, seed: 5, warmUpMs: 0, measureMs: 300 } as const;

/** How many a Poisson process of this seed has in that time. */
function due({ perSecond, seed, warmUpMs, measureMs }: Omit<PacedTask, "port">): number {
  const random = new SeededRandom(seed);
  let count = -1;
  for (let at = 0; at < warmUpMs + measureMs; count++) at += (-1000 / perSecond) * Math.log(1 - random.fraction());
  return count;
}

test("the paced load, small: each gateway answers every request that was due, once", async () => {
  await using gateways = await startGateways({ core: "any" });
  assert.ok(gateways.contenders.length + gateways.leftOut.length === 3);
  for (const { name, port } of gateways.contenders) {
    const { answered, p50Ms, p99Ms } = await paced({ ...task, port });
    assert.equal(answered, due(task), name);
    assert.ok(p50Ms > 0 && p99Ms >= p50Ms, name);
  }
});

test("with fewer connections than requests under way the others wait, and none is lost", async (t) => {
  const seen = new Set<unknown>();
  const server = createServer((request, response) => {
    seen.add(request.socket);
    setImmediate(() => response.setHeader("content-length", 2).end("ok"));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const few = { ...task, connections: 1, warmUpMs: 10, measureMs: 100, port };
  const { answered } = await paced(few);
  assert.ok(answered > 0 && answered <= due(few), `${answered}`);
  assert.equal(seen.size, 1);
});

for (const [what, answer] of [
  ["is answered with an error", "HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"],
  ["gets more bytes than were announced", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc"],
  ["gets none", ""],
] as const) {
  test(`a request that ${what} fails the run`, async (t) => {
    const server = createTcpServer((socket) => {
      socket.on("error", () => {});
      socket.on("data", () => (answer === "" ? socket.destroy() : socket.write(answer)));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    await assert.rejects(paced({ ...task, measureMs: 20, port }), /answered 503|more bytes|answer to nothing|closed/);
  });
}
