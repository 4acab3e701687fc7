/** Rules 1 to 12 for what services answer, and rule 15: the head (RFC 9112 §4, §5, §6). Everything in doubt is 502. */
import { type AnswerCase, Ending, passed, refusedAnswer } from "../answer-case.ts";

const L = "Content-Length: 2\r\n";
const ok = (fields: string, body = "ok"): string => `HTTP/1.1 200 OK\r\n${fields}\r\n${body}`;
const first = (line: string): string => `${line}\r\n${L}\r\nok`;

const spoiled = ["\n", "\r", "\n\n", "\r\r\n", "\n\r", "\r\x00\n", "\r \n"] as const;
const controls = ["\0", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x0e", "\x1b", "\x1f", "\x7f"] as const;

function spoiledLineEnds(): AnswerCase[] {
  const text = "HTTP/1.1 200 OK⏎Content-Length: 2⏎X-A: 1⏎⏎";
  return [...text.matchAll(/⏎/g)].flatMap(({ index }, place) =>
    refusedAnswer(
      1,
      `line end ${place + 1} of an answer is spoiled`,
      spoiled.map((end) => `${`${text.slice(0, index)}${end}${text.slice(index + 1)}`.replaceAll("⏎", "\r\n")}ok`),
    ),
  );
}

const statusLines =
  "HTTP/1.1 20 OK|HTTP/1.1 2000 OK|HTTP/1.1  200 OK|HTTP/1.1 099 X|HTTP/1.1 000 X|HTTP/1.1 600 X|HTTP/1.1 999 X|HTTP/1.1 abc X|HTTP/1.1\t200 OK|" +
  "HTTP/1.1 200x|HTTP/1.1|HTTP/1.1 |HTTP/1.1 OK|HTTP/1.1 +200 OK|HTTP/1.1 -200 OK|HTTP/1.1 2 00 OK|HTTP/1.1 0200 OK|HTTP/1.1 20\xb2 OK|" +
  "HTTP/1.1 200\tOK|HTTP/1.1 200.0 OK|HTTP/1.1 0x0c8 OK|HTTP/1.1 200,OK|http/1.1 200 OK|HTTP/1 200 OK|HTTP/1.x 200 OK|HTTP/11 200 OK|" +
  "HTTP/1.1.1 200 OK|HTTP 200 OK|HTTPS/1.1 200 OK|ICY 200 OK|RTSP/1.0 200 OK|SIP/2.0 200 OK|HTTP/2.0 200 OK|HTTP/2 200|HTTP/0.9 200 OK|HTTP/3.0 200 OK|" +
  " HTTP/1.1 200 OK|\tHTTP/1.1 200 OK|xHTTP/1.1 200 OK|\0HTTP/1.1 200 OK|200 OK|GET / HTTP/1.1|HTTP/1.1:200 OK|HTTP/1.1/200 OK|HTTP/-1.1 200 OK";

const otherProtocols = [
  "<html><body>ok</body></html>",
  "ok",
  "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  "SSH-2.0-OpenSSH_9.2\r\n",
  "220 mail.test ESMTP\r\n",
  "-ERR unknown command\r\n",
  "+PONG\r\n",
  "\x15\x03\x01\0\x02\x02\x0a",
  "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64",
  "\x81\x02ok",
  '{"ok":true}\r\n\r\n',
  "%PDF-1.4\r\n",
  "\x1f\x8b\x08\0",
];

const badNames = [...'(),/;<=>?@[\\]{}"', "\x80", "\xff", "\0", "\x0b", " ", "\t"].flatMap((byte) => [
  `X${byte}A: 1`,
  `X-A${byte}: 1`,
]);
const badLines = [
  ": 1",
  "X",
  "=",
  " X: 1",
  "\tX: 1",
  "HTTP/1.1 200 OK",
  "<html>",
  "Content-Length 2",
  "Content-Length : 2",
  "Transfer-Encoding : chunked",
];

const badLengths =
  "|+2|-2|-0|0x2|02|002|2.0|2,2|2, 2|2,|,2|2;|2 2|two|\xb2|2\xa0|1_0|0b10|2e0|9007199254740993|9223372036854775808|18446744073709551618|'2'|\"2\"|2\t2|NaN".split(
    "|",
  );
const badEncodings =
  '|xchunked|chunkedx|chunked, chunked|,chunked|chunked,|identity|identity, chunked|chunked, gzip|gzip|gzip, chunked|br|cow|chunked;q=1|"chunked"|chunk\xe9d|chunked chunked| chunked|\tchunked|chunked |chunked\t|=chunked|chunked=1'.split(
    "|",
  );

export const answerHeads: readonly AnswerCase[] = [
  ...spoiledLineEnds(),
  ...refusedAnswer(3, "a status line that is none", statusLines.split("|").map(first)),
  ...refusedAnswer(3, "no status line, but another protocol", otherProtocols),
  ...refusedAnswer(
    8,
    "a control character in a reason",
    controls.map((byte) => first(`HTTP/1.1 200 O${byte}K`)),
  ),
  ...refusedAnswer(
    8,
    "a control character in a value",
    controls.map((byte) => ok(`${L}X-A: a${byte}b\r\n`)),
  ),
  ...refusedAnswer(
    6,
    "a name that is none",
    badNames.map((text) => ok(`${L}${text}\r\n`)),
  ),
  ...refusedAnswer(
    6,
    "a line that is no field",
    badLines.map((text) => ok(`${text}\r\n${L}`)),
  ),
  ...refusedAnswer(
    7,
    "a folded line",
    [" b", "\tb", " ", "\t", " : 1", " X: 1"].flatMap((fold) => [
      ok(`X-A: 1\r\n${fold}\r\n${L}`),
      ok(`${L}${fold}\r\n`),
      ok(`Transfer-Encoding:\r\n${fold}\r\n${L}`),
    ]),
  ),
  ...refusedAnswer(9, "a length and an encoding", [
    ok(`${L}Transfer-Encoding: chunked\r\n`, "2\r\nok\r\n0\r\n\r\n"),
    ok(`Transfer-Encoding: chunked\r\n${L}`, "2\r\nok\r\n0\r\n\r\n"),
    ok(`Transfer-Encoding: identity\r\n${L}`),
    ok(`Transfer-Encoding:\r\n${L}`),
    ok(`Transfer-Encoding: gzip, chunked\r\nContent-Length: 0\r\n`, "0\r\n\r\n"),
    ok(`${L}X-A: 1\r\ntransfer-encoding: CHUNKED\r\n`, "2\r\nok\r\n0\r\n\r\n"),
  ]),
  ...refusedAnswer(
    10,
    "an encoding that is not exactly chunked",
    badEncodings.map((value) => ok(`Transfer-Encoding: ${value}\r\n`, "2\r\nok\r\n0\r\n\r\n")),
  ),
  ...refusedAnswer(10, "several encodings", [
    ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
    ok("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "2\r\nok\r\n0\r\n\r\n"),
    ok("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", "2\r\nok\r\n0\r\n\r\n"),
  ]),
  ...refusedAnswer(10, "an encoding in HTTP/1.0", [
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok",
  ]),
  ...refusedAnswer(
    11,
    "a length that is none",
    badLengths.map((value) => ok(`Content-Length: ${value}\r\n`)),
  ),
  ...refusedAnswer(11, "several lengths", [
    ok(L + L),
    ok(`${L}Content-Length: 3\r\n`),
    ok(`Content-Length: 0\r\n${L}`),
    ok(`${L}content-length:\r\n`),
    ok(`${L}X-A: 1\r\nCONTENT-LENGTH: 2\r\n`),
  ]),
  ...["HEAD", "GET"].flatMap((method) =>
    refusedAnswer(
      11,
      "a length that is none, where no body follows",
      [ok("Content-Length: 2, 2\r\n", ""), "HTTP/1.1 304 Not Modified\r\nContent-Length: +2\r\n\r\n"],
      { method },
    ),
  ),
  ...refusedAnswer(15, "101 that nobody asked for", [
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n${ok(L)}`,
    `HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n`,
    `HTTP/1.1 101 Switching Protocols\r\n${L}\r\nok`,
  ]),
  ...refusedAnswer(15, "a flood of interim answers", [
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(33),
    `${"HTTP/1.1 100 Continue\r\n\r\n".repeat(40)}${ok(L)}`,
    `${"HTTP/1.1 102 Processing\r\n\r\n".repeat(200)}`,
  ]),
  ...refusedAnswer(15, "an interim answer with a body", [
    `HTTP/1.1 103 Early Hints\r\n${L}\r\nok${ok(L)}`,
    `HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n${ok(L)}`,
    `HTTP/1.1 102 Processing\r\n\r\nok${ok(L)}`,
  ]),
  ...refusedAnswer(18, "a head without end", [
    ok(`X-A: ${"a".repeat(9000)}\r\n${L}`),
    ok(`${"X: 1\r\n".repeat(101)}${L}`),
    ok(`X-A: ${"a".repeat(6000)}\r\n`.repeat(3)),
    `HTTP/1.1 200 ${"a".repeat(9000)}\r\n${L}\r\nok`,
    `HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(70_000)}`,
    ok(`${"y".repeat(10_000)}: 1\r\n`),
  ]),
  ...[
    200, 201, 202, 203, 206, 226, 299, 300, 400, 401, 403, 404, 410, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511,
    599,
  ].map((status) =>
    passed(3, "any status of a final answer", `HTTP/1.1 ${status} Some Reason\r\n${L}\r\nok`, status, "ok"),
  ),
  ...["", " ", " OK", " OK then", " \xc3\xa9", " \xff", " O\tK", "  ", " 200", " HTTP/1.1 200 OK"].map((reason) =>
    passed(3, "any reason, or none", `HTTP/1.1 200${reason}\r\n${L}\r\nok`, 200, "ok"),
  ),
  ...["HTTP/1.2", "HTTP/1.9"].map((version) =>
    passed(3, "a higher minor version", `${version} 200 OK\r\n${L}\r\nok`, 200, "ok"),
  ),
  passed(3, "HTTP/1.0", `HTTP/1.0 200 OK\r\n${L}\r\nok`, 200, "ok", { kept: false }),
  passed(3, "HTTP/1.0 that goes on", `HTTP/1.0 200 OK\r\n${L}Connection: keep-alive\r\n\r\nok`, 200, "ok"),
  passed(15, "HTTP/1.0 until the end", "HTTP/1.0 200 OK\r\n\r\nok", 200, "ok", { kept: false, ending: Ending.fin }),
  passed(15, "Connection: close", ok(`${L}Connection: close\r\n`), 200, "ok", { kept: false }),
  passed(15, "Connection: x, CLOSE", ok(`${L}Connection: x, CLOSE\r\n`), 200, "ok", { kept: false }),
  passed(15, "a server that will close at once", ok(`${L}Keep-Alive: timeout=1\r\n`), 200, "ok", { kept: false }),
  passed(
    14,
    "hop-by-hop fields end here",
    ok(`${L}Connection: x-a\r\nX-A: 1\r\nX-B: 2\r\nProxy-Connection: x\r\nTE: y\r\nKeep-Alive: timeout=60\r\n`),
    200,
    "ok",
    {
      head: ["x-b: 2"],
    },
  ),
  passed(
    14,
    "fields keep their order and repetition",
    ok(`Set-Cookie: a=1\r\n${L}Set-Cookie: b=2\r\nVary: x\r\n`),
    200,
    "ok",
    {
      head: ["set-cookie: a=1", "set-cookie: b=2", "vary: x"],
    },
  ),
  passed(8, "what a value may hold", ok(`${L}X-A: \t\xe9\xff "a, b" \t\r\nX-B:\r\n`), 200, "ok", {
    head: ['x-a: \xe9\xff "a, b"', "x-b: "],
  }),
  passed(17, "names with an underscore pass towards clients", ok(`${L}X_A: 1\r\n`), 200, "ok", { head: ["x_a: 1"] }),
  passed(
    15,
    "interim answers",
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${ok(L)}`,
    200,
    "ok",
  ),
  passed(
    15,
    "as many interim answers as may be",
    `${"HTTP/1.1 103 Early Hints\r\n\r\n".repeat(32)}${ok(L)}`,
    200,
    "ok",
  ),
  passed(15, "204", "HTTP/1.1 204 No Content\r\n\r\n", 204, ""),
  passed(15, "304", 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\nContent-Length: 99\r\n\r\n', 304, "", {
    head: ['etag: "x"'],
  }),
  passed(15, "HEAD", ok("Content-Length: 99\r\n", ""), 200, "", { method: "HEAD", head: ["content-length: 99"] }),
  passed(15, "HEAD of chunks", ok("Transfer-Encoding: chunked\r\n", ""), 200, "", { method: "HEAD" }),
];
