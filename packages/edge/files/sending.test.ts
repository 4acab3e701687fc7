import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { ExchangeEnd } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { big, FakeExchange, files, folder, get, openFiles, put, root, run, target } from "./exchange.testing.ts";
import { FileSender } from "./send.ts";

describe("sending", () => {
  test("a large file arrives byte by byte, also to a client that takes one piece at a time", async () => {
    for (const slow of [false, true]) {
      const exchange = new FakeExchange("GET", "/big.bin");
      exchange.slow = slow;
      exchange.on("wrote", () => slow && setImmediate(() => exchange.drain()));
      await run(exchange);
      assert.ok(exchange.body.equals(big));
    }
  });

  test("nothing is read ahead for a client before it has taken what it was sent; then one piece is", async () => {
    const reads: number[] = [];
    const file = {
      read: async (_buffer: Buffer, _offset: number, length: number, position: number) => {
        reads.push(position / length);
        return { bytesRead: length };
      },
      close: async () => {},
    } as unknown as FileHandle;
    const exchange = new FakeExchange("GET", "/big.bin");
    exchange.slow = true;
    exchange.respond(200, [], -1);
    const settled = async () => {
      for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    };
    const sender = new FileSender(exchange, file, [{ first: 0, last: 2 ** 30 - 1 }], assert.ifError);
    sender.run();
    await settled();
    assert.deepEqual([reads, exchange.writes], [[0], 1]);
    sender.drained();
    await settled();
    assert.deepEqual([reads, exchange.writes], [[0, 1, 2], 2]);
    sender.drained();
    await settled();
    assert.deepEqual([reads, exchange.writes], [[0, 1, 2, 3], 3]);
    sender.cancel();
  });

  test("nothing is written before the client has taken what was", async () => {
    const exchange = new FakeExchange("GET", "/big.bin");
    exchange.slow = true;
    files.handle(exchange);
    await once(exchange, "wrote");
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.equal(exchange.writes, 1);
    exchange.on("wrote", () => setImmediate(() => exchange.drain()));
    exchange.drain();
    await once(exchange, "done");
    assert.ok(exchange.body.equals(big));
  });

  test("a client that goes at any moment leaves no descriptor open", async () => {
    let most = 0;
    for (let turns = 0; turns < 30; turns++) {
      const exchange = new FakeExchange("GET", "/big.bin");
      exchange.slow = true;
      files.handle(exchange);
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      most = Math.max(most, openFiles());
      exchange.handler?.onClose(ExchangeEnd.gone);
    }
    assert.ok(most > 0, "some were being sent");
    for (let left = 5_000; openFiles() > 0 && left > 0; left--) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(openFiles(), 0);
  });

  test("a file that becomes shorter while it is sent breaks the connection: it never looks whole", async () => {
    put("shrinks.bin", Buffer.alloc(600_000));
    const exchange = new FakeExchange("GET", "/shrinks.bin");
    exchange.slow = true;
    files.handle(exchange);
    await once(exchange, "wrote");
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    writeFileSync(join(root, "shrinks.bin"), "");
    exchange.on("wrote", () => setImmediate(() => exchange.drain()));
    exchange.drain();
    await once(exchange, "done");
    assert.deepEqual([exchange.aborted, exchange.ended], [true, false]);
  });

  test("a change is seen after a second, small or large, and a file replaced before that is never mixed", async () => {
    const time = new FakeClock(Date.UTC(2026, 5, 1));
    const app = target({ clock: time });
    put("changes.txt", "one");
    put("changes.bin", Buffer.alloc(200_000, 1));
    assert.equal((await get("/changes.txt", {}, app)).text, "one");
    assert.equal((await get("/changes.bin", {}, app)).body[0], 1);
    put("changes.txt", "two two");
    put("changes.bin", Buffer.alloc(190_000, 2));
    const large = await get("/changes.bin", {}, app);
    assert.deepEqual([large.length, large.body[0]], [190_000, 2]);
    time.advance(1_000);
    assert.equal((await get("/changes.txt", {}, app)).text, "two two");
    rmSync(join(root, "changes.txt"));
    time.advance(1_000);
    assert.equal((await get("/changes.txt", {}, app)).status, 404);
  });

  test("a root that is a link may be turned to another folder", async () => {
    const time = new FakeClock(Date.UTC(2026, 5, 1));
    const current = join(folder, "current");
    for (const release of ["r1", "r2"]) {
      mkdirSync(join(folder, release));
      writeFileSync(join(folder, release, "v.txt"), release);
    }
    symlinkSync(join(folder, "r1"), current);
    const app = target({ root: current, clock: time });
    assert.equal((await get("/v.txt", {}, app)).text, "r1");
    rmSync(current);
    symlinkSync(join(folder, "r2"), current);
    time.advance(1_000);
    assert.equal((await get("/v.txt", {}, app)).text, "r2");
  });

  test("a root that does not exist is 404, not a crash", async () => {
    assert.equal((await get("/a.txt", {}, target({ root: join(folder, "none") }))).status, 404);
    assert.equal(statSync(root).isDirectory(), true);
  });
});
