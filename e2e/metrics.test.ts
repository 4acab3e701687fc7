/** What an operator sees of a gateway at work: `/metrics` as a scraper reads it, the access log, and `tideway status`. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, renameSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { type ReadMetrics, readMetrics, readValue } from "@tideway/engine/metrics/testing";
import { RunningTideway, temporaryFolder, tideway, writeConfiguration } from "./harness/tideway.ts";

async function originFor(t: TestContext): Promise<number> {
  return ((await startOrigin(t)).address() as AddressInfo).port;
}

async function startOrigin(t: TestContext): Promise<Server> {
  const origin = createServer((request, answer) => {
    request.resume();
    answer.statusCode = request.url === "/teapot" ? 418 : 200;
    answer.end("hello");
  }).listen(0, "127.0.0.1");
  await once(origin, "listening");
  t.after(() => origin.close().closeAllConnections());
  return origin;
}

async function runningFor(t: TestContext, origin: number): Promise<RunningTideway> {
  const folder = temporaryFolder("metrics");
  t.after(() => folder.remove());
  const source = `{
    listen: [{ port: 0 }], console: { port: 0 }, data: "data",
    services: { api: { upstreams: ["http://127.0.0.1:${origin}"] }, pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "api", "/ping": "pong" } },
  }`;
  const running = await RunningTideway.start(writeConfiguration(folder.path, source));
  t.after(() => running.stop());
  return running;
}

test("a scraper reads requests, instances and the process, and what it reads only grows", async (t) => {
  const origin = await originFor(t);
  const running = await runningFor(t, origin);
  const { address, tokenFile } = running.addresses.console!;
  const token = readFileSync(join(dirname(tokenFile), "metrics-token"), "utf8").trim();
  assert.equal((await fetch(`${address}metrics`)).status, 401);
  const scrape = async (accept: string): Promise<ReadMetrics> => {
    const answer = await fetch(`${address}metrics`, { headers: { authorization: `Bearer ${token}`, accept } });
    assert.equal(answer.status, 200);
    return readMetrics(await answer.text(), accept.includes("openmetrics") ? "openmetrics" : "prometheus");
  };
  const refuse = async () => {
    const socket = connect(Number(new URL(running.url).port), "127.0.0.1").resume();
    socket.write("GET / HTTP/1.1\nHost: x\n\n");
    await once(socket, "close");
  };
  const work = async () => {
    for (const path of ["/a", "/b", "/teapot", "/ping"]) await (await fetch(running.url + path)).text();
    await (await fetch(`${running.url}/a`, { method: "POST", body: "x".repeat(5_000) })).text();
    await refuse();
  };

  await work();
  const first = await scrape("text/plain");
  await work();
  const second = await scrape("application/openmetrics-text; version=1.0.0");
  const name = "http_server_request_duration_seconds_count";
  const gets = { http_route: "/", http_request_method: "GET", http_response_status_code: "200", server_address: "*" };
  assert.deepEqual([readValue(first, name, gets), readValue(second, name, gets)], [2, 4]);
  assert.equal(readValue(second, name, { http_response_status_code: "418" }), 2);
  assert.equal(readValue(second, name, { http_route: "/ping" }), 2);
  assert.equal(readValue(second, "http_server_request_body_size_bytes_sum", { http_request_method: "POST" }), 10_000);
  assert.equal(readValue(second, "tideway_http_refused_requests_total", { rule: "BARE_LF" }), 2);
  const instance = { tideway_service: "api", tideway_instance: `127.0.0.1:${origin}` };
  assert.equal(readValue(second, "tideway_instance_requests_total", instance), 8);
  assert.equal(readValue(second, "tideway_instance_state", { ...instance, state: "up" }), 1);
  assert.equal(readValue(second, "tideway_service_retries_total", { tideway_service: "api" }), 0);
  assert.ok(readValue(second, "tideway_listener_accepted_connections_total") >= 3);
  assert.ok(readValue(second, "process_uptime_seconds") > 0);

  const { stdout } = await tideway(["status", running.configuration]);
  assert.match(stdout, new RegExp(`api +127\\.0\\.0\\.1:${origin} +up .* 8 +0$`, "m"));
  assert.match(stdout, /^api +upstreams +8 +0 +0 +0 +0 +0 +closed$/m);
});

test("the log has a line for each request, with the rule that a refused one broke", async (t) => {
  const running = await runningFor(t, await originFor(t));
  await (await fetch(`${running.url}/ping?token=secret`)).text();
  const socket = connect(Number(new URL(running.url).port), "127.0.0.1").resume();
  socket.write("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n");
  await once(socket, "close");
  await running.stop();
  const lines = running.log.map((line) => JSON.parse(line) as Record<string, unknown>);
  const request = lines.find(({ msg }) => msg === "request")!;
  const { method, path, status, route, service, version } = request;
  assert.deepEqual(
    { method, path, status, route, service, version },
    { method: "GET", path: "/ping", status: 200, route: "*/ping", service: "pong", version: "1.1" },
  );
  const refused = lines.find(({ msg, section }) => msg === "request refused" && section !== undefined)!;
  assert.deepEqual([refused["status"], refused["rule"], refused["section"]], [400, "HOST_REPEATED", "RFC 9112 §3.2"]);
  assert.ok(!running.log.join("\n").includes("secret"), "queries hold secrets");
});

test("counters and the access log's file go on over a reload that changes its format; a moved file is left behind", async (t) => {
  const origin = await originFor(t);
  const folder = temporaryFolder("metrics-reload");
  t.after(() => folder.remove());
  const source = (format: string) => `{
    listen: [{ port: 0 }], console: { port: 0, metrics: "open" }, data: "data",
    log: { requests: { format: "${format}", file: "access.log", queries: true } },
    services: { api: { upstreams: ["http://127.0.0.1:${origin}"] } }, sites: { "*": { "/": "api" } },
  }`;
  const configuration = writeConfiguration(folder.path, source("json"));
  const running = await RunningTideway.start(configuration);
  t.after(() => running.stop());
  const path = join(folder.path, "access.log");
  const { address } = running.addresses.console!;
  const count = async () => {
    const read = readMetrics(await (await fetch(`${address}metrics`)).text(), "prometheus");
    return readValue(read, "http_server_request_duration_seconds_count", { http_route: "/" });
  };
  const get = async () => await (await fetch(`${running.url}/a?x=1`, { headers: { "user-agent": "test/1" } })).text();
  await get();
  assert.equal(await count(), 1);
  renameSync(path, `${path}.1`);
  writeConfiguration(folder.path, source("combined"));
  const { code, stderr } = await tideway(["reload", configuration]);
  assert.equal(code, 0, stderr);
  await get();
  assert.equal(await count(), 2);
  await running.stop();
  const { path: asked, query, agent } = JSON.parse(readFileSync(`${path}.1`, "utf8")) as Record<string, unknown>;
  assert.deepEqual({ asked, query, agent }, { asked: "/a", query: "?x=1", agent: "test/1" });
  const line = /^127\.0\.0\.1 - - \[.*\] "GET \/a\?x=1 HTTP\/1\.1" 200 5 "-" "test\/1"\n$/;
  assert.match(readFileSync(path, "utf8"), line);
});

test("what went wrong behind is in the log in a word, and counted by it; so is what was limited", async (t) => {
  const origin = await startOrigin(t);
  const { port } = origin.address() as AddressInfo;
  const folder = temporaryFolder("metrics-reasons");
  t.after(() => folder.remove());
  const source = `{
    listen: [{ port: 0 }], console: { port: 0, metrics: "open" }, data: "data",
    services: { api: { upstreams: ["http://127.0.0.1:${port}"], retries: { max: 0 } }, pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "api", "/few": { to: "pong", limits: { rate: { requests: 1, per: "hour" } } } } },
  }`;
  const running = await RunningTideway.start(writeConfiguration(folder.path, source));
  t.after(() => running.stop());
  const status = async (path: string) => {
    const answer = await fetch(running.url + path);
    await answer.text();
    return answer.status;
  };
  assert.deepEqual([await status("/few"), await status("/few"), await status("/a")], [200, 429, 200]);
  origin.close().closeAllConnections();
  assert.ok([502, 503].includes(await status("/a")));
  const { address } = running.addresses.console!;
  const read = readMetrics(await (await fetch(`${address}metrics`)).text(), "prometheus");
  const name = "tideway_http_failed_requests_total";
  assert.equal(readValue(read, name, { reason: "HTTP_TOO_MANY", http_route: "/few" }), 1);
  await running.stop();
  const lines = running.log
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === "request");
  const reasons = lines.map(({ reason = "" }) => reason);
  assert.deepEqual([reasons[1], reasons[2]], ["HTTP_TOO_MANY", ""]);
  assert.ok(["refused", "broken", "unavailable"].includes(reasons[3] as string), String(reasons[3]));
  assert.equal(readValue(read, name, { reason: reasons[3] as string, http_route: "/" }), 1);
});
