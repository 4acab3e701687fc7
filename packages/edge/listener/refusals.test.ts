/** What breaks a rule is answered by the listener alone: its status, the reason in the log, and no target ever sees it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, eventually, get, Recording, startRig, tick } from "./testing.ts";

const H = "Host: a.test\r\n";
const field = (line: string): string => `GET / HTTP/1.1\r\n${H}${line}\r\n\r\n`;
const framed = (line: string): string => `POST / HTTP/1.1\r\n${H}${line}\r\n\r\n0\r\n\r\n`;

const refused: readonly (readonly [status: number, rule: number, text: string])[] = [
  [400, 1, "GET / HTTP/1.1\nHost: a\n\n"],
  [400, 1, "GET / HTTP/1.1\r\nHost: a\n\r\n"],
  [400, 1, field("X: a\rb")],
  [400, 2, "GET / HTTP/1.1\r\n Host: a\r\n\r\n"],
  [400, 3, "GET /\r\n\r\n"],
  [400, 3, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"],
  [400, 3, "GET / HTTP/1.10\r\nHost: a\r\n\r\n"],
  [414, 3, `GET /${"a".repeat(9000)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  [501, 3, `${"A".repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`],
  [505, 3, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"],
  [505, 3, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  [400, 4, "GET / HTTP/1.1\r\n\r\n"],
  [400, 4, field("Host: a.test")],
  [400, 4, "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
  [400, 4, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"],
  [400, 5, "GET * HTTP/1.1\r\nHost: a\r\n\r\n"],
  [400, 5, "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"],
  [400, 5, "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"],
  [405, 5, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"],
  [400, 6, field("X : a")],
  [400, 6, field(": a")],
  [400, 6, field("X")],
  [400, 7, field("X: a\r\n b")],
  [400, 8, field("X: a\0b")],
  [400, 8, "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"],
  [400, 9, framed("Content-Length: 5\r\nTransfer-Encoding: chunked")],
  [400, 10, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  [400, 10, framed("Transfer-Encoding: xchunked")],
  [400, 10, framed("Transfer-Encoding: chunked, chunked")],
  [400, 10, framed("Transfer-Encoding:\tchunked")],
  [501, 10, framed("Transfer-Encoding: gzip, chunked")],
  [400, 11, framed("Content-Length: +5")],
  [400, 11, framed("Content-Length: 5, 5")],
  [400, 11, framed("Content-Length: 5\r\nContent-Length: 5")],
  [400, 16, "GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n"],
  [431, 18, field(`X: ${"a".repeat(9000)}`)],
  [431, 18, field("X: a\r\n".repeat(100).trimEnd())],
];

test("each broken rule has its status, closes, is logged with rule and section, and reaches no target", async (context) => {
  const seen: string[] = [];
  const rig = await startRig(context, (exchange) => {
    seen.push(exchange.head.path);
    answer(exchange, "");
  });
  for (const [status, rule, text] of refused) {
    for (const singly of [false, true]) {
      if (singly && text.length > 500) continue;
      const client = await rig.client();
      // Whatever stands behind the broken request must not be taken for another.
      if (singly) for (const char of text) client.say(char);
      else client.say(text + get("/smuggled"));
      const heard = await client.untilEnd();
      const what = JSON.stringify(text.slice(0, 60));
      assert.ok(heard.startsWith(`HTTP/1.1 ${status} `), `${what}: ${heard.slice(0, 40)}`);
      assert.match(heard, /\r\nconnection: close\r\n/, what);
      assert.match(heard, /\r\nx-request-id: [\w-]+\r\n/, what);
      assert.equal(heard.match(/^HTTP\/1\.1 \d/gm)?.length, 1, `${what}: one answer`);
      client.socket.destroy();
      const line = rig.log.findLast((entry) => entry.message.startsWith("request refused"))!;
      assert.equal(line.fields["rule"], rule, what);
      assert.match(String(line.fields["section"]), /^RFC \d+ §/, what);
      const record = rig.records.at(-1)!;
      assert.deepEqual([record.status, record.fault, record.method], [status, line.fields["code"], ""], what);
    }
  }
  assert.deepEqual(seen, []);
  assert.equal(rig.listener.counters.requests, 0);
});

test("a body that breaks a rule ends the exchange as malformed and is answered 400 when nothing was sent", async (context) => {
  for (const body of ["5\nhello", "0x5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloo\r\n", "0\r\nHost: b\r\n\r\n", "5;\r\n"]) {
    const handler = new Recording();
    const rig = await startRig(context, (exchange) => exchange.accept(handler));
    const client = await rig.client();
    client.say(`POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n${body}`);
    const heard = await client.untilEnd();
    assert.match(heard, /^HTTP\/1.1 400 [\s\S]*connection: close/, body);
    assert.deepEqual([handler.closed, handler.ended], ["malformed", false], body);
    assert.equal(rig.records.length, 1);
    assert.equal(rig.records[0]!.method, "POST");
  }
});

test("a body that breaks a rule after the answer began breaks the connection", async (context) => {
  const handler = new Recording();
  const rig = await startRig(context, (exchange) => {
    exchange.accept(handler);
    exchange.respond(200, [], -1);
    exchange.write(Buffer.from("begun"));
  });
  const client = await rig.client();
  client.say(`POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`);
  await client.hears("begun");
  client.say("x\r\n");
  await client.untilClosed();
  assert.equal(handler.closed, "malformed");
  assert.equal(client.error, "ECONNRESET");
});

test("a rejected request behind a good one leaves the good one's answer whole", async (context) => {
  const rig = await startRig(context, (exchange) => {
    exchange.accept(new Recording());
    setImmediate(() => answer(exchange, "good"));
  });
  const client = await rig.client();
  client.say(`${get()}GET / HTTP/9.9\r\n\r\n`);
  const heard = await client.untilEnd();
  assert.match(heard, /^HTTP\/1.1 200 OK[\s\S]*good(?=HTTP\/1.1 505)/);
});

test("a refusal is JSON, a page or text, as the client of the request accepts", async (context) => {
  const rig = await startRig(context, () => {
    throw new Error("x");
  });
  for (const [accept, type] of [
    ["application/json", "application/json"],
    ["text/html,*/*", "text/html"],
    ["*/*", "text/plain"],
  ] as const) {
    const client = await rig.client();
    client.say(get("/", `Accept: ${accept}\r\n`));
    assert.ok((await client.untilEnd()).includes(`content-type: ${type}`));
  }
});

test("a 405 of the listener names what is allowed", async (context) => {
  const rig = await startRig(context, () => {});
  const client = await rig.client();
  client.say("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.match(await client.untilEnd(), /\r\nallow: GET, HEAD, /);
});

test("bytes behind a refusal are thrown away for a while, then the connection goes", async (context) => {
  const rig = await startRig(context, () => {});
  const client = await rig.client({ allowHalfOpen: true });
  client.say("GET / HTTP/9.9\r\n\r\n");
  await client.untilEnd();
  client.say("more and more");
  for (let i = 0; i < 10; i++) await tick();
  assert.equal(rig.listener.counters.connections, 1, "lingers");
  rig.clock.advance(6_000);
  await eventually(() => rig.listener.counters.connections === 0);
});
