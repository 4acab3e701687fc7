/**
 * Rule 14: nothing of a head is relayed. Hop-by-hop fields, and those that Connection names, end here; what says where a
 * request came from is written anew (RFC 9110 §7.6.1, RFC 7239). With them upgrades, expectations and pipelines.
 */
import { accepted, type Case, get, H, line, post, refused, seen, smuggled, truncated } from "../case.ts";

const gone: readonly (readonly [fields: string, left: readonly string[]])[] = [
  ["Connection: keep-alive\r\n", []],
  ["Connection: x\r\nX: 1\r\n", []],
  ["X: 1\r\nConnection: x\r\n", []],
  ["Connection: X-A, X-B\r\nX-A: 1\r\nX-B: 2\r\nX-C: 3\r\n", ["x-c: 3"]],
  ["Connection: x-a\r\nConnection: x-b\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\n", []],
  ["Connection: keep-alive, X-A\r\nX-A: 1\r\n", []],
  ["Connection:\tX-A\t,\tX-B\r\nX-A: 1\r\nX-B: 1\r\n", []],
  ["Connection: ,,X-A,,\r\nX-A: 1\r\n", []],
  ["Connection: X-A;q=1\r\nX-A: 1\r\n", ["x-a: 1"]],
  ['Connection: "X-A"\r\nX-A: 1\r\n', ["x-a: 1"]],
  ["Connection:\r\nX-A: 1\r\n", ["x-a: 1"]],
  ["Connection: Host\r\n", []],
  ["Connection: host, x-forwarded-for\r\n", []],
  ["Connection: X-Forwarded-For, X-Request-Id, Forwarded\r\n", []],
  ["Connection: Cookie\r\nCookie: a=b\r\n", []],
  ["Keep-Alive: timeout=5, max=100\r\n", []],
  ["Proxy-Connection: keep-alive\r\n", []],
  ["TE: trailers\r\n", ["connection: te", "te: trailers"]],
  ["Connection: TE\r\nTE: gzip;q=0.5, Trailers\r\n", ["connection: te", "te: trailers"]],
  ["TE: xtrailers, trailers-x\r\n", []],
  ["TE: gzip;q=0.5\r\nConnection: TE\r\n", []],
  ["Upgrade: websocket\r\n", []],
  ["Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", []],
  ["Proxy-Authorization: Basic eDp5\r\n", []],
  ["X-Forwarded-For: 6.6.6.6\r\n", []],
  ["X-Forwarded-For: 127.0.0.1\r\n", []],
  ["x-forwarded-for: 6.6.6.6\r\nX-FORWARDED-FOR: 7.7.7.7\r\n", []],
  ["X-Forwarded-Proto: https\r\n", []],
  ["X-Forwarded-Host: b.test\r\n", []],
  ["X-Forwarded-Port: 443\r\n", []],
  ["X-Forwarded-Server: evil\r\n", []],
  ["Forwarded: for=6.6.6.6;proto=https;host=b.test\r\n", []],
  ["forwarded: for=127.0.0.1;proto=http\r\n", []],
  ["X-Real-IP: 6.6.6.6\r\n", []],
  ["X-Forwarded-User: admin\r\nX-Forwarded-Groups: root\r\nX-Forwarded-Email: a@b.test\r\n", []],
  ["X-Forwarded-Client-Cert: By=x\r\nX-Forwarded-Prefix: /x\r\n", []],
  ["X-Request-Id: forged\r\n", []],
  ["X-Request-Id: a\r\nX-Request-Id: b\r\n", []],
  ["Expect: 100-continue\r\n", []],
];

const fakeUpgrades = [
  "Upgrade: websocket\r\nConnection: keep-alive\r\n",
  "Upgrade: websocket, h2c\r\nConnection: upgrade\r\n",
  "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
  "Upgrade: web socket\r\nConnection: Upgrade\r\n",
  "Upgrade:\r\nConnection: Upgrade\r\n",
  "Connection: Upgrade\r\n",
  "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
  "Upgrade: H2C\r\nConnection: Upgrade\r\n",
] as const;

/** Connection names the upgrade, and a WebSocket is among the protocols. */
const asksAnew = (fields: string): boolean => /websocket/.test(fields) && /Connection: upgrade/i.test(fields);
const handshake =
  "whether a WebSocket's handshake is whole is for the service to say: the gateway upgrades at its 101 only";

const expectations = [
  "100-continue",
  "100-Continue",
  "100-CONTINUE",
  "y 100-continue",
  "100-continue, x",
  "100-continu",
  "x",
  "",
  "200-ok",
] as const;

const whole = post("Content-Length: 5\r\nX-A: 1\r\n");
const chunked = post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n");

/** The client leaves after each number of bytes of a request: nothing of it may ever become a whole one. */
function* truncations(): Generator<Case> {
  const bodyAt = whole.indexOf("\r\n\r\n") + 4;
  for (let at = 1; at < whole.length; at++) {
    const partly = at < bodyAt ? "" : seen("POST /", ["x-a: 1", "content-length: 5"], "hello".slice(0, at - bodyAt));
    yield truncated(15, "the client leaves in a request", whole.slice(0, at), partly);
  }
  const chunksAt = chunked.indexOf("\r\n\r\n") + 4;
  for (let at = chunksAt; at < chunked.length; at++) {
    const data = "hello".slice(0, Math.max(0, at - chunksAt - 3));
    const partly = data === "" ? "" : `${data.length.toString(16)}\r\n${data}\r\n`;
    yield truncated(
      15,
      "the client leaves in a chunked body",
      chunked.slice(0, at),
      seen("POST /", ["transfer-encoding: chunked"], partly),
    );
  }
}

export const hops: readonly Case[] = [
  ...gone.map(([fields, left]) => accepted(14, "what does not travel on", get(fields), seen("GET /", left))),
  ...["close", "Close", "keep-alive, close", "close, x", "CLOSE", "x,close"].map((value) =>
    accepted(
      14,
      "Connection: close ends the connection, whatever follows",
      get(`Connection: ${value}\r\n`) + smuggled,
      seen("GET /"),
      { closes: true },
    ),
  ),
  ...["keep-alive", "Keep-Alive", "x, keep-alive"].map((value) =>
    accepted(
      14,
      "Connection: keep-alive says nothing new",
      get(`Connection: ${value}\r\nX-A: 1\r\n`),
      seen("GET /", ["x-a: 1"]),
    ),
  ),
  ...fakeUpgrades.map((fields) =>
    accepted(14, "an upgrade that is none", get(`${fields}X-A: 1\r\n`), seen("GET /", ["x-a: 1"]), {
      because: asksAnew(fields) ? handshake : "",
    }),
  ),
  accepted(
    14,
    "an upgrade beside a body is none",
    post("Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 5\r\n"),
    seen("POST /", ["content-length: 5"], "hello"),
  ),
  accepted(
    14,
    "an upgrade in HTTP/1.0 is none",
    `GET / HTTP/1.0\r\n${H}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    seen("GET /"),
    { closes: true, because: handshake },
  ),
  accepted(
    14,
    "an upgrade is asked for anew",
    get("Upgrade: WebSocket\r\nConnection: Upgrade, X-A\r\nX-A: 1\r\n"),
    seen("GET /", ["connection: upgrade", "upgrade: websocket"]),
    { because: handshake },
  ),
  ...expectations.map((value) =>
    accepted(
      14,
      "an expectation ends here",
      post(`Expect: ${value}\r\nContent-Length: 5\r\n`),
      seen("POST /", ["content-length: 5"], "hello"),
    ),
  ),
  accepted(
    14,
    "two expectations end here",
    post("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 5\r\n"),
    seen("POST /", ["content-length: 5"], "hello"),
    { because: "no expectation is forwarded: two of them confuse nobody" },
  ),
  accepted(
    14,
    "an expectation in HTTP/1.0 is none",
    `POST / HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello`,
    seen("POST /", ["content-length: 5"], "hello"),
    { closes: true },
  ),
  accepted(
    14,
    "requests in a pipeline",
    [1, 2, 3, 4, 5, 6, 7, 8].map((n) => line(`GET /${n} HTTP/1.1`)).join(""),
    [1, 2, 3, 4, 5, 6, 7, 8].map((n) => seen(`GET /${n}`)),
  ),
  accepted(
    14,
    "bodies in a pipeline",
    `${whole}${chunked}${whole.replace("hello", "\r\n\r\n.")}HEAD /h HTTP/1.1\r\n${H}\r\n${line("GET /last HTTP/1.1")}`,
    [
      seen("POST /", ["x-a: 1", "content-length: 5"], "hello"),
      seen("POST /", ["transfer-encoding: chunked"], "5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"),
      seen("POST /", ["x-a: 1", "content-length: 5"], "\r\n\r\n."),
      seen("HEAD /h"),
      seen("GET /last"),
    ],
  ),
  ...refused(3, 400, "VERSION", "a good request, then a bad one", [`${line("GET /x y HTTP/1.1")}`]).flatMap((bad) =>
    [line("GET /good HTTP/1.1"), whole, chunked].map((text) => ({
      ...bad,
      bytes: text + bad.bytes,
      sees: [
        {
          to: "web" as const,
          text:
            text === whole
              ? seen("POST /", ["x-a: 1", "content-length: 5"], "hello")
              : text === chunked
                ? seen("POST /", ["transfer-encoding: chunked"], "5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n")
                : seen("GET /good"),
        },
      ],
    })),
  ),
  ...truncations(),
  ...[
    accepted(15, "the client closes its side behind a whole request", get("X-A: 1\r\n"), seen("GET /", ["x-a: 1"])),
    accepted(
      15,
      "the client closes its side behind a whole body",
      chunked,
      seen("POST /", ["transfer-encoding: chunked"], "5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n"),
    ),
    accepted(15, "the client closes its side behind several requests", whole + line("GET /last HTTP/1.1"), [
      seen("POST /", ["x-a: 1", "content-length: 5"], "hello"),
      seen("GET /last"),
    ]),
  ].map((each) => ({ ...each, fin: true, closes: true })),
];
