/** Broken responses: every fault is a 502, whatever a request's would be. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpFaultCode } from "./faults.ts";
import { bytes, halves, responseTrail, show, singly } from "./testing.ts";

const responses: Partial<Record<HttpFaultCode, readonly string[]>> = {
  STATUS_LINE: [
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1 099 X\r\n\r\n",
    "HTTP/1.1 600 X\r\n\r\n",
    "HTTP/1.1 abc X\r\n\r\n",
    "HTTP/1.1\t200 OK\r\n\r\n",
    "HTTP/1.1 200x\r\n\r\n",
    "HTTP/1.1\r\n\r\n",
  ],
  VERSION: [
    "http/1.1 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "HTTP/1 200 OK\r\n\r\n",
    "HTTP/1.x 200 OK\r\n\r\n",
    "<html>",
    "GET / HTTP/1.1\r\n\r\n",
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
  ],
  VERSION_MAJOR: ["HTTP/2.0 200 OK\r\n\r\n"],
  BARE_LF: ["HTTP/1.1 200 OK\n\n", "HTTP/1.1 200 OK\r\nX: a\n\r\n", "HTTP/1.1 200\n\r\n"],
  BARE_CR: ["HTTP/1.1 200 OK\rX: a\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n"],
  CONTROL_CHARACTER: ["HTTP/1.1 200 O\0K\r\n\r\n".replace("\0", "\x01"), "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n"],
  OBS_FOLD: ["HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n"],
  SPACE_BEFORE_COLON: ["HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello"],
  LENGTH_WITH_ENCODING: ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ENCODING_IN_HTTP_1_0: ["HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ENCODING_INVALID: [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
  ],
  ENCODING_UNKNOWN: [
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
  ],
  LENGTH_INVALID: [
    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
  ],
  CHUNK_SIZE: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"],
  CHUNK_END: ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"],
  UPGRADE_UNASKED: ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"],
  INTERIM_FLOOD: ["HTTP/1.1 103 Early Hints\r\n\r\n".repeat(33)],
  FIELDS_TOO_MANY: [`HTTP/1.1 200 OK\r\n${"X: a\r\n".repeat(101)}\r\n`],
  FIELD_TOO_LARGE: [`HTTP/1.1 200 ${"a".repeat(9000)}\r\n\r\n`, `HTTP/1.1 200 OK\r\nX: ${"a".repeat(9000)}\r\n\r\n`],
};

for (const [code, spellings] of Object.entries(responses)) {
  test(`${code} from an upstream is a 502, for each of ${spellings.length} spellings, however cut`, () => {
    for (const text of spellings) {
      const buffer = bytes(text);
      const expected = responseTrail([buffer]);
      assert.equal(expected.at(-1), `fault 502 ${code}`, show(text));
      assert.deepEqual(responseTrail(singly(buffer)), expected, `${show(text)} byte by byte`);
      if (buffer.length > 1000) continue;
      for (const pieces of halves(buffer))
        assert.deepEqual(responseTrail(pieces), expected, `${show(text)} cut at ${pieces[0]!.length}`);
    }
  });
}
