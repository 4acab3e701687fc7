import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { type RawAnswer, SocketClock } from "../upstream/testing.ts";
import { ask, ok, raw, rig } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

const answers: RawAnswer = (socket) => socket.write(ok);
const sticky = { cookie: "tw", key: "a key that nobody guesses" };

/** What a browser would send next. */
function cookieOf(exchange: FakeExchange): string[] {
  return ["cookie", exchange.field("set-cookie")!.split(";")[0]!];
}

describe("a sticky service", () => {
  it("keeps a client with the instance that answered it first, and sets its cookie once", async () => {
    const { proxy } = await rig([await raw(answers), await raw(answers)], { sticky });
    const first = await ask(proxy);
    assert.equal(first.instance, "i0");
    assert.match(first.field("set-cookie")!, /^tw=.*; Path=\/; HttpOnly; SameSite=Lax$/);
    for (let i = 0; i < 3; i++) {
      const next = await ask(proxy, { fields: cookieOf(first) });
      assert.equal(next.instance, "i0");
      assert.equal(next.field("set-cookie"), undefined);
    }
    assert.equal((await ask(proxy)).instance, "i1");
  });

  it("leaves the cookies that the application sets", async () => {
    const sets = "HTTP/1.1 200 OK\r\nset-cookie: sid=1\r\ncontent-length: 2\r\n\r\nok";
    const { proxy } = await rig([await raw((socket) => socket.write(sets))], { sticky });
    const { fields } = await ask(proxy);
    assert.deepEqual(
      fields.flatMap((name, i) => (name === "set-cookie" ? [fields[i + 1]!.split("=")[0]] : [])),
      ["sid", "tw"],
    );
  });

  it("an instance that drains gives its clients to another, with a new cookie", async () => {
    const { proxy, service } = await rig([await raw(answers), await raw(answers)], { sticky });
    const first = await ask(proxy);
    await new Promise<void>((drained) => service.drain("i0", drained));
    const moved = await ask(proxy, { fields: cookieOf(first) });
    assert.equal(moved.instance, "i1");
    assert.notDeepEqual(cookieOf(moved), cookieOf(first));
    service.remove("i0");
    assert.equal((await ask(proxy, { fields: cookieOf(first) })).instance, "i1");
  });

  it("an instance that dies under the request: another answers, and keeps the client", async () => {
    const { proxy } = await rig(
      [await raw((s, _h, index) => (index === 0 ? s.write(ok) : s.destroy())), await raw(answers)],
      { sticky },
    );
    const first = await ask(proxy);
    const moved = await ask(proxy, { fields: cookieOf(first) });
    assert.equal(moved.instance, "i1");
    assert.notEqual(moved.field("set-cookie"), undefined);
  });

  it("a client waits for its instance when that is full; others go on past it", async () => {
    const held: (() => void)[] = [];
    const holds: RawAnswer = (socket, head) => {
      if (head.includes("GET /slow")) held.push(() => void socket.write(ok));
      else socket.write(ok);
    };
    const servers = [await raw(holds), await raw(answers)];
    const { proxy, service } = await rig(servers, { sticky, limits: { upstreamConnectionsMax: 1 } });
    const first = await ask(proxy);
    const slow = ask(proxy, { path: "/slow", fields: cookieOf(first) });
    const waits = ask(proxy, { fields: cookieOf(first) });
    assert.equal(service.status().waiting, 1);
    assert.equal((await ask(proxy)).instance, "i1");
    while (held.length === 0) await new Promise(setImmediate);
    held[0]!();
    assert.equal((await slow).instance, "i0");
    assert.equal((await waits).instance, "i0");
  });

  it("an answer to an upgrade brings the cookie as well", async () => {
    const switches = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    const { proxy } = await rig([await raw((socket) => socket.write(switches))], { sticky });
    const exchange = new FakeExchange({ upgrade: "websocket" });
    exchange.upgraded = { stream: new PassThrough() as never, head: Buffer.alloc(0) };
    proxy.handle(exchange);
    assert.equal(await exchange.over, "upgrade");
    assert.match(exchange.field("set-cookie")!, /^tw=/);
  });
});

describe("when every instance is down", () => {
  it("clients are told what the operator wants them to be told", async () => {
    const whenDown = { status: 500, body: "<p>back at noon", type: "text/html", retryAfterSeconds: 60 };
    const { proxy } = await rig([], { whenDown });
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 500);
    assert.equal(exchange.body, "<p>back at noon");
    assert.equal(exchange.field("content-type"), "text/html");
    assert.equal(exchange.field("retry-after"), "60");
    const head = await ask(proxy, { method: "HEAD" });
    assert.deepEqual([head.body, head.bodyLength], ["", 15]);
  });

  it("unless told otherwise as text, with 503, to be asked again in two seconds", async () => {
    const { proxy } = await rig([], { whenDown: { body: "closed" } });
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 503);
    assert.equal(exchange.field("content-type"), "text/plain; charset=utf-8");
    assert.equal(exchange.field("retry-after"), "2");
  });

  it("without words of the operator's, in ours; with a status of the operator's, without any", async () => {
    const { proxy } = await rig([], { whenDown: { retryAfterSeconds: 60 } });
    const exchange = await ask(proxy);
    assert.deepEqual([exchange.status, exchange.field("retry-after")], [503, "60"]);
    assert.match(exchange.body, /no instance that can answer/);
    const { proxy: other } = await rig([], { whenDown: { status: 502, retryAfterSeconds: 0 } });
    const bare = await ask(other);
    assert.deepEqual([bare.status, bare.body, bare.field("retry-after")], [502, "", undefined]);
  });

  it("a queue that is full is not the same: the service is busy", async () => {
    const server = await raw(() => {});
    const { proxy } = await rig([server], {
      whenDown: { body: "closed" },
      limits: { upstreamConnectionsMax: 1, upstreamWaitersMax: 0 },
    });
    void ask(proxy);
    const exchange = await ask(proxy);
    assert.equal(exchange.status, 503);
    assert.match(exchange.body, /Too much is going on/);
    assert.equal(exchange.field("retry-after"), "1");
  });
});

describe("a busy service", () => {
  it("answers 503 with Retry-After to who waited too long", async () => {
    const clock = new SocketClock();
    const server = await raw(() => {});
    const { proxy } = await rig([server], { clock, requestsMax: 1, health: { everyMs: 1e9 } });
    void ask(proxy);
    while (server.heads.length === 0) await new Promise(setImmediate);
    const waits = ask(proxy, { fields: ["accept", "application/json"] });
    clock.advance(5250);
    const exchange = await waits;
    assert.equal(exchange.status, 503);
    assert.match(exchange.body, /"HTTP_BUSY"/);
    assert.equal(exchange.field("retry-after"), "1");
  });

  it("a connection that was upgraded makes room for the next request", async () => {
    const switches = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    const held: (() => void)[] = [];
    const server = await raw((socket, head) => {
      if (head.includes("upgrade: websocket")) held.push(() => void socket.write(switches));
      else socket.write(ok);
    });
    const { proxy, service } = await rig([server], { requestsMax: 1 });
    const exchange = new FakeExchange({ upgrade: "websocket" });
    exchange.upgraded = { stream: new PassThrough() as never, head: Buffer.alloc(0) };
    proxy.handle(exchange);
    const next = ask(proxy);
    assert.equal(service.status().waiting, 1);
    while (held.length === 0) await new Promise(setImmediate);
    held[0]!();
    assert.equal(await exchange.over, "upgrade");
    assert.equal((await next).status, 200);
    assert.equal(service.status().instances[0]!.active, 1);
  });
});
