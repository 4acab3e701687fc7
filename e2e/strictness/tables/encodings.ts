/** Rule 10: Transfer-Encoding is exactly one `chunked`, in HTTP/1.1 (RFC 9112 §6.1, §6.3). */
import { accepted, type Case, get, H, post, refused, seen } from "../case.ts";

const body = "5\r\nhello\r\n0\r\n\r\n";
const encoding = (value: string): string => post(`Transfer-Encoding:${value}\r\n`, body);

/** Every way to hide a `chunked` from one reader, or to show one where there is none. */
const invalid: readonly string[] = [
  ...["", " ", "\t", "  "],
  ...[
    " xchunked",
    " chunkedx",
    " x-chunked",
    " chunked-x",
    " chunke",
    " hunked",
    " chun ked",
    " chunked0",
    " chunk",
    " notchunked",
  ],
  ...[
    " chunked chunked",
    " chunked\tchunked",
    " chunked;",
    " chunked;q=1",
    " chunked;x=y",
    " chunked=1",
    " =chunked",
    " chunked:",
  ],
  ...[
    " chunked,",
    " ,chunked",
    " ,",
    ",",
    " chunked,,",
    " chunked, ",
    " , chunked",
    " chunked , chunked",
    " chunked,chunked",
  ],
  ...[
    " chunked, chunked",
    " chunked,,chunked",
    " chunked, identity",
    " identity, chunked",
    " chunked, gzip",
    " chunked, foo",
  ],
  ...[
    " identity",
    " Identity",
    " IDENTITY",
    " identity, identity",
    " gzip,,chunked",
    " ,gzip",
    " gzip,",
    " chunked, gzip, chunked",
  ],
  ...[
    "  chunked",
    "\tchunked",
    " \tchunked",
    "\t chunked",
    " chunked ",
    " chunked\t",
    " chunked \t",
    "chunked ",
    "   chunked   ",
  ],
  ...[
    ' "chunked"',
    " 'chunked'",
    ' "chunked',
    ' chunked"',
    " (chunked)",
    " [chunked]",
    " <chunked>",
    " `chunked`",
    " \\chunked",
  ],
  ...[
    " chunked\xa0",
    " \xa0chunked",
    " chunk\xe9d",
    " \xffchunked",
    " chunked\x85",
    " \x85chunked",
    " chun\xadked",
    " \xe2\x80\x83chunked",
  ],
  ...[" chunked/1", " chunked@", " chunked?", " {chunked}", " %63hunked", " chunked%20", " @chunked", " chunked#"].map(
    (value) => value,
  ),
  ...[
    " gzip;chunked",
    " gzip chunked",
    " gzip\tchunked",
    " gzip;q=1, chunked",
    " chunked, ,",
    " ;chunked",
    " chunked;chunked",
  ],
].filter((value) => !valueIsToken(value));

/** A token that is not `chunked` and does not hold the word is an unknown coding: 501. */
const unknown = [
  " gzip",
  " deflate",
  " compress",
  " br",
  " zstd",
  " foo",
  " gzip, deflate",
  " gzip, chunked",
  " br,chunked",
  " foo , chunked",
  " GZIP",
].concat(
  " x-gzip",
  " none",
  " null",
  " 5",
  " cow",
  " chunke",
  " hunked",
  " chunk",
  " %63hunked",
  " gzip, br, chunked",
  " binary",
  " 8bit",
);

/** Left to `unknown`. */
function valueIsToken(value: string): boolean {
  return [" chunke", " hunked", " chunk", " %63hunked"].includes(value);
}

const twice: readonly (readonly [string, string])[] = [
  ["chunked", "chunked"],
  ["chunked", "identity"],
  ["identity", "chunked"],
  ["chunked", ""],
  ["", "chunked"],
  ["chunked", "gzip"],
  ["chunked", "xchunked"],
  ["xchunked", "chunked"],
  ["chunked", "cow"],
  ["\tchunked", "chunked"],
];

const names = ["transfer-encoding", "TRANSFER-ENCODING", "Transfer-encoding", "tRANSFER-eNCODING"] as const;

export const encodings: readonly Case[] = [
  ...refused(10, 400, "ENCODING_INVALID", "an encoding that is not exactly chunked", invalid.map(encoding)),
  ...refused(
    10,
    400,
    "ENCODING_INVALID",
    "an encoding that is not exactly chunked, on GET",
    [" xchunked", " identity", " chunked, chunked", "\tchunked", " ,chunked"].map((value) =>
      get(`Transfer-Encoding:${value}\r\n`),
    ),
  ),
  ...refused(8, 400, "CONTROL_CHARACTER", "a control character around an encoding", [
    ...["\0", "\x01", "\x08", "\x0b", "\x0c", "\x0e", "\x1c", "\x1f", "\x7f"].flatMap((byte) => [
      encoding(`${byte}chunked`),
      encoding(` ${byte}chunked`),
      encoding(` chunked${byte}`),
      encoding(` chun${byte}ked`),
      encoding(` chunked,${byte}`),
    ]),
  ]),
  ...refused(10, 501, "ENCODING_UNKNOWN", "an unknown coding", unknown.map(encoding)),
  ...twice.flatMap(([one, two]) => {
    const known = [one, two].every((value) => /chunked|identity|^$/.test(value));
    const code = known || one.includes("chunked") ? "ENCODING_INVALID" : "ENCODING_UNKNOWN";
    return refused(10, code === "ENCODING_INVALID" ? 400 : 501, code, "several encodings", [
      post(`Transfer-Encoding: ${one}\r\nTransfer-Encoding: ${two}\r\n`, body),
      post(`Transfer-Encoding: ${one}\r\nX-A: 1\r\ntransfer-encoding: ${two}\r\n`, body),
    ]);
  }),
  ...refused(10, 501, "ENCODING_UNKNOWN", "several encodings", [
    post("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", body),
    post("Transfer-Encoding: cow\r\nTransfer-Encoding: chunked\r\n", body),
  ]),
  ...refused(10, 400, "ENCODING_IN_HTTP_1_0", "an encoding in HTTP/1.0", [
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n${body}`,
    `GET / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n${body}`,
    `POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: identity\r\n\r\n`,
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: gzip\r\n\r\n`,
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding:\r\n\r\n`,
    `POST / HTTP/1.0\r\n${H}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    `POST / HTTP/1.0\r\n${H}Connection: keep-alive, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: xchunked\r\n\r\n${body}`,
    `HEAD / HTTP/1.0\r\n${H}transfer-encoding: chunked\r\n\r\n${body}`,
  ]),
  ...["chunked", "Chunked", "CHUNKED", "cHuNkEd"].flatMap((value) => [
    accepted(
      10,
      "chunked in any letters",
      post(`X-A: 1\r\nTransfer-Encoding: ${value}\r\n`, body),
      seen("POST /", ["x-a: 1", "transfer-encoding: chunked"], body),
    ),
    accepted(
      10,
      "chunked behind no white space",
      post(`Transfer-Encoding:${value}\r\n`, body),
      seen("POST /", ["transfer-encoding: chunked"], body),
    ),
  ]),
  ...names.map((name) =>
    accepted(
      10,
      "the name in any letters",
      `PUT / HTTP/1.1\r\n${H}${name}: chunked\r\n\r\n${body}`,
      seen("PUT /", ["transfer-encoding: chunked"], body),
    ),
  ),
  ...["GET", "HEAD", "DELETE", "OPTIONS"].map((method) =>
    accepted(
      10,
      "chunks frame a body on every method",
      `${method} /b HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n${body}`,
      seen(`${method} /b`, ["transfer-encoding: chunked"], body),
    ),
  ),
  accepted(
    10,
    "an encoding that Connection names frames the body still",
    post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", body),
    seen("POST /", ["transfer-encoding: chunked"], body),
  ),
  accepted(
    10,
    "what follows a chunked body is the next request",
    `${post("Transfer-Encoding: chunked\r\n", body)}GET /next HTTP/1.1\r\n${H}\r\n`,
    [seen("POST /", ["transfer-encoding: chunked"], body), seen("GET /next")],
  ),
];
