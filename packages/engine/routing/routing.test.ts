import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compileRoutes, forwardedPath, RouteFaultCode, type RouteOptions, type RouteSpec } from "./index.ts";
import { context, contract, faults, request, table } from "./testing.ts";

describe("routing by host", () => {
  it("the exact host goes before the suffix, and the suffix before the star", () => {
    const routes = table(contract);
    assert.equal(routes.siteOf("www.abc.test", 7777), "www.abc.test");
    assert.equal(routes.siteOf("m.abc.test", 7777), "*.abc.test");
    assert.equal(routes.siteOf("else.test", 7777), "*");
  });

  it("a key bound to the listener's port goes before the same host without one, and holds nowhere else", () => {
    const routes = table(contract);
    assert.equal(routes.route(request("www.abc.test", "/db"), 8080)?.service, "docs");
    assert.equal(routes.route(request("www.abc.test", "/db"), 7777)?.service, "api");
    assert.equal(table({ "a.test:8080": { "/": "web" } }).siteOf("a.test", 80), null);
  });

  it("an exact host without a port goes before a star with one", () => {
    const routes = table({ "a.test": { "/": "web" }, "*:8080": { "/": "admin" } });
    assert.equal(routes.siteOf("a.test", 8080), "a.test");
    assert.equal(routes.siteOf("b.test", 8080), "*:8080");
    assert.equal(routes.siteOf("b.test", 80), null);
  });

  it("a suffix takes hosts at any depth below it, never itself; the longest suffix wins", () => {
    const routes = table({ "*.abc.test": { "/": "web" }, "*.eu.abc.test": { "/": "api" } });
    assert.equal(routes.siteOf("a.b.abc.test", 80), "*.abc.test");
    assert.equal(routes.siteOf("a.b.eu.abc.test", 80), "*.eu.abc.test");
    assert.equal(routes.siteOf("eu.abc.test", 80), "*.abc.test");
    assert.equal(routes.siteOf("abc.test", 80), null);
    assert.equal(routes.siteOf("xabc.test", 80), null);
  });

  it("case and one trailing dot make no difference", () => {
    const routes = table({ "WWW.abc.Test.": { "/": "web" } });
    for (const host of ["www.abc.test", "WWW.ABC.TEST", "www.abc.test."])
      assert.equal(routes.siteOf(host, 80), "WWW.abc.Test.");
    assert.equal(routes.siteOf("www.abc.test..", 80), null);
  });

  it("an IPv6 host matches in every spelling", () => {
    const routes = table({ "[::1]:8080": { "/": "web" }, "[2001:DB8:0:0::1]": { "/": "api" } });
    assert.equal(routes.siteOf("[0:0:0:0:0:0:0:1]", 8080), "[::1]:8080");
    assert.equal(routes.siteOf("[2001:db8::1]", 80), "[2001:DB8:0:0::1]");
    assert.equal(routes.siteOf("[::2]", 80), null);
  });

  it("a request without a host is answered by the star alone", () => {
    assert.equal(table(contract).siteOf("", 80), "*");
    assert.equal(table({ "a.test": { "/": "web" } }).siteOf("", 80), null);
  });

  it("hosts that are not names of own properties stay unknown", () => {
    const routes = table({ "a.test": { "/": "web" } });
    for (const host of ["__proto__", "constructor", "toString"]) assert.equal(routes.siteOf(host, 80), null);
  });

  it("a flood of invented hosts leaves the answers right", () => {
    const routes = table(contract);
    for (let i = 0; i < 5000; i++) assert.equal(routes.siteOf(`h${i}.else.test`, 80), "*");
    assert.equal(routes.siteOf("www.abc.test", 80), "www.abc.test");
  });
});

describe("routing by path", () => {
  const routes = table({ s: { "/": "web", "/db": "api", "/db/deep/er": "docs" }, noroot: { "/db": "api" } });

  it("a key takes itself and what lies below, by whole segments", () => {
    assert.equal(routes.route(request("s", "/db"), 80)?.service, "api");
    assert.equal(routes.route(request("s", "/db/"), 80)?.service, "api");
    assert.equal(routes.route(request("s", "/db/x"), 80)?.service, "api");
    assert.equal(routes.route(request("s", "/dbx"), 80)?.service, "web");
    assert.equal(routes.route(request("s", "/d"), 80)?.service, "web");
  });

  it("the longest key wins, and a key's parents without a route fall back", () => {
    assert.equal(routes.route(request("s", "/db/deep"), 80)?.service, "api");
    assert.equal(routes.route(request("s", "/db/deep/er"), 80)?.service, "docs");
    assert.equal(routes.route(request("s", "/db/deep/er/x"), 80)?.service, "docs");
    assert.equal(routes.route(request("s", "/db/deep/erx"), 80)?.service, "api");
  });

  it("a site without a matching path answers nothing, and no other site is asked", () => {
    const two = table({ "a.test": { "/db": "api" }, "*": { "/": "ping" } });
    assert.equal(two.route(request("a.test", "/"), 80), null);
    assert.equal(two.siteOf("a.test", 80), "a.test");
  });

  it("an encoded slash is not a separator, and percent digits match in either case of the key", () => {
    const encoded = table({ s: { "/a%2fb": "api", "/": "web" } });
    assert.equal(encoded.route(request("s", "/a%2Fb/c"), 80)?.service, "api");
    assert.equal(encoded.route(request("s", "/a/b"), 80)?.service, "web");
  });

  it("the whole server (`*`) is answered by the root's route", () => {
    assert.equal(routes.route(request("s", "*"), 80)?.service, "web");
    assert.equal(routes.route(request("noroot", "*"), 80), null);
  });

  it("strip names the prefix to remove, and is empty for the root", () => {
    const stripped = table({
      s: { "/api/": { to: "api", strip: true }, "/": { to: "web", strip: true }, "/k": { to: "docs" } },
    });
    assert.equal(stripped.route(request("s", "/api/x"), 80)?.strip, "/api");
    assert.equal(stripped.route(request("s", "/x"), 80)?.strip, "");
    assert.equal(stripped.route(request("s", "/k"), 80)?.strip, "");
  });

  it("agrees with the plain rule on random keys and paths", () => {
    const segment = fc.constantFrom("a", "b", "ab", "c%2F");
    const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 8 }), path, (keys, wanted) => {
        const site = Object.fromEntries(keys.map((key) => [key, "web"]));
        const best = keys
          .filter((key) => key === "/" || wanted === key || wanted.startsWith(`${key}/`))
          .sort((a, b) => b.length - a.length);
        assert.equal(table({ s: site }).route(request("s", wanted), 80)?.path ?? null, best[0] ?? null);
      }),
    );
  });
});

describe("routing to what stands at a path", () => {
  it("a rewrite puts its path in the place of the prefix that matched", () => {
    const routes = table({
      s: {
        "/": { to: "web", rewrite: "/app/" },
        "/db": { to: "api", rewrite: "/v2/data" },
        "/top": { to: "docs", rewrite: "/" },
        "/cut": { to: "docs", strip: true },
        "/kept": "docs",
      },
    });
    for (const [path, expected] of [
      ["/db", "/v2/data"],
      ["/db/", "/v2/data/"],
      ["/db/x%2Fy", "/v2/data/x%2Fy"],
      ["/top", "/"],
      ["/top/x", "/x"],
      ["/cut", "/"],
      ["/cut/x", "/x"],
      ["/kept/x", "/kept/x"],
      ["/", "/app/"],
      ["/dbx", "/app/dbx"],
      ["*", "*"],
    ] as const) {
      assert.equal(forwardedPath(routes.route(request("s", path), 80)!, path), expected, path);
    }
  });

  it("what routing does not read of a Route object is handed on, and one object stands for each route", () => {
    const docs = { to: "docs", limits: { bodyBytesMax: 5 } };
    const routes = table({ s: { "/": "web", "/docs": docs } });
    assert.equal(routes.route(request("s", "/docs/x"), 80)?.options, docs);
    assert.equal(routes.route(request("s", "/"), 80)?.options, null);
    assert.deepEqual(routes.matches()[1]?.place, ["sites", "s", "/docs"]);
    assert.equal(routes.matches()[1], routes.route(request("s", "/docs"), 80));
  });

  it("a route that answers by itself needs no service", () => {
    const answers = new Set(["redirect", "respond"]);
    const moved = { redirect: "https://new.test/" };
    const routes = table({ s: { "/": "web", "/old": moved } as Record<string, string | RouteOptions> }, { answers });
    assert.equal(routes.route(request("s", "/old"), 80)?.service, "");
    assert.equal(routes.route(request("s", "/old"), 80)?.options, moved);
  });

  it("a key that was encoded without need is the same as the path that requests have", () => {
    assert.equal(table({ s: { "/%7euser/%61": "web" } }).route(request("s", "/~user/a"), 80)?.service, "web");
  });
});

describe("faults of the sites section", () => {
  it("every fault is reported, each with its place", () => {
    assert.deepEqual(faults({ "a.test": { db: "api" }, "b..test": { "/": "nobody" }, "c.test": {} }), [
      { code: RouteFaultCode.badPath, place: "sites > a.test > db" },
      { code: RouteFaultCode.badHost, place: "sites > b..test" },
      { code: RouteFaultCode.unknownService, place: "sites > b..test > /" },
      { code: RouteFaultCode.emptySite, place: "sites > c.test" },
    ]);
  });

  it("sites of a listener's own are at their place, and may be bound to its ports only", () => {
    const place = ["listen", 2, "sites"];
    const bad = { "a.test": { "/": "nobody" }, "b.test:80": { "/x": [{ to: "web", rewrite: "y" }] }, "*": {} };
    assert.deepEqual(faults(bad, { place, ports: new Set([8080]) }), [
      { code: RouteFaultCode.unknownService, place: "listen > 2 > sites > a.test > /" },
      { code: RouteFaultCode.unknownPort, place: "listen > 2 > sites > b.test:80" },
      { code: RouteFaultCode.badRewrite, place: "listen > 2 > sites > b.test:80 > /x > 0 > rewrite" },
      { code: RouteFaultCode.emptySite, place: "listen > 2 > sites > *" },
    ]);
  });

  it("what stands at a path is checked", () => {
    const answers = new Set(["redirect", "respond"]);
    const code = (spec: unknown) => faults({ s: { "/a": spec as RouteSpec } }, { answers })[0]?.code;
    assert.equal(code([]), RouteFaultCode.emptyPath);
    assert.equal(code({}), RouteFaultCode.noService);
    assert.equal(code({ strip: true }), RouteFaultCode.noService);
    assert.equal(code({ to: "web", redirect: "/x" }), RouteFaultCode.twoAnswers);
    assert.equal(code({ redirect: "/x", respond: {} }), RouteFaultCode.twoAnswers);
    assert.equal(code({ to: "" }), RouteFaultCode.unknownService);
    assert.equal(code(""), RouteFaultCode.unknownService);
    assert.equal(code({ to: "web", strip: true, rewrite: "/x" }), RouteFaultCode.badRewrite);
    for (const rewrite of ["", "x", "/a/../b", "/a?b", "//", "/a b"])
      assert.equal(code({ to: "web", rewrite }), RouteFaultCode.badRewrite, rewrite);
    assert.equal(code(["web", "api"]), RouteFaultCode.unreachableRoute);
    assert.equal(code([{ to: "web" }, { to: "api", when: { method: "GET" } }]), RouteFaultCode.unreachableRoute);
  });

  it("bad host keys are refused", () => {
    const bad = [
      "",
      "http://a.test",
      "a.test/x",
      "::1",
      "[::g]",
      "[::1",
      "a.test:0",
      "a.test:65536",
      "a.test:",
      "a.test:08",
      "a.*.test",
      "*a.test",
      "**.test",
      "a b.test",
      "-a.test",
      "a-.test",
      ".a.test",
      "*.",
      "bücher.test",
      `${"a".repeat(64)}.test`,
      "a".repeat(254),
      "a.test:80:80",
      "u@a.test",
    ];
    for (const host of bad) assert.equal(faults({ [host]: { "/": "web" } })[0]?.code, RouteFaultCode.badHost, host);
  });

  it("a name outside ASCII is answered with its ASCII form", () => {
    const result = compileRoutes({ "bücher.test": { "/": "web" } }, context);
    assert.ok(!result.ok);
    assert.match(result.faults[0]?.hint ?? "", /xn--bcher-kva\.test/);
  });

  it("bad path keys are refused", () => {
    const bad = [
      "",
      "db",
      "/a/../b",
      "/./a",
      "/%2e%2E/a",
      "/.%2e",
      "/a//b",
      "//",
      "/a?x",
      "/a#x",
      "/a b",
      "/a\\b",
      "/%0",
      "/%zz",
      "/a%00",
      "/a%1f",
      "/a%7F",
      "/ü",
      "/a/*",
    ];
    for (const path of bad)
      assert.equal(faults({ "a.test": { [path]: "web" } })[0]?.code, RouteFaultCode.badPath, path);
  });

  it("keys that are the same after normalisation are duplicates", () => {
    assert.equal(
      faults({ "a.test": { "/": "web" }, "A.TEST.": { "/": "web" } })[0]?.code,
      RouteFaultCode.duplicateHost,
    );
    assert.equal(faults({ "[::1]": { "/": "web" }, "[0::1]": { "/": "web" } })[0]?.code, RouteFaultCode.duplicateHost);
    assert.equal(faults({ "a.test": { "/db": "web", "/db/": "api" } })[0]?.code, RouteFaultCode.duplicatePath);
    assert.equal(faults({ "a.test": { "/%2f": "web", "/%2F": "api" } })[0]?.code, RouteFaultCode.duplicatePath);
  });

  it("a port that nobody listens on is a fault", () => {
    assert.equal(faults({ "a.test:9999": { "/": "web" } })[0]?.code, RouteFaultCode.unknownPort);
  });
});
