/** The rules of README.md for request heads, in many spellings: each is refused with its code, however its bytes are cut. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "@tideway/base";
import type { HttpFaultCode } from "./faults.ts";
import { bytes, halves, requestTrail, show, singly } from "./testing.ts";

const H = "Host: a.test\r\n";
const get = (fields: string): string => `GET / HTTP/1.1\r\n${H}${fields}\r\n`;
const line = (text: string): string => `${text}\r\n${H}\r\n`;
const host = (value: string): string => `GET / HTTP/1.1\r\nHost:${value}\r\n\r\n`;
const post = (fields: string, body = "hello"): string => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;
const encoding = (value: string): string => post(`Transfer-Encoding:${value}\r\n`, "0\r\n\r\n");
const length = (value: string): string => post(`Content-Length:${value}\r\n`);

/** Heads that are refused before anything is told. */
const heads: Partial<Record<HttpFaultCode, readonly string[]>> = {
  BARE_LF: [
    ...[
      "GET / HTTP/1.1\nHost: a.test\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a.test\n\r\n",
      "GET / HTTP/1.1\r\nHost: a.test\r\n\n",
    ],
    ...[
      "GET / HTTP/1.1\nHost: a.test\n\n",
      "GET /\n",
      "GET\n",
      "\n",
      "GET / HTTP/1.1\r\nHost\n: a.test\r\n\r\n",
      get("X: a\nY: b\r\n"),
    ],
  ],
  BARE_CR: [
    ...[
      "GET / HTTP/1.1\rHost: a.test\r\r",
      "GET / HTTP/1.1\r\nHost: a.test\rX: y\r\n\r\n",
      get("X: a\rb\r\n"),
      "\rGET / HTTP/1.1\r\n",
    ],
    ...[get("X: a\r\r\n"), "GET / HTTP/1.1\r\nHost: a.test\r\n\rX", get("Transfer-Encoding: chunked\r \r\n")],
  ],
  EMPTY_LINES: ["\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\n\r\n"],
  SPACE_BEFORE_FIELDS: [
    "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\n\tHost: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\n \r\nHost: a.test\r\n\r\n",
  ],
  REQUEST_LINE: [
    ...[
      line("GET  / HTTP/1.1"),
      line("GET /"),
      line("GET"),
      line(" GET / HTTP/1.1"),
      line("GET / HTTP/1.1 "),
      line("GET\t/ HTTP/1.1"),
    ],
    ...[
      line("GET HTTP/1.1"),
      line("GET / HTTP/1.1 x"),
      line("G(T / HTTP/1.1"),
      line("G@T / HTTP/1.1"),
      line("   "),
      "GET\r/ HTTP/1.1\r\n",
    ],
    ...[
      line("\xc3\xa9 / HTTP/1.1"),
      line("{}"),
      line("GET /\tHTTP/1.1"),
      line('"GET" / HTTP/1.1'),
      line("GET\xa0/ HTTP/1.1"),
      line("/"),
    ],
  ],
  METHOD_TOO_LONG: [line(`${"A".repeat(33)} / HTTP/1.1`), "A".repeat(100), line(`${"A".repeat(5000)} / HTTP/1.1`)],
  VERSION: [
    ...[
      line("GET / HTTP/1"),
      line("GET / HTTP/1."),
      line("GET / http/1.1"),
      line("GET / HTTP/01.1"),
      line("GET / HTTP /1.1"),
      line("GET / HTTP/ 1.1"),
    ],
    ...[
      line("GET / HTTPS/1.1"),
      line("GET / HTTP/1,1"),
      line("GET / HTTP/a.1"),
      line("GET / HTTP/1.x"),
      line("GET /  HTTP/1.1"),
      line("GET / x HTTP/1.1"),
    ],
    ...[line("GET / HTTP-1.1"), line("GET / 1.1"), line("GET / HTTP/+1.1")],
  ],
  VERSION_MAJOR: [
    line("GET / HTTP/2.0"),
    line("GET / HTTP/3.0"),
    line("GET / HTTP/0.9"),
    line("GET / HTTP/9.9"),
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  ],
  TARGET_TOO_LONG: [
    line(`GET /${"a".repeat(8192)} HTTP/1.1`),
    `GET /${"a".repeat(9000)}`,
    line(`GET /?${"a".repeat(8191)} HTTP/1.1`),
  ],
  HOST_MISSING: [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nX-Host: a.test\r\n\r\n",
    "GET http://a.test/ HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.9\r\n\r\n",
  ],
  HOST_REPEATED: [
    get("Host: a.test\r\n"),
    get("Host: b.test\r\n"),
    get("HOST: a.test\r\n"),
    "GET / HTTP/1.0\r\nHost: a\r\nhost: a\r\n\r\n",
    get("Host:\r\n"),
  ],
  HOST_INVALID: [
    ...[
      "",
      " ",
      " a.test, b.test",
      " a.test,a.test",
      " user@a.test",
      " a:b@c.test",
      " a.test/",
      " a.test/path",
      " a.test?x",
      " a.test#x",
    ],
    ...[
      " a.test:x",
      " a.test:123456",
      " a.test:65536",
      " a.test:80:80",
      " a..test",
      " .",
      " .a.test",
      " a test",
      " a\ttest",
      " [::1",
      " ::1",
      " [::g]",
    ],
    ...[
      " [1:2:3:4:5:6:7:8:9]",
      " [::1]x",
      " [:::]",
      " [1::2::3]",
      " [1.2.3.4]",
      " [::1.2.3.256]",
      " a.test\\",
      " http://a.test",
      " a.test:-1",
      " a.test: 80",
    ],
    ...[" ä.test", " a%2etest", " a;b", " <script>", " a.test:+80", ` ${"a".repeat(300)}`],
  ].map(host),
  TARGET_FORM: [
    ...[
      line("GET * HTTP/1.1"),
      line("GET a.test HTTP/1.1"),
      line("GET x/y HTTP/1.1"),
      line("OPTIONS ** HTTP/1.1"),
      line("OPTIONS *?x HTTP/1.1"),
    ],
    ...[
      line("GET ftp://a.test/ HTTP/1.1"),
      line("GET http:/a.test/ HTTP/1.1"),
      line("GET http://u:p@a.test/ HTTP/1.1"),
      line("GET http:///x HTTP/1.1"),
    ],
    ...[
      line("GET ?x HTTP/1.1"),
      line("GET a.test:80 HTTP/1.1"),
      line("GET http://a.test:x/ HTTP/1.1"),
      line("GET //".replace("//", "\\\\") + " HTTP/1.1"),
    ],
    ...[line("GET javascript:alert(1) HTTP/1.1"), line("GET http://[::1/ HTTP/1.1"), line("POST * HTTP/1.1")],
  ],
  TARGET_CHARACTER: [
    ...[
      line("GET /a#b HTTP/1.1"),
      line("GET /# HTTP/1.1"),
      line("GET /a\\b HTTP/1.1"),
      line("GET /\\..\\x HTTP/1.1"),
      line("GET /\xc0\xaf HTTP/1.1"),
    ],
    ...[
      line("GET /\xe9 HTTP/1.1"),
      line("GET /a?\xff HTTP/1.1"),
      line("GET /a?b#c HTTP/1.1"),
      line("GET http://a.test/\\x HTTP/1.1"),
    ],
  ],
  METHOD_REFUSED: [
    line("CONNECT a.test:443 HTTP/1.1"),
    line("CONNECT / HTTP/1.1"),
    line("TRACE / HTTP/1.1"),
    "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
  ],
  SPACE_BEFORE_COLON: [
    get("X : a\r\n"),
    get("X\t: a\r\n"),
    get("X  : a\r\n"),
    get("X Y: a\r\n"),
    get("Content-Length\t5\r\n"),
    get("GET / HTTP/1.1\r\n"),
    "GET / HTTP/1.1\r\nHost : a.test\r\n\r\n",
    post("Content-Length : 5\r\n"),
    post("Transfer-Encoding : chunked\r\n"),
  ],
  FIELD_NAME: [
    ...[
      get(": a\r\n"),
      get("X\r\n"),
      get("[X]: a\r\n"),
      get("X\r: a\r\n"),
      get("X(: a\r\n"),
      get("\xe9: a\r\n"),
      get("X/Y: a\r\n"),
      get('"X": a\r\n'),
    ],
    ...[get("X@Y: a\r\n"), get("X;: a\r\n"), get("{X}: a\r\n"), get("X\\: a\r\n"), get("=: a\r\n")],
  ],
  OBS_FOLD: [
    get("X: a\r\n b\r\n"),
    get("X: a\r\n\tb\r\n"),
    get(" b\r\n"),
    post("Transfer-Encoding:\r\n chunked\r\n"),
    get("X: a\r\n \r\n"),
    get("X: a\r\n : b\r\n"),
  ],
  CONTROL_CHARACTER: [
    ...["\0", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x0e", "\x1b", "\x1f", "\x7f"].map((c) => get(`X: a${c}b\r\n`)),
    ...[
      "GET /\0 HTTP/1.1\r\n",
      "\0",
      "\x16\x03\x01\x02\0\x01",
      line("GET /\x7f HTTP/1.1"),
      get("X\0: a\r\n"),
      get("X\x0b: a\r\n"),
      get("\0X: a\r\n"),
    ],
    ...["\x0b", "\x0c", "\0", "\x01"].map((c) => encoding(`${c}chunked`)),
    ...["\x0b", "\x0c", "\0"].map((c) => encoding(` chunked${c}`)),
    ...[line("GET / HTTP/1.1\x0b"), "GET / HTTP/1.1\r\n\x00Host: a\r\n\r\n", length(" 5\x0b")],
  ],
  LENGTH_WITH_ENCODING: [
    post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    post("transfer-encoding: identity\r\nContent-Length: 5\r\n"),
    post("Content-Length: 0\r\nTransfer-Encoding: xchunked\r\n"),
    post("Transfer-Encoding:\r\nContent-Length: 5\r\n"),
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
  ],
  ENCODING_IN_HTTP_1_0: [
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "GET / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n",
  ],
  ENCODING_INVALID: [
    ...[
      "",
      " ",
      " xchunked",
      " chunkedx",
      " chunked, chunked",
      " ,chunked",
      " chunked,",
      " identity",
      " identity, chunked",
      " chunked;q=1",
      '"chunked"',
    ],
    ...[
      "  chunked",
      "\tchunked",
      " chunked ",
      " chunked\t",
      " \tchunked",
      " chun ked",
      " chunked;",
      " chunked, gzip",
      " 'chunked'",
      " chunked,,chunked",
    ],
    ...[" chunk\xe9d", " =chunked", " chunked=1", " chunked, identity", " gzip,,chunked", ", chunked"],
  ]
    .map(encoding)
    .concat(
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
      post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n"),
      post("Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n"),
      post("TRANSFER-ENCODING: xchunked\r\n"),
    ),
  ENCODING_UNKNOWN: [" gzip", " gzip, chunked", " deflate", " foo", " br,chunked", " gzip, deflate"].map(encoding),
  LENGTH_INVALID: [
    ...[
      "",
      " ",
      " +5",
      " -1",
      " -0",
      " 0x5",
      " 1_0",
      " 5, 5",
      " 5,5",
      " 5,",
      " ,5",
      " 5 5",
      " 5.0",
      " 5e1",
      " 0o5",
      " 05",
      " 00",
      " 0005",
      " 0200",
      " five",
    ],
    ...[
      " 9007199254740993",
      " 99999999999999999999",
      " 1".padEnd(400, "0"),
      " \xb2",
      " 5;",
      " '5'",
      ' "5"',
      " 5\xa0",
      " NaN",
      " Infinity",
    ],
  ]
    .map(length)
    .concat(
      post("Content-Length: 5\r\nContent-Length: 5\r\n"),
      post("Content-Length: 5\r\nContent-Length: 6\r\n"),
      post("Content-Length: 0\r\ncontent-length: 5\r\n"),
      "GET / HTTP/1.0\r\nContent-Length: 5x\r\n\r\n",
    ),
  PATH_ENCODING: [
    ...[
      "/%",
      "/%0",
      "/%zz",
      "/%00",
      "/a%00b",
      "/%0d%0aX:y",
      "/%0A",
      "/%7f",
      "/%1F",
      "/%-1",
      "/%u0041",
      "/a%2",
      "/%%41",
      "/%0x",
    ].map((path) => line(`GET ${path} HTTP/1.1`)),
    line("GET http://a.test/%00 HTTP/1.1"),
  ],
  FIELD_TOO_LARGE: [
    get(`X: ${"a".repeat(8190)}\r\n`),
    get(`${"x".repeat(9000)}: a\r\n`),
    `GET / HTTP/1.1\r\n${H}X: ${"a".repeat(9000)}`,
  ],
  FIELDS_TOO_LARGE: [
    get(`X: ${"a".repeat(6000)}\r\n`.repeat(3)),
    `GET / HTTP/1.1\r\n${`X: ${"a".repeat(6000)}\r\n`.repeat(3)}`,
  ],
  FIELDS_TOO_MANY: [get("X: a\r\n".repeat(100)), get("a:\r\n".repeat(2000))],
};

for (const [code, spellings] of Object.entries(heads)) {
  test(`${code} is told for each of ${spellings.length} spellings, whole, byte by byte and cut anywhere, and nothing else`, () => {
    for (const text of spellings) {
      const buffer = bytes(text);
      const expected = requestTrail([buffer]);
      assert.match(expected.join("\n"), new RegExp(`^fault \\d+ ${code}$`), show(text));
      assert.deepEqual(requestTrail(singly(buffer)), expected, `${show(text)} byte by byte`);
      if (buffer.length > 1000) continue;
      for (const pieces of halves(buffer))
        assert.deepEqual(requestTrail(pieces), expected, `${show(text)} cut at ${pieces[0]!.length}`);
    }
  });
}

test("nothing is consumed after a fault", () => {
  const bad = bytes("GET / HTTP/2.0\r\n\r\n");
  const good = bytes(get(""));
  assert.deepEqual(requestTrail([bad, good]), ["fault 505 VERSION_MAJOR"]);
});

test("fields whose names hold an underscore are dropped, unless allowed, and never take part in framing", () => {
  const buffer = bytes(post("Content_Length: 9\r\nTransfer_Encoding: chunked\r\nX_Y: z\r\n", ""));
  assert.deepEqual(requestTrail([buffer]), ['head POST / a.test a.test 11 0 ["host","a.test"]', "end []"]);
  const [kept] = requestTrail([buffer], { ...limits, underscores: true });
  assert.match(kept!, /"x_y","z"/);
  assert.match(kept!, / 0 \[/, "they are ordinary fields even then");
});
