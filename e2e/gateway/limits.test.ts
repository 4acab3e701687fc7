/** Issue 3, "Limits": rates, connections per address, body sizes, requests at once, and the size of heads. */
import assert from "node:assert/strict";
import { before, describe, it, test } from "node:test";
import {
  type Asking,
  ask,
  type Gateway,
  gateway,
  Held,
  Line,
  type Origin,
  origin,
  statusOf,
  suite,
  until,
} from "./harness.ts";

describe("limits of routes", () => {
  const owner = suite();
  const held = new Held();
  let behind: Origin;
  let gate: Gateway;

  before(async () => {
    behind = await origin(owner);
    const slow = await origin(owner, held.handle);
    gate = await gateway(owner, {
      limits: { bodyBytesMax: 20 },
      services: { api: { upstreams: [behind.url] }, slow: { upstreams: [slow.url] } },
      sites: {
        "*": {
          "/": "api",
          "/address": { to: "api", limits: { rate: { requests: 2, per: "day" } } },
          "/burst": { to: "api", limits: { rate: { requests: 24, per: "day", burst: 3, name: "daily" } } },
          "/second": { to: "api", limits: { rate: { requests: 50 } } },
          "/header": { to: "api", limits: { rate: { requests: 1, per: "hour", by: { header: "x-key" } } } },
          "/account": {
            to: "api",
            limits: {
              rate: {
                requests: 1,
                per: "hour",
                by: { account: { header: "x-account", cookie: "account", query: "account" } },
              },
            },
          },
          "/few": { to: "api", limits: { rate: { requests: 1, per: "day", keysMax: 2, by: { header: "x-key" } } } },
          "/large": { to: "api", limits: { bodyBytesMax: 100 } },
          "/none": { to: "api", limits: { bodyBytesMax: 0 } },
          "/busy": { to: "slow", limits: { requestsMax: 2 } },
        },
      },
    });
    await gate.ready();
  });

  const at = (path: string, asking?: Asking) => ask(gate.url() + path, asking);
  const statuses = async (path: string, ...askings: Asking[]) => {
    const found: number[] = [];
    for (const asking of askings) found.push((await at(path, asking)).status);
    return found;
  };

  it("a rate by address: RateLimit fields tell what is left, then 429 says when to come again", async () => {
    const first = await at("/address");
    assert.deepEqual([first.status, first.headers["ratelimit-policy"]], [200, '"default";q=2;w=86400']);
    assert.match(String(first.headers["ratelimit"]), /^"default";r=1;t=\d+$/);
    assert.match(String((await at("/address")).headers["ratelimit"]), /^"default";r=0;t=\d+$/);
    const earlier = behind.seen.length;
    const refused = await at("/address", { headers: { accept: "application/json" } });
    assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [429, "HTTP_TOO_MANY"]);
    const wait = Number(refused.headers["retry-after"]);
    assert.ok(wait > 40_000 && wait <= 43_200, `a half of a day, not ${wait} s`);
    assert.equal(refused.headers["ratelimit"], `"default";r=0;t=${wait}`);
    assert.equal(behind.seen.length, earlier, "nobody saw it");
    assert.deepEqual(await statuses("/address", { from: "127.0.0.9" }), [200], "another address has its own");
  });

  it("a burst of its own, a name, and a period of a second", async () => {
    const first = await at("/burst");
    assert.match(String(first.headers["ratelimit"]), /^"daily";r=2;/);
    assert.deepEqual(await statuses("/burst", {}, {}, {}), [200, 200, 429]);
    assert.match(String((await at("/second")).headers["ratelimit-policy"]), /;q=50;w=1$/);
  });

  it("a rate by a header, and by an account that is named in one of several places", async () => {
    const key = (value: string): Asking => ({ headers: { "x-key": value } });
    assert.deepEqual(await statuses("/header", key("a"), key("b"), key("a"), key("b")), [200, 200, 429, 429]);
    const inHeader: Asking = { headers: { "x-account": "7" } };
    const inCookie: Asking = { headers: { cookie: "account=8" } };
    assert.deepEqual(await statuses("/account", inHeader, inCookie, inHeader, inCookie), [200, 200, 429, 429]);
    assert.deepEqual(await statuses("/account?account=9", {}, {}), [200, 429]);
    assert.deepEqual(await statuses("/account?account=10", inHeader), [429], "the header goes first");
  });

  it("so many keys are remembered, and no more", async () => {
    const key = (value: string): Asking => ({ headers: { "x-key": value } });
    assert.deepEqual(await statuses("/few", key("a"), key("b"), key("c")), [200, 200, 200]);
    assert.deepEqual(await statuses("/few", key("b"), key("c"), key("a")), [429, 429, 200], "the first was forgotten");
  });

  it("bodies: the limit of all routes, and those of their own; announced or not", async () => {
    const post = (path: string, length: number) =>
      statusOf(gate.url() + path, { method: "POST", body: "x".repeat(length) });
    assert.deepEqual([await post("/", 20), await post("/", 21)], [200, 413]);
    assert.deepEqual([await post("/large", 100), await post("/large", 101)], [200, 413]);
    assert.deepEqual([await post("/none", 0), await post("/none", 1)], [200, 413]);
    const chunked = await Line.open(owner, gate.port());
    const piece = "b\r\neleven byte\r\n";
    chunked.send(`POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${piece}${piece}0\r\n\r\n`);
    await chunked.expect(/^HTTP\/1\.1 413 /);
  });

  it("requests at once on a route: beyond them 503, and the place of one that is over is free", async () => {
    const pending = [at("/busy"), at("/busy")];
    await held.until(2);
    const refused = await at("/busy", { headers: { accept: "application/json" } });
    assert.deepEqual([refused.status, JSON.parse(refused.text).error.code], [503, "HTTP_BUSY"]);
    assert.match(String(refused.headers["retry-after"]), /^\d+$/);
    held.release();
    await Promise.all(pending);
    const next = at("/busy");
    await held.until(1);
    held.release();
    assert.equal((await next).status, 200);
  });
});

test("heads: so many fields, such long ones, such a long target", async (t) => {
  const gate = await gateway(t, {
    limits: { fieldsMax: 5, fieldBytesMax: 60, fieldsBytesMax: 150, targetBytesMax: 30 },
    services: { pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "pong" } },
  });
  const answer = async (target: string, ...fields: string[]) => {
    const line = await Line.open(t, gate.port());
    line.send(`GET ${target} HTTP/1.1\r\nHost: a\r\n${fields.map((field) => `${field}\r\n`).join("")}\r\n`);
    return Number((await line.expect(/^HTTP\/1\.1 (\d+) /))[1]);
  };
  assert.equal(await answer(`/${"x".repeat(29)}`, "a: 1", "b: 2", "c: 3", "d: 4"), 200);
  assert.equal(await answer(`/${"x".repeat(30)}`), 414);
  assert.equal(await answer("/", "a: 1", "b: 2", "c: 3", "d: 4", "e: 5"), 431);
  assert.equal(await answer("/", `a: ${"x".repeat(60)}`), 431);
  const fifty = "x".repeat(50);
  assert.equal(await answer("/", `a: ${fifty}`, `b: ${fifty}`, `c: ${fifty}`), 431);
});

test("connections per address: the next one is told 429, others are not concerned; so many in all", async (t) => {
  const gate = await gateway(t, {
    listen: [{ port: 0, proxyProtocol: true }],
    limits: { connectionsPerAddressMax: 2, connectionsMax: 5, idleTimeoutMs: 600_000 },
    services: { pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "pong" } },
  });
  const open = async (address: string) => {
    const line = await Line.open(t, gate.port());
    line.send(`PROXY TCP4 ${address} 192.0.2.1 4000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n`);
    const [, status] = await line.expect(/^HTTP\/1\.1 (\d+) /);
    return { line, status: Number(status) };
  };
  const first = await open("198.51.100.7");
  assert.deepEqual([first.status, (await open("198.51.100.7")).status], [200, 200]);
  const third = await open("198.51.100.7");
  assert.equal(third.status, 429);
  assert.match(third.line.text, /retry-after: \d+/i);
  assert.equal((await open("198.51.100.8")).status, 200);
  first.line.socket.destroy();
  await until("its place to be free", async () => (await open("198.51.100.7")).status === 200);
  // One that has been idle for a moment makes room for who comes.
  for (let host = 20; host < 24; host++) {
    await until("room for one more", async () => (await open(`198.51.100.${host}`)).status === 200);
  }
  const [listener] = (await gate.status()).listeners;
  assert.ok(listener!["connections"]! <= 5, `${listener!["connections"]} connections`);
  assert.ok(listener!["shed"]! > 0);
});
