/** Rules 6, 8, 17 and 18: names, values, and how much of both (RFC 9112 §5, RFC 9110 §5.5). */
import { accepted, type Case, get, H, post, refused, seen } from "../case.ts";

const separators = [...'(),/;<=>?@[\\]{}"'];
const high = ["\x80", "\x85", "\xa0", "\xc3\xa9", "\xff", "\xad"];
const controls = [
  "\0",
  "\x01",
  "\x02",
  "\x07",
  "\x08",
  "\x0b",
  "\x0c",
  "\x0e",
  "\x16",
  "\x1b",
  "\x1c",
  "\x1d",
  "\x1e",
  "\x1f",
  "\x7f",
];
/** Names that decide on framing and routing: what a lenient reader takes for them is worth most. */
const decisive = ["Host", "Content-Length", "Transfer-Encoding", "Connection"] as const;
const values = { Host: "b.test", "Content-Length": "5", "Transfer-Encoding": "chunked", Connection: "close" } as const;

const inName = (byte: string): string[] => [`${byte}X-A: 1`, `X${byte}A: 1`, `X-A${byte}: 1`];
const spoiled = (name: (typeof decisive)[number], byte: string): string[] => [
  `${name}${byte}: ${values[name]}`,
  `${byte}${name}: ${values[name]}`,
];

const spacesInName = [" ", "\t", "  ", " \t"] as const;

export const fields: readonly Case[] = [
  ...refused(6, 400, "FIELD_NAME", "a byte that stands in no name", [
    ...[...separators, ...high].flatMap((byte) => inName(byte).map((text) => get(`${text}\r\n`))),
    ...decisive.flatMap((name) =>
      [":", "\x85", "\xa0", "(", "\xff"].slice(1).flatMap((b) => spoiled(name, b).map((t) => post(`${t}\r\n`))),
    ),
  ]),
  ...refused(6, 400, "FIELD_NAME", "a line that is no field", [
    get(": 1\r\n"),
    get(":\r\n"),
    get("X\r\n"),
    get("X-A\r\nX-B: 1\r\n"),
    get("Content-Length\r\n"),
    get("=1\r\n"),
    get("--boundary\r\n"),
    get("/smuggled\r\n"),
    get('"X": 1\r\n'),
    get("<x>\r\n"),
    `GET / HTTP/1.1\r\n${H}X-A;b=c: 1\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost\r\n\r\n`,
    `GET / HTTP/1.1\r\n:authority: a.test\r\n${H}\r\n`,
    `GET / HTTP/1.1\r\n${H}:path: /x\r\n\r\n`,
  ]),
  ...refused(6, 400, "SPACE_BEFORE_COLON", "white space in or behind a name", [
    ...spacesInName.flatMap((space) => [get(`X-A${space}: 1\r\n`), get(`X${space}A: 1\r\n`), get(`X-A${space}\r\n`)]),
    ...decisive.flatMap((name) => spacesInName.map((space) => post(`${name}${space}: ${values[name]}\r\n`))),
    get("GET /smuggled HTTP/1.1\r\n"),
    get("X-A 1\r\n"),
    get("Content-Length 5\r\n"),
    get("HTTP/1.1 200 OK\r\n").replace("HTTP/1.1 200", "HTTP-1.1 200"),
    `GET / HTTP/1.1\r\nHost : a.test\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost\t: a.test\r\n\r\n`,
    `GET / HTTP/1.1\r\nHost : a.test\r\n${H}\r\n`,
    `POST / HTTP/1.0\r\n${H}Content-Length : 5\r\n\r\nhello`,
  ]),
  ...refused(8, 400, "CONTROL_CHARACTER", "a control character in a name", [
    ...controls.flatMap((byte) => [get(`X${byte}A: 1\r\n`), get(`X-A${byte}: 1\r\n`)]),
    ...decisive.flatMap((name) =>
      ["\0", "\x0b", "\x0c"].flatMap((byte) => spoiled(name, byte).map((t) => post(`${t}\r\n`))),
    ),
  ]),
  ...refused(8, 400, "CONTROL_CHARACTER", "a control character in a value", [
    ...controls.flatMap((byte) => [
      get(`X-A: ${byte}\r\n`),
      get(`X-A: ${byte}1\r\n`),
      get(`X-A: 1${byte}2\r\n`),
      get(`X-A: 1${byte}\r\n`),
    ]),
    ...decisive.flatMap((name) =>
      ["\0", "\x0b", "\x0c", "\x7f"].map((byte) => post(`${name}: ${values[name]}${byte}\r\n`)),
    ),
    get("Cookie: a=b\0; c=d\r\n"),
    get("Authorization: Basic \x01\r\n"),
    get('X-A: "\x1f"\r\n'),
    `GET / HTTP/1.1\r\nHost: a\0.test\r\n\r\n`,
  ]),
  ...["", " ", "\t", " \t "].map((space) =>
    accepted(
      8,
      "white space around a value is not part of it",
      get(`X-A:${space}1${space}\r\n`),
      seen("GET /", ["x-a: 1"]),
    ),
  ),
  ...["", " ", "  ", "\t", " \t"].map((space) =>
    accepted(8, "an empty value", get(`X-A:${space}\r\nX-B: 2\r\n`), seen("GET /", ["x-a: ", "x-b: 2"])),
  ),
  ...["\x80", "\xff", "\xe9\xe8", "\xc3\xa9", "\xa0", "\x85", "a\xadb"].map((value) =>
    accepted(8, "obs-text in a value (RFC 9110 §5.5)", get(`X-A: ${value}\r\n`), seen("GET /", [`x-a: ${value}`])),
  ),
  ...["a\tb", "a  b", '"a, b"', "a:b", "(c)", "a=b;c", "\\", "'", "{}", "#!", "%00", "a\t \tb"].map((value) =>
    accepted(8, "what a value may hold", get(`X-A: ${value}\r\n`), seen("GET /", [`x-a: ${value}`])),
  ),
  ...["!", "#", "$", "%", "&", "'", "*", "+", "-", ".", "^", "`", "|", "~", "0", "a"].map((name) =>
    accepted(6, "a name is any token (RFC 9110 §5.6.2)", get(`${name}: 1\r\n`), seen("GET /", [`${name}: 1`])),
  ),
  accepted(
    6,
    "names in any letters",
    `GET / HTTP/1.1\r\nhOST: a.test\r\nX-aBc: Q\r\nACCEPT: */*\r\n\r\n`,
    seen("GET /", ["x-abc: Q", "accept: */*"]),
  ),
  accepted(
    6,
    "fields that repeat keep their order",
    get("X: 1\r\nY: 2\r\nX: 3\r\n"),
    seen("GET /", ["x: 1", "y: 2", "x: 3"]),
  ),
  accepted(
    6,
    "names that an object has of itself",
    get("__proto__: 1\r\nconstructor: 2\r\ntoString: 3\r\n"),
    seen("GET /", ["constructor: 2", "tostring: 3"]),
  ),
  ...[
    "X_A: 1",
    "_: 1",
    "X-A_: 1",
    "_X: 1",
    "Content_Length: 9",
    "Transfer_Encoding: chunked",
    "Host_: b.test",
    "X_Real_IP: 6.6.6.6",
    "Upgrade_Insecure_Requests: 1",
    "__: 1",
    "Connection_: close",
    "Proxy_Authorization: x",
    "X_Forwarded_For: 6.6.6.6",
  ].map((field) =>
    accepted(17, "a name with an underscore is dropped", get(`${field}\r\nX-B: 2\r\n`), seen("GET /", ["x-b: 2"])),
  ),
  ...["Content_Length: 9", "Transfer_Encoding: chunked", "content_length: 0"].map((field) =>
    accepted(
      17,
      "a name with an underscore frames nothing",
      post(`${field}\r\nContent-Length: 5\r\n`),
      seen("POST /", ["content-length: 5"], "hello"),
    ),
  ),
  ...refused(18, 431, "FIELD_TOO_LARGE", "a large field", [
    get(`X-A: ${"a".repeat(8192)}\r\n`),
    get(`${"x".repeat(9000)}: 1\r\n`),
    get(`Cookie: ${"a=b; ".repeat(2000)}\r\n`),
    get(`X-A: ${" ".repeat(9000)}1\r\n`),
    `GET / HTTP/1.1\r\nHost: ${"a".repeat(9000)}\r\n\r\n`,
    `GET / HTTP/1.1\r\n${H}X-A: ${"b".repeat(9000)}`,
    `GET / HTTP/1.0\r\nX-A: ${"\xff".repeat(100_000)}`,
  ]),
  ...refused(18, 431, "FIELDS_TOO_LARGE", "large fields", [
    get(`X-A: ${"a".repeat(6000)}\r\n`.repeat(3)),
    get(`X-A: ${"b".repeat(200)}\r\n`.repeat(98)),
    `GET / HTTP/1.1\r\n${`X-A: ${"c".repeat(8000)}\r\n`.repeat(10)}`,
    `POST / HTTP/1.1\r\n${H}${`Content-Type: ${"d".repeat(4000)}\r\n`.repeat(5)}Content-Length: 5\r\n\r\nhello`,
  ]),
  ...refused(18, 431, "FIELDS_TOO_MANY", "many fields", [
    get("X: 1\r\n".repeat(100)),
    get("X:\r\n".repeat(1000)),
    get("Y: 2\r\n".repeat(101)),
    `GET / HTTP/1.1\r\n${"Z: 3\r\n".repeat(500)}`,
    post(`${"X_Y: 1\r\n".repeat(100)}Content-Length: 5\r\n`),
  ]),
  accepted(
    18,
    "as many fields as may be",
    get("X: 1\r\n".repeat(99)),
    seen(
      "GET /",
      Array.from({ length: 99 }, () => "x: 1"),
    ),
  ),
  accepted(
    18,
    "as large a field as may be",
    get(`X: ${"a".repeat(8189)}\r\n`),
    seen("GET /", [`x: ${"a".repeat(8189)}`]),
    { because: "the limit is 8 KiB for a field line, and for nginx with its end" },
  ),
];
