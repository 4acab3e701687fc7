/** Rule 3: `method SP target SP HTTP/1.x`, and nothing else (RFC 9112 §3). */
import { accepted, type Case, get, H, line, refused, seen } from "../case.ts";

/** What is not one space, where one space is due. White space of other kinds is what lenient parsers take for one. */
const notOneSpace = ["  ", "   ", "\t", " \t", "\t ", "\xa0", "\x85", "%20", "+", "\xe2\x80\x83", ",", ""] as const;
const controls = ["\0", "\x01", "\x08", "\x0b", "\x0c", "\x0e", "\x1b", "\x1c", "\x1f", "\x7f"] as const;

const first = (separator: string): string => line(`GET${separator}/ HTTP/1.1`);
const second = (separator: string): string => line(`GET /${separator}HTTP/1.1`);

/** What the second separator spoils: the target, when it may not stand there; otherwise the word that follows. */
function spoiledBySecond(
  separator: string,
): readonly [rule: number, code: "TARGET_CHARACTER" | "VERSION" | "REQUEST_LINE"] {
  if (/^[^\0-\x7f]/.test(separator)) return [5, "TARGET_CHARACTER"];
  return [3, separator.startsWith(" ") ? "VERSION" : "REQUEST_LINE"];
}

function separators(): Case[] {
  return notOneSpace.flatMap((separator) => {
    const name = `${JSON.stringify(separator)} for a space`;
    const [rule, code] = spoiledBySecond(separator);
    return [
      ...refused(3, 400, "REQUEST_LINE", name, [first(separator)]),
      ...refused(rule, 400, code, name, [second(separator)]),
    ];
  });
}

/** Bytes that no method holds. */
const notInMethod = [...'(),/:;<=>?@[\\]{}"\x80\xa0\xc3\xff'];

const versions = (
  "http/1.1 Http/1.1 HTTP/1 HTTP/1. HTTP/.1 HTTP/11 HTTP/01.1 HTTP/1,1 HTTP-1.1 HTTP/1:1 HTTP/1_1 HTTPS/1.1 XHTTP/1.1 " +
  "HTTP/x.1 HTTP/1.x HTTP/-1.1 HTTP/+1.1 HTTP//1.1 HTTP\\1.1 HTTP1.1 HTTP/1.\xb9 ICE/1.0 RTSP/1.0 SIP/1.1 HTP/1.1 HTTTP/1.1 " +
  "HTTP/\xb1.1 1.1 / 200 HTTP HTTP/ HTTP/a.b"
).split(" ");

const majors = "HTTP/0.0 HTTP/0.9 HTTP/0.1 HTTP/2.0 HTTP/2.1 HTTP/2.9 HTTP/3.0 HTTP/4.2 HTTP/9.0 HTTP/9.9".split(" ");

export const requestLines: readonly Case[] = [
  ...separators(),
  ...refused(8, 400, "CONTROL_CHARACTER", "a control character in the request line", [
    ...controls.flatMap((control) => [
      first(control),
      second(control),
      line(`${control}GET / HTTP/1.1`),
      line(`GE${control}T / HTTP/1.1`),
      line(`GET /a${control}b HTTP/1.1`),
      line(`GET / HTTP/1${control}.1`),
      line(`GET / HTTP/1.1${control}`),
    ]),
  ]),
  ...refused(3, 400, "REQUEST_LINE", "a request line of other words", [
    line(" GET / HTTP/1.1"),
    line("\tGET / HTTP/1.1"),
    line("GET / HTTP/1.1 "),
    line("GET / HTTP/1.1\t"),
    line("GET / HTTP/1.1 x"),
    line("GET / HTTP/1.1HTTP/1.1"),
    line("GET / HTTP/1.1,"),
    line("GET / HTTP/1.10"),
    line("GET / HTTP/1.11"),
    line("GET / HTTP/1.1.1"),
    line("GET / HTTP/1.1;x"),
    line(" / HTTP/1.1"),
    line("GET"),
    line("GET "),
    line("GET /"),
    line("/ HTTP/1.1"),
    line("GET /\r\nX: 1"),
    line("HTTP/1.1 200 OK"),
    line("HTTP/1.1 GET /"),
    line("GET\r\n/ HTTP/1.1"),
    line(" "),
    `\r\n ${get("")}`,
    "GET /\r\n",
    "GET /a.html\r\n\r\n",
  ]),
  ...refused(3, 400, "VERSION", "a target with a space in it", [
    line("GET /a b HTTP/1.1"),
    line("GET /a  b HTTP/1.1"),
    line("GET / HTTP/1.1 HTTP/1.0".replace(" HTTP/1.1 ", " x ")),
    line("GET / / HTTP/1.1"),
    line("GET /?q=a b HTTP/1.1"),
    line("POST / \t HTTP/1.1"),
  ]),
  ...notInMethod.flatMap((byte) =>
    refused(3, 400, "REQUEST_LINE", "a method that is no token", [
      line(`${byte} / HTTP/1.1`),
      line(`${byte}GET / HTTP/1.1`),
      line(`GE${byte}T / HTTP/1.1`),
      line(`GET${byte} / HTTP/1.1`),
    ]),
  ),
  ...versions.flatMap((version) => refused(3, 400, "VERSION", "another version", [line(`GET / ${version}`)])),
  ...majors.flatMap((version) =>
    refused(3, 505, "VERSION_MAJOR", "another major version", [
      line(`GET / ${version}`),
      `${line(`PRI * ${version}`)}SM\r\n\r\n`,
    ]),
  ),
  ...refused(3, 501, "METHOD_TOO_LONG", "a long method", [
    line(`${"M".repeat(33)} / HTTP/1.1`),
    line(`${"GET".repeat(20)} / HTTP/1.1`),
    line(`${"x".repeat(5000)} / HTTP/1.1`),
    "A".repeat(20_000),
  ]),
  ...refused(3, 414, "TARGET_TOO_LONG", "a long target", [
    line(`GET /${"a".repeat(8192)} HTTP/1.1`),
    line(`GET /?${"a".repeat(9000)} HTTP/1.1`),
    line(`GET http://a.test/${"b".repeat(20_000)} HTTP/1.1`),
    line(`POST /${"%41".repeat(3000)} HTTP/1.0`),
    line(`GET ${"/".repeat(8193)} HTTP/1.1`),
    `GET /${"c".repeat(70_000)}`,
  ]),
  ...refused(8, 400, "CONTROL_CHARACTER", "another protocol", [
    "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    "\x05\x01\0",
    "\x04\x01\0\x50\x7f\0\0\x01\0",
    "\0\0\0\x04\x01\0\0\0\0",
    "\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x03\0\0\0",
    "\x12\x01\0\x34\0\0\0\0\0\0\x15",
    "\x00",
  ]),
  ...refused(3, 400, "REQUEST_LINE", "another protocol", [
    "SSH-2.0-OpenSSH_9.2\r\n",
    "*1\r\n$4\r\nPING\r\n",
    '{"jsonrpc":"2.0"}\r\n',
    "<policy-file-request/>",
    "\x81\x85\x01\x02\x03\x04",
    "EHLO\r\n",
    "\xff\xfb\x01",
    "?\r\n\r\n",
  ]),
  ...[
    "get",
    "Get",
    "gET",
    "BREW",
    "M-SEARCH",
    "PROPFIND",
    "PATCH",
    "DELETE",
    "G3T",
    "!#$%&'*+-.^_`|~",
    "A".repeat(32),
    "LOCK",
    "PURGE",
  ].map((method) =>
    accepted(
      3,
      "a method is any token, and its letters' case counts (RFC 9110 §9.1)",
      line(`${method} /m HTTP/1.1`),
      seen(`${method} /m`, method === "PATCH" ? ["content-length: 0"] : []),
      {
        because: /[^A-Z_-]/.test(method) ? "nginx takes capitals only, but a method is any token (RFC 9110 §9.1)" : "",
      },
    ),
  ),
  ...["HTTP/1.2", "HTTP/1.5", "HTTP/1.9"].map((version) =>
    accepted(3, "a higher minor version is read as 1.1 (RFC 9110 §2.5)", line(`GET /v ${version}`), seen("GET /v")),
  ),
  accepted(3, "HTTP/1.0", `GET /old HTTP/1.0\r\n${H}\r\n`, seen("GET /old"), { closes: true }),
  accepted(3, "HTTP/1.0 that goes on", `GET /old HTTP/1.0\r\n${H}Connection: keep-alive\r\n\r\n`, seen("GET /old")),
  accepted(
    3,
    "HTTP/1.0 that goes on, in capitals",
    `GET /old HTTP/1.0\r\n${H}CONNECTION: KEEP-ALIVE\r\n\r\n`,
    seen("GET /old"),
  ),
  accepted(
    3,
    "HTTP/1.0 with a body",
    `POST /old HTTP/1.0\r\n${H}Content-Length: 3\r\n\r\nabc`,
    seen("POST /old", ["content-length: 3"], "abc"),
    { closes: true },
  ),
  accepted(3, "the longest target", line(`GET /${"a".repeat(8191)} HTTP/1.1`), seen(`GET /${"a".repeat(8191)}`), {
    because: "the limit is the target's own here; nginx counts the whole line",
  }),
];
