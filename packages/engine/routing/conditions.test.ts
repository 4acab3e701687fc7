import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type ConditionSpec, RouteFaultCode, type RouteOptions, type SitesSpec } from "./index.ts";
import { faults, request, table } from "./testing.ts";

/** Whether a request meets the conditions: one route has them, the other takes the rest. */
function holds(when: ConditionSpec, more: Parameters<typeof request>[2]): boolean {
  const routes = table({ s: { "/": [{ to: "api", when }, "web"] } });
  const service = routes.route(request("s", "/", more), 80)?.service;
  assert.ok(service === "api" || service === "web");
  return service === "api";
}

describe("conditions on the method", () => {
  it("one or several, as sent: methods are case-sensitive", () => {
    assert.equal(holds({ method: "POST" }, { method: "POST" }), true);
    assert.equal(holds({ method: "POST" }, { method: "PUT" }), false);
    assert.equal(holds({ method: ["POST", "PUT"] }, { method: "PUT" }), true);
    assert.equal(holds({ method: "POST" }, { method: "post" }), false);
    assert.equal(holds({ method: "reindex" }, { method: "reindex" }), true);
  });

  it("GET takes HEAD too, HEAD not GET", () => {
    assert.equal(holds({ method: "GET" }, { method: "HEAD" }), true);
    assert.equal(holds({ method: "HEAD" }, { method: "GET" }), false);
  });
});

describe("conditions on fields", () => {
  const fields = ["accept", "text/html", "x-beta", "1", "x-beta", "two", "x-empty", ""];

  it("present, absent, exactly, and by a pattern; names in any case", () => {
    for (const [header, expected] of [
      [{ "X-Beta": true }, true],
      [{ "x-beta": false }, false],
      [{ "x-none": true }, false],
      [{ "x-none": false }, true],
      [{ "x-empty": true }, true],
      [{ "x-empty": "" }, true],
      [{ "x-none": "" }, false],
      [{ accept: "text/html" }, true],
      [{ accept: "text/htm" }, false],
      [{ accept: { matches: "^text/" } }, true],
      [{ accept: { matches: "json" } }, false],
      [{ "x-none": { matches: "" } }, false],
      [{ accept: "text/html", "x-none": true }, false],
    ] as const) {
      assert.equal(holds({ header }, { fields }), expected, JSON.stringify(header));
    }
  });

  it("of several lines, one that meets it is enough", () => {
    assert.equal(holds({ header: { "x-beta": "two" } }, { fields }), true);
    assert.equal(holds({ header: { "x-beta": { matches: "^t" } } }, { fields }), true);
    assert.equal(holds({ header: { "x-beta": "1, two" } }, { fields }), false);
  });

  it("a field's value does not pass for a name", () => {
    assert.equal(holds({ header: { b: true } }, { fields: ["a", "b", "c", "b"] }), false);
  });
});

describe("conditions on the query", () => {
  it("present, absent, exactly, and by a pattern", () => {
    for (const [query, parameters, expected] of [
      ["?v=2", { v: "2" }, true],
      ["?v=22", { v: "2" }, false],
      ["?w=2", { v: true }, false],
      ["?vv=2", { v: true }, false],
      ["?v", { v: true }, true],
      ["?v", { v: "" }, true],
      ["?v=", { v: "" }, true],
      ["?a=1&v=2&b=3", { v: { matches: "^[0-9]$" } }, true],
      ["", { v: false }, true],
      ["?", { v: false }, true],
      ["?v=1", { v: false }, false],
      ["?v=1&v=2", { v: "2" }, true],
      ["?v=1=2", { v: "1=2" }, true],
      ["?&&v=1&", { v: "1" }, true],
      ["?a=1;v=2", { v: true }, false],
    ] as const) {
      assert.equal(holds({ query: parameters }, { query }), expected, `${query} ${JSON.stringify(parameters)}`);
    }
  });

  it("names and values are decoded as forms write them", () => {
    assert.equal(holds({ query: { v: "a b&c" } }, { query: "?v=a+b%26c" }), true);
    assert.equal(holds({ query: { ü: "é" } }, { query: "?%C3%BC=%c3%a9" }), true);
    assert.equal(holds({ query: { v: "%zz+" } }, { query: "?v=%zz%2B" }), true);
    assert.equal(holds({ query: { "?v": "a b" } }, { query: "??v=a%20b" }), true);
  });

  it("agree with URLSearchParams on random queries", () => {
    const query = fc.array(fc.constantFrom("a", "b", "=", "&", "+", "%61", "%", "%C3%BC", "ü", "?"), { maxLength: 12 });
    fc.assert(
      fc.property(
        query,
        fc.constantFrom("a", "b", "aa", "a b", "ü", "?a"),
        fc.constantFrom("", "a", "=", "b "),
        (parts, name, value) => {
          const text = `?${parts.join("")}`;
          const values = new URLSearchParams(`&${text.slice(1)}`).getAll(name);
          assert.equal(holds({ query: { [name]: true } }, { query: text }), values.length > 0, text);
          assert.equal(holds({ query: { [name]: false } }, { query: text }), values.length === 0, text);
          assert.equal(holds({ query: { [name]: value } }, { query: text }), values.includes(value), text);
        },
      ),
    );
  });
});

describe("where conditions are not met", () => {
  const sites: SitesSpec = {
    s: {
      "/": "web",
      "/api": [
        { to: "live", when: { header: { upgrade: "websocket" } } },
        { to: "api", when: { method: ["GET", "POST"] } },
      ],
      "/api/admin": { to: "admin", when: { header: { "x-admin": true } } },
    },
    strict: {
      "/only": [
        { to: "api", when: { method: "POST", query: { v: "2" } } },
        { to: "docs", when: { method: "PUT", header: { "x-key": true } } },
      ],
      "/only/deep": { to: "pics", when: { method: "DELETE" } },
    },
  };
  const routes = table(sites);
  const service = (...args: Parameters<typeof request>) => routes.route(request(...args), 80)?.service ?? null;

  it("the path's next alternative is asked, in the order of the list", () => {
    assert.equal(service("s", "/api/x"), "api");
    assert.equal(service("s", "/api/x", { fields: ["upgrade", "websocket"] }), "live");
    assert.equal(service("s", "/api/x", { method: "POST", fields: ["upgrade", "websocket"] }), "live");
  });

  it("then the next shorter path of the same site", () => {
    assert.equal(service("s", "/api/x", { method: "PUT" }), "web");
    assert.equal(service("s", "/api/admin", { fields: ["x-admin", "yes"] }), "admin");
    assert.equal(service("s", "/api/admin"), "api");
    assert.equal(service("s", "/api/admin/x", { method: "PUT" }), "web");
  });

  it("then nothing: 404, or 405 with what is allowed when only the method kept it out", () => {
    const miss = (...args: Parameters<typeof request>) => {
      assert.equal(service(...args), null);
      return routes.miss(request(...args), 80);
    };
    assert.deepEqual(miss("strict", "/else"), { code: "HTTP_NOT_FOUND", allow: [] });
    assert.deepEqual(miss("strict", "/only"), { code: "HTTP_NOT_FOUND", allow: [] });
    assert.deepEqual(miss("strict", "/only", { query: "?v=2" }), { code: "HTTP_METHOD", allow: ["POST"] });
    const both = { query: "?v=2", fields: ["x-key", ""] };
    assert.deepEqual(miss("strict", "/only", both), { code: "HTTP_METHOD", allow: ["POST", "PUT"] });
    assert.deepEqual(miss("strict", "/only/deep", both), { code: "HTTP_METHOD", allow: ["DELETE", "POST", "PUT"] });
    // The method would do, the rest would not.
    assert.deepEqual(miss("strict", "/only", { method: "POST" }), { code: "HTTP_NOT_FOUND", allow: [] });
    assert.deepEqual(miss("nobody", "/only"), { code: "HTTP_NO_SITE", allow: [] });
  });
});

describe("faults of conditions", () => {
  it("are reported with their place", () => {
    const when = (condition: unknown) =>
      faults({ s: { "/a": [{ to: "web", when: condition } as RouteOptions, "api"] } }).map(({ code, place }) => [
        code,
        place.replace("sites > s > /a > 0 > when", "when"),
      ]);
    assert.deepEqual(when({}), [[RouteFaultCode.badCondition, "when"]]);
    assert.deepEqual(when({ header: {}, query: {} }), [[RouteFaultCode.badCondition, "when"]]);
    assert.deepEqual(when({ method: [] }), [[RouteFaultCode.badMethod, "when > method"]]);
    assert.deepEqual(when({ method: "get" }), [[RouteFaultCode.badMethod, "when > method"]]);
    assert.deepEqual(when({ method: ["GET", "P OST"] }), [[RouteFaultCode.badMethod, "when > method > 1"]]);
    assert.deepEqual(when({ header: { "x y": true } }), [[RouteFaultCode.badCondition, "when > header > x y"]]);
    assert.deepEqual(when({ header: { "X-A": true, "x-a": "1" } }), [
      [RouteFaultCode.duplicateField, "when > header > x-a"],
    ]);
    for (const value of [" a", "a ", "a\nb", "\u0000", "ą"])
      assert.deepEqual(when({ header: { a: value } }), [[RouteFaultCode.badCondition, "when > header > a"]]);
    assert.deepEqual(when({ query: { "": true } }), [[RouteFaultCode.badCondition, "when > query > "]]);
    assert.deepEqual(when({ query: { a: { matches: "(" }, b: { matches: "(?=x)" } } }), [
      [RouteFaultCode.badPattern, "when > query > a > matches"],
      [RouteFaultCode.badPattern, "when > query > b > matches"],
    ]);
  });
});
