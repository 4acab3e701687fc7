/**
 * The log when its reader is slow: bounded memory, and the gap is said.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";

const chatter = `
import { createLog } from ${JSON.stringify(new URL("./logs.ts", import.meta.url).href)};
const log = createLog({ level: "info", readable: false });
const text = "x".repeat(8192);
for (let i = 0; i < 200; i++) {
  for (let j = 0; j < 64; j++) log.info({}, text);
  await new Promise(setImmediate);
}
process.stdout.write(String(Math.round(process.memoryUsage().rss / 1048576)) + "\\n");
process.stdin.once("data", () => {
  setInterval(() => log.info({}, "later"), 20);
});
`;

test("a log whose reader has stopped holds a bounded share of memory, and says how many lines it dropped", async (t) => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", chatter], { stdio: ["pipe", "pipe", "pipe"] });
  t.after(() => child.kill("SIGKILL"));
  const [megabytes] = (await once(child.stdout.setEncoding("utf8"), "data")) as [string];
  assert.ok(Number(megabytes) < 180, `${megabytes.trim()} MB after 100 MB of lines that nobody read`);
  child.stdin.write("go on");
  let tail = "";
  for await (const piece of child.stderr.setEncoding("utf8")) {
    tail = tail.slice(-400) + (piece as string);
    if (/"dropped":\d+/.test(tail)) break;
  }
  assert.match(tail, /"dropped":\d+,"msg":"log lines were dropped/);
});
