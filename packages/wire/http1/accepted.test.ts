/** What is well formed is told whole, and the same however its bytes are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "@tideway/base";
import { RequestDecoder } from "./request.ts";
import { ResponseDecoder } from "./response.ts";
import { normalisePath, parseAuthority } from "./target.ts";
import { bytes, halves, type ResponseCase, requestTrail, responseTrail, singly, type Trail } from "./trail.ts";

const H = "Host: a.test\r\n";
const F = '["host","a.test"]';

function requestIs(text: string, expected: Trail): void {
  const buffer = bytes(text);
  assert.deepEqual(requestTrail([buffer]), expected, "whole");
  assert.deepEqual(requestTrail(singly(buffer)), expected, "byte by byte");
  for (const pieces of halves(buffer)) assert.deepEqual(requestTrail(pieces), expected, `cut at ${pieces[0]!.length}`);
}

function responseIs(text: string, how: ResponseCase, expected: Trail): void {
  const buffer = bytes(text);
  assert.deepEqual(responseTrail([buffer], how), expected, "whole");
  assert.deepEqual(responseTrail(singly(buffer), how), expected, "byte by byte");
  for (const pieces of halves(buffer))
    assert.deepEqual(responseTrail(pieces, how), expected, `cut at ${pieces[0]!.length}`);
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

const responses: readonly (readonly [rule: string, text: string, how: ResponseCase, ...expected: Trail])[] = [
  [
    "a length",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    {},
    'head 200 11 5 5 ["content-length","5"]',
    "body hello",
    "end []",
  ],
  [
    "chunks and trailers",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: 1\r\n\r\n",
    {},
    'head 200 11 -1 -1 ["transfer-encoding","chunked"]',
    "body ab",
    'end ["x","1"]',
  ],
  ["until close", "HTTP/1.1 200 OK\r\n\r\nabc", { eof: true }, "head 200 11 -1 -1 [] last", "body abc", "end []"],
  ["until close, and nothing came", "HTTP/1.0 200 OK\r\n\r\n", { eof: true }, "head 200 10 -1 -1 [] last", "end []"],
  [
    "HEAD has no body whatever the length says",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    { method: "HEAD" },
    'head 200 11 0 5 ["content-length","5"]',
    "end []",
  ],
  ["204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", {}, "head 204 11 0 -1 []", "end []"],
  [
    "304 has no body whatever the length says",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
    {},
    'head 304 11 0 99 ["content-length","99"]',
    "end []",
  ],
  [
    "a 204 that announces chunks is the last on its connection",
    "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n",
    {},
    'head 204 11 0 -1 ["transfer-encoding","chunked"] last',
    "end []",
  ],
  [
    "no reason, with and without its space",
    "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    {},
    'head 200 11 0 0 ["content-length","0"]',
    "end []",
  ],
  [
    "interim responses come before the final one",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    {},
    "interim 100 []",
    'interim 103 ["link","<x>"]',
    'head 200 11 0 0 ["content-length","0"]',
    "end []",
  ],
  [
    "close ends the connection",
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
    {},
    'head 200 11 0 0 ["connection","close","content-length","0"] last',
    "end []",
  ],
  [
    "HTTP/1.0 goes on only when it says so",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    {},
    'head 200 10 1 1 ["connection","keep-alive","content-length","1"]',
    "body a",
    "end []",
  ],
  [
    "bytes behind the end are left",
    "HTTP/1.1 204 X\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    {},
    "head 204 11 0 -1 []",
    "end []",
    "left 19",
  ],
  [
    "a 101 that was asked for leaves the bytes behind it",
    "HTTP/1.1 101 X\r\nUpgrade: x\r\n\r\n\x81\x00",
    { upgradeAsked: true },
    'head 101 11 0 -1 ["upgrade","x"] last upgraded',
    "left 2",
  ],
  [
    "a body cut short is a fault",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel",
    { eof: true },
    'head 200 11 5 5 ["content-length","5"]',
    "body hel",
    "fault 502 TRUNCATED",
  ],
  [
    "chunks cut before the last one are a fault",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
    { eof: true },
    'head 200 11 -1 -1 ["transfer-encoding","chunked"]',
    "body a",
    "fault 502 TRUNCATED",
  ],
  ["a head cut short is a fault", "HTTP/1.1 200 OK\r\nX: 1", { eof: true }, "fault 502 TRUNCATED"],
];

for (const [rule, text, how, ...expected] of responses)
  test(`response: ${rule}`, () => responseIs(text, how, expected));

test("nothing is consumed when no response was begun", () => {
  const decoder = new ResponseDecoder(limits, { onInterim() {}, onHead() {}, onBody() {}, onEnd() {}, onFault() {} });
  assert.equal(decoder.decode(bytes("HTTP/1.1 200 OK\r\n\r\n"), 0), 0);
  decoder.eof();
  assert.equal(decoder.phase, "idle");
});

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

for (const [path, normal] of [
  ["/", "/"],
  ["/a/b", "/a/b"],
  ["/a//b", "/a//b"],
  ["/.", "/"],
  ["/..", "/"],
  ["/../../x", "/x"],
  ["/a/..", "/"],
  ["/a/../", "/"],
  ["/a/b/..", "/a/"],
  ["/a/./b", "/a/b"],
  ["/a/.", "/a/"],
  ["/a/...", "/a/..."],
  ["/.a/..b/c.", "/.a/..b/c."],
  ["/a//../b", "/a/b"],
  ["/%2e%2E/x", "/x"],
  ["/a/%2e/b", "/a/b"],
  ["/a/.%2e/b", "/b"],
  ["/a%2fb", "/a%2Fb"],
  ["/..%2f..%2fetc", "/..%2F..%2Fetc"],
  ["/%61dmin", "/admin"],
  ["/%7euser", "/~user"],
  ["/%c3%a9", "/%C3%A9"],
  ["/a%5cb", "/a%5Cb"],
  ["/%2525", "/%2525"],
  ["/%20", "/%20"],
  ["/%252e%252e/x", "/%252e%252e/x"],
  ["/%00", null],
  ["/%0a", null],
  ["/%", null],
  ["/%g0", null],
] as const) {
  test(`the path ${path} is ${normal === null ? "refused" : `matched and forwarded as ${normal}`}`, () => {
    assert.equal(normalisePath(path), normal);
    if (normal !== null) assert.equal(normalisePath(normal), normal, "a normal form is its own normal form");
  });
}

for (const [text, host, authority] of [
  ["A.Test", "a.test", "a.test"],
  ["a.test:8080", "a.test", "a.test:8080"],
  ["a.test:", "a.test", "a.test"],
  ["a.test.", "a.test", "a.test."],
  ["127.0.0.1:80", "127.0.0.1", "127.0.0.1:80"],
  ["[::1]", "[::1]", "[::1]"],
  ["[2001:DB8::1]:443", "[2001:db8::1]", "[2001:db8::1]:443"],
  ["[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"],
  ["my_container-1:3000", "my_container-1", "my_container-1:3000"],
  ["xn--bcher-kva.test", "xn--bcher-kva.test", "xn--bcher-kva.test"],
] as const) {
  test(`the authority ${text} names ${host}`, () => assert.deepEqual(parseAuthority(text), { host, authority }));
}
