/** What is well formed is told whole, and the same however its bytes are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "@tideway/base";
import { RequestDecoder } from "./request.ts";
import { bytes, halves, requestTrail, singly, type Trail } from "./testing.ts";

const H = "Host: a.test\r\n";
const F = '["host","a.test"]';

function requestIs(text: string, expected: Trail): void {
  const buffer = bytes(text);
  assert.deepEqual(requestTrail([buffer]), expected, "whole");
  assert.deepEqual(requestTrail(singly(buffer)), expected, "byte by byte");
  for (const pieces of halves(buffer)) assert.deepEqual(requestTrail(pieces), expected, `cut at ${pieces[0]!.length}`);
}

const requests: readonly (readonly [rule: string, text: string, ...expected: Trail])[] = [
  ["a plain GET", `GET / HTTP/1.1\r\n${H}\r\n`, `head GET / a.test a.test 11 0 ${F}`, "end []"],
  [
    "no white space behind a colon",
    "GET / HTTP/1.1\r\nHost:a.test\r\n\r\n",
    `head GET / a.test a.test 11 0 ${F}`,
    "end []",
  ],
  [
    "white space around a value is not part of it",
    "GET / HTTP/1.1\r\nHost: \t a.test \t\r\nX:\t\r\n\r\n",
    'head GET / a.test a.test 11 0 ["host","a.test","x",""]',
    "end []",
  ],
  [
    "names become lower case, values and methods stay",
    `Get /A HTTP/1.1\r\nHOST: A.Test:80\r\nX-ABC: Q\r\n\r\n`,
    'head Get /A a.test a.test:80 11 0 ["host","A.Test:80","x-abc","Q"]',
    "end []",
  ],
  [
    "empty lines before a request are skipped",
    `\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`,
    `head GET / a.test a.test 11 0 ${F}`,
    "end []",
  ],
  [
    "a higher minor version is treated as 1.1",
    `GET / HTTP/1.7\r\n${H}\r\n`,
    `head GET / a.test a.test 11 0 ${F}`,
    "end []",
  ],
  ["HTTP/1.0 needs no Host and ends the connection", "GET / HTTP/1.0\r\n\r\n", "head GET /   10 0 [] last", "end []"],
  [
    "HTTP/1.0 may ask to go on",
    `GET / HTTP/1.0\r\n${H}Connection: Keep-Alive\r\n\r\n`,
    'head GET / a.test a.test 10 0 ["host","a.test","connection","Keep-Alive"]',
    "end []",
  ],
  [
    "close among Connection's options ends the connection",
    `GET / HTTP/1.1\r\n${H}Connection: x, Close\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","connection","x, Close"] last',
    "end []",
  ],
  [
    "a query is kept as sent",
    `GET /a?b=%zz&c=\\|{}?/../ HTTP/1.1\r\n${H}\r\n`,
    `head GET /a?b=%zz&c=\\|{}?/../ a.test a.test 11 0 ${F}`,
    "end []",
  ],
  [
    "dot segments are resolved before the query",
    `GET /a/./b/../c?x=/../ HTTP/1.1\r\n${H}\r\n`,
    `head GET /a/c?x=/../ a.test a.test 11 0 ${F}`,
    "end []",
  ],
  ["OPTIONS may ask for *", `OPTIONS * HTTP/1.1\r\n${H}\r\n`, `head OPTIONS * a.test a.test 11 0 ${F}`, "end []"],
  [
    "an absolute target overrides Host",
    `GET http://B.test:81/x/../y?q HTTP/1.1\r\n${H}\r\n`,
    `head GET /y?q b.test b.test:81 11 0 ${F}`,
    "end []",
  ],
  [
    "an absolute target without path is /",
    `GET http://b.test?q HTTP/1.1\r\n${H}\r\n`,
    `head GET /?q b.test b.test 11 0 ${F}`,
    "end []",
  ],
  [
    "OPTIONS of an absolute target without path is *",
    `OPTIONS http://b.test HTTP/1.1\r\n${H}\r\n`,
    `head OPTIONS * b.test b.test 11 0 ${F}`,
    "end []",
  ],
  [
    "a length frames a body, on GET too",
    `GET / HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello`,
    'head GET / a.test a.test 11 5 ["host","a.test","content-length","5"]',
    "body hello",
    "end []",
  ],
  [
    "a length of 0 is no body",
    `POST / HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n`,
    'head POST / a.test a.test 11 0 ["host","a.test","content-length","0"]',
    "end []",
  ],
  ["POST without framing has no body", `POST / HTTP/1.1\r\n${H}\r\n`, `head POST / a.test a.test 11 0 ${F}`, "end []"],
  [
    "chunks make one body",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA;x=y;z="a;\\"b"\r\n0123456789\r\n00\r\n\r\n`,
    'head POST / a.test a.test 11 -1 ["host","a.test","transfer-encoding","Chunked"]',
    "body hello0123456789",
    "end []",
  ],
  [
    "an empty chunked body",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'head POST / a.test a.test 11 -1 ["host","a.test","transfer-encoding","chunked"]',
    "end []",
  ],
  [
    "trailers come apart from the fields",
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n`,
    'head POST / a.test a.test 11 -1 ["host","a.test","transfer-encoding","chunked"]',
    "body a",
    'end ["x-sum","1","y","2"]',
  ],
  [
    "100-continue is noticed when a body follows",
    `POST / HTTP/1.1\r\n${H}Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx`,
    'head POST / a.test a.test 11 1 ["host","a.test","expect","100-Continue","content-length","1"] expects',
    "body x",
    "end []",
  ],
  [
    "100-continue without a body means nothing",
    `GET / HTTP/1.1\r\n${H}Expect: 100-continue\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","expect","100-continue"]',
    "end []",
  ],
  [
    "an upgrade that Connection names",
    `GET / HTTP/1.1\r\n${H}Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","upgrade","WebSocket","connection","keep-alive, Upgrade"] upgrade=websocket',
    "end []",
  ],
  [
    "an upgrade that Connection does not name is none",
    `GET / HTTP/1.1\r\n${H}Upgrade: websocket\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","upgrade","websocket"]',
    "end []",
  ],
  [
    "a choice of upgrades is none",
    `GET / HTTP/1.1\r\n${H}Upgrade: h2c, websocket\r\nConnection: upgrade\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","upgrade","h2c, websocket","connection","upgrade"]',
    "end []",
  ],
  [
    "pipelined requests in order",
    `GET /1 HTTP/1.1\r\n${H}\r\nPOST /2 HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\n${H}\r\n`,
    `head GET /1 a.test a.test 11 0 ${F}`,
    "end []",
    'head POST /2 a.test a.test 11 2 ["host","a.test","content-length","2"]',
    "body ab",
    "end []",
    `head GET /3 a.test a.test 11 0 ${F}`,
    "end []",
  ],
  ["a request cut in its head stays open", `GET / HTTP/1.1\r\n${H}`, "open head"],
  [
    "a request cut in its body stays open",
    `POST / HTTP/1.1\r\n${H}Content-Length: 9\r\n\r\nabc`,
    'head POST / a.test a.test 11 9 ["host","a.test","content-length","9"]',
    "body abc",
    "open body",
  ],
  [
    "bytes above ASCII pass in values",
    `GET / HTTP/1.1\r\n${H}X: \xe9\xff\r\n\r\n`,
    'head GET / a.test a.test 11 0 ["host","a.test","x","\xe9\xff"]',
    "end []",
  ],
  [
    "an unknown method and an unknown name",
    `BREW /pot HTTP/1.1\r\n${H}X!#$%&'*+.^\`|~9: 1\r\n\r\n`,
    `head BREW /pot a.test a.test 11 0 ["host","a.test","x!#$%&'*+.^\`|~9","1"]`,
    "end []",
  ],
];

for (const [rule, text, ...expected] of requests) test(`request: ${rule}`, () => requestIs(text, expected));

test("body bytes are views into what was fed, never copies", () => {
  const chunk = bytes(`POST / HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello`);
  let view: Buffer | undefined;
  new RequestDecoder(limits, { onHead() {}, onBody: (piece) => (view = piece), onEnd() {}, onFault() {} }).decode(
    chunk,
    0,
  );
  assert.equal(view!.buffer, chunk.buffer);
  assert.equal(view!.byteOffset, chunk.byteOffset + chunk.length - 5);
});

test("decode stops at a request's end, and where it was halted, and goes on from there", () => {
  const text = `POST / HTTP/1.1\r\n${H}Content-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n${H}\r\n`;
  const chunk = bytes(text);
  const told: string[] = [];
  const stops = new Set(["head", "body ab"]);
  const tell = (what: string): void => {
    told.push(what);
    if (stops.has(what)) decoder.halt();
  };
  const decoder: RequestDecoder = new RequestDecoder(limits, {
    onHead() {
      tell("head");
      assert.equal(decoder.position, text.indexOf("ab"));
    },
    onBody: (piece) => tell(`body ${piece.toString()}`),
    onEnd: () => tell("end"),
    onFault: (fault) => tell(fault.code),
  });
  let at = decoder.decode(chunk, 0);
  assert.deepEqual([told, at, decoder.phase], [["head"], text.indexOf("ab"), "body"]);
  at = decoder.decode(chunk, at);
  assert.deepEqual([told.at(-1), at, decoder.phase], ["body ab", text.indexOf("GET"), "body"]);
  at = decoder.decode(chunk, at);
  assert.deepEqual([told.at(-1), at, decoder.phase], ["end", text.indexOf("GET"), "idle"], "the next request waits");
});

test("a halted request without a body goes on without new bytes", () => {
  let ended = 0;
  const decoder: RequestDecoder = new RequestDecoder(limits, {
    onHead: () => decoder.halt(),
    onBody() {},
    onEnd: () => ended++,
    onFault() {},
  });
  const chunk = bytes(`GET / HTTP/1.1\r\n${H}\r\n`);
  assert.equal(decoder.decode(chunk, 0), chunk.length);
  assert.equal(ended, 0);
  decoder.decode(Buffer.alloc(0), 0);
  assert.equal(ended, 1);
});

test("heads of every size up to the limits pass, also when they come byte by byte", () => {
  const field = `X: ${"a".repeat(8192 - 3)}\r\n`;
  const buffer = bytes(`GET /${"b".repeat(8191)} HTTP/1.1\r\n${H}${field}${`Y: ${"c".repeat(8100)}\r\n`}\r\n`);
  const whole = requestTrail([buffer]);
  assert.equal(whole.length, 2);
  assert.deepEqual(requestTrail(singly(buffer)), whole);
});
