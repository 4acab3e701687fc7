import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { explainRoute, forwardedPath, type RouteOptions, type RouteSpec } from "./index.ts";
import { contract, request, table } from "./testing.ts";

describe("explain", () => {
  it("tells which sites and paths were considered, in the order of precedence, and why", () => {
    const told = explainRoute(table(contract), request("WWW.abc.test", "/db/x"), 8080);
    assert.equal(told.host, "www.abc.test");
    assert.equal(told.match?.service, "docs");
    assert.deepEqual(
      told.steps.map((step) => [step.subject, step.key, step.taken]),
      [
        ["site", "www.abc.test:8080", true],
        ["site", "www.abc.test", false],
        ["site", "*.abc.test", false],
        ["site", "*", false],
        ["path", "/", true],
      ],
    );
    assert.match(told.steps[0]?.why ?? "", /exactly/);
  });

  it("tells why sites and paths were passed over", () => {
    const told = explainRoute(table(contract), request("abc.test", "/dbx"), 7777);
    const why = new Map(told.steps.map((step) => [step.key, step.why]));
    assert.match(why.get("www.abc.test:8080") ?? "", /bound to port 8080/);
    assert.match(why.get("*.abc.test") ?? "", /not the suffix itself/);
    assert.equal(told.match?.service, "ping");
  });

  it("tells which condition failed and what was seen, which route was taken, and what the service sees", () => {
    const routes = table<RouteOptions>({
      s: {
        "/": "web",
        "/api": [
          { to: "live", when: { header: { "x-beta": "1" }, query: { v: { matches: "^2" } } } },
          { to: "api", when: { method: ["PUT", "POST"] }, rewrite: "/v2" },
          "docs",
        ],
        "/api/admin": { to: "admin", when: { header: { "x-admin": true } } },
      },
    });
    const head = request("s", "/api/admin/x", { method: "PUT", query: "?v=1&v=3", fields: ["x-beta", "0"] });
    const told = explainRoute(routes, head, 80);
    assert.deepEqual(
      told.steps.slice(1).map((step) => [step.subject, step.key, step.taken, step.why]),
      [
        [
          "path",
          "/api/admin",
          false,
          "matches, but the conditions of none of its routes are met: the next shorter path is asked",
        ],
        ["route", "1. admin", false, "not met: header x-admin is present; seen: absent"],
        ["path", "/api", true, "the next shorter path that matches"],
        [
          "route",
          "1. live",
          false,
          'not met: header x-beta is "1"; seen: "0"; not met: query v matches /^2/; seen: "1", "3"',
        ],
        ["route", "2. api", true, "all its conditions are met"],
        ["route", "3. docs", false, "not asked: an earlier one was taken"],
        ["path", "/", false, "matches too, but a longer path goes first"],
        ["forward", "/v2/admin/x", true, '"/v2" in place of "/api"'],
      ],
    );
    assert.deepEqual(told.steps[5]?.conditions, [{ condition: "method is PUT or POST", holds: true, seen: "PUT" }]);
    assert.equal(told.forwardedPath, "/v2/admin/x");
    assert.equal(told.miss, null);
  });

  it("tells of a value that is too long for a pattern, and why there is no route", () => {
    const routes = table({ s: { "/": { to: "web", when: { query: { v: { matches: "a" } } } } } });
    const told = explainRoute(routes, request("s", "/", { query: `?v=${"a".repeat(3000)}` }), 80);
    assert.match(told.steps[2]?.why ?? "", /over 2048 characters/);
    assert.deepEqual(told.miss, { code: "HTTP_NOT_FOUND", allow: [] });
    assert.equal(told.forwardedPath, null);
  });

  const value = fc.oneof(fc.boolean(), fc.constantFrom("1", "x"), fc.constant({ matches: "^[12]" }));
  const when = fc
    .record(
      {
        method: fc.oneof(fc.constantFrom("GET", "POST"), fc.constant(["PUT", "POST"])),
        header: fc.dictionary(fc.constantFrom("a", "B"), value, { minKeys: 1 }),
        query: fc.dictionary(fc.constantFrom("q", "r"), value, { minKeys: 1 }),
      },
      { requiredKeys: [] },
    )
    .filter((spec) => Object.keys(spec).length > 0);
  const service = fc.constantFrom("web", "api", "docs");
  const conditional = fc.record({ to: service, when, strip: fc.boolean() });
  const spec: fc.Arbitrary<RouteSpec> = fc.oneof(
    service,
    conditional,
    fc
      .tuple(fc.array(conditional, { minLength: 1, maxLength: 3 }), fc.option(service))
      .map(([list, last]) => [...list, ...(last === null ? [] : [last])]),
  );
  const keys = ["/", "/a", "/a/b", "/a/b/c", "/d"];
  const paths = fc.dictionary(fc.constantFrom(...keys), spec, { minKeys: 1 });
  const sites = fc.dictionary(fc.constantFrom("s.test", "*.test", "*", "s.test:8080"), paths, { minKeys: 1 });
  const head = fc.record({
    host: fc.constantFrom("s.test", "t.test", "else"),
    path: fc.constantFrom("/", "/a", "/a/b/x", "/a/b/c", "/ab", "/d/e", "*"),
    method: fc.constantFrom("GET", "HEAD", "POST", "PUT", "DELETE"),
    query: fc.constantFrom("", "?q=1", "?q=x&r=2", "?r"),
    fields: fc
      .array(fc.constantFrom(["a", "1"], ["a", "x"], ["b", "2"]), { maxLength: 3 })
      .map((lines) => lines.flat()),
  });

  it("always agrees with route and miss, whatever the sites and the request", () => {
    fc.assert(
      fc.property(sites, head, fc.constantFrom(80, 8080), (configured, asked, port) => {
        const routes = table<RouteOptions>(configured);
        const told = explainRoute(routes, asked, port);
        const match = routes.route(asked, port);
        assert.equal(told.match, match);
        const taken = (subject: string) => told.steps.filter((step) => step.subject === subject && step.taken);
        assert.deepEqual(
          taken("site").map((step) => step.key),
          [routes.siteOf(asked.host, port)].filter((name) => name !== null),
        );
        if (match === null) {
          assert.deepEqual(told.miss, routes.miss(asked, port));
          assert.deepEqual([...taken("path"), ...taken("route"), ...taken("forward")], []);
          return;
        }
        assert.equal(told.miss, null);
        assert.deepEqual(
          taken("path").map((step) => step.key),
          [match.path],
        );
        for (const step of taken("route")) assert.equal(step.key, `${match.alternative + 1}. ${match.service}`);
        assert.equal(told.forwardedPath, forwardedPath(match, asked.path));
        // Each condition's own account agrees with the step's.
        for (const step of told.steps)
          if (step.conditions !== undefined)
            assert.equal(
              step.taken,
              step.conditions.every(({ holds }) => holds),
            );
      }),
      { numRuns: 300 },
    );
  });

  it("a plain reading of the rules decides the same", () => {
    fc.assert(
      fc.property(paths, head, (configured, asked) => {
        const routes = table<RouteOptions>({ "*": configured });
        const expected = plainly(configured, asked);
        assert.equal(routes.route(asked, 80)?.service ?? null, expected);
      }),
      { numRuns: 300 },
    );
  });

  /** The rules, read slowly: every path that takes the request, longest first, each with its list in order. */
  function plainly(configured: Record<string, RouteSpec>, asked: ReturnType<typeof request>): string | null {
    const takes = (key: string) => key === "/" || asked.path === key || asked.path.startsWith(`${key}/`);
    const all = Object.keys(configured).filter((key) => takes(key) && (asked.path !== "*" || key === "/"));
    const parameters = new URLSearchParams(asked.query);
    const meets = (test: unknown, values: string[]): boolean => {
      if (typeof test === "boolean") return test === values.length > 0;
      if (typeof test === "string") return values.includes(test);
      return values.some((each) => new RegExp((test as { matches: string }).matches).test(each));
    };
    const lines = (name: string) =>
      asked.fields.filter((_, index) => index % 2 === 1 && asked.fields[index - 1] === name.toLowerCase());
    for (const key of all.sort((a, b) => b.length - a.length)) {
      for (const each of [configured[key]!].flat() as (string | RouteOptions)[]) {
        if (typeof each === "string") return each;
        const { method, header = {}, query = {} } = each.when!;
        const methods = method === undefined ? [asked.method] : [method].flat();
        const fits = methods.includes(asked.method) || (asked.method === "HEAD" && methods.includes("GET"));
        if (!fits) continue;
        if (!Object.entries(header).every(([name, test]) => meets(test, lines(name)))) continue;
        if (!Object.entries(query).every(([name, test]) => meets(test, parameters.getAll(name)))) continue;
        return each.to!;
      }
    }
    return null;
  }
});
