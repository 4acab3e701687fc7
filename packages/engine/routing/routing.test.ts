import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { compileRoutes, RouteFaultCode, type RouteTable, type SitesSpec } from "./index.ts";

const context = {
  services: new Set(["web", "api", "docs", "pics", "live", "ping", "admin"]),
  ports: new Set([80, 7777, 8080]),
};

function table(sites: SitesSpec): RouteTable {
  const result = compileRoutes(sites, context);
  assert.ok(result.ok, JSON.stringify(result));
  return result.table;
}

function faults(sites: SitesSpec): { code: string; place: string }[] {
  const result = compileRoutes(sites, context);
  assert.ok(!result.ok, "faults were expected");
  for (const fault of result.faults) {
    assert.notEqual(fault.seen, "");
    assert.notEqual(fault.allowed, "");
    assert.notEqual(fault.hint, "");
  }
  return result.faults.map((fault) => ({ code: fault.code, place: fault.place.join(" > ") }));
}

const contract: SitesSpec = {
  "www.abc.test": { "/": "web", "/db": "api", "/files": "docs", "/images": "pics", "/socket.io": "live" },
  "www.abc.test:8080": { "/": "docs" },
  "*.abc.test": { "/": "web" },
  "*": { "/": "ping" },
};

describe("routing by host", () => {
  it("the exact host goes before the suffix, and the suffix before the star", () => {
    const routes = table(contract);
    assert.equal(routes.siteOf("www.abc.test", 7777), "www.abc.test");
    assert.equal(routes.siteOf("m.abc.test", 7777), "*.abc.test");
    assert.equal(routes.siteOf("else.test", 7777), "*");
  });

  it("a key bound to the listener's port goes before the same host without one, and holds nowhere else", () => {
    const routes = table(contract);
    assert.equal(routes.route("www.abc.test", 8080, "/db")?.service, "docs");
    assert.equal(routes.route("www.abc.test", 7777, "/db")?.service, "api");
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
    assert.equal(routes.route("s", 80, "/db")?.service, "api");
    assert.equal(routes.route("s", 80, "/db/")?.service, "api");
    assert.equal(routes.route("s", 80, "/db/x")?.service, "api");
    assert.equal(routes.route("s", 80, "/dbx")?.service, "web");
    assert.equal(routes.route("s", 80, "/d")?.service, "web");
  });

  it("the longest key wins, and a key's parents without a route fall back", () => {
    assert.equal(routes.route("s", 80, "/db/deep")?.service, "api");
    assert.equal(routes.route("s", 80, "/db/deep/er")?.service, "docs");
    assert.equal(routes.route("s", 80, "/db/deep/er/x")?.service, "docs");
    assert.equal(routes.route("s", 80, "/db/deep/erx")?.service, "api");
  });

  it("a site without a matching path answers nothing, and no other site is asked", () => {
    const two = table({ "a.test": { "/db": "api" }, "*": { "/": "ping" } });
    assert.equal(two.route("a.test", 80, "/"), null);
    assert.equal(two.siteOf("a.test", 80), "a.test");
  });

  it("an encoded slash is not a separator, and percent digits match in either case of the key", () => {
    const encoded = table({ s: { "/a%2fb": "api", "/": "web" } });
    assert.equal(encoded.route("s", 80, "/a%2Fb/c")?.service, "api");
    assert.equal(encoded.route("s", 80, "/a/b")?.service, "web");
  });

  it("the whole server (`*`) is answered by the root's route", () => {
    assert.equal(routes.route("s", 80, "*")?.service, "web");
    assert.equal(routes.route("noroot", 80, "*"), null);
  });

  it("strip names the prefix to remove, and is empty for the root", () => {
    const stripped = table({
      s: { "/api/": { to: "api", strip: true }, "/": { to: "web", strip: true }, "/k": { to: "docs" } },
    });
    assert.equal(stripped.route("s", 80, "/api/x")?.strip, "/api");
    assert.equal(stripped.route("s", 80, "/x")?.strip, "");
    assert.equal(stripped.route("s", 80, "/k")?.strip, "");
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
        assert.equal(table({ s: site }).route("s", 80, wanted)?.path ?? null, best[0] ?? null);
      }),
    );
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

describe("explain", () => {
  it("tells which sites and paths were considered, in the order of precedence, and why", () => {
    const told = table(contract).explain("WWW.abc.test", 8080, "/db/x");
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
    const told = table(contract).explain("abc.test", 7777, "/dbx");
    const why = new Map(told.steps.map((step) => [step.key, step.why]));
    assert.match(why.get("www.abc.test:8080") ?? "", /bound to port 8080/);
    assert.match(why.get("*.abc.test") ?? "", /not the suffix itself/);
    assert.equal(told.match?.service, "ping");
  });

  it("always agrees with route", () => {
    const routes = table(contract);
    for (const host of ["www.abc.test", "x.abc.test", "y", "[::1]"]) {
      for (const port of [80, 7777, 8080]) {
        for (const path of ["/", "/db", "/dbx", "/socket.io/x", "*"]) {
          const told = routes.explain(host, port, path);
          assert.equal(told.match, routes.route(host, port, path));
          assert.equal(told.steps.filter((step) => step.taken && step.subject === "path").length, 1);
        }
      }
    }
  });
});
