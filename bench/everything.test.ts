import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, createServer, get, type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type TestContext, test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { requires } from "@tideway/scripts/requires";
import { type Logging, startFull, startFullNginx } from "./everything.ts";

const requests = 60;
const connections = 4;

interface Told {
  readonly path: string;
  readonly answered: IncomingHttpHeaders;
}

/** Answers with the target; keeps the fields of each request by its target. */
async function startOrigin(t: TestContext): Promise<{ port: number; seen: Map<string, IncomingHttpHeaders> }> {
  const seen = new Map<string, IncomingHttpHeaders>();
  const server = createServer((request, response) => {
    seen.set(request.url!, request.headers);
    response.end(request.url);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, seen };
}

/** Each target is asked for once, over a few kept connections; each answer is the right one. */
async function ask(port: number): Promise<Told[]> {
  const random = new SeededRandom(42);
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const told = await Promise.all(
    Array.from({ length: requests }, async (_, count) => {
      const path = `/${count}/${random.id(1 + Math.floor(random.fraction() * 40))}`;
      const [response] = (await once(get({ host: "127.0.0.1", port, path, agent }), "response")) as [IncomingMessage];
      assert.equal(response.statusCode, 200);
      assert.equal(await text(response), path);
      return { path, answered: response.headers };
    }),
  );
  agent.destroy();
  return told;
}

/** What every contender must have done besides, or the comparison says nothing. */
async function assertEverything(contender: Logging, told: readonly Told[], seen: Map<string, IncomingHttpHeaders>) {
  for (const { path, answered } of told) {
    const fields = seen.get(path)!;
    assert.equal(fields["x-request-id"], answered["x-request-id"]);
    assert.equal(fields["x-forwarded-for"], "127.0.0.1");
    assert.equal(fields["x-forwarded-proto"], "http");
    assert.match(String(fields["x-forwarded-host"]), /^127\.0\.0\.1/);
    assert.match(String(fields["forwarded"]), /^for=127\.0\.0\.1;.*proto=http/);
  }
  assert.equal(new Set(told.map(({ answered }) => answered["x-request-id"])).size, requests);
  await contender.program.stop();
  const lines = readFileSync(contender.log, "utf8").trimEnd().split("\n");
  const logged = lines.map((line) => JSON.parse(line) as { id: string; path: string; status: number; out: number });
  const expected = told.map(({ path, answered }) => ({
    id: answered["x-request-id"],
    path,
    status: 200,
    out: path.length,
  }));
  const byPath = (a: { path: string }, b: { path: string }) => (a.path < b.path ? -1 : 1);
  assert.deepEqual(
    logged.map(({ id, path, status, out }) => ({ id, path, status, out })).sort(byPath),
    expected.sort(byPath),
  );
}

for (const traces of [false, true]) {
  test(`a whole Tideway has everything on that is measured, ${traces ? "and" : "without"} traces`, async (t) => {
    const { port, seen } = await startOrigin(t);
    const ours = await startFull(port, traces, "any");
    t.after(() => ours.program.stop());
    const told = await ask(ours.port);
    for (const { path, answered } of told) {
      assert.match(String(answered["ratelimit"]), /^"default";r=\d+;t=/);
      assert.equal(seen.get(path)!["traceparent"] !== undefined, traces);
    }
    const metrics = await (await fetch(new URL("/metrics", ours.console))).text();
    assert.match(metrics, new RegExp(`^http_server_request_duration_seconds_count\\{.*\\} ${requests}$`, "m"));
    await assertEverything(ours, told, seen);
  });
}

test("nginx has everything on that Tideway has on", { skip: requires("nginx") }, async (t) => {
  const { port, seen } = await startOrigin(t);
  const nginx = await startFullNginx(port, "any");
  t.after(() => nginx.program.stop());
  const told = await ask(nginx.port);
  const status = await (await fetch(`http://127.0.0.1:${nginx.port}/nginx-status`)).text();
  assert.match(status, new RegExp(`^ \\d+ \\d+ ${requests + 1} $`, "m"));
  await assertEverything(nginx, told, seen);
});
