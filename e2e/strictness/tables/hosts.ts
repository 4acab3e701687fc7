/** Rule 4: exactly one host, in a form that everybody reads the same way (RFC 9112 §3.2, RFC 3986 §3.2). */
import { accepted, type Case, H, ownHost, refused, seen } from "../case.ts";

const host = (value: string): string => `GET / HTTP/1.1\r\nHost: ${value}\r\n\r\n`;
const old = (value: string): string => `GET / HTTP/1.0\r\nHost: ${value}\r\n\r\n`;

/** What stands between or around two names so that one reader takes the first of them, another the second. */
const confusions = [..."@/\\?#,;|&=\"'<>(){}^`~!$*+%"].map((c) => `a.test${c}b.test`);

const invalid: readonly string[] = [
  ...confusions,
  ...[
    "user@a.test",
    "user:secret@a.test",
    ":@a.test",
    "a.test:80@b.test",
    "a.test%40b.test",
    "@",
    "@a.test",
    "a.test@",
  ],
  ...[
    "a.test/",
    "/a.test",
    "a.test/path",
    "a.test?",
    "a.test#",
    "a.test\\",
    "http://a.test",
    "https://a.test/",
    "//a.test",
  ],
  ...["a.test b.test", "a.test\tb.test", "a .test", "a.test :80", "a.test: 80", "a.test,", ",a.test", "a.test, a.test"],
  ...[
    "a.test:x",
    "a.test:-1",
    "a.test:+80",
    "a.test:80x",
    "a.test:0x50",
    "a.test:65536",
    "a.test:99999",
    "a.test:100000",
  ],
  ...[
    "a.test::80",
    "a.test:80:80",
    ":80",
    ":",
    "a.test:80,a.test:81",
    "a.test:8 0",
    "a.test:80.",
    "a.test:٨".normalize(),
  ].filter((text) => /^[\0-\xff]*$/.test(text)),
  ...["a..test", ".a.test", "a.test..", ".", "..", "...", "a.test..b.test"],
  ...[
    "[",
    "]",
    "[]",
    "[::1",
    "::1]",
    "[::1]]",
    "[[::1]]",
    "[::1]x",
    "[::1]:x",
    "[::1].test",
    "a[::1]",
    "::1",
    "fe80::1",
  ],
  ...[
    "[:::]",
    "[1:2:3]",
    "[1:2:3:4:5:6:7:8:9]",
    "[::12345]",
    "[::g]",
    "[1::2::3]",
    "[::1%25eth0]",
    "[::1%eth0]",
    "[v1.x:y]",
  ],
  ...["[::1.2.3]", "[::1.2.3.4.5]", "[::256.1.1.1]", "[1.2.3.4]", "[ ::1]", "[a.test]"],
  ...["a%2etest", "%61.test", "a.test%00", "a.test%20", "a.test%0d%0aX: y", "%"],
  ...["\xe4.test", "a.t\xebst", "\xff", "a.test\xa0", "\xa0a.test", "a\x85.test", "\xc3\xa4.test", "\xef\xbc\x8ftest"],
  ...["{{a}}", "<script>", "a.test<!--", "`id`", "a.test|b", "$(id)", "a'--"],
  ...["a".repeat(256), `${"a.".repeat(200)}test`, `a.test:${"0".repeat(6)}80`, `${"b".repeat(7000)}`],
];

const valid: readonly (readonly [value: string, forwarded: string])[] = [
  ["a.test", "a.test"],
  ["A.TEST", "a.test"],
  ["a.test:80", "a.test:80"],
  ["a.test:8080", "a.test:8080"],
  ["a.test:65535", "a.test:65535"],
  ["a.test:0", "a.test:0"],
  ["a.test:", "a.test"],
  ["a.test.", "a.test."],
  ["A.Test.:81", "a.test.:81"],
  ["127.0.0.1", "127.0.0.1"],
  ["127.0.0.1:81", "127.0.0.1:81"],
  ["[::1]", "[::1]"],
  ["[::1]:81", "[::1]:81"],
  ["[2001:DB8::a]", "[2001:db8::a]"],
  ["[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7:8]"],
  ["[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]"],
  ["xn--bcher-kva.test", "xn--bcher-kva.test"],
  ["localhost", "localhost"],
  ["x", "x"],
  ["web_1", "web_1"],
  ["a-b.c--d.test", "a-b.c--d.test"],
  ["1.2.3.4.5", "1.2.3.4.5"],
];

const repeated = ["Host: a.test\r\nHost: a.test", "Host: a.test\r\nHost: b.test", "host: a.test\r\nHOST: a.test"]
  .concat(
    "Host: a.test\r\nX: 1\r\nHost: b.test",
    "Host: a.test\r\nHost:",
    "Host:\r\nHost: a.test",
    `${H.repeat(3)}X: 1`,
  )
  .concat("Host: a.test\r\nHost: a.test:80", "Host: b.test\r\nhost: a.test\r\nHoSt: c.test");

export const hosts: readonly Case[] = [
  ...refused(4, 400, "HOST_MISSING", "no Host", [
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nX-Host: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nX-Forwarded-Host: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nForwarded: host=a.test\r\n\r\n",
    "GET http://a.test/ HTTP/1.1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nHost: a.test",
    "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: a.test\r\n\r\n",
    "GET / HTTP/1.5\r\n\r\n",
    "GET / HTTP/1.1\r\nHosts: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\nHost_: a.test\r\n\r\n",
    "GET / HTTP/1.1\r\n:authority\r\n\r\n".replace(":authority", "authority: a.test"),
  ]),
  ...refused(4, 400, "HOST_INVALID", "an empty Host", [
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: \r\n\r\n",
    "GET / HTTP/1.1\r\nHost: \t \r\n\r\n",
    "GET / HTTP/1.0\r\nHost:\r\n\r\n",
    "GET http://a.test/ HTTP/1.1\r\nHost:\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost:\r\n\r\n",
  ]),
  ...repeated.flatMap((fields) =>
    refused(4, 400, "HOST_REPEATED", "several Hosts", [
      `GET / HTTP/1.1\r\n${fields}\r\n\r\n`,
      `GET / HTTP/1.0\r\n${fields}\r\n\r\n`,
      `GET http://a.test/ HTTP/1.1\r\n${fields}\r\n\r\n`,
    ]),
  ),
  ...invalid.flatMap((value) => refused(4, 400, "HOST_INVALID", "a Host that is none", [host(value)])),
  ...invalid
    .filter((_, index) => index % 4 === 0)
    .flatMap((value) => refused(4, 400, "HOST_INVALID", "a Host that is none, in HTTP/1.0", [old(value)])),
  ...valid.map(([value, forwarded]) => accepted(4, "a Host", host(value), seen("GET /", [], "", forwarded))),
  ...valid.slice(0, 3).map(([value, forwarded]) =>
    accepted(4, "white space around a Host", host(` \t${value}\t `), seen("GET /", [], "", forwarded), {
      because: "tabs are white space around a value as well (RFC 9110 §5.6.3)",
    }),
  ),
  accepted(4, "HTTP/1.0 needs no Host", "GET / HTTP/1.0\r\n\r\n", seen("GET /", [], "", ownHost), { closes: true }),
  accepted(4, "the host decides on the route", host("b.test"), seen("GET /", [], "", "b.test"), { to: "admin" }),
  accepted(4, "the host decides on the route, in any letters", host("B.tEST:81"), seen("GET /", [], "", "b.test:81"), {
    to: "admin",
  }),
  accepted(4, "the host decides on the route, with its root", host("b.test."), seen("GET /", [], "", "b.test."), {
    to: "admin",
  }),
];
