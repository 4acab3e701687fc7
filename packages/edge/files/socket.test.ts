/** Files behind a real listener, asked by stock clients over a real socket. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { limits, silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createListener, type Listener } from "@tideway/edge/listener";
import { Client, request } from "undici";
import { createFiles } from "./index.ts";

const root = mkdtempSync(join(tmpdir(), "tideway-files-socket-"));
const big = Buffer.alloc(8 * 1024 * 1024);
for (let i = 0; i < big.length; i++) big[i] = (i * 7 + (i >> 11)) & 255;
let listener: Listener;
let origin = "";
let port = 0;

before(async () => {
  for (const [name, content] of [
    ["index.html", "<h1>home</h1>"],
    ["big.bin", big],
    ["outside", ""],
  ] as const) {
    writeFileSync(join(root, name), content);
    utimesSync(join(root, name), new Date("2026-01-02"), new Date("2026-01-02"));
  }
  const files = createFiles({ root, clock: systemClock, random: systemRandom, logger: silentLogger });
  listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    limits,
    onExchange: (exchange) => files.handle(exchange),
  });
  port = (await listener.listen()).port;
  origin = `http://127.0.0.1:${port}`;
});
after(async () => {
  await listener.close({ graceMs: 0 });
  rmSync(root, { recursive: true, force: true });
});

describe("over a real socket", { timeout: 20_000 }, () => {
  test("undici gets a page, then 304, on one connection", async () => {
    const client = new Client(origin);
    const first = await client.request({ method: "GET", path: "/" });
    assert.equal(await first.body.text(), "<h1>home</h1>");
    const again = await client.request({
      method: "GET",
      path: "/",
      headers: { "if-none-match": String(first.headers.etag) },
    });
    assert.deepEqual([again.statusCode, await again.body.text()], [304, ""]);
    const head = await client.request({ method: "HEAD", path: "/big.bin" });
    assert.deepEqual([head.headers["content-length"], await head.body.text()], [String(big.length), ""]);
    await client.close();
  });

  test("a large file arrives identical, and so does a range of it", async () => {
    const whole = await request(`${origin}/big.bin`);
    assert.ok(Buffer.from(await whole.body.arrayBuffer()).equals(big));
    const part = await request(`${origin}/big.bin`, { headers: { range: "bytes=1000000-5000000" } });
    assert.equal(part.statusCode, 206);
    assert.ok(Buffer.from(await part.body.arrayBuffer()).equals(big.subarray(1_000_000, 5_000_001)));
  });

  test("many clients at once get the same bytes", async () => {
    const bodies = await Promise.all(
      Array.from({ length: 8 }, async () => Buffer.from(await (await request(`${origin}/big.bin`)).body.arrayBuffer())),
    );
    for (const body of bodies) assert.ok(body.equals(big));
  });

  test("a slow reader gets identical bytes, and a client that vanishes leaves no descriptor open", async () => {
    const descriptors = () => readdirSync("/proc/self/fd").length;
    const slow = net.connect({ port, host: "127.0.0.1" });
    slow.write("GET /big.bin HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    const chunks: Buffer[] = [];
    for await (const chunk of slow) {
      chunks.push(chunk as Buffer);
      if (chunks.length % 50 === 0) await new Promise(setImmediate);
    }
    const answer = Buffer.concat(chunks);
    assert.ok(answer.subarray(answer.indexOf("\r\n\r\n") + 4).equals(big));

    const before = descriptors();
    for (let i = 0; i < 10; i++) {
      const socket = net.connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write("GET /big.bin HTTP/1.1\r\nhost: x\r\n\r\n");
      await once(socket, "data");
      socket.destroy();
    }
    while (descriptors() > before) await new Promise(setImmediate);
  });

  test("paths that lead out are refused in every spelling that reaches us", async () => {
    for (const path of [
      "/../../etc/passwd",
      "/..%2f..%2fetc/passwd",
      "/%2e%2e/etc/passwd",
      "/..\\etc",
      "/a%00",
      "/%c0%ae%c0%ae/x",
    ]) {
      const socket = net.connect(port, "127.0.0.1");
      socket.end(`GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      const answer = Buffer.concat(await socket.toArray()).toString();
      assert.match(answer, /^HTTP\/1\.1 40[04] /, path);
      assert.doesNotMatch(answer, /root:/);
    }
  });
});
