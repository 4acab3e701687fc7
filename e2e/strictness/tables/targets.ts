/** Rules 5 and 16: four forms of targets, and one normal form of paths, matched and forwarded alike (RFC 9112 §3.2, RFC 3986). */
import { accepted, type Case, H, line, post, refused, seen } from "../case.ts";

const target = (text: string): string => line(`GET ${text} HTTP/1.1`);

const otherForms = "* ** *? */ a.test a.test/ a.test:80 x/y ./ ../ .. . ?x ?/ ; : @ ~ , % %2F %2f/ & a:b //"
  .split(" ")
  .slice(0, -1);
const otherSchemes =
  "ftp://a.test/ file:///etc/passwd gopher://a.test/ javascript:alert(1) data:, ws://a.test/ wss://a.test/ h2://a.test/ unix:/x " +
  "mailto:a@a.test about:blank HTTPX://a.test/ xhttp://a.test/ http-//a.test/ http;//a.test/";
const brokenAbsolute =
  "http: http:/ http:// http:/a.test/ http:a.test http:///x http://?x http://@a.test/ http://u@a.test/ http://u:p@a.test/ " +
  "http://a.test:x/ http://a.test:65536/ http://a.test:-1/ http://[::1/ http://::1/ http://[::g]/ http://a..test/ http://.a/ " +
  "http://a.test@b.test/ http://a.test:80@b.test/ http://a.test,b.test/ http://a%2etest/ http://a.test%2f/ http://a.test;b/ " +
  "http://a'b/ https://u:@a.test/ http://a.test&b.test/ http:\\/a.test/ http://a|b/";

/** Bytes that stand in no target (RFC 3986 §2), whatever their place. */
const notInTarget = [
  "#",
  "\x80",
  "\x85",
  "\xa0",
  "\xc0\xaf",
  "\xe9",
  "\xc3\xa9",
  "\xff",
  "\xe2\x80\xae",
  "\xef\xbc\x8f",
];

const brokenEncodings =
  "/% /%0 /%zz /%2 /%g0 /%0g /a% /a%/b /%%41 /%%00 /%-1 /%+1 /%0x41 /%x41 /%u0041 /%u002e /%U0000 /%. /%/ /%25% /%\u00b9"
    .split(" ")
    .slice(0, -1);
const encodedControls =
  "/%00 /a%00 /a%00.html /%00/ /%01 /%08 /%09 /%0a /%0A /%0d /%0D%0AX:y /%0d%0a%0d%0aGET%20/ /%1b /%1f /%1F /%7f /%7F /a/%00/../b".split(
    " ",
  );

/** As sent, and as matched and forwarded. */
const paths: readonly (readonly [sent: string, normal: string])[] = [
  ["/a", "/a"],
  ["/a/", "/a/"],
  ["//", "//"],
  ["//a", "//a"],
  ["//a.test/x", "//a.test/x"],
  ["/a//b", "/a//b"],
  ["///", "///"],
  ["/./", "/"],
  ["/.", "/"],
  ["/..", "/"],
  ["/../", "/"],
  ["/../../..", "/"],
  ["/../../etc/passwd", "/etc/passwd"],
  ["/a/..", "/"],
  ["/a/../", "/"],
  ["/a/./b", "/a/b"],
  ["/a/b/../c", "/a/c"],
  ["/a/b/../../c", "/c"],
  ["/a//../b", "/a/b"],
  ["/a/...", "/a/..."],
  ["/.a", "/.a"],
  ["/..a", "/..a"],
  ["/a../b", "/a../b"],
  ["/.../", "/.../"],
  ["/%2e", "/"],
  ["/%2E%2e", "/"],
  ["/a/%2e%2e/b", "/b"],
  ["/a/.%2e/b", "/b"],
  ["/a/%2E./b", "/b"],
  ["/a/%2e/b", "/a/b"],
  ["/%2e%2e/%2e%2e/etc/passwd", "/etc/passwd"],
  ["/%252e%252e/x", "/%252e%252e/x"],
  ["/%2f", "/%2F"],
  ["/a%2fb", "/a%2Fb"],
  ["/a%2Fb", "/a%2Fb"],
  ["/..%2fx", "/..%2Fx"],
  ["/a/..%2f..%2fx", "/a/..%2F..%2Fx"],
  ["/%5c", "/%5C"],
  ["/..%5cx", "/..%5Cx"],
  ["/%61", "/a"],
  ["/%41%42", "/AB"],
  ["/%7euser", "/~user"],
  ["/%2D%2d%5f%5F", "/--__"],
  ["/%30%39", "/09"],
  ["/%20", "/%20"],
  ["/a%3fb", "/a%3Fb"],
  ["/a%23b", "/a%23b"],
  ["/%25", "/%25"],
  ["/%2500", "/%2500"],
  ["/%c3%a9", "/%C3%A9"],
  ["/%c0%af", "/%C0%AF"],
  ["/%c0%ae%c0%ae/x", "/%C0%AE%C0%AE/x"],
  ["/%e0%80%af", "/%E0%80%AF"],
  ["/%80", "/%80"],
  ["/%ff", "/%FF"],
  ["/a;p=1/b", "/a;p=1/b"],
  ["/..;/x", "/..;/x"],
  ["/a/..;x=1/b", "/a/..;x=1/b"],
  ["/;/a", "/;/a"],
  ["/a:b@c", "/a:b@c"],
  ["/!$&'()*+,=", "/!$&'()*+,="],
  ['/"<>^`{|}', '/"<>^`{|}'],
  ["/%22%3c%3e", "/%22%3C%3E"],
  ["/*", "/*"],
  ["/http://b.test/", "/http://b.test/"],
  ["/a?", "/a?"],
  ["/?", "/?"],
  ["/?a=b&c", "/?a=b&c"],
  ["/a?b?c", "/a?b?c"],
  ["/a?/../b", "/a?/../b"],
  ["/a/../b?/../c", "/b?/../c"],
  ["/?%00", "/?%00"],
  ["/?%zz%", "/?%zz%"],
  ["/?%61%2f", "/?%61%2f"],
  ["/?\\", "/?\\"],
  ['/?"<>^`{|}[]', '/?"<>^`{|}[]'],
  ["/?http://b.test/", "/?http://b.test/"],
  ["/[a]", "/[a]"],
];

/** Every spelling of `/admin` goes where `/admin` goes, and arrives as `/admin`. */
const admin: readonly (readonly [sent: string, normal: string])[] = [
  ["/admin", "/admin"],
  ["/admin/", "/admin/"],
  ["/%61dmin", "/admin"],
  ["/%61%64%6d%69%6E", "/admin"],
  ["/./admin", "/admin"],
  ["/x/../admin", "/admin"],
  ["/x/%2e%2e/admin", "/admin"],
  ["/x/y/../../admin/z", "/admin/z"],
  ["/../admin", "/admin"],
  ["/%2e/admin", "/admin"],
  ["/admin/.", "/admin/"],
  ["/admin/x/..", "/admin/"],
  ["/admin?x", "/admin?x"],
  ["/admin/%2f", "/admin/%2F"],
];
/** And what only looks like it stays where it is, spelled as it was matched. */
const notAdmin: readonly (readonly [sent: string, normal: string])[] = [
  ["/Admin", "/Admin"],
  ["//admin", "//admin"],
  ["/admin%2f", "/admin%2F"],
  ["/admin%2fx", "/admin%2Fx"],
  ["/admin;x", "/admin;x"],
  ["/admin%20", "/admin%20"],
  ["/admin.", "/admin."],
  ["/admin/..", "/"],
  ["/admin/../x", "/x"],
  ["/admin/%2e%2e/x", "/x"],
  ["/%2561dmin", "/%2561dmin"],
  ["/x?/admin", "/x?/admin"],
  ["/?/../admin", "/?/../admin"],
  ["/x/..%2fadmin", "/x/..%2Fadmin"],
];

/** Target, Host, and the host that is forwarded. */
const absolute: readonly (readonly [sent: string, host: string, start: string, forwarded: string])[] = [
  ["http://a.test/", "a.test", "GET /", "a.test"],
  ["http://a.test", "a.test", "GET /", "a.test"],
  ["http://a.test?x", "a.test", "GET /?x", "a.test"],
  ["http://A.test:81/x/../y?q", "a.test", "GET /y?q", "a.test:81"],
  ["HTTP://a.test/", "a.test", "GET /", "a.test"],
  ["https://a.test/", "a.test", "GET /", "a.test"],
  ["http://http://a.test/", "a.test", "GET //a.test/", "http"],
  ["http://a.test/http://b.test/", "a.test", "GET /http://b.test/", "a.test"],
  ["http://a.test/?@b.test", "a.test", "GET /?@b.test", "a.test"],
  ["http://a.test/@b.test", "a.test", "GET /@b.test", "a.test"],
  ["http://[::1]:81/", "a.test", "GET /", "[::1]:81"],
  ["http://a.test//b.test", "a.test", "GET //b.test", "a.test"],
  ["http://a.test/%2e%2e/x", "a.test", "GET /x", "a.test"],
];
/** What nginx takes to leave the root. */
const climbs = (path: string): boolean => /^\/(?:\.|%2e){2}(?:$|\/|%2f)|\.\.%2f\.\./i.test(path);
const root =
  "what would climb above the root stays there (RFC 3986 §5.2.4), and an encoded slash parts no segments; what is forwarded is what was matched";
/** What HAProxy does not take for the same as `Host: a.test`. */
const otherThanHost = /^http:\/\/(?:http:|a\.test\?x|A\.test:81|\[)/;
const mismatch = "an absolute target overrides Host (RFC 9112 §3.2.2), and only its host is routed and forwarded";

export const targets: readonly Case[] = [
  ...refused(5, 400, "TARGET_FORM", "another form", otherForms.map(target)),
  ...refused(5, 400, "TARGET_FORM", "another scheme", otherSchemes.split(" ").map(target)),
  ...refused(5, 400, "TARGET_FORM", "an absolute target that is broken", brokenAbsolute.split(" ").map(target)),
  ...refused(5, 400, "TARGET_FORM", "* without OPTIONS", [
    line("POST * HTTP/1.1"),
    line("HEAD * HTTP/1.1"),
    line("PUT * HTTP/1.0"),
    line("options * HTTP/1.1"),
    line("OPTIONS ** HTTP/1.1"),
    line("OPTIONS *? HTTP/1.1"),
    line("OPTIONS */ HTTP/1.1"),
    line("OPTIONS x HTTP/1.1"),
  ]),
  ...notInTarget.flatMap((bytes) =>
    refused(5, 400, "TARGET_CHARACTER", "a byte that stands in no target", [
      target(`/${bytes}`),
      target(`/a${bytes}/b`),
      target(`/?${bytes}`),
      target(`http://a.test/${bytes}`),
      target(`http://a${bytes}.test/`),
    ]),
  ),
  ...refused(5, 400, "TARGET_CHARACTER", "a backslash in the path", [
    target("/\\"),
    target("/a\\b"),
    target("/\\..\\x"),
    target("/..\\..\\x"),
    target("/\\\\a.test\\x"),
    target("/a\\?b"),
    target("http://a.test/\\x"),
    target("http://a.test/a\\..\\b?c"),
    line("OPTIONS /\\ HTTP/1.1"),
  ]),
  ...refused(5, 400, "TARGET_FORM", "a backslash elsewhere", [
    target("\\"),
    target("\\a"),
    target("\\\\a.test\\x"),
    target("http:\\\\a.test\\"),
  ]),
  ...refused(5, 405, "METHOD_REFUSED", "CONNECT and TRACE", [
    line("CONNECT a.test:443 HTTP/1.1"),
    line("CONNECT a.test HTTP/1.1"),
    line("CONNECT / HTTP/1.1"),
    line("CONNECT http://a.test/ HTTP/1.1"),
    line("CONNECT [::1]:25 HTTP/1.1"),
    line("CONNECT a.test:443 HTTP/1.0"),
    post("Content-Length: 5\r\n").replace("POST /", "CONNECT a.test:443"),
    post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n").replace("POST /", "CONNECT a.test:443"),
    line("TRACE / HTTP/1.1"),
    line("TRACE * HTTP/1.1"),
    line("TRACE http://a.test/ HTTP/1.0"),
    `TRACE / HTTP/1.1\r\n${H}Max-Forwards: 0\r\nCookie: a=b\r\n\r\n`,
  ]),
  ...refused(16, 400, "PATH_ENCODING", "a broken percent-encoding", brokenEncodings.map(target)),
  ...refused(16, 400, "PATH_ENCODING", "an encoded control character", encodedControls.map(target)),
  ...refused(
    16,
    400,
    "PATH_ENCODING",
    "a broken encoding in an absolute target",
    ["%00", "%", "%0a", "a/%7f?x"].map((path) => target(`http://a.test/${path}`)),
  ),
  ...paths.map(([sent, normal]) =>
    accepted(16, "one normal form", target(sent), seen(`GET ${normal}`), { because: climbs(sent) ? root : "" }),
  ),
  ...admin.map(([sent, normal]) =>
    accepted(16, "matched as it is forwarded", target(sent), seen(`GET ${normal}`), {
      to: "admin",
      because: climbs(sent) ? root : "",
    }),
  ),
  ...notAdmin.map(([sent, normal]) => accepted(16, "forwarded as it was matched", target(sent), seen(`GET ${normal}`))),
  ...absolute.map(([sent, host, start, forwarded]) =>
    accepted(5, "an absolute target", `GET ${sent} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, seen(start, [], "", forwarded), {
      because: sent.includes("%2e%2e/x") ? root : otherThanHost.test(sent) ? mismatch : "",
    }),
  ),
  ...["b.test", "b.test:81", "c.test", "[::1]"].map((host) =>
    accepted(
      5,
      "an absolute target and another Host",
      `GET http://a.test/x HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
      seen("GET /x"),
      { because: mismatch },
    ),
  ),
  accepted(5, "an absolute target decides on the route", target("http://b.test/x"), seen("GET /x", [], "", "b.test"), {
    to: "admin",
    because: mismatch,
  }),
  accepted(5, "an absolute target in HTTP/1.0", "GET http://a.test/x HTTP/1.0\r\n\r\n", seen("GET /x"), {
    closes: true,
  }),
  accepted(5, "OPTIONS *", line("OPTIONS * HTTP/1.1"), seen("OPTIONS *"), {
    because: "OPTIONS may ask for the server as a whole (RFC 9112 §3.2.4)",
  }),
  accepted(5, "OPTIONS of a server", line("OPTIONS http://a.test HTTP/1.1"), seen("OPTIONS *")),
  accepted(5, "OPTIONS of a path", line("OPTIONS /x HTTP/1.1"), seen("OPTIONS /x")),
  accepted(5, "OPTIONS of the root", line("OPTIONS http://a.test/ HTTP/1.1"), seen("OPTIONS /")),
];
