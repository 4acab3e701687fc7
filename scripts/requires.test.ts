import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";

/** What `requires("wrk", "chromium", "wrk")` does where neither is installed. */
function ask(environment: Record<string, string>): { status: number | null; output: string } {
  const code = `import { requires } from ${JSON.stringify(new URL("./requires.ts", import.meta.url).href)};
    process.stdout.write(String(requires("wrk", "chromium", "wrk")));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    env: { PATH: "/nonexistent", ...environment },
    encoding: "utf8",
  });
  return { status, output: stdout + stderr };
}

test("a missing program is a reason to skip that names each Debian package once", () => {
  assert.deepEqual(ask({}), { status: 0, output: "needs Debian's package wrk, chromium" });
});

test("with CI=true nothing is left out: it throws", () => {
  const { status, output } = ask({ CI: "true" });
  assert.equal(status, 1);
  assert.match(output, /needs Debian's package wrk, chromium, and with CI=true no test is left out/);
});
