/**
 * The rules of Engine.IO over real sockets, run against the reference and against ours. Where the two differ on purpose,
 * the test says so.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import { WebSocket } from "ws";
import { ask, echoing, type RunningServer, settings, startOurs, startReference } from "./servers.testing.ts";

const handshakeQuery = "?EIO=4&transport=polling";

async function open(port: number): Promise<string> {
  const { body } = await ask(port, handshakeQuery);
  return (JSON.parse(body.slice(1)) as { sid: string }).sid;
}

/** A WebSocket whose messages are kept from the start, text and binary alike. */
class Client {
  readonly socket: WebSocket;
  readonly opened: Promise<unknown>;
  readonly closed: Promise<unknown>;
  readonly #messages: string[] = [];
  #wake: (() => void) | null = null;

  constructor(port: number, query: string) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}/engine.io/${query}`);
    this.opened = once(this.socket, "open");
    this.closed = new Promise((done) => this.socket.on("close", done));
    this.opened.catch(() => {});
    this.socket.on("error", () => {});
    this.socket.on("message", (data: Buffer, isBinary) => {
      this.#messages.push(isBinary ? `hex:${data.toString("hex")}` : data.toString("utf8"));
      this.#wake?.();
    });
  }

  async next(): Promise<string> {
    while (this.#messages.length === 0) await new Promise<void>((done) => (this.#wake = done));
    return this.#messages.shift()!;
  }
}

const webSocketQuery = (sid?: string) => `?EIO=4&transport=websocket${sid === undefined ? "" : `&sid=${sid}`}`;
const sidQuery = (sid: string) => `${handshakeQuery}&sid=${sid}`;

/** Answers that must be the same, byte for byte. */
const errors: [what: string, query: string, method: string, status: number, body: string][] = [
  ["no transport", "?EIO=4", "GET", 400, '{"code":0,"message":"Transport unknown"}'],
  ["an unknown transport", "?EIO=4&transport=abc", "GET", 400, '{"code":0,"message":"Transport unknown"}'],
  ["an unknown sid", "?EIO=4&transport=polling&sid=abc", "GET", 400, '{"code":1,"message":"Session ID unknown"}'],
  [
    "a sid __proto__",
    "?EIO=4&transport=polling&sid=__proto__",
    "GET",
    400,
    '{"code":1,"message":"Session ID unknown"}',
  ],
  ["a handshake by POST", handshakeQuery, "POST", 400, '{"code":2,"message":"Bad handshake method"}'],
  ["a handshake by PUT", handshakeQuery, "PUT", 400, '{"code":2,"message":"Bad handshake method"}'],
  ["a WebSocket without upgrade", "?EIO=4&transport=websocket", "GET", 400, '{"code":3,"message":"Bad request"}'],
  ["no EIO", "?transport=polling", "GET", 400, '{"code":5,"message":"Unsupported protocol version"}'],
  ["EIO 2", "?EIO=2&transport=polling", "GET", 400, '{"code":5,"message":"Unsupported protocol version"}'],
];

for (const [name, start] of [
  ["the reference", startReference],
  ["ours", () => startOurs(echoing)],
] as const) {
  const ours = name === "ours";
  describe(name, () => {
    let server: RunningServer;
    before(async () => {
      server = await start();
    });
    after(() => server.close());

    test("handshake by polling: keys, types and caching", async () => {
      const { status, headers, body } = await ask(server.port, handshakeQuery);
      assert.equal(status, 200);
      assert.equal(headers["content-type"], "text/plain; charset=UTF-8");
      assert.equal(headers["cache-control"], "no-store");
      const sid = (JSON.parse(body.slice(1)) as { sid: string }).sid;
      const { pingIntervalMs, pingTimeoutMs, messageBytesMax } = settings;
      const rest = `"upgrades":["websocket"],"pingInterval":${pingIntervalMs},"pingTimeout":${pingTimeoutMs},"maxPayload":${messageBytesMax}`;
      assert.equal(body, `0{"sid":"${sid}",${rest}}`);
    });

    for (const [what, query, method, status, body] of errors) {
      test(`${what}: ${body}`, async () => {
        const answer = await ask(server.port, query, { method });
        assert.deepEqual(
          [answer.status, answer.headers["content-type"], answer.body],
          [status, "application/json", body],
        );
      });
    }

    test("messages by POST come back with the next poll, binary in base64", async () => {
      const sid = await open(server.port);
      const post = await ask(server.port, sidQuery(sid), { method: "POST", body: "4a\x1ebAQIDBA==\x1e4€" });
      assert.deepEqual([post.status, post.headers["content-type"], post.body], [200, "text/html", "ok"]);
      assert.equal((await ask(server.port, sidQuery(sid))).body, "4a\x1e4binary\x1ebAQIDBA==\x1e4€");
    });

    test("an overlapping poll ends the session", async () => {
      const sid = await open(server.port);
      const first = ask(server.port, sidQuery(sid));
      const second = ask(server.port, sidQuery(sid));
      assert.deepEqual((await Promise.all([first, second])).map(({ status, body }) => `${status} ${body}`).sort(), [
        "200 1",
        "400 ",
      ]);
      assert.equal((await ask(server.port, sidQuery(sid))).status, 400);
    });

    test("an aborted poll ends the session", async () => {
      const sid = await open(server.port);
      const poll = ask(server.port, sidQuery(sid));
      // The poll has arrived when an answer on a connection made later is here.
      await ask(server.port, sidQuery(sid), { method: "POST", body: "6" });
      poll.abort();
      const next = () => ask(server.port, sidQuery(sid), { method: "POST", body: "6" });
      let answer = await next();
      while (answer.status === 200) answer = await next();
      assert.equal(answer.body, '{"code":1,"message":"Session ID unknown"}');
    });

    test("a client's close by POST releases the poll with 6 and ends the session", async () => {
      const sid = await open(server.port);
      const poll = ask(server.port, sidQuery(sid));
      const post = await ask(server.port, sidQuery(sid), { method: "POST", body: "1" });
      assert.equal(post.body, "ok");
      // The two requests are on connections of their own: the POST may come first, and then the poll finds nothing.
      const { status, body } = await poll;
      assert.ok(status === 400 || body === "6", body);
      assert.equal((await ask(server.port, sidQuery(sid))).status, 400);
    });

    test("a bad packet ends the session", async () => {
      const sid = await open(server.port);
      // The reference says ok, or breaks the connection.
      const post = ask(server.port, sidQuery(sid), { method: "POST", body: "abc" });
      const status = await post.then(
        (answer) => answer.status,
        () => 0,
      );
      if (ours) assert.equal(status, 400);
      assert.equal((await ask(server.port, sidQuery(sid))).status, 400);
    });

    test("an octet-stream is 400", async () => {
      const sid = await open(server.port);
      const headers = { "content-type": "application/octet-stream" };
      assert.equal((await ask(server.port, sidQuery(sid), { method: "POST", body: "4a", headers })).status, 400);
    });

    test("an oversized POST is 413", async () => {
      const sid = await open(server.port);
      const body = `4${"x".repeat(settings.messageBytesMax)}`;
      const answer = await ask(server.port, sidQuery(sid), { method: "POST", body });
      assert.equal(answer.status, 413);
      // The reference keeps the session, although the stock client gives up: a ghost until the ping timeout.
      if (ours) assert.equal((await ask(server.port, sidQuery(sid))).status, 400);
    });

    test("the heartbeat by polling: 2 after the interval, the end after the timeout", async () => {
      const sid = await open(server.port);
      assert.equal((await ask(server.port, sidQuery(sid))).body, "2");
      await ask(server.port, sidQuery(sid), { method: "POST", body: "3" });
      assert.equal((await ask(server.port, sidQuery(sid))).body, "2");
      assert.equal((await ask(server.port, sidQuery(sid))).body, "1");
      assert.equal((await ask(server.port, sidQuery(sid))).status, 400);
    });

    test("handshake by WebSocket: no upgrades; text and binary come back as frames", async () => {
      const client = new Client(server.port, webSocketQuery());
      const first = await client.next();
      assert.match(
        first,
        /^0\{"sid":"[^"]+","upgrades":\[\],"pingInterval":300,"pingTimeout":200,"maxPayload":100000\}$/,
      );
      client.socket.send("4hello");
      client.socket.send(Buffer.of(1, 2, 3));
      assert.deepEqual(
        [await client.next(), await client.next(), await client.next()],
        ["4hello", "4binary", "hex:010203"],
      );
      client.socket.close();
      await client.closed;
    });

    test("the heartbeat by WebSocket: 2 after the interval, closed after the timeout", async () => {
      const client = new Client(server.port, webSocketQuery());
      await client.next();
      assert.equal(await client.next(), "2");
      client.socket.send("3");
      assert.equal(await client.next(), "2");
      await client.closed;
    });

    for (const [what, message] of [
      ["a ping outside the probe", "2"],
      ["an unknown packet type", "abc"],
      ["a message over the limit", `4${"x".repeat(settings.messageBytesMax)}`],
    ] as const) {
      test(`${what} closes the WebSocket`, async () => {
        const client = new Client(server.port, webSocketQuery());
        await client.next();
        client.socket.send(message);
        await client.closed;
      });
    }

    test("a client's 1 by WebSocket closes it", async () => {
      const client = new Client(server.port, webSocketQuery());
      await client.next();
      client.socket.send("1");
      await client.closed; // From the reference only when the ping times out.
    });

    test("a WebSocket with an unknown sid is refused with 400", async () => {
      const client = new Client(server.port, webSocketQuery("abc"));
      const response = once(client.socket, "unexpected-response");
      const [, { statusCode }] = (await response) as [unknown, { statusCode: number; destroy(): void }];
      assert.equal(statusCode, 400);
      client.socket.terminate();
      await client.closed;
    });

    test("the upgrade: probe, poll released with 6, traffic moved, polls 400, a second WebSocket closed", async () => {
      const sid = await open(server.port);
      const client = new Client(server.port, webSocketQuery(sid));
      await client.opened;
      const poll = ask(server.port, sidQuery(sid));
      client.socket.send("2probe");
      assert.equal(await client.next(), "3probe");
      assert.equal((await poll).body, "6");
      client.socket.send("5");
      client.socket.send("4moved");
      assert.equal(await client.next(), "4moved");
      const late = await ask(server.port, sidQuery(sid));
      assert.deepEqual([late.status, late.body], [400, '{"code":3,"message":"Bad request"}']);
      const second = new Client(server.port, webSocketQuery(sid));
      await second.closed;
      client.socket.send("4still");
      assert.ok(["4still", "2"].includes(await client.next()));
      client.socket.close();
      await client.closed;
    });

    test("a candidate that never finishes is closed, and polling goes on", async () => {
      const sid = await open(server.port);
      const client = new Client(server.port, webSocketQuery(sid));
      await client.opened;
      client.socket.send("4not a probe");
      await client.closed;
      await ask(server.port, sidQuery(sid), { method: "POST", body: "4a" });
      assert.equal((await ask(server.port, sidQuery(sid))).body, "4a");
    });
  });
}
