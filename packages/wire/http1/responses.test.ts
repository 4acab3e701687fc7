/** Well-formed responses are told whole, and the same however their bytes are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "@tideway/base";
import { ResponseDecoder } from "./response.ts";
import { bytes, halves, type ResponseCase, responseTrail, singly, type Trail } from "./testing.ts";

function responseIs(text: string, how: ResponseCase, expected: Trail): void {
  const buffer = bytes(text);
  assert.deepEqual(responseTrail([buffer], how), expected, "whole");
  assert.deepEqual(responseTrail(singly(buffer), how), expected, "byte by byte");
  for (const pieces of halves(buffer))
    assert.deepEqual(responseTrail(pieces, how), expected, `cut at ${pieces[0]!.length}`);
}

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
