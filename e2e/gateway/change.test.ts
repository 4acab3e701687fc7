/** Issue 3, "Change without a drop", where `e2e/reload.test.ts` ends: what comes back, and what a reload must not forget. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TidewayConfig } from "tideway";
import { WebSocket, WebSocketServer } from "ws";
import { ask, freePort, gateway, Line, type Owner, origin, origins, statusOf, tcpOrigin, until } from "./harness.ts";

/** Echoes WebSocket messages, and answers what else it is asked with 200. */
async function echoing(t: Owner): Promise<string> {
  const server = createServer((_, answer) => void answer.end("here")).listen(0, "127.0.0.1");
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a service that is removed and comes back, while its last WebSocket is open, serves at once; so does the socket", async (t) => {
  const url = await echoing(t);
  const command = "node -e \"require('http').createServer((_, a) => a.end('run')).listen(process.env.PORT)\"";
  const here = {
    services: { api: { upstreams: [url] }, app: { command, stopTimeoutMs: 1_000 } },
    sites: { "*": { "/": "api", "/app": "app" } },
  } satisfies TidewayConfig;
  const gone = { services: {}, sites: { "*": { "/": { respond: { body: "gone" } } } } } satisfies TidewayConfig;
  const gate = await gateway(t, here);
  await gate.ready();
  const socket = new WebSocket(gate.url().replace("http", "ws"));
  t.after(() => socket.terminate());
  await once(socket, "open");

  await gate.reload(gone);
  assert.equal((await ask(gate.url())).text, "gone");
  await gate.reload(here);
  assert.equal((await ask(gate.url())).text, "here");
  assert.equal((await ask(`${gate.url()}/app`)).text, "run");
  socket.send("still here");
  assert.equal(String((await once(socket, "message"))[0]), "still here");
  socket.close();
  await once(socket, "close");
  // What was left of the old one is gone now: the new one must not go with it.
  for (let turn = 0; turn < 3; turn++) assert.equal(await statusOf(gate.url()), 200);
});

test("what is counted, weighted and drained by hand outlives a reload about something else", async (t) => {
  const [a, b] = await origins(t, 2);
  const config = (body: string, weight = 1): TidewayConfig => ({
    services: { api: { upstreams: [{ url: a!.url, weight }, b!.url] } },
    sites: {
      "*": {
        "/": "api",
        "/rated": { respond: { body }, limits: { rate: { requests: 1, per: "day" } } },
        "/other": { respond: { body } },
      },
    },
  });
  const gate = await gateway(t, config("one"));
  await gate.ready();
  assert.equal(await statusOf(`${gate.url()}/rated`), 200);
  for (const words of [
    [a!.id, "--weight", "7"],
    [b!.id, "--drain"],
  ])
    assert.equal((await gate.command("instance", "api", ...words)).code, 0);

  await gate.reload(config("two"));
  assert.equal((await ask(`${gate.url()}/other`)).text, "two");
  assert.equal(await statusOf(`${gate.url()}/rated`), 429, "the rate is the same one");
  const [first, second] = (await gate.service("api")).instances;
  assert.deepEqual([first!.weight, second!.state], [7, "draining"]);

  await gate.reload(config("two", 3));
  await until("the weight that is configured now", async () => (await gate.instance("api", a!.id)).weight === 3);
  assert.equal((await gate.instance("api", b!.id)).state, "draining");
});

test("what a reload says otherwise holds from then on: for listeners, services, routes, TCP services and the console", async (t) => {
  const probed: string[] = [];
  const [a, b] = await Promise.all(
    [0, 1].map(() =>
      origin(t, undefined, {
        probe: (incoming, answer) => {
          probed.push(incoming.url ?? "");
          answer.end();
        },
      }),
    ),
  );
  const line = await tcpOrigin(t, (socket) => void socket.write("line"));
  const upstreams = [a!.url, b!.url];
  const tcp = { name: "line", upstreams: [`127.0.0.1:${line}`] };
  const sites = { "*": { "/": "api", "/own": { respond: { body: "own" } } } } satisfies TidewayConfig["sites"];
  const services = { api: { upstreams, balance: "round-robin" } } satisfies TidewayConfig["services"];
  const gate = await gateway(t, { listen: [{ port: 0 }, { port: 0, tcp }], console: { port: 0 }, services, sites });
  await gate.ready();
  const lies = { "x-forwarded-for": "192.0.2.9" };
  const before = await ask(gate.url(), { headers: lies, host: "x.test" });
  assert.deepEqual([before.echo.headers["x-forwarded-for"], before.headers["set-cookie"]], ["127.0.0.1", undefined]);
  assert.match(before.echo.headers["traceparent"]!, /^00-/);
  const metrics = `${gate.running.addresses.console!.address}metrics`;
  assert.equal(await statusOf(metrics), 401);
  const [tcpPort] = [await gate.streamPort("line")];
  const first = await Line.open(t, tcpPort);
  await first.expect(/^line$/);

  await gate.reload({
    listen: [{ port: 0 }, { port: 0, tcp: { ...tcp, connectionsMax: 1, idleMs: 200 } }],
    // The same port: one that took any free one keeps it.
    console: { port: 0, metrics: "open" },
    trust: ["127.0.0.0/8"],
    limits: { targetBytesMax: 20, bodyBytesMax: 3 },
    trace: { create: false },
    services: {
      api: {
        upstreams,
        balance: { hash: { query: "user" } },
        sticky: { cookie: "seat" },
        hostField: "upstream",
        health: { path: "/live", everyMs: 20 },
      },
    },
    sites: { "*": { ...sites["*"], "/own": { respond: { body: "changed" }, response: { set: { "x-a": "1" } } } } },
  });
  const after = await ask(gate.url(), { headers: lies, host: "x.test" });
  assert.equal(after.echo.headers["x-forwarded-for"], "192.0.2.9, 127.0.0.1");
  assert.equal(after.echo.headers["traceparent"], undefined);
  assert.equal(after.echo.headers["host"], after.echo.origin);
  assert.match(String(after.headers["set-cookie"]), /^seat=/);
  const users = new Set<string>();
  for (let turn = 0; turn < 4; turn++) users.add((await ask(`${gate.url()}/?user=7`)).echo.origin);
  assert.equal(users.size, 1);
  assert.equal(await statusOf(`${gate.url()}/${"x".repeat(30)}`), 414);
  assert.equal(await statusOf(gate.url(), { method: "POST", body: "four" }), 413);
  const own = await ask(`${gate.url()}/own`);
  assert.deepEqual([own.text, own.headers["x-a"]], ["changed", "1"]);
  await until("probes of the new path", async () => probed.includes("/live"));
  assert.equal(await statusOf(metrics), 200);
  await first.over();
  const only = await Line.open(t, tcpPort);
  await only.expect(/^line$/);
  const refused = await Line.open(t, tcpPort).catch(() => null);
  await refused?.over();
  assert.equal(refused?.text ?? "", "");
});

test("a listener that begins to expect PROXY headers does so for those who come", async (t) => {
  const config = (proxyProtocol: boolean): TidewayConfig => ({
    listen: [{ port: 0, proxyProtocol }],
    services: { pong: { respond: { body: "pong" } } },
    sites: { "*": { "/": "pong" } },
  });
  const gate = await gateway(t, config(false));
  assert.equal(await statusOf(gate.url()), 200);
  await gate.reload(config(true));
  await assert.rejects(ask(gate.url()));
  const line = await Line.open(t, gate.port());
  line.send("PROXY TCP4 198.51.100.1 192.0.2.1 4000 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await line.expect(/^HTTP\/1\.1 200 /);
  await gate.line("the request", ({ address }) => address === "198.51.100.1");
});

test("a port that Tideway itself holds is not handed over by a reload, which says so; two reloads do it", async (t) => {
  const port = await freePort();
  const pong = { services: { pong: { respond: { body: "pong" } } }, sites: { "*": { "/": "pong" } } } as const;
  const gate = await gateway(t, { ...pong, listen: [{ port }] });
  const wide: TidewayConfig = { ...pong, listen: [{ host: "0.0.0.0", port }] };
  await assert.rejects(gate.reload(wide), (error: Error) => {
    assert.match(error.message, new RegExp(`it is Tideway's own: the listener at 127\\.0\\.0\\.1:${port} has it`));
    return true;
  });
  assert.equal((await ask(gate.url())).text, "pong");
  await gate.reload({ ...pong, listen: [{ port: 0 }] });
  await gate.reload(wide);
  assert.equal((await ask(`http://127.0.0.2:${port}`)).text, "pong");
});
