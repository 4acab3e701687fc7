import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, suite, test } from "node:test";
import { findTests } from "./files.ts";

suite("test files", () => {
  const root = mkdtempSync(join(tmpdir(), "tideway-files-"));
  after(() => rmSync(root, { recursive: true }));
  for (const path of [
    "packages/wire/http1/head.test.ts",
    "packages/wire/http1/head.ts",
    "packages/wire/http10/a.test.ts",
    "packages/wire/node_modules/x/x.test.ts",
    "apps/commons/web/dist/x.test.ts",
    "e2e/names.test.ts",
    "e2e/gateway/limits.test.ts",
    "bench/fanout.test.ts",
  ]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), "");
  }

  test("all are found but those of dependencies and built files; whole-system ones go apart, unless they bear company", () => {
    assert.deepEqual(findTests(root, []), {
      unit: ["e2e/gateway/limits.test.ts", "packages/wire/http1/head.test.ts", "packages/wire/http10/a.test.ts"],
      system: ["bench/fanout.test.ts", "e2e/names.test.ts"],
    });
  });

  test("a folder narrows to whole segments, a file to itself", () => {
    assert.deepEqual(findTests(root, ["packages/wire/http1"]).unit, ["packages/wire/http1/head.test.ts"]);
    assert.deepEqual(findTests(root, ["packages/wire/http1/"]).unit, ["packages/wire/http1/head.test.ts"]);
    assert.deepEqual(findTests(root, ["./e2e/names.test.ts"]), { unit: [], system: ["e2e/names.test.ts"] });
    assert.deepEqual(findTests(root, ["packages/nothing"]), { unit: [], system: [] });
  });
});
