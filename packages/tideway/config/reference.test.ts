import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { reference } from "./reference.ts";

const page = fileURLToPath(new URL("../../../docs/configuration.md", import.meta.url));

test("docs/configuration.md says what the schema says (TIDEWAY_GOLDEN=write npm test -- packages/tideway/config writes it)", () => {
  if (process.env["TIDEWAY_GOLDEN"] === "write") writeFileSync(page, reference());
  assert.equal(readFileSync(page, "utf8"), reference());
});

test("keys of nested objects, of unions and of lists have rows of their own", () => {
  const text = reference();
  for (const key of [
    "limits.idleTimeoutMs",
    "upstreams[].weight",
    "health.path",
    "when.header",
    "limits.rate.requests",
  ]) {
    assert.ok(text.includes(`| \`${key}\` |`), key);
  }
  assert.match(text, /\| `balance` \| "least-busy", .* or object \| `"least-busy"` \| How an instance is chosen/);
});
