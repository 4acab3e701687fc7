import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { fileURLToPath } from "node:url";

const deadline = fileURLToPath(new URL("./deadline.mjs", import.meta.url));

suite("the deadline of a test file", () => {
  const folder = mkdtempSync(join(tmpdir(), "tideway-deadline-"));
  after(() => rmSync(folder, { recursive: true }));

  function run(body: string): { status: number | null; stderr: string } {
    const file = join(folder, "a.mjs");
    writeFileSync(file, `import { test } from "node:test";\nimport { createServer } from "node:net";\n${body}\n`);
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stderr } = spawnSync(process.execPath, ["--import", deadline, file], {
      env: { ...env, TEST_LEAK_LIMIT_MS: "50" },
      encoding: "utf8",
    });
    return { status, stderr };
  }

  test("a file whose tests leave something open is ended as a failure that names it", () => {
    const { status, stderr } = run(`test("a", () => { createServer().listen(0); });`);
    assert.equal(status, 1);
    assert.match(stderr, /a\.mjs: its tests are done.*Still open: TCPServerWrap/);
  });

  test("a file that ends by itself is left alone", () => {
    assert.deepEqual(run(`test("a", () => {});`), { status: 0, stderr: "" });
  });
});
