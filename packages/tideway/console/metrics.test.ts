import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { Exposition, gauge, type MetricsFormat } from "@tideway/engine/metrics";
import { readMetrics, readValue } from "@tideway/engine/metrics/testing";
import { startConsole } from "./console.ts";
import type { MetricsAccess } from "./metrics.ts";
import type { StatusReport } from "./report.ts";
import { collectStatus } from "./status-metrics.ts";

const full: StatusReport = {
  version: "0.1.0",
  configuration: "tideway.config.ts",
  pid: 1,
  uptimeMs: 1_500,
  listeners: [
    {
      address: "127.0.0.1:7777",
      connections: 3,
      upgraded: 1,
      accepted: 9,
      requests: 40,
      refused: 2,
      shed: 1,
      bytesIn: 7,
      bytesOut: 8,
    },
    { address: "[::1]:7777", connections: 0, accepted: 0, requests: 0, refused: 0, shed: 0 },
  ],
  streams: [
    {
      address: "127.0.0.1:5432",
      protocol: "tcp",
      service: "db",
      counters: { connections: 1, accepted: 2, unserved: 3, bytesFromClients: 5, unheardOf: 6 },
    },
  ],
  sites: [{ site: "*", path: "/", service: "web" }],
  services: [
    {
      name: "web",
      kind: "command",
      waiting: 2,
      breaker: "open",
      counters: {
        requests: 40,
        retries: 3,
        failures: 4,
        ejections: 1,
        queued: 5,
        queueTimeouts: 1,
        queueRefusals: 0,
        unavailable: 0,
        breakerOpenings: 1,
        breakerRefusals: 2,
      },
      names: [{ name: "db.abc.test", addresses: [], fault: "ENOTFOUND" }],
      instances: [
        {
          id: "web-1",
          state: "up",
          forMs: 1_000,
          active: 2,
          connections: 5,
          idle: 3,
          latencyMs: 12.5,
          weight: 2,
          weightNow: 0.5,
          counters: { requests: 39, retries: 3, failures: 4, ejections: 1 },
          pid: 2,
          restarts: 1,
        },
        { id: "web-2", state: "odd", forMs: -1, active: 0, connections: 0, latencyMs: -1 },
      ],
    },
    { name: "files", kind: "files", waiting: 0, instances: [] },
    {
      name: "web",
      kind: "udp",
      waiting: 0,
      instances: [{ id: "web-1", state: "up", forMs: 1, active: 9, connections: 0, latencyMs: -1 }],
    },
  ],
  realtime: [
    {
      name: "live",
      path: "/socket.io",
      durability: "disk",
      connections: 4,
      sockets: 5,
      servers: [{ instance: "web-1", sockets: 5 }],
      streams: [{ namespace: "/", first: 70, last: 77, bytes: 800, ageMs: 5_000 }],
    },
  ],
  names: { address: "127.0.0.1:7753", zones: ["abc.test"], queries: 6 },
};

test("the whole status report is in the metrics, in both formats", () => {
  for (const format of ["prometheus", "openmetrics"] as const) {
    const exposition = new Exposition(format);
    collectStatus(full, exposition);
    const read = readMetrics(exposition.text(), format);
    const web = { tideway_service: "web", network_transport: "" };
    const first = { ...web, tideway_instance: "web-1" };
    const datagrams = { ...web, network_transport: "udp" };
    const expected: [string, Record<string, string>, number][] = [
      ["target_info", { service_name: "tideway", service_version: "0.1.0" }, 1],
      ["tideway_listener_connections", { tideway_listener: "127.0.0.1:7777" }, 3],
      ["tideway_listener_upgraded_connections", { tideway_listener: "127.0.0.1:7777" }, 1],
      ["tideway_listener_refused_requests_total", { tideway_listener: "127.0.0.1:7777" }, 2],
      ["tideway_listener_received_bytes_total", { tideway_listener: "127.0.0.1:7777" }, 7],
      ["tideway_stream_connections", { network_transport: "tcp", tideway_service: "db" }, 1],
      ["tideway_stream_unserved_total", { network_transport: "tcp", tideway_service: "db" }, 3],
      ["tideway_service_waiting_requests", web, 2],
      ["tideway_service_breaker_open", web, 1],
      ["tideway_service_retries_total", web, 3],
      ["tideway_service_ejections_total", web, 1],
      ["tideway_service_name_resolved", { ...web, name: "db.abc.test" }, 0],
      ["tideway_service_queue_timeouts_total", web, 1],
      ["tideway_instance_state", { ...first, state: "up" }, 1],
      ["tideway_instance_state", { ...first, state: "down" }, 0],
      ["tideway_instance_state", { tideway_instance: "web-2", state: "odd" }, 1],
      ["tideway_instance_latency_seconds", first, 0.0125],
      ["tideway_instance_weight", first, 0.5],
      ["tideway_instance_failures_total", first, 4],
      ["tideway_instance_restarts_total", first, 1],
      ["http_client_active_requests", datagrams, 9],
      ["http_client_open_connections", { ...first, http_connection_state: "active" }, 2],
      ["http_client_open_connections", { ...first, http_connection_state: "idle" }, 3],
      ["tideway_realtime_sockets", { tideway_service: "live" }, 5],
      ["tideway_realtime_stream_events_total", { namespace: "/" }, 77],
      ["tideway_dns_queries_total", {}, 6],
    ];
    for (const [name, labels, value] of expected) assert.equal(readValue(read, name, labels), value, name);
    const shown = JSON.stringify([...read.keys()]);
    assert.ok(!exposition.text().includes("files"), `a service without instances has nothing to measure: ${shown}`);
  }
});

const one = gauge("tideway_one", "One");

async function consoleFor(
  t: TestContext,
  access?: MetricsAccess,
  scrape = async (format: MetricsFormat) => filled(format),
) {
  const dataDirectory = mkdtempSync(join(tmpdir(), "tideway-metrics-"));
  t.after(() => rmSync(dataDirectory, { recursive: true }));
  const running = await startConsole({
    host: "127.0.0.1",
    port: 0,
    dataDirectory,
    clock: new FakeClock(),
    status: () => full,
    metrics: { scrape, ...(access === undefined ? {} : { access }) },
  });
  t.after(() => running.close());
  const token = readFileSync(running.metricsTokenFile, "utf8").trim();
  const get = (headers: Record<string, string> = {}, method = "GET") =>
    fetch(`${running.address}metrics`, { headers, method });
  return { running, token, get, bearer: { authorization: `Bearer ${token}` } };
}

function filled(format: MetricsFormat): Exposition {
  const exposition = new Exposition(format);
  for (let at = 0; at < 20_000; at++) exposition.add(one, at, { at: String(at) });
  return exposition;
}

test("a scraper is let in with its own token, with the console's, or with a login; with nothing else", async (t) => {
  const { running, token, get, bearer } = await consoleFor(t);
  assert.equal(statSync(running.metricsTokenFile).mode & 0o777, 0o600);
  for (const headers of [{}, { authorization: "Bearer wrong" }, { authorization: `Basic ${token}` }]) {
    const refused = await get(headers as Record<string, string>);
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("www-authenticate") ?? "", /^Bearer /);
    assert.doesNotMatch(await refused.text(), /tideway_one/);
  }
  assert.equal((await get(bearer)).status, 200);
  const consoleToken = readFileSync(running.tokenFile, "utf8").trim();
  assert.equal((await get({ authorization: `bearer ${consoleToken}` })).status, 200);
  const login = await fetch(`${running.address}login`, {
    method: "POST",
    body: new URLSearchParams({ token: consoleToken }),
    redirect: "manual",
  });
  const cookie = (login.headers.get("set-cookie") ?? "").split(";", 1)[0]!;
  assert.equal((await get({ cookie })).status, 200);
});

test("the scraper's token opens nothing else", async (t) => {
  const { running, token, bearer } = await consoleFor(t);
  assert.equal((await fetch(`${running.address}status.json`, { headers: bearer })).status, 401);
  const login = await fetch(`${running.address}login`, { method: "POST", body: new URLSearchParams({ token }) });
  assert.equal(login.status, 401);
});

test("open to all who reach the port, when the configuration says so, and closed again", async (t) => {
  const { running, get } = await consoleFor(t, "open");
  assert.equal((await get()).status, 200);
  running.allowMetrics("token");
  assert.equal((await get()).status, 401);
});

test("a foreign name in Host is refused, open or not; and nothing but reading is answered", async (t) => {
  const { running, get } = await consoleFor(t, "open");
  const status = await new Promise((done, failed) => {
    const asked = request(`${running.address}metrics`, { headers: { host: "evil.test" } }, (answer) => {
      done(answer.resume().statusCode);
    });
    asked.on("error", failed).end();
  });
  assert.equal(status, 421);
  assert.equal((await get({}, "POST")).status, 405);
  const head = await get({}, "HEAD");
  assert.deepEqual([head.status, await head.text()], [200, ""]);
});

test("the format is Prometheus' text, or OpenMetrics for those who ask for it; a long one comes whole", async (t) => {
  const { get, bearer } = await consoleFor(t);
  const text = await get(bearer);
  assert.equal(text.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(readMetrics(await text.text(), "prometheus").get("tideway_one")?.samples.length, 20_000);
  const open = await get({ ...bearer, accept: "application/openmetrics-text; version=1.0.0" });
  assert.equal(open.headers.get("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
  assert.equal(readMetrics(await open.text(), "openmetrics").get("tideway_one")?.samples.length, 20_000);
});

test("more than four scrapes at once are told to come back; a source at fault gives no half of a text", async (t) => {
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  let running = 0;
  const { get, bearer } = await consoleFor(t, "token", async (format) => {
    if (++running === 4) begun.resolve();
    await go.promise;
    if (running > 4) throw new Error("a source is at fault");
    return filled(format);
  });
  const first = [1, 2, 3, 4].map(() => get(bearer));
  await begun.promise;
  const refused = await get(bearer);
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
  go.resolve();
  for (const answer of await Promise.all(first)) {
    assert.equal(answer.status, 200);
    await answer.arrayBuffer();
  }
  await assert.rejects(get(bearer));
});
