/**
 * Ends at odd moments: told to stop in the middle of a start, a configuration that never finishes or leaves something
 * open. The command always ends, with the right code, and nothing stays.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, watch } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { repository, temporaryFolder, tideway, writeConfiguration } from "./harness/tideway.ts";

function folderFor(t: TestContext): string {
  const folder = temporaryFolder("endings");
  t.after(() => folder.remove());
  return folder.path;
}

/** Starts `file` and sends SIGTERM when `landmark` appears in its data directory. */
async function stopAt(landmark: string, folder: string, file: string): Promise<{ code: number | null; out: string }> {
  const data = join(folder, "data");
  mkdirSync(data);
  const child = spawn(process.execPath, [join(repository, "packages/tideway/bin/tideway.ts"), "start", file], {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  }
  const watcher = watch(data, () => {
    if (child.killed || !existsSync(join(data, landmark))) return;
    child.kill("SIGTERM");
  });
  const [code] = (await once(child, "close")) as [number | null];
  watcher.close();
  return { code, out };
}

test("SIGTERM in the middle of a start ends it with 0: nothing is opened after the end", async (t) => {
  // The data is taken; the store is being opened; the hub's line is open and applications are next.
  for (const landmark of ["lock", "streams", "link-live.sock"]) {
    const folder = folderFor(t);
    const chat = JSON.stringify(`node ${join(repository, "e2e/apps/chat.ts")}`);
    const file = writeConfiguration(
      folder,
      `{ listen: [{ port: 0 }], console: false, services: { web: { command: ${chat} }, live: { realtime: { service: "web" } } },
        sites: { "*": { "/": "web", "/socket.io": "live" } } }`,
    );
    const { code, out } = await stopAt(landmark, folder, file);
    assert.equal(code, 0, `${landmark}: ${out}`);
    assert.doesNotMatch(out, /^\s+at /m);
    assert.doesNotMatch(out.slice(out.indexOf('"stopped"')), /instance started|"ready"/);
  }
});

test("a configuration that waits for ever is given up with a message", async (t) => {
  const folder = folderFor(t);
  const file = writeConfiguration(folder, "await new Promise(() => {})");
  const { code, stderr } = await tideway(["check", file]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /CONFIG_THREW/);
  assert.match(stderr, /not loaded after/);
  assert.doesNotMatch(stderr, /Warning/);
});

test("what a configuration leaves open does not keep a command that is done", async (t) => {
  const folder = folderFor(t);
  const file = writeConfiguration(
    folder,
    `(setInterval(() => {}, 1000), { services: { pong: { respond: {} } }, sites: { "*": { "/": "pong" } } })`,
  );
  const { code, stdout } = await tideway(["check", file]);
  assert.equal(code, 0);
  assert.match(stdout, /is valid/);
});
