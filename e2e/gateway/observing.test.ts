/** Issue 3, "Access log", `/metrics`, and the commands that tell: explain, status, check. */
import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { before, describe, it, test } from "node:test";
import type { TidewayConfig } from "tideway";
import {
  ask,
  contentsOf,
  type Gateway,
  gateway,
  Held,
  Line,
  type LogLine,
  type Origin,
  origin,
  origins,
  statusOf,
  suite,
  until,
} from "./harness.ts";

describe("the access log", () => {
  const owner = suite();
  let behind: Origin;
  let gate: Gateway;

  before(async () => {
    behind = await origin(owner);
    const dead = await origin(owner);
    await dead.close();
    gate = await gateway(owner, {
      limits: { bodyBytesMax: 5 },
      services: { api: { upstreams: [behind.url] }, dead: { upstreams: [dead.url], queueMs: 50 } },
      sites: {
        "a.test": {
          "/": "api",
          "/rated": { to: "api", limits: { rate: { requests: 1, per: "day" } } },
          "/closed": { to: "api", maintenance: true },
          "/dead": "dead",
        },
      },
    });
    await gate.ready("api");
  });

  const lineOf = async (path: string, asking: Parameters<typeof ask>[1] = {}): Promise<LogLine> => {
    const { headers } = await ask(gate.url() + path, { host: "a.test", ...asking });
    return gate.line(path, ({ id, status }) => id === headers["x-request-id"] && status !== undefined);
  };

  it("has one line for each request as JSON: who, what, where to, how much and how long", async () => {
    const line = await lineOf("/x?secret=1", { method: "POST", body: "body", headers: { "user-agent": "tour/1" } });
    const { method, host, path, route, service, instance, status, agent, address } = line;
    assert.deepEqual(
      { method, host, path, route, service, instance, status, agent, address },
      {
        method: "POST",
        host: "a.test",
        path: "/x",
        route: "a.test/",
        service: "api",
        instance: behind.id,
        status: 200,
        agent: "tour/1",
        address: "127.0.0.1",
      },
    );
    assert.equal(line["in"], 4);
    assert.ok(Number(line["out"]) > 0 && Number(line["ms"]) >= 0);
    assert.ok(!JSON.stringify(line).includes("secret"), "queries hold secrets");
  });

  it("says which rule a request broke that was not served as it was asked for", async () => {
    await statusOf(`${gate.url()}/rated`, { host: "a.test" });
    const said = async (path: string, asking?: Parameters<typeof ask>[1]) => {
      const { status, rule, reason } = await lineOf(path, asking);
      return [status, rule ?? reason];
    };
    assert.deepEqual(await said("/rated"), [429, "HTTP_TOO_MANY"]);
    assert.deepEqual(await said("/", { method: "POST", body: "longer" }), [413, "BODY_TOO_LARGE"]);
    assert.deepEqual(await said("/closed"), [503, "HTTP_MAINTENANCE"]);
    assert.deepEqual(await said("/dead"), [503, "unavailable"]);
    assert.deepEqual(await said("/", { host: "b.test" }), [421, "HTTP_NO_SITE"]);
    const bad = await Line.open(owner, gate.port());
    bad.send("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n");
    await bad.over();
    const line = await gate.line("the refusal", ({ rule }) => rule === "HOST_REPEATED");
    assert.deepEqual([line["status"], line["section"]], [400, "RFC 9112 §3.2"]);
  });
});

test("the log's requests: in the Combined format, in a file of its own, with queries; opened anew at a reload; or none", async (t) => {
  const config = (requests: NonNullable<TidewayConfig["log"]>["requests"]): TidewayConfig => ({
    services: { pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "pong" } },
    log: { requests, level: "warn" },
  });
  const gate = await gateway(t, config({ format: "combined", file: "logs.txt", queries: true }));
  const file = join(gate.folder, "logs.txt");
  const agent = { headers: { "user-agent": "tour/1", referer: "http://x.test/?a=b" } };
  await ask(`${gate.url()}/x?y=z`, agent);
  const line = await until("the line", async () => contentsOf(file) || null);
  assert.match(
    line,
    /^127\.0\.0\.1 - - \[\d\d\/\w{3}\/\d{4}:[\d:]{8} [+-]\d{4}\] "GET \/x\?y=z HTTP\/1\.1" 200 4 "http:\/\/x\.test\/\?a=b" "tour\/1"\n$/,
  );
  renameSync(file, `${file}.1`);
  await gate.reload(config({ format: "json", file: "logs.txt" }));
  await ask(`${gate.url()}/after?y=z`);
  const after = JSON.parse(await until("the line", async () => contentsOf(file) || null)) as LogLine;
  assert.deepEqual([after["path"], after["query"]], ["/after", undefined]);
  assert.equal(contentsOf(`${file}.1`), line, "the old one is as it was moved away");

  await gate.reload(config("combined"));
  await ask(`${gate.url()}/there`);
  await until("a line of the log", async () =>
    gate.running.log.some((said) => said.includes('"GET /there HTTP/1.1" 200')),
  );
  await gate.reload(config(false));
  await ask(`${gate.url()}/nowhere`);
  await gate.running.stop();
  assert.ok(!gate.running.log.some((said) => said.includes("/nowhere")));
  assert.ok(!gate.running.log.some((said) => said.includes('"level":"info"')), "warnings alone");
});

/** The value of a metric whose labels are these, among others. */
function metric(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const lines = text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) && wanted.every((one) => line.includes(one)));
  assert.ok(lines.length > 0, `${name} with ${wanted}`);
  return lines.map((line) => Number(line.split(" ").at(-1))).reduce((sum, value) => sum + value, 0);
}

test("/metrics at the console's port: requests, durations, bytes, connections, states, retries, ejections; for the token's holder", async (t) => {
  const bad = await origin(t, (incoming) => void incoming.socket.destroy());
  const good = await origin(t);
  const gate = await gateway(t, {
    console: { port: 0 },
    services: {
      api: {
        upstreams: [bad.url, good.url],
        balance: "round-robin",
        health: { everyMs: 600_000 },
        eject: { failures: 1, backoffMs: 600_000, backoffMaxMs: 600_000 },
      },
    },
    sites: { "a.test": { "/": "api" } },
  });
  await gate.ready();
  for (let turn = 0; turn < 4; turn++)
    assert.equal(await statusOf(gate.url(), { host: "a.test", headers: { "idempotency-key": "x" } }), 200);
  const { address, tokenFile } = gate.running.addresses.console!;
  assert.equal(await statusOf(`${address}metrics`), 401);
  const token = readFileSync(join(dirname(tokenFile), "metrics-token"), "utf8").trim();
  const { text } = await ask(`${address}metrics`, { headers: { authorization: `Bearer ${token}` } });
  const request = { http_route: "/", http_response_status_code: "200" };
  assert.equal(metric(text, "http_server_request_duration_seconds_count", request), 4);
  assert.ok(metric(text, "http_server_request_duration_seconds_bucket", { ...request, le: "+Inf" }) === 4);
  assert.ok(metric(text, "http_server_response_body_size_bytes_sum", request) > 0);
  assert.ok(metric(text, "tideway_listener_accepted_connections_total", {}) >= 4);
  const instance = { tideway_service: "api", tideway_instance: good.id };
  assert.equal(metric(text, "tideway_instance_state", { ...instance, state: "up" }), 1);
  assert.equal(metric(text, "tideway_instance_requests_total", instance), 4);
  assert.ok(metric(text, "tideway_service_retries_total", { tideway_service: "api" }) >= 1);
  assert.ok(metric(text, "tideway_service_ejections_total", { tideway_service: "api" }) >= 1);
});

describe("commands", () => {
  const owner = suite();
  const held = new Held();
  let behind: Origin[];
  let gate: Gateway;

  before(async () => {
    behind = await origins(owner, 3, (incoming, answer) => {
      if (incoming.url === "/hold") held.handle(incoming, answer);
      else answer.end(`127.0.0.1:${incoming.socket.localPort}`);
    });
    const upstreams = behind.map(({ url }) => url);
    gate = await gateway(owner, {
      listen: [{ port: 0 }, { port: 0, sites: { "own.test": { "/": "other" } } }],
      limits: { bodyBytesMax: 1_000 },
      services: {
        api: { upstreams, balance: { hash: { header: "x-user" } }, sticky: {} },
        other: { redirect: "https://x.test{path}", status: 301 },
      },
      sites: {
        "*.x.test": {
          "/": [
            {
              when: {
                method: "POST",
                header: { "x-beta": true, "x-old": false },
                query: { v: { matches: "^[0-9]+$" } },
              },
              to: "api",
              request: { set: { "x-a": "1" } },
              response: { remove: ["server"] },
              limits: { rate: { requests: 5, per: "minute" }, requestsMax: 3 },
              compress: true,
              serverTiming: true,
            },
            "api",
          ],
          "/db": { to: "api", strip: true, maintenance: { status: 503, except: ["192.0.2.7"] } },
          "/moved": "other",
          "/fixed": { respond: { status: 410, body: "gone" } },
        },
      },
    });
    await gate.ready();
  });

  const explain = async (url: string, ...words: string[]): Promise<string> => {
    const at = url.startsWith("http") ? url : `http://www.x.test:${gate.port()}${url}`;
    const { code, stdout, stderr } = await gate.command("explain", ...words, at);
    assert.equal(code, 0, stderr);
    return stdout;
  };

  it("explain: the route with its conditions, all that it does, and the instance that it is for this very request", async () => {
    const words = ["-X", "POST", "-H", "x-beta: 1", "-H", "x-user: seven"];
    const text = await explain("/a?v=7", ...words);
    for (const wanted of [
      /^site {4}→ \*\.x\.test/m,
      /✔ method is POST: POST\n +✔ header x-beta is present: "1"\n +✔ header x-old is absent: absent\n +✔ query v matches/,
      /^rate +5 a minute, by address; beyond it 429\nrequests +3 at once; beyond it 503\nbody +1000 bytes; beyond it 413$/m,
      /^request +sets x-a\nresponse +removes server\ncompress .*\ntiming /m,
    ])
      assert.match(text, wanted);
    const { text: served } = await ask(`${gate.url()}/a?v=7`, {
      method: "POST",
      host: "www.x.test",
      headers: { "x-beta": "1", "x-user": "seven" },
    });
    assert.match(text, new RegExp(`^instance +${served}, by hash of header x-user, up to `, "m"));
    assert.match(text, new RegExp(`→ ${served} +up, 0 under way`));
    assert.match(await explain("/a?v=x", ...words), /✖ query v matches.*: "x"\n(.*\n)*route +→ 2\. api/);
  });

  it("explain: what answers without an instance, and what does not answer at all", async () => {
    const said = await Promise.all([
      explain("/db/7"),
      explain("/db/7", "--from", "192.0.2.7"),
      explain("/moved/x?y"),
      explain("/fixed"),
      explain(`http://y.test:${gate.port()}/`),
    ]);
    assert.match(said[0], /→ \/7 .*\n(.*\n)*maintenance answers 503/);
    assert.match(said[0], /^answer +503, for maintenance\ninstance +none needed$/m);
    assert.match(said[1], /maintenance lets 192\.0\.2\.7 pass/);
    assert.match(said[2], /^answer +301 to https:\/\/x\.test\/moved\/x\?y$/m);
    assert.match(said[3], /^answer +410, 4 bytes of text\/plain/m);
    assert.match(said[4], /^answer +421: no site of that name$/m);
    const { code, stderr } = await gate.command("explain", "--from", "nobody", "http://www.x.test/");
    assert.equal(code, 1);
    assert.match(stderr, /an IP address/);
  });

  it("status: listeners, routes, services and instances with state, load, latency and errors", async () => {
    const pending = ask(`${gate.url()}/hold`, { host: "www.x.test" });
    await held.until(1);
    const { code, stdout } = await gate.command("status");
    held.release();
    await pending;
    assert.equal(code, 0);
    const busy = behind.find(({ seen }) => seen.some(({ url }) => url === "/hold"))!;
    for (const wanted of [
      /^LISTENER +CONNECTIONS/m,
      /^ +\*\.x\.test +\/ +POST, x-beta, no x-old, \?v=\/\^\[0-9\]\+\$\/ +api$/m,
      /^127\.0\.0\.1:0 +own\.test +\/ +other$/m,
      /^api +upstreams +\d+ +0 +0 +0/m,
      /^SERVICE +INSTANCE +STATE +FOR +ACTIVE +CONNECTIONS( +LATENCY)? +REQUESTS +ERRORS$/m,
      new RegExp(`^api +${busy.id} +up +\\d+ \\w+ +1 `, "m"),
    ])
      assert.match(stdout, wanted);
  });
});

test("check: every value of the effective configuration, with where it came from", async (t) => {
  const { url } = await origin(t);
  const gate = await gateway(t, {
    listen: [{ port: 0 }, { port: 0, tcp: { name: "db", upstreams: ["db.invalid:5432"] } }],
    services: { api: { upstreams: [url], sticky: {} } },
    sites: { "*": { "/": { to: "api", limits: { rate: { requests: 5 } } } } },
  });
  const { code, stdout } = await gate.command("check");
  assert.equal(code, 0);
  for (const wanted of [
    /^listen\[1\]\.tcp\.health\.kind +"tcp" +default$/m,
    /^services\.api\.sticky\.cookie +"tideway" +default$/m,
    /^services\.api\.balance +"least-busy" +default$/m,
    /^sites\["\*"\]\["\/"\]\.limits\.rate\.requests +5 +file$/m,
    /^sites\["\*"\]\["\/"\]\.limits\.rate\.by +"address" +default$/m,
    /^limits\.idleTimeoutMs +75000 +default$/m,
  ])
    assert.match(stdout, wanted);
});
