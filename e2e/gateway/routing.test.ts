/** Issue 3, "Routing": hosts, ports, paths, conditions, redirects, fixed answers, rewriting, limits, maintenance. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { ask, curl, freePort, type Gateway, gateway, Held, type Origin, origin, statusOf, suite } from "./harness.ts";

describe("one computer, many servers", () => {
  const owner = suite();
  let gate: Gateway;
  let web: Origin;
  let database: Origin;
  let named = 0;
  const folder = mkdtempSync(join(tmpdir(), "tideway-files-"));

  before(async () => {
    writeFileSync(join(folder, "a.txt"), "a file");
    writeFileSync(join(folder, "app.html"), "the application");
    mkdirSync(join(folder, "assets"));
    writeFileSync(join(folder, "assets/a-7f3e.js"), "a script");
    web = await origin(owner);
    database = await origin(owner);
    named = await freePort();
    gate = await gateway(owner, {
      listen: [
        { port: 0 },
        { port: 0, sites: { "*": { "/": "db" } } },
        { port: named },
        { host: "127.0.0.2", port: 0, sites: { "own.x.test": { "/": { respond: { body: "of another address" } } } } },
      ],
      services: {
        web: { upstreams: [web.url] },
        db: { upstreams: [database.url] },
        files: { files: folder, fallback: "app.html", immutable: "/assets/" },
      },
      sites: {
        "www.x.test": { "/": "web", "/db": "db", "/files": { to: "files", strip: true } },
        "*.x.test": { "/": { respond: { body: "any other of x" } } },
        [`www.x.test:${named}`]: { "/": { respond: { body: "of one port" } } },
      },
    });
  });
  after(() => rmSync(folder, { recursive: true }));

  it("www.x.test leads to one service, /db and /files to others, by whole segments", async () => {
    const at = (path: string) => ask(gate.url() + path, { host: "www.x.test" });
    assert.equal((await at("/a?b=c")).echo.origin, web.id);
    assert.equal((await at("/a?b=c")).echo.url, "/a?b=c");
    assert.deepEqual([(await at("/db")).echo.origin, (await at("/db/x")).echo.url], [database.id, "/db/x"]);
    assert.equal((await at("/dbx")).echo.origin, web.id);
    assert.equal((await at("/files/a.txt")).text, "a file");
    assert.equal((await at("/files/a/page/of/it")).text, "the application");
    assert.match(String((await at("/files/assets/a-7f3e.js")).headers["cache-control"]), /immutable/);
  });

  it("names are exact, of any depth below a wildcard, or told 421", async () => {
    assert.equal((await ask(gate.url(), { host: "a.b.x.test" })).text, "any other of x");
    assert.equal((await ask(gate.url(), { host: "WWW.X.TEST" })).echo.origin, web.id);
    for (const host of ["x.test", "y.test", "www.x.test.evil"]) assert.equal(await statusOf(gate.url(), { host }), 421);
  });

  it("a listener has sites of its own, a site a port of its own", async () => {
    assert.equal((await ask(gate.url(1), { host: "www.x.test" })).echo.origin, database.id);
    assert.equal((await ask(gate.url(2), { host: "www.x.test" })).text, "of one port");
    assert.equal((await ask(gate.url(2), { host: "a.x.test" })).text, "any other of x");
    const other = `http://127.0.0.2:${gate.port(3)}`;
    assert.equal((await ask(other, { host: "own.x.test" })).text, "of another address");
    assert.equal(await statusOf(other, { host: "www.x.test" }), 421);
  });
});

describe("what a route may ask and change", () => {
  const owner = suite();
  let gate: Gateway;
  let site: (path: string, asking?: Parameters<typeof ask>[1]) => ReturnType<typeof ask>;

  before(async () => {
    const { url } = await origin(owner, async (incoming, answer) => {
      answer.setHeader("x-from", "origin").setHeader("x-secret", "yes").setHeader("set-cookie", ["a=1", "b=2"]);
      const { method, url, headers } = incoming;
      answer.end(JSON.stringify({ method, url, headers, body: Buffer.concat(await incoming.toArray()).toString() }));
    });
    gate = await gateway(owner, {
      services: {
        api: { upstreams: [url] },
        own: { upstreams: [url], hostField: "upstream" },
        given: { upstreams: [url], hostField: { set: "given.test" } },
        moved: { redirect: "https://www.x.test{path}", status: 301 },
        pong: { respond: { status: 201, body: "pong", type: "text/html" } },
      },
      sites: {
        "*": {
          "/": "api",
          "/chosen": [
            { when: { method: "POST" }, respond: { body: "by method" } },
            { when: { method: ["PUT", "PATCH"] }, respond: { body: "by one of two methods" } },
            { when: { header: { "x-beta": true } }, respond: { body: "by a field that is there" } },
            { when: { header: { accept: { matches: "application/json" } } }, respond: { body: "by a pattern" } },
            { when: { query: { v: { matches: "^[0-9]{3}$" } } }, respond: { body: "by a pattern for the whole" } },
            { when: { query: { v: "2" } }, respond: { body: "by the query" } },
            { when: { query: { old: true }, header: { "x-new": false } }, respond: { body: "by both" } },
            { respond: { body: "otherwise" } },
          ],
          "/writes": { when: { method: ["POST"] }, to: "api" },
          "/strip": { to: "api", strip: true },
          "/rewrite": { to: "api", rewrite: "/v2/things" },
          "/own": "own",
          "/given": "given",
          "/moved": "moved",
          "/here": { redirect: "/there{query}", status: 302 },
          "/pong": "pong",
          "/fields": {
            to: "api",
            request: {
              set: { "x-tenant": "{host}", "user-agent": "gateway" },
              add: { "x-all": "second" },
              remove: ["cookie"],
            },
            response: {
              set: { "x-from": "gateway for {address}", "cache-control": "no-store" },
              add: { "x-added": "{method} {path}" },
              remove: ["x-secret"],
            },
          },
        },
      },
    });
    site = (path, asking) => ask(gate.url() + path, asking);
  });

  it("method, header and query decide between routes of one path, in order", async () => {
    const body = async (asking: Parameters<typeof ask>[1], query = "") => (await site(`/chosen${query}`, asking)).text;
    assert.equal(await body({ method: "POST" }), "by method");
    assert.equal(await body({ method: "PATCH" }), "by one of two methods");
    assert.equal(await body({ headers: { "x-beta": "" } }), "by a field that is there");
    assert.equal(await body({ headers: { accept: "text/html, application/json;q=1" } }), "by a pattern");
    assert.equal(await body({}, "?v=2"), "by the query");
    assert.equal(await body({}, "?v=21"), "otherwise");
    assert.equal(await body({}, "?v=213"), "by a pattern for the whole");
    assert.equal(await body({}, "?v=x213"), "otherwise");
    assert.equal(await body({}, "?old"), "by both");
    assert.equal(await body({ headers: { "x-new": "1" } }, "?old"), "otherwise");
  });

  it("a path that is there for other methods falls back to a shorter one", async () => {
    assert.equal((await site("/writes", { method: "POST", body: "x" })).echo.body, "x");
    assert.equal((await site("/writes")).echo.url, "/writes", "the shorter path takes it");
  });

  it("prefixes are stripped or rewritten, the query stays", async () => {
    assert.equal((await site("/strip/a/b?c=/strip")).echo.url, "/a/b?c=/strip");
    assert.equal((await site("/strip")).echo.url, "/");
    assert.equal((await site("/rewrite/7?c")).echo.url, "/v2/things/7?c");
    assert.equal((await site("/rewrite")).echo.url, "/v2/things");
  });

  it("the service sees the client's Host, its own, or a given one", async () => {
    const host = async (path: string) => (await site(path, { host: "a.x.test" })).echo.headers["host"];
    assert.equal(await host("/"), "a.x.test");
    assert.match((await host("/own"))!, /^127\.0\.0\.1:\d+$/);
    assert.equal(await host("/given"), "given.test");
  });

  it("redirects and fixed answers, of services and of routes", { skip: requires("curl") }, async () => {
    const moved = await curl("--include", `${gate.url()}/moved/x?y=z`);
    assert.match(moved, /^HTTP\/1\.1 301 [\s\S]*\r\nlocation: https:\/\/www\.x\.test\/moved\/x\?y=z\r\n/);
    const here = await site("/here/x?y=z");
    assert.deepEqual([here.status, here.headers["location"]], [302, "/there?y=z"]);
    const pong = await site("/pong", { method: "HEAD" });
    assert.deepEqual(
      [pong.status, pong.headers["content-type"], pong.headers["content-length"]],
      [201, "text/html", "4"],
    );
    assert.equal(pong.text, "");
  });

  it("fields of requests and answers are set, added and removed, with what is known of the request in them", async () => {
    const answer = await site("/fields/1", {
      host: "a.x.test",
      headers: { cookie: "secret=1", "x-all": "first", "x-tenant": "forged" },
    });
    const { headers } = answer.echo;
    assert.equal(headers["x-tenant"], "a.x.test");
    assert.equal(headers["user-agent"], "gateway");
    assert.equal(headers["x-all"], "first, second");
    assert.equal(headers["cookie"], undefined);
    assert.equal(answer.headers["x-from"], "gateway for 127.0.0.1");
    assert.equal(answer.headers["x-added"], "GET /fields/1");
    assert.equal(answer.headers["cache-control"], "no-store");
    assert.equal(answer.headers["x-secret"], undefined);
    assert.deepEqual(answer.headers["set-cookie"], ["a=1", "b=2"]);
  });
});

describe("maintenance", () => {
  it("answers in the service's place, by default or in words of one's own, and lets those pass who may", async (t) => {
    const { url } = await origin(t);
    const words = { status: 503, body: "<h1>Back at noon</h1>", type: "text/html", retryAfterSeconds: 600 } as const;
    const gate = await gateway(t, {
      services: { api: { upstreams: [url] } },
      sites: {
        "*": {
          "/": "api",
          "/plain": { to: "api", maintenance: true },
          "/words": { to: "api", maintenance: { ...words, except: ["127.0.0.7", "10.0.0.0/8"] } },
          "/others": { to: "api", maintenance: { except: ["127.0.0.7"] } },
          "/bare": { to: "api", maintenance: { status: 500, retryAfterSeconds: 0 } },
          "/not": { to: "api", maintenance: false },
        },
      },
    });
    const plain = await ask(`${gate.url()}/plain`, { headers: { accept: "application/json" } });
    assert.deepEqual([plain.status, JSON.parse(plain.text).error.code], [503, "HTTP_MAINTENANCE"]);
    assert.equal(plain.headers["retry-after"], "60");
    const said = await ask(`${gate.url()}/words/x`);
    assert.deepEqual([said.status, said.text, said.headers["retry-after"]], [503, words.body, "600"]);
    assert.equal(said.headers["content-type"], "text/html");
    assert.equal((await ask(`${gate.url()}/words/x`, { from: "127.0.0.7" })).echo.url, "/words/x");
    const others = await ask(`${gate.url()}/others`);
    assert.deepEqual([others.status, others.headers["retry-after"]], [503, "60"]);
    assert.match(others.text, /being worked on/, "who names exceptions alone has our page for the others");
    const bare = await ask(`${gate.url()}/bare`);
    assert.deepEqual([bare.status, bare.text, bare.headers["retry-after"]], [500, "", undefined]);
    assert.equal(await statusOf(`${gate.url()}/not`), 200);
    assert.equal(await statusOf(gate.url()), 200);
  });
});

describe("changes to a route's answers", () => {
  it("are for all of them: those of services that are down, refusals, redirects, a maintenance", async (t) => {
    const { url, close } = await origin(t);
    await close();
    const response = { set: { "access-control-allow-origin": "*" } };
    const own = { respond: { body: "own" }, response };
    const gate = await gateway(t, {
      services: { dead: { upstreams: [url], queueMs: 20 } },
      sites: {
        "*": {
          "/dead": { to: "dead", response },
          "/rated": { ...own, limits: { rate: { requests: 1, per: "day" } } },
          "/closed": { ...own, maintenance: true },
          "/moved": { redirect: "/x", response },
          "/small": { ...own, limits: { bodyBytesMax: 1 } },
        },
      },
    });
    const found = async (path: string, body?: string) => {
      const { status, headers } = await ask(gate.url() + path, body === undefined ? {} : { method: "POST", body });
      return [status, headers["access-control-allow-origin"]];
    };
    assert.deepEqual(await found("/dead"), [503, "*"]);
    assert.deepEqual(await found("/rated"), [200, "*"]);
    assert.deepEqual(await found("/rated"), [429, "*"]);
    assert.deepEqual(await found("/closed"), [503, "*"]);
    assert.deepEqual(await found("/moved"), [308, "*"]);
    assert.deepEqual(await found("/small", "too large"), [413, "*"]);
  });
});

describe("bounds of a route", () => {
  it("are its own: two listeners with the same path do not share them", async (t) => {
    const held = new Held();
    const { url } = await origin(t, held.handle);
    const sites = { "*": { "/": { to: "api", limits: { requestsMax: 1 } } } };
    const gate = await gateway(t, {
      listen: [
        { port: 0, sites },
        { port: 0, sites },
      ],
      services: { api: { upstreams: [url], health: { kind: "tcp" } } },
    });
    const first = ask(gate.url(0));
    await held.until(1);
    assert.equal(await statusOf(gate.url(0)), 503);
    const second = ask(gate.url(1));
    await held.until(2);
    held.release();
    assert.deepEqual([(await first).text, (await second).text], ["released", "released"]);
  });
});
