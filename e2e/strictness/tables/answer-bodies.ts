/** Rules 12, 13 and 15 for what services answer: bodies, what follows them, and answers that break off anywhere. */
import { type AnswerCase, brokenAnswer, Ending, passed, refusedAnswer } from "../answer-case.ts";

const chunked = (body: string): string => `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`;
const length = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const badSizes =
  "|g|x|-1|+2|0x2| 2|\t2|2 |2\t|2 2|2.0|2,|\xb2|2\0|2\x0b|'2'|10000000000000002|fffffffffffffffff|00000000000000000002|2;|2;=|2;x=|2; x|2;x y|2;\0|HTTP/1.1 200 OK".split(
    "|",
  );
const badEnds = [
  "2\r\nok0\r\n\r\n",
  "2\r\nok!\r\n0\r\n\r\n",
  "2\r\nok\n0\r\n\r\n",
  "2\r\nok\r0\r\n\r\n",
  "2\r\nok \r\n0\r\n\r\n",
  "1\r\nok\r\n0\r\n\r\n",
]
  .concat(
    "2\nok\r\n0\r\n\r\n",
    "2\rok\r\n0\r\n\r\n",
    "2\r\nok\r\n\r\n0\r\n\r\n",
    "2\r\nok\r\n0\n\r\n",
    "2\r\nok\r\n0\r\n\n",
    "2\r\nok\r\n0\r\r\n\r\n",
  )
  .concat(
    "3\r\nok\r\n0\r\n\r\n",
    "2;x\nok\r\n0\r\n\r\n",
    "2\r\nok\r\n0\r\nX: 1\n\r\n",
    "2\r\nok\r\n0\r\n X: 1\r\n\r\n",
    "2\r\nok\r\n0\r\nX : 1\r\n\r\n",
  );
const badTrailers =
  "Content-Length: 2|Transfer-Encoding: chunked|Connection: close|Set-Cookie: a=b|Location: /|Content-Type: x|Cache-Control: x|Upgrade: x|Trailer: x|X: \0|X|: 1|X: 1\r\n y".split(
    "|",
  );

/** Behind a whole answer, in the same breath or later: the next request's client must never be told it. */
const extras = [
  "\r\n",
  "\n",
  "x",
  "\0",
  " ",
  "0\r\n\r\n",
  length("no"),
  "HTTP/1.1 200 OK\r\n\r\n",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 408 Request Timeout\r\n\r\n",
];

const wholes: readonly {
  readonly bytes: string;
  readonly status: number;
  readonly body: string;
  readonly method?: string;
}[] = [
  { bytes: length("ok"), status: 200, body: "ok" },
  { bytes: chunked("2\r\nok\r\n0\r\n\r\n"), status: 200, body: "ok" },
  { bytes: "HTTP/1.1 204 No Content\r\n\r\n", status: 204, body: "" },
  { bytes: "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", status: 304, body: "" },
  { bytes: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", status: 200, body: "", method: "HEAD" },
];

/** Answers to be cut at every place; `bodyAt` is where the head ends, `whole` from where on all is there. */
const cuttable = [
  "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello",
  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx",
] as const;

function* truncations(): Generator<AnswerCase> {
  for (const [which, text] of cuttable.entries()) {
    const headEnd = text.indexOf("\r\n\r\n", text.lastIndexOf("HTTP/1.1 ")) + 4;
    for (const ending of [Ending.fin, Ending.reset]) {
      for (let at = 0; at < text.length; at++) {
        // What a client was told of an answer, be it an interim one, cannot be taken back.
        const begun = which === 2 && at >= text.indexOf("\r\n\r\n") + 4;
        const family = at < headEnd ? "broken off before or in the head" : "broken off in the body";
        // With GET and PUT it is asked again, twice; what POST has done, nobody knows.
        for (const method of at % 3 === which ? ["GET", "POST"] : at % 2 === 0 ? ["PUT"] : ["PATCH"]) {
          const asked = at < headEnd && !begun && (method === "GET" || method === "PUT") ? 3 : 1;
          const bytes = text.slice(0, at);
          if (at < headEnd) yield* refusedAnswer(15, family, [bytes], { method, ending, asked });
          else yield* brokenAnswer(15, family, [bytes], { method, ending, asked });
        }
      }
    }
  }
}

export const answerBodies: readonly AnswerCase[] = [
  ...brokenAnswer(
    12,
    "a chunk's size that is none",
    badSizes.map((size) => chunked(`${size}\r\nok\r\n0\r\n\r\n`)),
  ),
  ...brokenAnswer(
    12,
    "a later chunk's size that is none",
    badSizes.slice(0, 14).map((size) => chunked(`2\r\nok\r\n${size}\r\nok\r\n0\r\n\r\n`)),
  ),
  ...brokenAnswer(12, "a chunk's bad ending", badEnds.map(chunked)),
  ...brokenAnswer(
    13,
    "a bad trailer",
    badTrailers.map((text) => chunked(`2\r\nok\r\n0\r\n${text}\r\n\r\n`)),
  ),
  ...[
    ["2\r\nok\r\n0\r\n\r\n", "ok"],
    ["A\r\n0123456789\r\n00\r\n\r\n", "0123456789"],
    ['1;a\r\no\r\n1;b="c"\r\nk\r\n0;d\r\n\r\n', "ok"],
    ["0\r\n\r\n", ""],
    ["2\r\nok\r\n0\r\nX-T: 1\r\nETag: y\r\n\r\n", "ok"],
    ["4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"],
    ["13\r\nHTTP/1.1 200 OK\r\n\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
  ].map(([body, text]) => passed(12, "chunks", chunked(body!), 200, text!)),
  passed(15, "a body until the end", "HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", { ending: Ending.fin, kept: false }),
  passed(15, "no body until the end", "HTTP/1.1 200 OK\r\n\r\n", 200, "", { ending: Ending.fin, kept: false }),
  ...brokenAnswer(
    15,
    "a body until the end, which is none",
    ["HTTP/1.1 200 OK\r\n\r\nhello", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 404 X\r\nConnection: close\r\n\r\nh"],
    {
      ending: Ending.reset,
    },
  ),
  ...wholes.flatMap(({ bytes, status, body, method = "GET" }) => [
    ...extras.map((extra) =>
      passed(15, "bytes behind an answer", bytes + extra, status, body, { method, kept: false }),
    ),
    ...[Ending.fin, Ending.reset].map((ending) =>
      passed(15, "the end behind an answer", bytes, status, body, { method, ending, kept: false }),
    ),
  ]),
  passed(15, "204 that announces chunks is the last", "HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n", 204, "", {
    kept: false,
  }),
  passed(15, "304 that announces chunks is the last", "HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n", 304, "", {
    kept: false,
  }),
  ...truncations(),
  ...["GET", "HEAD", "OPTIONS", "PUT", "DELETE"].flatMap((method) =>
    [Ending.fin, Ending.reset].flatMap((ending) =>
      refusedAnswer(15, "no answer: asked again, for it does no harm", [""], {
        method,
        ending,
        asked: 3,
        fields: "X-B: 1\r\n",
      }),
    ),
  ),
  ...["POST", "PATCH", "BREW", "get"].flatMap((method) =>
    [Ending.fin, Ending.reset].flatMap((ending) =>
      refusedAnswer(15, "no answer: never asked again", [""], { method, ending, fields: "X-B: 1\r\n" }),
    ),
  ),
  ...["POST", "PATCH"].flatMap((method) =>
    [Ending.fin, Ending.reset].flatMap((ending) =>
      refusedAnswer(15, "no answer: asked again, for the request carries a key", [""], {
        method,
        ending,
        asked: 3,
        fields: "Idempotency-Key: k\r\n",
      }),
    ),
  ),
];
