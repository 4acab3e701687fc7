/** The normal forms of paths and authorities: what is matched is what is forwarded. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { normalisePath, parseAuthority } from "./target.ts";

for (const [path, normal] of [
  ["/", "/"],
  ["/a/b", "/a/b"],
  ["/a//b", "/a//b"],
  ["/.", "/"],
  ["/..", "/"],
  ["/../../x", "/x"],
  ["/a/..", "/"],
  ["/a/../", "/"],
  ["/a/b/..", "/a/"],
  ["/a/./b", "/a/b"],
  ["/a/.", "/a/"],
  ["/a/...", "/a/..."],
  ["/.a/..b/c.", "/.a/..b/c."],
  ["/a//../b", "/a/b"],
  ["/%2e%2E/x", "/x"],
  ["/a/%2e/b", "/a/b"],
  ["/a/.%2e/b", "/b"],
  ["/a%2fb", "/a%2Fb"],
  ["/..%2f..%2fetc", "/..%2F..%2Fetc"],
  ["/%61dmin", "/admin"],
  ["/%7euser", "/~user"],
  ["/%c3%a9", "/%C3%A9"],
  ["/a%5cb", "/a%5Cb"],
  ["/%2525", "/%2525"],
  ["/%20", "/%20"],
  ["/%252e%252e/x", "/%252e%252e/x"],
  ["/%00", null],
  ["/%0a", null],
  ["/%", null],
  ["/%g0", null],
] as const) {
  test(`the path ${path} is ${normal === null ? "refused" : `matched and forwarded as ${normal}`}`, () => {
    assert.equal(normalisePath(path), normal);
    if (normal !== null) assert.equal(normalisePath(normal), normal, "a normal form is its own normal form");
  });
}

for (const [text, host, authority] of [
  ["A.Test", "a.test", "a.test"],
  ["a.test:8080", "a.test", "a.test:8080"],
  ["a.test:", "a.test", "a.test"],
  ["a.test.", "a.test", "a.test."],
  ["127.0.0.1:80", "127.0.0.1", "127.0.0.1:80"],
  ["[::1]", "[::1]", "[::1]"],
  ["[2001:DB8::1]:443", "[2001:db8::1]", "[2001:db8::1]:443"],
  ["[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"],
  ["my_container-1:3000", "my_container-1", "my_container-1:3000"],
  ["xn--bcher-kva.test", "xn--bcher-kva.test", "xn--bcher-kva.test"],
] as const) {
  test(`the authority ${text} names ${host}`, () => assert.deepEqual(parseAuthority(text), { host, authority }));
}
