/** Broken chunked bodies: the head is told, then at most some data, then the fault; never an end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpFaultCode } from "./faults.ts";
import { bytes, halves, requestTrail, show, singly } from "./testing.ts";

const H = "Host: a.test\r\n";
const post = (fields: string, body = "hello"): string => `POST / HTTP/1.1\r\n${H}${fields}\r\n${body}`;
const chunks = (body: string): string => post("Transfer-Encoding: chunked\r\n", body);
const trailer = (text: string): string => chunks(`0\r\n${text}\r\n\r\n`);

const bodies: Partial<Record<HttpFaultCode, readonly string[]>> = {
  CHUNK_SIZE: [
    ...[
      "\r\nhello",
      "g\r\n",
      "0x5\r\nhello\r\n",
      "-5\r\n",
      "+5\r\nhello",
      " 5\r\nhello\r\n",
      "5 \r\nhello\r\n",
      "5\t\r\nhello",
      "1_0\r\n",
      "5.0\r\n",
      ";a\r\n",
    ],
    ...[
      "fffffffffffffffff\r\n",
      "10000000000000005\r\nhello",
      "00000000000000005\r\nhello",
      "5,5\r\n",
      "5\0\r\n",
      "\xb2\r\n",
      "5 ;a=b\r\nhello",
      "5\x0b\r\n",
    ],
  ],
  CHUNK_EXTENSION: [
    ...[
      "5;\r\nhello",
      "5;=\r\n",
      "5;a=\r\n",
      "5;a b\r\n",
      "5; a\r\n",
      "5;a =b\r\n",
      '5;a="\r\n',
      '5;a="b"c\r\n',
      "5;a=b=c\r\n",
      "5;;a\r\n",
      "5;a;\r\n",
      "5;a\0\r\n",
    ],
    ...[
      `5;${"a".repeat(300)}\r\nhello`,
      '5;a="\0"\r\n',
      "5;a=\x7f\r\n",
      "5;(\r\n",
      '5;a="\\\0"\r\n',
      `${"1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(500)}`,
    ],
  ],
  BARE_LF: [
    "5\nhello\r\n",
    "5\r\nhello\n",
    "5;a\nhello",
    "0\n\r\n",
    "0\r\n\n",
    "0\r\nX: a\n\r\n",
    "5\r\nhello\r\n0\n",
    '5;a="\n"\r\n',
  ],
  BARE_CR: ["5\rhello", "5\r5\r\n", "0\r\r\n", "0\r\nX: a\rb\r\n\r\n", "5;a\rb\r\n", "0\r\n\rX"],
  CHUNK_END: [
    "5\r\nhello!\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello\rX",
    "5\r\nhelloworld\r\n0\r\n\r\n",
    "5\r\nhello \r\n",
    "1\r\naa",
  ],
  TRAILER_REFUSED: [
    ..."Content-Length Transfer-Encoding Host Connection Forwarded X-Forwarded-For Authorization Cookie TE Trailer Upgrade".split(
      " ",
    ),
    ..."Content-Type Content-Encoding Content-Range Expect Set-Cookie content-length TRANSFER-ENCODING Max-Forwards".split(
      " ",
    ),
  ].map((name) => `0\r\n${name}: 1\r\n\r\n`),
  OBS_FOLD: ["0\r\nX: a\r\n b\r\n\r\n"],
  SPACE_BEFORE_FIELDS: ["0\r\n X: a\r\n\r\n"],
  SPACE_BEFORE_COLON: ["0\r\nX : a\r\n\r\n", "0\r\nGET / HTTP/1.1\r\n\r\n"],
  FIELD_NAME: ["0\r\nX\r\n\r\n", "0\r\n: a\r\n\r\n"],
  CONTROL_CHARACTER: ["0\r\nX: \0\r\n\r\n"],
  FIELD_TOO_LARGE: [`0\r\nX: ${"a".repeat(9000)}\r\n\r\n`],
  FIELDS_TOO_LARGE: [`0\r\n${`X: ${"a".repeat(6000)}\r\n`.repeat(3)}\r\n`],
  FIELDS_TOO_MANY: [`0\r\n${"X: a\r\n".repeat(101)}\r\n`],
};

for (const [code, spellings] of Object.entries(bodies)) {
  test(`${code} in a body is told for each of ${spellings.length} spellings, and the body never ends`, () => {
    for (const body of spellings) {
      const buffer = bytes(chunks(body));
      const expected = requestTrail([buffer]);
      const last = expected.at(-1)!;
      assert.match(last, new RegExp(`^fault \\d+ ${code}$`), `${show(body)}: ${expected.join(" | ").slice(0, 300)}`);
      assert.ok(expected.length <= 3 && !expected.some((entry) => entry.startsWith("end")), show(body));
      assert.deepEqual(requestTrail(singly(buffer)), expected, `${show(body)} byte by byte`);
      if (buffer.length > 1000) continue;
      for (const pieces of halves(buffer))
        assert.deepEqual(requestTrail(pieces), expected, `${show(body)} cut at ${pieces[0]!.length}`);
    }
  });
}

test("a refused trailer stands for a framing or routing field only: others come through apart from the head", () => {
  const [head, end] = requestTrail([bytes(trailer("X-Checksum: abc"))]);
  assert.ok(!head!.includes("checksum"));
  assert.equal(end, 'end ["x-checksum","abc"]');
});
