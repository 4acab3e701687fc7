import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Sticky, type StickyOptions } from "./sticky.ts";
import { asker } from "./testing.ts";

const now = Date.UTC(2026, 0, 1);
const hour = 3_600_000;
const key = "a key that nobody guesses";

function sticky(options: Partial<StickyOptions> = {}, service = "web"): Sticky {
  return new Sticky({ cookie: "tw", key, ...options }, service);
}

/** The value that a first answer of the instance sets. */
function cookieFrom(from: Sticky, id: string, at = now): string {
  return /^tw=([^;]+);/.exec(from.setCookie(asker().head, false, id, at))![1]!;
}

const withCookie = (value: string) => asker(["cookie", `other=1; tw=${value}`]).head;

describe("a sticky cookie", () => {
  it("is for this site only, out of reach of scripts, and for TLS where the client came over TLS", () => {
    const set = sticky().setCookie(asker().head, true, "a", now);
    assert.match(set, /^tw=[\w-]{12}\.0\.[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/);
    assert.doesNotMatch(sticky().setCookie(asker().head, false, "a", now), /Secure/);
    assert.match(sticky({ secure: true }).setCookie(asker().head, false, "a", now), /; Secure$/);
    assert.doesNotMatch(sticky({ secure: false }).setCookie(asker().head, true, "a", now), /Secure/);
    assert.match(sticky({ ttlMs: hour }).setCookie(asker().head, false, "a", now), /; Path=\/; Max-Age=3600; /);
  });

  it("names the instance without telling which", () => {
    const one = sticky();
    const value = cookieFrom(one, "10.1.2.3:8080");
    assert.doesNotMatch(value, /10\.1|8080/);
    assert.equal(one.wanted(withCookie(value), now), one.nameOf("10.1.2.3:8080"));
    assert.notEqual(one.nameOf("10.1.2.3:8080"), one.nameOf("10.1.2.4:8080"));
  });

  it("is not sent again while it is good, and is when another instance answered", () => {
    const one = sticky();
    const head = withCookie(cookieFrom(one, "a"));
    assert.equal(one.setCookie(head, false, "a", now), "");
    assert.notEqual(one.setCookie(head, false, "b", now), "");
  });

  it("forged in any character: ignored, and a new one is set", () => {
    const one = sticky();
    const value = cookieFrom(one, "a");
    for (let i = 0; i < value.length; i++) {
      const forged = value.slice(0, i) + (value[i] === "A" ? "B" : "A") + value.slice(i + 1);
      assert.equal(one.wanted(withCookie(forged), now), "", forged);
      assert.notEqual(one.setCookie(withCookie(forged), false, "a", now), "");
    }
    for (const forged of [value.slice(0, -1), `${value}A`, value.replace(".0.", ".zzzzzz."), "", "x"])
      assert.equal(one.wanted(withCookie(forged), now), "");
  });

  it("signed with another key, or for another service: ignored", () => {
    const value = cookieFrom(sticky(), "a");
    assert.equal(sticky({ key: "another key that is long" }).wanted(withCookie(value), now), "");
    assert.equal(sticky({}, "api").wanted(withCookie(value), now), "");
    assert.notEqual(sticky({ key: Buffer.from(key) }).wanted(withCookie(value), now), "");
  });

  it("expired: ignored, also when it was good before", () => {
    const one = sticky({ ttlMs: hour });
    const head = withCookie(cookieFrom(one, "a"));
    assert.notEqual(one.wanted(head, now + hour - 1), "");
    assert.equal(one.wanted(head, now + hour), "");
    assert.match(one.setCookie(head, false, "a", now + hour), /^tw=/);
  });

  it("a short key is refused", () => {
    assert.throws(() => sticky({ key: "short" }), /16 bytes/);
  });
});
