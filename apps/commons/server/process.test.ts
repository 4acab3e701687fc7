import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, suite, test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { Visitor } from "./testing.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** The whole program as a process, started by hand: it holds the timeline's sockets itself. */
suite("the program", { timeout: 30_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "commons-process-"));
  let child: ChildProcess;
  let origin: string;
  let reader: Socket;

  const start = async () => {
    const port = await freePort();
    origin = `http://127.0.0.1:${port}`;
    const { TIDEWAY_LINK: _, ...environment } = process.env;
    child = spawn(process.execPath, ["main.ts"], {
      cwd: import.meta.dirname,
      env: { ...environment, PORT: String(port), COMMONS_DATA: folder },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let listening = false;
    for await (const line of createInterface({ input: child.stdout! })) {
      listening = JSON.parse(line).msg === "listening";
      if (listening) break;
    }
    assert.ok(listening, "the program ended before it listened");
    child.stdout!.resume();
  };

  before(start);
  after(async () => {
    reader?.close();
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  });

  test("each change reaches an open timeline once, in order", async () => {
    const seen: unknown[][] = [];
    reader = io(origin, { transports: ["websocket"] });
    let wake = () => {};
    reader.onAny((event, ...args) => {
      seen.push([event, args[0].id, args[0].version, args[0].body]);
      wake();
    });
    await new Promise<void>((resolve, reject) => reader.once("connect", resolve).once("connect_error", reject));

    const ada = new Visitor(origin, {});
    await ada.expect(201, "POST", "/api/accounts", { name: "ada", password: "correct horse" });
    const { post } = await ada.expect(201, "POST", "/api/posts", { body: "one" }, { "idempotency-key": "k" });
    await ada.expect(201, "POST", "/api/posts", { body: "one" }, { "idempotency-key": "k" });
    await ada.expect(200, "PATCH", `/api/posts/${post.id}`, { body: "two", version: 1 });
    await ada.expect(200, "DELETE", `/api/posts/${post.id}`);
    await ada.expect(200, "POST", `/api/posts/${post.id}/restore`);
    while (seen.length < 4) await new Promise<void>((resolve) => (wake = resolve));
    assert.deepEqual(seen, [
      ["post:created", post.id, 1, "one"],
      ["post:changed", post.id, 2, "two"],
      ["post:deleted", post.id, 3, ""],
      ["post:restored", post.id, 4, "two"],
    ]);
  });

  test("asked to stop, it finishes what it is at and exits 0", async () => {
    const slow = new Visitor(origin, {}).request("POST", "/api/session", { name: "ada", password: "correct horse" });
    // The request is on its way once another, sent after it, was answered.
    await new Visitor(origin, {}).expect(200, "GET", "/healthz");
    child.kill("SIGTERM");
    const [code, signal] = await once(child, "exit");
    assert.deepEqual([code, signal], [0, null]);
    assert.equal((await slow).status, 200);
  });

  test("what was written is there after a new start", async () => {
    await start();
    const { posts } = await new Visitor(origin, {}).expect(200, "GET", "/api/posts");
    assert.deepEqual(
      posts.map((post: { body: string }) => post.body),
      ["two"],
    );
    child.kill("SIGTERM");
    await once(child, "exit");
  });
});
