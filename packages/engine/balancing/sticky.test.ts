import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isCurrent, needsToken, parseStickyToken, type StickyToken, stickyPayload } from "./index.ts";

const now = Date.UTC(2026, 0, 1);
const hour = 3_600_000;

function token(name: string, ttlMs: number, madeAt = now): StickyToken {
  return parseStickyToken(`${stickyPayload(name, ttlMs, madeAt)}.c2lnbmF0dXJl`)!;
}

describe("a sticky cookie's value", () => {
  it("says whose it is and until when, and what of it is signed", () => {
    const made = token("abc", hour);
    assert.equal(made.name, "abc");
    assert.equal(made.expiresAt * 1000, now + hour);
    assert.equal(made.signed, stickyPayload("abc", hour, now));
    assert.equal(made.signature, "c2lnbmF0dXJl");
    assert.equal(token("abc", 0).expiresAt, 0);
  });

  for (const value of [
    "",
    "a",
    "a.b",
    "a.0.",
    ".0.c",
    "a.0.c.d",
    "a.-1.c",
    "a.A.c",
    "a.0.c d",
    "a/b.0.c",
    "a..c",
    `${"a".repeat(65)}.0.c`,
  ])
    it(`"${value.slice(0, 12)}" is none`, () => assert.equal(parseStickyToken(value), null));

  it("counts until it expires, and for good when it never does", () => {
    assert.ok(isCurrent(token("a", hour), now + hour - 1));
    assert.ok(!isCurrent(token("a", hour), now + hour));
    assert.ok(isCurrent(token("a", 0), now + 1e12));
  });

  it("is made anew for who has none, for another instance, and when half of its time is over", () => {
    assert.ok(needsToken(null, "a", 0, now));
    assert.ok(needsToken(token("b", 0), "a", 0, now));
    assert.ok(!needsToken(token("a", 0), "a", 0, now));
    assert.ok(!needsToken(token("a", hour), "a", hour, now + hour / 2));
    assert.ok(needsToken(token("a", hour), "a", hour, now + hour / 2 + 1));
  });

  it("is made anew when the rule about its time has changed", () => {
    assert.ok(needsToken(token("a", 0), "a", hour, now));
    assert.ok(needsToken(token("a", hour), "a", 0, now));
  });
});
