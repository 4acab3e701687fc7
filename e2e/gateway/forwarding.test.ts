/** Issue 3, "Forwarding": whose word counts, PROXY headers in and out, request ids, Server-Timing and traceparent. */
import assert from "node:assert/strict";
import { before, describe, it, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import {
  ask,
  freePort,
  type Gateway,
  gateway,
  haproxy,
  Line,
  nginx,
  type Origin,
  origin,
  peer,
  statusOf,
  suite,
} from "./harness.ts";

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

describe("fields about the client", () => {
  const owner = suite();
  let behind: Origin;
  let gate: Gateway;

  before(async () => {
    behind = await origin(owner);
    gate = await gateway(owner, {
      trust: ["127.0.0.3", "10.0.0.0/8"],
      services: { api: { upstreams: [behind.url] } },
      sites: { "*": { "/": "api", "/timed": { to: "api", serverTiming: true }, "/own": { respond: { body: "own" } } } },
    });
    await gate.ready();
  });

  const lies = { "x-forwarded-for": "192.0.2.9", forwarded: "for=192.0.2.9", "x-forwarded-proto": "https" };

  it("from anybody are written anew", async () => {
    const { echo } = await ask(gate.url(), { headers: { ...lies, "x-request-id": "mine" }, host: "a.test" });
    assert.equal(echo.headers["x-forwarded-for"], "127.0.0.1");
    assert.equal(echo.headers["x-forwarded-proto"], "http");
    assert.equal(echo.headers["x-forwarded-host"], "a.test");
    assert.equal(echo.headers["forwarded"], 'for=127.0.0.1;proto=http;host="a.test"');
    assert.notEqual(echo.headers["x-request-id"], "mine");
  });

  it("from a trusted proxy are kept, and it is added", async () => {
    const { echo } = await ask(gate.url(), {
      headers: { ...lies, forwarded: [], "x-request-id": "theirs-7" },
      host: "a.test",
      from: "127.0.0.3",
    });
    assert.equal(echo.headers["x-forwarded-for"], "192.0.2.9, 127.0.0.3");
    assert.equal(echo.headers["x-forwarded-proto"], "https");
    assert.match(echo.headers["forwarded"]!, /^for=192\.0\.2\.9, for=127\.0\.0\.3;/);
    assert.equal(echo.headers["x-request-id"], "theirs-7");
    const line = await gate.line("the request", ({ id }) => id === "theirs-7");
    assert.equal(line["address"], "192.0.2.9");
  });

  it("the request's id is in the answer, at the service and in the log, whoever answers", async () => {
    const { headers, echo } = await ask(gate.url());
    const id = headers["x-request-id"];
    assert.equal(echo.headers["x-request-id"], id);
    await gate.line("the request", (line) => line["id"] === id);
    assert.match(String((await ask(`${gate.url()}/own`)).headers["x-request-id"]), /^\S{8,}$/);
  });

  it("Server-Timing tells the gateway's and the service's share, where a route asks for it", async () => {
    const { headers } = await ask(`${gate.url()}/timed`);
    assert.match(String(headers["server-timing"]), /^gateway;dur=[\d.]+, service;dur=[\d.]+$/);
    assert.equal((await ask(gate.url())).headers["server-timing"], undefined);
  });

  it("a trace is passed on, or begun where there is none", async () => {
    const sent = { traceparent: parent, tracestate: "vendor=1" };
    const passed = (await ask(gate.url(), { headers: sent })).echo.headers;
    assert.deepEqual([passed["traceparent"], passed["tracestate"]], [parent, "vendor=1"]);
    const created = (await ask(gate.url())).echo.headers["traceparent"]!;
    assert.match(created, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    await gate.line("the trace", ({ trace }) => trace === created.slice(3, 35));
    const replaced = (await ask(gate.url(), { headers: { ...sent, traceparent: "00-nonsense" } })).echo.headers;
    assert.match(replaced["traceparent"]!, /^00-[0-9a-f]{32}-/);
    assert.equal(replaced["tracestate"], undefined);
  });
});

test("traces are not begun, or not asked to be recorded, where the configuration says so", async (t) => {
  const { url } = await origin(t);
  const config = { services: { api: { upstreams: [url] } }, sites: { "*": { "/": "api" } } };
  const gate = await gateway(t, { ...config, trace: { sampled: false } });
  assert.match((await ask(gate.url())).echo.headers["traceparent"]!, /-00$/);
  await gate.reload({ ...config, trace: { create: false } });
  assert.equal((await ask(gate.url())).echo.headers["traceparent"], undefined);
  assert.equal((await ask(gate.url(), { headers: { traceparent: parent } })).echo.headers["traceparent"], parent);
});

describe("the PROXY protocol", () => {
  const owner = suite();
  let gate: Gateway;

  before(async () => {
    const { url } = await origin(owner);
    gate = await gateway(owner, {
      listen: [
        { port: 0, proxyProtocol: true },
        { port: 0, proxyProtocol: { from: ["127.0.0.4"] } },
      ],
      services: { api: { upstreams: [url] } },
      sites: { "*": { "/": "api" } },
    });
    await gate.ready();
  });

  for (const version of ["", "-v2"]) {
    it(`HAProxy in front names the client with send-proxy${version}`, { skip: requires("haproxy") }, async () => {
      const front = await freePort();
      const sections = `listen front
        mode tcp
        bind 127.0.0.1:${front}
        server next 127.0.0.1:${gate.port()} send-proxy${version}`;
      await peer(owner, "haproxy", front, () => haproxy(sections));
      const { echo } = await ask(`http://127.0.0.1:${front}`, { from: "127.0.0.8" });
      assert.equal(echo.headers["x-forwarded-for"], "127.0.0.8");
    });
  }

  it("a connection without it is not served; of those from elsewhere none is asked for", async () => {
    const bare = await Line.open(owner, gate.port());
    bare.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await bare.over();
    assert.equal(bare.text, "");
    assert.equal((await ask(gate.url(1))).echo.headers["x-forwarded-for"], "127.0.0.1");
    const named = await Line.open(owner, gate.port(1), "127.0.0.4");
    named.send("PROXY TCP4 198.51.100.1 192.0.2.1 4000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await named.expect(/"x-forwarded-for":"198\.51\.100\.1"/);
    const forged = await Line.open(owner, gate.port(1));
    forged.send("PROXY TCP4 198.51.100.1 192.0.2.1 4000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await forged.expect(/^HTTP\/1\.1 400 /);
  });
});

for (const proxyProtocol of ["v1", "v2"] as const) {
  test(`nginx behind hears of the client by PROXY ${proxyProtocol}`, { skip: requires("nginx") }, async (t) => {
    const port = await freePort();
    const server = `listen 127.0.0.1:${port} proxy_protocol; location / { return 200 $proxy_protocol_addr; }`;
    await peer(t, "nginx", port, (folder) => nginx(folder, server));
    const gate = await gateway(t, {
      services: { api: { upstreams: [`http://127.0.0.1:${port}`], proxyProtocol } },
      sites: { "*": { "/": "api" } },
    });
    await gate.ready();
    assert.equal((await ask(gate.url(), { from: "127.0.0.6" })).text, "127.0.0.6");
    assert.equal((await ask(gate.url(), { from: "127.0.0.7" })).text, "127.0.0.7");
    assert.equal(await statusOf(gate.url()), 200);
  });
}
