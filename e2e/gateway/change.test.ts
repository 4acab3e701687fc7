/** Issue 3, "Change without a drop", where `e2e/reload.test.ts` ends: what comes back, and what a reload must not forget. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import type { TidewayConfig } from "tideway";
import { WebSocket, WebSocketServer } from "ws";
import { ask, gateway, type Owner, origins, statusOf, until } from "./harness.ts";

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
