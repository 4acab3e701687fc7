/** Rules 1, 2 and 7: how lines end, and what may stand at their start (RFC 9112 §2.2, §5.2). */
import { accepted, type Case, cut, get, H, line, post, refused, seen } from "../case.ts";

/** In whose place a line's end is spoiled: `⏎` marks each, in the head and, behind `body`, in the framing of chunks. */
const shapes: readonly { readonly head: string; readonly body: string; readonly sees: string }[] = [
  { head: "GET /a HTTP/1.1⏎Host: a.test⏎X-A: 1⏎⏎", body: "", sees: "" },
  { head: "DELETE /a?b=c HTTP/1.0⏎Host: a.test⏎⏎", body: "", sees: "" },
  { head: "POST /a HTTP/1.1⏎Content-Length: 5⏎Host: a.test⏎⏎", body: "hello", sees: "" },
  {
    head: "PUT /a HTTP/1.1⏎Host: a.test⏎Transfer-Encoding: chunked⏎⏎",
    body: "5⏎hello⏎3;x=y⏎abc⏎0⏎X-T: 1⏎⏎",
    sees: seen("PUT /a", ["transfer-encoding: chunked"], "5\r\nhello\r\n3\r\nabc\r\n"),
  },
];
const spoiled = ["\n", "\r", "\n\n", "\r\r\n", "\n\r", "\r\r", "\r\x00\n", "\r \n"] as const;

function* spoiledLineEnds(): Generator<Case> {
  for (const { head, body, sees } of shapes) {
    const marks = [...(head + body).matchAll(/⏎/g)].map(({ index }) => index);
    const inHead = marks.filter((index) => index < head.length).length;
    for (const [place, index] of marks.entries()) {
      for (const end of spoiled) {
        const text = `${(head + body).slice(0, index)}${end}${(head + body).slice(index + 1)}`.replaceAll("⏎", "\r\n");
        const family = `line end ${place + 1} is ${JSON.stringify(end)}`;
        const data = /hello$|abc$/.test((head + body).slice(0, index));
        const code = end.startsWith("\n") ? "BARE_LF" : data ? "CHUNK_END" : "BARE_CR";
        if (place < inHead) yield* refused(1, 400, code, family, [text]);
        else yield* cut(data && code === "CHUNK_END" ? 12 : 1, code, family, [[text, sees]]);
      }
    }
  }
}

const within = (byte: string): string[] => [
  `G${byte}ET / HTTP/1.1\r\n${H}\r\n`,
  `GET${byte}/ HTTP/1.1\r\n${H}\r\n`,
  `GET /${byte} HTTP/1.1\r\n${H}\r\n`,
  `GET /a?${byte}b HTTP/1.1\r\n${H}\r\n`,
  `GET /a${byte}X-B: 1 HTTP/1.1\r\n${H}\r\n`,
  `GET /${byte}HTTP/1.1\r\n${H}\r\n`,
  `GET / HTTP/1${byte}.1\r\n${H}\r\n`,
  `GET / HTTP/1.1${byte}Host: b.test\r\n${H}\r\n`,
  `${byte}GET / HTTP/1.1\r\n${H}\r\n`,
  get(`X${byte}-A: 1\r\n`),
  get(`X-A${byte}: 1\r\n`),
  get(`X-A:${byte} 1\r\n`),
  get(`X-A: 1${byte}2\r\n`),
  get(`X-A: 1${byte}X-B: 2\r\n`),
  get(`X-A: 1${byte}${byte}GET /smuggled HTTP/1.1\r\n`),
  get(`X-A: ${byte}\r\n`),
  `GET / HTTP/1.1\r\nHost: a.test${byte}X-A: 1\r\n\r\n`,
  `GET / HTTP/1.1\r\nHost: a${byte}.test\r\n\r\n`,
  post(`Content-Length: 5${byte}\t\r\n`),
  post(`Content-Length: 5${byte}Transfer-Encoding: chunked\r\n`),
  post(`Content-Length: ${byte}5\r\n`),
  post(`Transfer-Encoding: chunked${byte}X: y\r\n`, "0\r\n\r\n"),
  post(`Transfer-Encoding:${byte}chunked\r\n`, "0\r\n\r\n"),
  post(`X: y${byte}Transfer-Encoding: chunked\r\n`, "0\r\n\r\n"),
  post(`X: y${byte}Content-Length: 5\r\n`),
];

const spaces = [" ", "\t", "  ", " \t", "\t ", "    "] as const;
const afterSpace = [
  H,
  `X-A: 1\r\n${H}`,
  `\r\n${H}`,
  `Content-Length: 5\r\n${H}`,
  `Transfer-Encoding: chunked\r\n${H}`,
  `: 1\r\n${H}`,
  `GET / HTTP/1.1\r\n${H}`,
  H.replace(":", " :"),
] as const;

const folded = [
  "X-A: 1\r\n",
  "X-A:\r\n",
  "Content-Length: 5\r\n",
  "Transfer-Encoding:\r\n",
  "Connection: close\r\n",
  "Cookie: a=b\r\n",
] as const;
const folds = [" b", "\tb", " ", "\t", "  chunked", " X-B: 2", " : 2", "\t,chunked"] as const;

export const lineEnds: readonly Case[] = [
  ...spoiledLineEnds(),
  ...refused(1, 400, "BARE_LF", "LF within a line", within("\n")),
  ...refused(1, 400, "BARE_CR", "CR within a line", within("\r").slice(7, 9)),
  ...within("\r")
    .filter((_, index) => index !== 7 && index !== 8)
    .flatMap((text, index) => {
      // What stands before the CR decides which rule is broken first: all of them are answered with 400.
      const code = index === 6 ? "VERSION" : index < 7 ? "REQUEST_LINE" : index < 9 ? "FIELD_NAME" : "BARE_CR";
      const rule = code === "BARE_CR" ? 1 : code === "FIELD_NAME" ? 6 : 3;
      return refused(rule, 400, code, "CR within a line", [text]);
    }),
  ...refused(1, 400, "EMPTY_LINES", "many empty lines before a request", [
    "\r\n".repeat(5) + line("GET / HTTP/1.1"),
    "\r\n".repeat(6) + line("GET / HTTP/1.0"),
    "\r\n".repeat(50),
    "\r\n".repeat(1000),
  ]),
  ...refused(
    1,
    400,
    "BARE_LF",
    "LF before a request",
    ["\n\n", "\n\r\n", "\r\n\n", "\r\n\r\n\n"].map((s) => s + get("")),
  ),
  ...refused(
    1,
    400,
    "BARE_CR",
    "CR before a request",
    ["\r\r", "\r\r\n", "\r\n\r", "\r ", "\r\t"].map((s) => s + get("")),
  ),
  ...[1, 2, 3, 4].map((count) =>
    accepted(
      1,
      "empty lines before a request",
      "\r\n".repeat(count) + line(`GET /${count} HTTP/1.1`),
      seen(`GET /${count}`),
    ),
  ),
  accepted(
    1,
    "an empty line behind a body, as old clients send it",
    `${post("Content-Length: 5\r\n")}\r\n${line("GET /next HTTP/1.1")}`,
    [seen("POST /", ["content-length: 5"], "hello"), seen("GET /next")],
    { because: "" },
  ),
  ...spaces.flatMap((space) =>
    refused(
      2,
      400,
      "SPACE_BEFORE_FIELDS",
      "white space before the first field",
      afterSpace.map((rest) => `POST / HTTP/1.1\r\n${space}${rest}\r\n`),
    ),
  ),
  ...refused(
    7,
    400,
    "OBS_FOLD",
    "a folded line",
    folded.flatMap((field) => folds.map((fold) => post(`${field}${fold}\r\n`))),
  ),
  ...refused(7, 400, "OBS_FOLD", "a folded Host", [
    "GET / HTTP/1.1\r\nHost:\r\n a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\n .evil\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.test\r\n\tX: 1\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a.test\r\n \r\n\r\n",
  ]),
];
