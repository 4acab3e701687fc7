import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { ok, raw, Sent, until, withInstance } from "./sent.testing.ts";

describe("a request whose tick has not ended", () => {
  for (const [what, say] of [
    ["an answer", (socket: Socket) => socket.write(ok)],
    ["the server's end", (socket: Socket) => socket.end()],
    ["a reset", (socket: Socket) => socket.resetAndDestroy()],
  ] as const) {
    it(`has not reached the instance: ${what} that comes before it is not its own`, async () => {
      const clock = new FakeClock();
      const server = await raw((socket) => socket.write(ok));
      const { service } = await withInstance(server, { clock, health: { everyMs: 1e9 } });
      await until(() => server.sockets.size === 0);
      const sent = new Sent(service);
      await until(() => server.sockets.size === 1);
      for (const socket of server.sockets) say(socket);
      assert.equal(await sent.over, "broken");
      assert.equal(sent.fault?.reached, false);
      assert.deepEqual(sent.trail, []);
      clock.settle();
      const next = new Sent(service);
      clock.settle();
      assert.equal(await next.over, "end");
      assert.equal(server.heads.length, 1);
    });
  }
});
