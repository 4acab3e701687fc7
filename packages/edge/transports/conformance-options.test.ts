/**
 * Engine.IO's rules that depend on options, and those of time, over real sockets: against the reference and against ours,
 * with the same options under their own names.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { ask, echoing, type RunningServer, settings, startOurs, startReference } from "./servers.testing.ts";

const handshakeQuery = "?EIO=4&transport=polling";
const origin = "http://a.test";
const cors = { origin: [origin], credentials: true, methods: ["GET", "POST"] };
const refuses = "x-refused";

const opened = async (port: number, headers: Record<string, string> = {}) => {
  const answer = await ask(port, handshakeQuery, { headers });
  return { ...answer, sid: (JSON.parse(answer.body.slice(1)) as { sid: string }).sid };
};

/** All that a server says to bytes, until it closes. */
async function raw(port: number, head: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(head);
  let said = "";
  socket.on("data", (chunk) => {
    said += chunk.toString("latin1");
  });
  await once(socket, "close");
  return said;
}

const upgrade = (query: string) =>
  `GET /engine.io/${query} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n` +
  "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

for (const [name, ours] of [
  ["engine.io", false],
  ["ours", true],
] as const) {
  describe(name, () => {
    let plain: RunningServer;
    let dressed: RunningServer;

    before(async () => {
      plain = ours ? await startOurs(echoing) : await startReference();
      dressed = ours
        ? await startOurs(echoing, {
            cors,
            cookie: true,
            allowRequest: (request, decide) => decide("no room", request.headers[refuses] === undefined),
          })
        : await startReference({
            cors: { ...cors, origin: [origin] },
            cookie: true,
            allowRequest: (request, decide) => decide("no room", request.headers[refuses] === undefined),
          });
    });
    after(async () => {
      await plain.close();
      await dressed.close();
    });

    test("CORS and the cookie are off by default; answers are not stored", async () => {
      const answer = await opened(plain.port);
      assert.equal(answer.headers["access-control-allow-origin"], undefined);
      assert.equal(answer.headers["set-cookie"], undefined);
      assert.equal(answer.headers["content-type"], "text/plain; charset=UTF-8");
      assert.equal(answer.headers["cache-control"], "no-store");
    });

    test("CORS, when on, covers handshake, poll, POST and error, and varies by Origin", async () => {
      const headers = { origin };
      const first = await opened(dressed.port, headers);
      const query = `${handshakeQuery}&sid=${first.sid}`;
      const post = await ask(dressed.port, query, { method: "POST", body: "4a", headers });
      const poll = await ask(dressed.port, query, { headers });
      const error = await ask(dressed.port, `${handshakeQuery}&sid=unknown`, { headers });
      for (const answer of [first, post, poll, error]) {
        assert.equal(answer.headers["access-control-allow-origin"], origin);
        assert.equal(answer.headers["access-control-allow-credentials"], "true");
        assert.match(String(answer.headers["vary"]), /Origin/);
      }
      assert.deepEqual([error.status, poll.body], [400, "4a"]);
    });

    test("a preflight is 204 and names the methods", async () => {
      const headers = { origin, "access-control-request-method": "POST", "access-control-request-headers": "x-a" };
      const answer = await ask(dressed.port, handshakeQuery, { method: "OPTIONS", headers });
      assert.equal(answer.status, 204);
      assert.equal(answer.headers["access-control-allow-origin"], origin);
      assert.equal(answer.headers["access-control-allow-methods"], "GET,POST");
      assert.equal(answer.headers["access-control-allow-headers"], "x-a");
      assert.match(String(answer.headers["vary"]), /Origin/);
    });

    test("the cookie is set on the polling handshake, and on it alone", async () => {
      const { sid, headers } = await opened(dressed.port);
      assert.deepEqual(headers["set-cookie"], [`io=${sid}; Path=/; HttpOnly; SameSite=Lax`]);
      await ask(dressed.port, `${handshakeQuery}&sid=${sid}`, { method: "POST", body: "4a" });
      const poll = await ask(dressed.port, `${handshakeQuery}&sid=${sid}`);
      assert.equal(poll.headers["set-cookie"], undefined);
    });

    test("4 Forbidden with the application's message: 403 by polling, 400 by WebSocket, then the connection closes", async () => {
      const body = '{"code":4,"message":"no room"}';
      const answer = await ask(dressed.port, handshakeQuery, { headers: { [refuses]: "1" } });
      assert.deepEqual([answer.status, answer.body], [403, body]);
      const head = upgrade("?EIO=4&transport=websocket").replace("host: a", `host: a\r\n${refuses}: 1`);
      const said = await raw(dressed.port, head);
      assert.match(said, /^HTTP\/1\.1 400 /);
      // The reference writes the bare message as text; ours the same JSON as by polling.
      assert.ok(said.endsWith(ours ? body : "no room"), said);
    });

    for (const [what, query, code] of [
      ["an unknown sid", "?EIO=4&transport=websocket&sid=abc", 1],
      ["a sid __proto__", "?EIO=4&transport=websocket&sid=__proto__", 1],
      ["the wrong EIO", "?EIO=3&transport=websocket", 5],
      ["no EIO", "?transport=websocket", 5],
      ["no transport", "?EIO=4", 0],
    ] as const) {
      test(`a WebSocket upgrade with ${what} is 400 over plain HTTP, then the connection closes`, async () => {
        const said = await raw(plain.port, upgrade(query));
        // The reference has opened the WebSocket when it looks at EIO, and writes its HTTP behind the 101 of it.
        if (ours || code !== 5) assert.match(said, /^HTTP\/1\.1 400 /);
        if (ours) assert.match(said, new RegExp(`\\{"code":${code},"message":"[^"]+"\\}$`));
      });
    }

    test("the wrong EIO on the upgrade of a session is 400, and the session goes on", async () => {
      const { sid } = await opened(plain.port);
      const said = await raw(plain.port, upgrade(`?EIO=3&transport=websocket&sid=${sid}`));
      assert.match(said, /^HTTP\/1\.1 400 /);
      assert.equal((await ask(plain.port, `${handshakeQuery}&sid=${sid}`, { method: "POST", body: "4a" })).body, "ok");
    });

    test("a client's ping by polling ends the session", async () => {
      const { sid } = await opened(plain.port);
      const query = `${handshakeQuery}&sid=${sid}`;
      await ask(plain.port, query, { method: "POST", body: "2" }).catch(() => null);
      assert.equal((await ask(plain.port, query)).status, 400);
    });

    test("a noop by POST is nothing, and a payload of several packets keeps its order", async () => {
      const { sid } = await opened(plain.port);
      const query = `${handshakeQuery}&sid=${sid}`;
      assert.equal((await ask(plain.port, query, { method: "POST", body: "6" })).body, "ok");
      await ask(plain.port, query, { method: "POST", body: "41\x1e42\x1e43" });
      let body = "";
      while (body.length < "41\x1e42\x1e43".length) body += (await ask(plain.port, query)).body;
      assert.equal(body.replaceAll("\x1e", ""), "414243");
    });

    test("a silent session is dead at interval + timeout, not before", async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${plain.port}/engine.io/?EIO=4&transport=websocket`);
      await once(socket, "message");
      const started = performance.now();
      await once(socket, "close");
      const lasted = performance.now() - started;
      // It began a little before its first packet was here.
      assert.ok(lasted > settings.pingIntervalMs + settings.pingTimeoutMs - 100, `${lasted}`);
      assert.ok(lasted < 5_000, `${lasted}`);
    });

    test("a WebSocket that never probes is closed at the limit, and polling goes on", async () => {
      const { sid } = await opened(plain.port);
      const query = `${handshakeQuery}&sid=${sid}`;
      const socket = new WebSocket(`ws://127.0.0.1:${plain.port}/engine.io/?EIO=4&transport=websocket&sid=${sid}`);
      let alive = true;
      const closed = once(socket, "close").then(() => {
        alive = false;
      });
      // The heartbeat goes on by polling meanwhile.
      while (alive) {
        const { body, status } = await ask(plain.port, query);
        assert.equal(status, 200);
        if (body === "2") await ask(plain.port, query, { method: "POST", body: "3" });
      }
      await closed;
      assert.equal((await ask(plain.port, query, { method: "POST", body: "4still" })).body, "ok");
    });
  });
}
