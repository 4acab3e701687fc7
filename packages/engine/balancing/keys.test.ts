import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RequestHead } from "@tideway/base";
import fc from "fast-check";
import { cookieOf, type HashBy, hashKey, parameterOf } from "./index.ts";

function head(query: string, ...fields: string[]): RequestHead {
  return {
    method: "GET",
    path: "/",
    query,
    host: "a.test",
    authority: "a.test",
    version: 11,
    fields,
    bodyLength: 0,
    upgrade: "",
  };
}

describe("the key of a request", () => {
  for (const [rule, by, request, key] of [
    ["the client's address", "address", head(""), "192.0.2.7"],
    ["a field, by a name in any case", { header: "X-Account" }, head("", "x-account", "7", "x-account", "8"), "7"],
    ["a field that is not there", { header: "x-account" }, head("", "x-other", "7"), ""],
    ["a cookie among others", { cookie: "sid" }, head("", "cookie", "a=1; sid=abc; b=2"), "abc"],
    [
      "a cookie in a second line, as HTTP/2 splits them",
      { cookie: "b" },
      head("", "cookie", "a=1", "cookie", "b=2"),
      "2",
    ],
    ["a parameter among others", { query: "room" }, head("?a=1&room=x%20y&room=z"), "x%20y"],
  ] as const satisfies readonly (readonly [string, HashBy, RequestHead, string])[]) {
    it(rule, () => assert.equal(hashKey(by, request, "192.0.2.7"), key));
  }

  for (const [line, value] of [
    ["sid=abc", "abc"],
    ["sid=", ""],
    ["sid", ""],
    ["xsid=1; sid=2", "2"],
    ["sidx=1;sid=2", "2"],
    ["sid=a=b==", "a=b=="],
    ['sid="quoted"', "quoted"],
    ['sid="', '"'],
    ["other; ;; sid = spaced ", "spaced"],
    ["sid=first; sid=second", "first"],
    ["__proto__=1", ""],
    ["", ""],
  ] as const) {
    it(`Cookie: ${line} → ${value}`, () => assert.equal(cookieOf(["cookie", line], "sid"), value));
  }

  for (const [query, value] of [
    ["?k=v", "v"],
    ["?kk=1&k=v&k=w", "v"],
    ["?k", ""],
    ["?k&k=v", "v"],
    ["?x=k=v", ""],
    ["?k=", ""],
    ["?k=a=b", "a=b"],
    ["?&&k=v&", "v"],
    ["?", ""],
    ["", ""],
  ] as const) {
    it(`query ${query} → ${value}`, () => assert.equal(parameterOf(query, "k"), value));
  }

  it("any cookie comes back from among any others", () => {
    const token = fc.stringMatching(/^[\w!#$%&'*+.^`|~-]{1,12}$/);
    const value = fc.stringMatching(/^[\w!#$%&'()*+./:<=>?@[\]^`{|}~-]{0,20}$/);
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(token, value), { selector: ([name]) => name, maxLength: 8 }), (cookies) => {
        const line = cookies.map(([name, text]) => `${name}=${text}`).join("; ");
        for (const [name, text] of cookies) assert.equal(cookieOf(["cookie", line], name), text);
      }),
    );
  });
});
