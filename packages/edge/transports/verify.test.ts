import assert from "node:assert/strict";
import { test } from "node:test";
import type { TransportsOptions } from "./index.ts";
import { type FakeRequest, Stage } from "./testing.ts";

const error = (code: number, message: string) => JSON.stringify({ code, message });
const polling = "?EIO=4&transport=polling";
const webSocketFields = ["sec-websocket-version", "13", "sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="];

/** The table of Engine.IO's errors; SID stands for an open polling session. */
const refused: [what: string, request: FakeRequest, status: number, body: string][] = [
  ["an unknown transport", { query: "?EIO=4&transport=abc" }, 400, error(0, "Transport unknown")],
  ["no transport", { query: "?EIO=4" }, 400, error(0, "Transport unknown")],
  ["a transport named like a property", { query: "?EIO=4&transport=__proto__" }, 400, error(0, "Transport unknown")],
  ["an unknown sid", { query: `${polling}&sid=abc` }, 400, error(1, "Session ID unknown")],
  ["a sid named __proto__", { query: `${polling}&sid=__proto__` }, 400, error(1, "Session ID unknown")],
  ["a handshake by POST", { method: "POST", query: polling }, 400, error(2, "Bad handshake method")],
  ["a handshake by OPTIONS without CORS", { method: "OPTIONS", query: polling }, 400, error(2, "Bad handshake method")],
  ["a WebSocket without an upgrade", { query: "?EIO=4&transport=websocket" }, 400, error(3, "Bad request")],
  ["polling with an upgrade", { query: polling, upgrade: "websocket" }, 400, error(3, "Bad request")],
  ["no EIO", { query: "?transport=polling" }, 400, error(5, "Unsupported protocol version")],
  ["EIO 3", { query: "?EIO=3&transport=polling" }, 400, error(5, "Unsupported protocol version")],
  ["EIO abc", { query: "?EIO=abc&transport=polling" }, 400, error(5, "Unsupported protocol version")],
  ["EIO 04", { query: "?EIO=04&transport=polling" }, 400, error(5, "Unsupported protocol version")],
  ["DELETE on a session", { method: "DELETE", query: `${polling}&sid=SID` }, 400, error(3, "Bad request")],
  ["EIO 3 on a session", { query: "?EIO=3&transport=polling&sid=SID" }, 400, error(3, "Bad request")],
  ["no EIO on a session", { query: "?transport=polling&sid=SID" }, 400, error(3, "Bad request")],
  ["another transport on a session", { query: "?EIO=4&transport=websocket&sid=SID" }, 400, error(3, "Bad request")],
  [
    "a wrong EIO on the upgrade",
    { query: "?EIO=3&transport=websocket&sid=SID", upgrade: "websocket", fields: webSocketFields },
    400,
    error(3, "Bad request"),
  ],
  [
    "an upgrade of an unknown session",
    { query: "?EIO=4&transport=websocket&sid=x", upgrade: "websocket", fields: webSocketFields },
    400,
    error(1, "Session ID unknown"),
  ],
  [
    "a WebSocket without a key",
    { query: "?EIO=4&transport=websocket", upgrade: "websocket", fields: ["sec-websocket-version", "13"] },
    400,
    error(3, "Bad request"),
  ],
  [
    "a WebSocket of version 8",
    { query: "?EIO=4&transport=websocket", upgrade: "websocket", fields: ["sec-websocket-version", "8"] },
    426,
    error(3, "Bad request"),
  ],
];

for (const [what, request, status, body] of refused) {
  test(`${what} is refused with ${body}`, () => {
    const stage = new Stage();
    const { sid } = stage.openPolling();
    const query = request.query?.replace("SID", sid) ?? "";
    const exchange = stage.request({ ...request, query });
    assert.deepEqual([exchange.status, exchange.body], [status, body]);
    assert.equal(exchange.field("content-type"), "application/json");
    assert.equal(stage.poll(sid).done, false, "the session that was named lives on");
    assert.equal(stage.transports.clientsCount, 1);
  });
}

test("a path that is not the transports' is 404", () => {
  const stage = new Stage({ path: "/live/" });
  assert.equal(stage.request({ path: "/socket.io/" }).status, 404);
  assert.equal(stage.request({ path: "/live/x" }).status, 404);
  assert.equal(stage.request({ path: "/livex" }).status, 404);
  assert.equal(stage.request({ path: "/live/" }).status, 200);
  assert.equal(stage.request({ path: "/live" }).status, 200);
});

/** Origin on a handshake by polling to www.abc.test, and whether it may. */
const origins: [options: Partial<TransportsOptions>, origin: string | null, allowed: boolean][] = [
  [{}, null, true],
  [{}, "http://www.abc.test", true],
  [{}, "https://www.abc.test", true],
  [{}, "http://www.abc.test:80", true],
  [{}, "http://www.abc.test:8080", false],
  [{}, "http://abc.test", false],
  [{}, "http://www.abc.test.evil.test", false],
  [{}, "null", false],
  [{}, "", false],
  [{ origins: "any" }, "http://evil.test", true],
  [{ origins: ["http://a.test"] }, "http://a.test", true],
  [{ origins: ["http://a.test"] }, "http://b.test", false],
  [{ cors: { origin: "http://a.test" } }, "http://a.test", true],
  [{ cors: { origin: "http://a.test" } }, "http://b.test", false],
  [{ cors: { origin: [/\.a\.test$/] } }, "http://x.a.test", true],
  [{ cors: {} }, "http://b.test", true],
];

for (const [options, origin, allowed] of origins) {
  const rules = JSON.stringify({ ...options, cors: options.cors && { origin: String(options.cors.origin) } });
  test(`with ${rules} origin ${origin} is ${allowed ? "allowed" : "refused"}, for polls and WebSockets`, () => {
    const stage = new Stage(options);
    const fields = origin === null ? [] : ["origin", origin];
    const poll = stage.request({ fields });
    assert.equal(poll.status, allowed ? 200 : 403);
    if (!allowed) assert.equal(poll.body, error(4, "Origin not allowed"));
    assert.equal(stage.webSocket(null, fields).status, allowed ? 101 : 400);
  });
}

test("the handshake tells the hub who came and how", () => {
  const stage = new Stage({ origins: "any" });
  stage.request({
    query: "?EIO=4&transport=polling&t=abc&token=a%20b&token=c&__proto__=x",
    fields: ["origin", "http://other.test", "cookie", "a=1", "cookie", "b=2", "x-a", "1", "x-a", "2", "__proto__", "y"],
  });
  const { handshake } = stage.connections[0]!;
  assert.equal(handshake.query["token"], "c");
  assert.equal(handshake.headers["cookie"], "a=1; b=2");
  assert.equal(handshake.headers["x-a"], "1, 2");
  assert.deepEqual(Object.entries(handshake.headers).at(-1), ["__proto__", "y"]);
  assert.deepEqual(Object.entries(handshake.query).at(-1), ["__proto__", "x"]);
  assert.equal(handshake.url, "/socket.io/?EIO=4&transport=polling&t=abc&token=a%20b&token=c&__proto__=x");
  assert.deepEqual([handshake.address, handshake.secure, handshake.xdomain], ["192.0.2.1", false, true]);
  assert.equal(handshake.issued, stage.clock.wall());
  // As it goes over a link: exactly this.
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(handshake))).sort(), [
    "address",
    "headers",
    "issued",
    "query",
    "secure",
    "url",
    "xdomain",
  ]);
  assert.deepEqual(JSON.parse(JSON.stringify(handshake)).headers, { ...handshake.headers });
  assert.deepEqual(JSON.parse(JSON.stringify(handshake)).query, { ...handshake.query });
});

test("the cookie is off, or as the options say, on the polling handshake only", () => {
  const plain = new Stage({ cookie: true, generateId: () => "abc" });
  assert.equal(plain.request().field("set-cookie"), "io=abc; Path=/; HttpOnly; SameSite=Lax");
  assert.equal(plain.poll("abc").field("set-cookie"), undefined);
  const full = new Stage({
    cookie: { name: "s", path: "/x", domain: "a.test", maxAge: 60, secure: true, sameSite: "none", httpOnly: false },
    generateId: () => "a/b",
  });
  assert.equal(
    full.request().field("set-cookie"),
    "s=a%2Fb; Max-Age=60; Domain=a.test; Path=/x; Secure; SameSite=None",
  );
});

test("CORS covers handshakes, polls, errors and preflights, and varies by Origin", () => {
  const stage = new Stage({ cors: { origin: ["http://a.test"], credentials: true, methods: ["GET", "POST"] } });
  const fields = ["origin", "http://a.test"];
  const opened = stage.request({ fields });
  assert.equal(opened.field("access-control-allow-origin"), "http://a.test");
  assert.equal(opened.field("access-control-allow-credentials"), "true");
  assert.equal(opened.field("vary"), "Origin");
  const { sid } = JSON.parse(opened.body.slice(1)) as { sid: string };
  const query = `?EIO=4&transport=polling&sid=${sid}`;
  const post = stage.request({ method: "POST", query, fields, bodyLength: 2 });
  post.handler.onBody(Buffer.from("4a"));
  post.handler.onBodyEnd([]);
  assert.equal(post.field("access-control-allow-origin"), "http://a.test");
  const unknown = stage.request({ query: "?EIO=4&transport=x", fields });
  assert.equal(unknown.field("access-control-allow-origin"), "http://a.test");
  const preflight = stage.request({
    method: "OPTIONS",
    query,
    fields: [...fields, "access-control-request-headers", "x-a"],
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.field("access-control-allow-methods"), "GET,POST");
  assert.equal(preflight.field("access-control-allow-headers"), "x-a");
  const other = stage.request({ method: "OPTIONS", query, fields: ["origin", "http://b.test"] });
  assert.equal(other.field("access-control-allow-origin"), undefined);
  assert.equal(other.field("vary"), "Origin");
});

test("CORS by a function: the request waits for its word, which counts once", () => {
  const asked: [origin: string | undefined, decide: (error: Error | null, allowed?: boolean) => void][] = [];
  const stage = new Stage({ cors: { origin: (origin, decide) => asked.push([origin, decide]) } });
  const exchange = stage.request({ fields: ["origin", "http://a.test"] });
  assert.equal(exchange.paused, true);
  assert.equal(exchange.done, false);
  const [origin, decide] = asked[0]!;
  assert.equal(origin, "http://a.test");
  decide(null, true);
  decide(null, false);
  assert.equal(exchange.status, 200);
  assert.equal(exchange.paused, false);
  assert.equal(exchange.field("access-control-allow-origin"), "http://a.test");
  const refused = stage.request({ fields: ["origin", "http://a.test"] });
  asked[1]![1](new Error("no"));
  assert.equal(refused.status, 403);
  stage.transports.close();
  assert.equal(stage.clock.pendingCount, 0);
});

test("allowRequest decides on handshakes only, and its message is told", () => {
  const stage = new Stage({
    allowRequest: (request, decide) => {
      assert.deepEqual([request.method, request.sid, request.requestId], ["GET", null, "req-1"]);
      const good = request.query["token"] === "good";
      decide(good ? null : "thou shall not pass", good);
    },
  });
  const no = stage.request();
  assert.deepEqual([no.status, no.body], [403, error(4, "thou shall not pass")]);
  const yes = stage.request({ query: `${polling}&token=good` });
  assert.equal(yes.status, 200);
  const { sid } = JSON.parse(yes.body.slice(1)) as { sid: string };
  assert.equal(stage.poll(sid).done, false);
  assert.equal(stage.webSocket(null).status, 400);
});

test("a decision that never comes is a no after ten seconds; one that comes after the client went is dropped", () => {
  const asked: (() => void)[] = [];
  const stage = new Stage({ allowRequest: (_request, decide) => asked.push(() => decide(null, true)) });
  const late = stage.request();
  stage.clock.advance(9_999);
  assert.equal(late.done, false);
  stage.clock.advance(1);
  assert.equal(late.status, 403);
  const gone = stage.request();
  gone.vanish();
  asked[1]!();
  assert.equal(stage.transports.clientsCount, 0);
  assert.equal(stage.clock.pendingCount, 0);
});

test("an application that throws while it decides has refused", () => {
  const fail = () => {
    throw new Error("bug");
  };
  assert.equal(new Stage({ allowRequest: fail }).request().status, 403);
  assert.equal(new Stage({ cors: { origin: fail } }).request({ fields: ["origin", "http://a.test"] }).status, 403);
});

test("ids may be the application's, now or later; one that is taken or empty is refused", async () => {
  const stage = new Stage({ generateId: () => Promise.resolve("same") });
  const first = stage.request();
  await Promise.resolve().then(() => {});
  assert.match(first.body, /^0\{"sid":"same"/);
  const second = stage.request();
  await Promise.resolve().then(() => {});
  assert.deepEqual([second.status, second.body], [400, error(3, "Bad request")]);
  assert.equal(new Stage({ generateId: () => "" }).request().status, 400);
});

test("hooks add fields, to the first answer and to all; a line break cannot be smuggled in", () => {
  const stage = new Stage({
    initialHeaders: (headers) => {
      headers["Set-Cookie"] = ["a=1", "b=2"];
    },
    headers: (headers, request) => {
      headers["x-sid"] = `${request.sid}\r\nevil: 1`;
    },
    generateId: () => "abc",
  });
  const opened = stage.request();
  assert.deepEqual(opened.fields.slice(-6), ["set-cookie", "a=1", "set-cookie", "b=2", "x-sid", "nullevil: 1"]);
  const post = stage.post("abc", "4a");
  assert.equal(post.field("set-cookie"), undefined);
  assert.equal(post.field("x-sid"), "abcevil: 1");
  const head = stage.webSocket("abc").stream.received[0]!;
  assert.match(head, /\r\nx-sid: abcevil: 1\r\n/);
});
