/** Rules 9 and 11: Content-Length, alone and beside Transfer-Encoding (RFC 9112 §6.1, §6.3; RFC 9110 §8.6). */
import { accepted, type Case, get, H, post, refused, seen } from "../case.ts";

const length = (value: string): string => post(`Content-Length:${value}\r\n`);

/** `1*DIGIT`, once, is all that is a length. Each of these is five, or something, to somebody. */
const notALength: readonly string[] = [
  ...["", " ", "\t", " +5", " -5", " -0", " +0", " - 5", " --5", " ++5", " -1", " +1"],
  ...[" 0x5", " 0X5", " 0o5", " 0b101", " 5h", " 5L", " 5n", " 05", " 005", " 00", " 000", " 0000000000000005"],
  ...[" 5.", " .5", " 5.0", " 5,0", " 5e0", " 5e1", " 5E0", " 1_0", " 1'0", " 1 0", " 1\t0", " 5 5", " 5\t5"],
  ...[" 5,", " ,5", " 5,5", " 5, 5", " 5 ,5", " 5,6", " 5;5", " 5;", " 5;q=1", " 5/5", " 5|5", " 5:5", " 5=5"],
  ...[
    ' "5"',
    " '5'",
    " (5)",
    " [5]",
    " {5}",
    " <5>",
    " `5`",
    " #5",
    " $5",
    " %35",
    " &5",
    " *5",
    " @5",
    " \\5",
    " 5\\r\\n",
  ],
  ...[
    " five",
    " a",
    " f",
    " NaN",
    " Infinity",
    " -Infinity",
    " null",
    " undefined",
    " true",
    " ",
    " chunked",
    " 5 bytes",
  ],
  ...[" \xb2", " \xb9", " 5\xa0", " \xa05", " \xe2\x91\xa4", " \xd9\xa5", " \xef\xbc\x95", " 5\x85", " \xff", " 5\xad"],
  ...[" 1000000000000000", " 2147483648000000000", " 9007199254740992", " 9007199254740993", " 9223372036854775807"],
  ...[" 9223372036854775808", " 18446744073709551615", " 18446744073709551616", " 18446744073709551621"],
  ...[
    " 36893488147419103237",
    " 340282366920938463463374607431768211461",
    ` 1${"0".repeat(400)}`,
    ` ${"9".repeat(4000)}`,
  ],
  ...[" 4294967301x", " 4294967296 5", ` ${"0".repeat(400)}5`],
].filter((value, index, all) => all.indexOf(value) === index);

const twice: readonly (readonly [string, string])[] = [
  ["5", "5"],
  ["5", "6"],
  ["0", "5"],
  ["5", "0"],
  ["5", ""],
  ["", "5"],
  ["5", "x"],
  ["+5", "5"],
  ["5", "05"],
];

const encodings = [
  "chunked",
  "identity",
  "gzip",
  "gzip, chunked",
  "xchunked",
  "",
  "chunked, chunked",
  "\tchunked",
] as const;
const otherLengths = ["5", "0", "x", "-1", "5, 5"] as const;

export const lengths: readonly Case[] = [
  ...refused(11, 400, "LENGTH_INVALID", "a length that is none", notALength.map(length)),
  ...refused(
    11,
    400,
    "LENGTH_INVALID",
    "a length that is none, on GET",
    [" +5", " 0x5", " 5, 5", " 05", " -1", ""].map((value) => get(`Content-Length:${value}\r\n`)),
  ),
  ...refused(
    11,
    400,
    "LENGTH_INVALID",
    "a length that is none, in HTTP/1.0",
    [" +5", " 0x5", " 5, 5", " 05", " -1", " 18446744073709551616"].map(
      (value) => `POST / HTTP/1.0\r\n${H}Content-Length:${value}\r\n\r\nhello`,
    ),
  ),
  ...refused(11, 400, "LENGTH_INVALID", "several lengths", [
    ...twice.map(([one, two]) => post(`Content-Length: ${one}\r\nContent-Length: ${two}\r\n`)),
    ...twice.map(([one, two]) => post(`content-length: ${one}\r\nX-A: 1\r\nCONTENT-LENGTH: ${two}\r\n`)),
    post("Content-Length: 5\r\n".repeat(3)),
    get("Content-Length: 0\r\nContent-Length: 0\r\n"),
    `POST / HTTP/1.0\r\n${H}Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello`,
  ]),
  ...encodings.flatMap((encoding) =>
    refused(9, 400, "LENGTH_WITH_ENCODING", "a length and an encoding", [
      ...otherLengths.flatMap((value) => [
        post(`Content-Length: ${value}\r\nTransfer-Encoding: ${encoding}\r\n`, "0\r\n\r\n"),
        post(`Transfer-Encoding: ${encoding}\r\nContent-Length: ${value}\r\n`, "0\r\n\r\n"),
      ]),
    ]),
  ),
  ...refused(9, 400, "LENGTH_WITH_ENCODING", "a length and an encoding, elsewhere", [
    get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    `POST / HTTP/1.0\r\n${H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    post("Content-Length: 5\r\nX: 1\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"),
    post("Connection: Content-Length\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    post("Connection: Transfer-Encoding\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
    post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "5c\r\nGPOST / HTTP/1.1\r\n"),
    post("Transfer-Encoding: chunked\r\nContent-Length: 6\r\n", "0\r\n\r\nG"),
    `DELETE / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`,
  ]),
  ...["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "QUERY"].map((method) =>
    accepted(
      11,
      "a length frames a body on every method",
      `${method} /b HTTP/1.1\r\n${H}Content-Length: 41\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n..`.slice(
        0,
        -1,
      ),
      seen(`${method} /b`, ["content-length: 41"], "GET /smuggled HTTP/1.1\r\nHost: a.test\r\n\r\n."),
    ),
  ),
  ...["GET", "HEAD", "DELETE", "OPTIONS"].map((method) =>
    accepted(11, "a length of nothing", `${method} /n HTTP/1.1\r\n${H}Content-Length: 0\r\n\r\n`, seen(`${method} /n`)),
  ),
  ...["POST", "PUT", "PATCH"].flatMap((method) => [
    accepted(
      11,
      "no length where a body is usual",
      `${method} /n HTTP/1.1\r\n${H}\r\n`,
      seen(`${method} /n`, ["content-length: 0"]),
    ),
    accepted(
      11,
      "a length of nothing where a body is usual",
      `${method} /n HTTP/1.1\r\n${H}content-length:0\r\n\r\n`,
      seen(`${method} /n`, ["content-length: 0"]),
    ),
  ]),
  ...[" 5", "5", "  5", "\t5", " 5 ", " 5\t \t"].map((value) =>
    accepted(
      11,
      "white space around a length",
      post(`Content-Length:${value}\r\n`),
      seen("POST /", ["content-length: 5"], "hello"),
      { because: value.includes("\t") ? "tabs are white space around a value as well (RFC 9110 §5.6.3)" : "" },
    ),
  ),
  accepted(
    11,
    "a length that Connection names",
    post("Connection: Content-Length\r\nContent-Length: 5\r\n"),
    seen("POST /", ["content-length: 5"], "hello"),
  ),
  accepted(
    11,
    "what follows a body is the next request",
    `${post("Content-Length: 5\r\n")}GET /next HTTP/1.1\r\n${H}\r\n`,
    [seen("POST /", ["content-length: 5"], "hello"), seen("GET /next")],
  ),
  accepted(
    11,
    "what follows no body is the next request",
    `${get("")}${post("Content-Length: 3\r\n", "abc")}POST /last HTTP/1.1\r\n${H}Connection: close\r\n\r\n`,
    [seen("GET /"), seen("POST /", ["content-length: 3"], "abc"), seen("POST /last", ["content-length: 0"])],
    { closes: true },
  ),
];
