/**
 * No key without a test from outside: whoever adds one to the schema says it in a configuration of `e2e`, where it is
 * shown to do something. What the key is called is all that can be checked here.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { test } from "node:test";
import { configSchema } from "./schema.ts";
import { type AnySchema, keysBelow } from "./schema-walk.ts";

const root = resolve(import.meta.dirname, "../../..");
/** Real time has tests of its own, with clients of its own. */
const elsewhere = /^services\.\*\.realtime\./;

test("every key of the configuration is said in a test of the whole system", () => {
  const files = globSync("e2e/**/*.ts", { cwd: root, exclude: (name) => basename(name) === "node_modules" });
  const said = files.map((file) => readFileSync(resolve(root, file), "utf8")).join("\n");
  const keys = keysBelow(configSchema as AnySchema);
  assert.ok(keys.length > 300 && keys.includes("services.*.balance.hash.header"), "all of the schema was looked at");
  const unsaid = keys.filter((key) => {
    const name = key.slice(key.lastIndexOf(".") + 1).replaceAll("[]", "");
    return !elsewhere.test(key) && !new RegExp(`\\b${name}\\b\\s*[:,}]`).test(said);
  });
  assert.deepEqual(unsaid, []);
});
