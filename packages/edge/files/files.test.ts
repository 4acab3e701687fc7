import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Exchange, ExchangeHandler, FieldList } from "@tideway/base";
import { ExchangeEnd, silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createFiles, type FilesOptions, type FilesTarget } from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "tideway-files-"));
const root = join(folder, "public");
const big = Buffer.alloc(700_001);
for (let i = 0; i < big.length; i++) big[i] = (i * 31 + (i >> 8)) & 255;
const OLD = new Date("2026-01-02T03:04:05Z");
const OLD_TEXT = "Fri, 02 Jan 2026 03:04:05 GMT";

function put(path: string, content: string | Buffer, at = OLD): void {
  const full = join(root, path);
  mkdirSync(join(full, ".."), { recursive: true });
  writeFileSync(full, content);
  utimesSync(full, at, at);
}

before(() => {
  put("index.html", "<h1>home</h1>");
  put("a.txt", "0123456789");
  put("empty.txt", "");
  put("sub/index.html", "sub");
  put("bare/file.bin", "x");
  put("big.bin", big);
  put("app.js", "let a = 1;".repeat(50));
  put("app.js.gz", "gz".repeat(100));
  put("app.js.br", "br".repeat(50));
  put("stale.css", "body{}", new Date("2026-02-02"));
  put("stale.css.gz", "old");
  put("assets/x-1a2b.js", "hashed");
  put(".env", "secret");
  put(".git/config", "secret");
  put(".well-known/security.txt", "contact");
  put("with space & ä.txt", "named");
  writeFileSync(join(folder, "outside.txt"), "outside");
  symlinkSync(join(folder, "outside.txt"), join(root, "link-out.txt"));
  symlinkSync(folder, join(root, "folder-out"));
  symlinkSync("a.txt", join(root, "link-in.txt"));
  symlinkSync("loop", join(root, "loop"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** An exchange that records; `take` decides how much a write may hold before it says to wait. */
class FakeExchange extends EventEmitter implements Exchange {
  readonly id = "test-id";
  readonly client = { address: "127.0.0.1", port: 1, localPort: 2, secure: false };
  readonly head: Exchange["head"];
  service = "";
  instance = "";
  status = 0;
  fields: Record<string, string> = {};
  length = -2;
  chunks: Uint8Array[] = [];
  writes = 0;
  ended = false;
  aborted = false;
  slow = false;
  handler: ExchangeHandler | null = null;
  constructor(method: string, target: string, fields: Record<string, string> = {}) {
    super();
    const [path = "", query] = target.split("?");
    const list: FieldList = Object.entries(fields).flat();
    this.head = {
      method,
      path,
      query: query === undefined ? "" : `?${query}`,
      host: "x.test",
      authority: "x.test",
      version: 11,
      fields: list,
      bodyLength: 0,
      upgrade: "",
    };
  }
  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }
  get text(): string {
    return this.body.toString();
  }
  accept(handler: ExchangeHandler): void {
    this.handler = handler;
  }
  pause(): void {}
  resume(): void {}
  inform(): void {}
  respond(status: number, fields: FieldList, bodyLength: number): void {
    assert.equal(this.status, 0, "answered once");
    this.status = status;
    this.length = bodyLength;
    for (let i = 0; i < fields.length; i += 2) {
      assert.ok(!(fields[i]! in this.fields), `${fields[i]} twice`);
      this.fields[fields[i]!] = fields[i + 1]!;
    }
    this.emit("respond");
  }
  write(chunk: Uint8Array): boolean {
    assert.ok(this.status > 0 && !this.ended);
    this.writes++;
    // Copied at once: a buffer used again too early would not go unnoticed if it were kept, nor excuse itself here.
    this.chunks.push(this.slow ? chunk : Buffer.from(chunk));
    this.emit("wrote");
    return !this.slow;
  }
  /** The client takes what was written. */
  drain(): void {
    this.chunks = this.chunks.map((chunk) => Buffer.from(chunk));
    this.handler?.onDrain();
  }
  end(): void {
    assert.ok(!this.ended);
    this.ended = true;
    this.emit("done");
  }
  abort(): void {
    this.aborted = true;
    this.emit("done");
  }
  upgrade(): never {
    throw new Error("no upgrade");
  }
}

const clock = new FakeClock(Date.UTC(2026, 5, 1));
function target(more: Partial<FilesOptions> = {}): FilesTarget {
  return createFiles({ root, clock, random: new SeededRandom(1), logger: silentLogger, ...more });
}
const files = target();

async function run(exchange: FakeExchange, on = files, strip?: string): Promise<FakeExchange> {
  const done = once(exchange, "done");
  on.handle(exchange, strip);
  if (!exchange.ended) await done;
  if (exchange.head.method === "GET" && ![204, 304].includes(exchange.status)) {
    assert.equal(exchange.body.length, exchange.length, "the body has the announced length");
  }
  return exchange;
}
const get = (path: string, fields: Record<string, string> = {}, on = files) =>
  run(new FakeExchange("GET", path, fields), on);
const descriptors = () => readdirSync("/proc/self/fd").length;

describe("what is served", () => {
  test("a file comes with type, length, validators and nosniff", async () => {
    const answer = await get("/a.txt");
    assert.equal(answer.status, 200);
    assert.equal(answer.text, "0123456789");
    assert.equal(answer.fields["content-type"], "text/plain; charset=utf-8");
    assert.equal(answer.fields["last-modified"], OLD_TEXT);
    assert.match(answer.fields.etag ?? "", /^"[\w-]{22}"$/);
    assert.equal(answer.fields["x-content-type-options"], "nosniff");
    assert.equal(answer.fields["accept-ranges"], "bytes");
    assert.equal(answer.fields["cache-control"], "no-cache");
  });

  test("types follow the extension; an unknown one is bytes", async () => {
    assert.equal((await get("/app.js")).fields["content-type"], "text/javascript; charset=utf-8");
    assert.equal((await get("/")).fields["content-type"], "text/html; charset=utf-8");
    assert.equal((await get("/big.bin")).fields["content-type"], "application/octet-stream");
  });

  test("a held small file is answered at once and with one write", async () => {
    await get("/a.txt");
    const exchange = new FakeExchange("GET", "/a.txt");
    files.handle(exchange);
    assert.deepEqual([exchange.ended, exchange.writes], [true, 1]);
  });

  test("HEAD has the fields of GET and no body", async () => {
    for (const path of ["/a.txt", "/big.bin", "/empty.txt"]) {
      const [head, whole] = [await run(new FakeExchange("HEAD", path)), await get(path)];
      assert.deepEqual([head.status, head.fields, head.length, head.body.length], [200, whole.fields, whole.length, 0]);
    }
  });

  test("an empty file is an empty answer", async () => {
    assert.deepEqual([(await get("/empty.txt")).status, (await get("/empty.txt")).length], [200, 0]);
  });

  test("names are decoded; links within the root are followed", async () => {
    assert.equal((await get("/with%20space%20&%20%C3%A4.txt")).text, "named");
    assert.equal((await get("/link-in.txt")).text, "0123456789");
    assert.equal((await get("/.well-known/security.txt")).text, "contact");
  });

  test("a folder is its index; without the slash it redirects there, the query kept", async () => {
    assert.equal((await get("/sub/")).text, "sub");
    const answer = await get("/sub?q=1");
    assert.deepEqual([answer.status, answer.fields.location], [301, "/sub/?q=1"]);
    assert.equal((await get("/bare")).status, 404);
    assert.equal((await get("/bare/")).status, 404);
  });

  test("a prefix is stripped for the file, and kept in a redirect", async () => {
    assert.equal((await run(new FakeExchange("GET", "/docs/a.txt"), files, "/docs")).text, "0123456789");
    assert.equal((await run(new FakeExchange("GET", "/docs/sub"), files, "/docs")).fields.location, "/docs/sub/");
    assert.equal((await run(new FakeExchange("GET", "/docs"), files, "/docs")).fields.location, "/docs/");
    assert.equal((await run(new FakeExchange("GET", "/docs/"), files, "/docs")).text, "<h1>home</h1>");
    assert.equal((await run(new FakeExchange("GET", "/a.txt"), files, "/")).text, "0123456789");
  });

  test("other methods are refused with what is allowed; OPTIONS says the same", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "get"]) {
      const answer = await run(new FakeExchange(method, "/a.txt"));
      assert.deepEqual([answer.status, answer.fields.allow], [405, "GET, HEAD, OPTIONS"]);
    }
    const options = await run(new FakeExchange("OPTIONS", "/a.txt"));
    assert.deepEqual([options.status, options.fields.allow], [204, "GET, HEAD, OPTIONS"]);
  });

  test("the fallback answers pages that name no file, and no missing script or picture", async () => {
    const app = target({ fallback: "index.html", immutable: "/assets/" });
    assert.equal((await get("/some/page", { accept: "text/html,*/*" }, app)).text, "<h1>home</h1>");
    assert.equal((await get("/some/page", {}, app)).status, 200);
    assert.equal((await get("/some/page", { accept: "application/json" }, app)).status, 404);
    assert.equal((await get("/assets/gone", { accept: "text/html" }, app)).status, 404);
    assert.equal((await get("/gone.js", { accept: "*/*" }, app)).status, 404);
    assert.equal((await get("/bare", { accept: "text/html" }, app)).text, "<h1>home</h1>");
  });

  test("files below the immutable prefix may be kept for ever", async () => {
    const app = target({ immutable: "assets/" });
    assert.equal(
      (await get("/assets/x-1a2b.js", {}, app)).fields["cache-control"],
      "public, max-age=31536000, immutable",
    );
    assert.equal((await get("/a.txt", {}, app)).fields["cache-control"], "no-cache");
  });
});

describe("what is never served", () => {
  const paths = [
    "/..%2foutside.txt",
    "/%2e%2e/outside.txt",
    "/%2e%2e%2foutside.txt",
    "/sub/..%2f..%2foutside.txt",
    "/..%5coutside.txt",
    "/..\\outside.txt",
    "/a.txt%00",
    "/a.txt%00.html",
    "/%c0%ae%c0%ae/outside.txt",
    "/..%c0%afoutside.txt",
    "/%e0%80%ae%e0%80%ae/outside.txt",
    "/%ff",
    "/link-out.txt",
    "/folder-out/outside.txt",
    "/folder-out/",
    "/loop",
    "//a.txt",
    "/sub//index.html",
    "//outside.test",
    "/.env",
    "/.git/config",
    "/%2egit/config",
    "/a.txt/",
    "/a.txt/x",
    "/nothing",
    "/%2",
    "/%zz",
    `/${"x".repeat(300)}`,
    `/${"x/".repeat(3000)}x`,
    "/a%0a.txt",
    "*",
  ];
  for (const path of paths) {
    test(`${path.slice(0, 40)} is 404`, async () => {
      const answer = await get(path);
      assert.equal(answer.status, 404);
      assert.doesNotMatch(answer.text, /outside|secret|tideway-files/);
    });
  }

  test("a pipe does not keep the server waiting", async () => {
    const { execFileSync } = await import("node:child_process");
    execFileSync("mkfifo", [join(root, "pipe")]);
    assert.equal((await get("/pipe")).status, 404);
    rmSync(join(root, "pipe"));
  });
});

describe("conditions (RFC 9110 §13)", () => {
  let etag = "";
  before(async () => {
    etag = (await get("/a.txt")).fields.etag!;
  });
  const cases: [string, () => Record<string, string>, number][] = [
    ["If-None-Match with the tag is 304", () => ({ "if-none-match": etag }), 304],
    ["If-None-Match compares weakly, in a list, and takes *", () => ({ "if-none-match": `"other", W/${etag}` }), 304],
    ["If-None-Match * is 304", () => ({ "if-none-match": "*" }), 304],
    [
      "If-None-Match with another tag sends, whatever the date says",
      () => ({ "if-none-match": '"x"', "if-modified-since": OLD_TEXT }),
      200,
    ],
    ["If-Modified-Since at the date is 304", () => ({ "if-modified-since": OLD_TEXT }), 304],
    ["If-Modified-Since before it sends", () => ({ "if-modified-since": "Fri, 02 Jan 2026 03:04:04 GMT" }), 200],
    [
      "If-Modified-Since in the old forms is understood",
      () => ({ "if-modified-since": "Friday, 02-Jan-26 03:04:05 GMT" }),
      304,
    ],
    ["a date that is none is ignored", () => ({ "if-modified-since": "yesterday" }), 200],
    ["If-Match with the tag sends", () => ({ "if-match": `"x", ${etag}` }), 200],
    ["If-Match * sends", () => ({ "if-match": "*" }), 200],
    ["If-Match with another tag is 412", () => ({ "if-match": '"x"' }), 412],
    ["If-Match compares strongly", () => ({ "if-match": `W/${etag}` }), 412],
    [
      "If-Match goes before If-Unmodified-Since",
      () => ({ "if-match": etag, "if-unmodified-since": "Thu, 01 Jan 2026 00:00:00 GMT" }),
      200,
    ],
    [
      "If-Unmodified-Since before the date is 412",
      () => ({ "if-unmodified-since": "Thu, 01 Jan 2026 00:00:00 GMT" }),
      412,
    ],
    ["If-Unmodified-Since at the date sends", () => ({ "if-unmodified-since": OLD_TEXT }), 200],
    ["If-Match goes before If-None-Match", () => ({ "if-match": '"x"', "if-none-match": etag }), 412],
    ["Range with If-Range of the tag is 206", () => ({ range: "bytes=0-1", "if-range": etag }), 206],
    ["Range with If-Range of another tag is whole", () => ({ range: "bytes=0-1", "if-range": '"x"' }), 200],
    ["Range with a weak If-Range is whole", () => ({ range: "bytes=0-1", "if-range": `W/${etag}` }), 200],
    ["Range with If-Range of the date is 206", () => ({ range: "bytes=0-1", "if-range": OLD_TEXT }), 206],
    [
      "Range with If-Range of a later date is whole",
      () => ({ range: "bytes=0-1", "if-range": "Sat, 03 Jan 2026 00:00:00 GMT" }),
      200,
    ],
    ["If-None-Match goes before Range", () => ({ range: "bytes=0-1", "if-none-match": etag }), 304],
  ];
  for (const [name, fields, status] of cases) {
    test(name, async () => {
      const answer = await get("/a.txt", fields());
      assert.equal(answer.status, status);
      if (status === 304) {
        assert.equal(answer.body.length, 0);
        assert.deepEqual(Object.keys(answer.fields).toSorted(), ["cache-control", "etag", "last-modified"]);
      }
    });
  }

  test("a file that changed a moment ago has a weak tag, until it has settled", async () => {
    const wall = new FakeClock(Date.now());
    const app = target({ clock: wall });
    put("fresh.bin", Buffer.alloc(100_000), new Date());
    assert.match((await get("/fresh.bin", {}, app)).fields.etag ?? "", /^W\//);
    wall.advance(3_000);
    assert.match((await get("/fresh.bin", {}, app)).fields.etag ?? "", /^"/);
  });

  test("a date in the future is said as now", async () => {
    put("future.txt", "x", new Date("2090-01-01"));
    const wall = new FakeClock(Date.UTC(2026, 5, 1));
    assert.equal(
      (await get("/future.txt", {}, target({ clock: wall }))).fields["last-modified"],
      "Mon, 01 Jun 2026 00:00:00 GMT",
    );
  });
});

describe("ranges (RFC 9110 §14)", () => {
  const cases: [string, number, string, string | undefined][] = [
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=9-99", 206, "9", "bytes 9-9/10"],
    ["BYTES=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=5-3", 200, "0123456789", undefined],
    ["bytes=a-b", 200, "0123456789", undefined],
    ["bytes=-", 200, "0123456789", undefined],
    ["lines=1-2", 200, "0123456789", undefined],
    ["bytes=0-8,1-9", 200, "0123456789", undefined],
    [`bytes=${"0-0,".repeat(40)}0-0`, 200, "0123456789", undefined],
  ];
  for (const [range, status, body, contentRange] of cases) {
    test(`${range.slice(0, 30)} is ${status}`, async () => {
      const answer = await get("/a.txt", { range });
      assert.deepEqual([answer.status, answer.text, answer.fields["content-range"]], [status, body, contentRange]);
    });
  }

  test("a range outside is 416 with the length, also of an empty file", async () => {
    for (const range of ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"]) {
      const answer = await get("/a.txt", { range });
      assert.deepEqual([answer.status, answer.fields["content-range"]], [416, "bytes */10"]);
    }
    assert.equal((await get("/empty.txt", { range: "bytes=0-" })).status, 416);
  });

  test("several ranges are parts of a multipart answer, from memory and from disk", async () => {
    for (const [path, whole] of [
      ["/a.txt", Buffer.from("0123456789")],
      ["/big.bin", big],
    ] as const) {
      const answer = await get(path, { range: "bytes=0-1, 4-4, -2" });
      assert.equal(answer.status, 206);
      const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(answer.fields["content-type"] ?? "")?.[1];
      const parts = answer.body.toString("latin1").split(`\r\n--${boundary}`);
      assert.equal(parts.length, 5);
      assert.equal(parts.at(-1), "--\r\n");
      const bodies = parts.slice(1, 4).map((part) => part.split("\r\n\r\n"));
      assert.deepEqual(
        bodies.map(([, body]) => body),
        [
          [0, 2],
          [4, 5],
          [whole.length - 2, whole.length],
        ].map(([from, to]) => whole.subarray(from, to).toString("latin1")),
      );
      assert.match(bodies[0]![0]!, new RegExp(`content-range: bytes 0-1/${whole.length}`));
    }
  });

  test("HEAD knows no ranges", async () => {
    assert.equal((await run(new FakeExchange("HEAD", "/a.txt", { range: "bytes=0-1" }))).status, 200);
  });
});

describe("codings beside the file", () => {
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["gzip;q=1, br;q=0.5", "gzip"],
    ["br;q=0, gzip;q=0", undefined],
    ["*", "br"],
    ["identity", undefined],
    ["identity;q=0.5, gzip;q=0.4", undefined],
    ["zstd", undefined],
    ["deflate, gzip;q=0.2", "gzip"],
    ["identity;q=0", undefined],
  ];
  for (const [accept, coding] of cases) {
    test(`Accept-Encoding ${accept ?? "absent"}: ${coding ?? "as it is"}, and Vary says that there is a choice`, async () => {
      const answer = await get("/app.js", accept === undefined ? {} : { "accept-encoding": accept });
      assert.equal(answer.fields["content-encoding"], coding);
      assert.equal(answer.fields.vary, "accept-encoding");
      assert.equal(answer.fields["content-type"], "text/javascript; charset=utf-8");
    });
  }

  test("each coding has a tag of its own", async () => {
    const tags = await Promise.all(
      ["gzip", "br", "identity"].map(
        async (coding) => (await get("/app.js", { "accept-encoding": coding })).fields.etag,
      ),
    );
    assert.equal(new Set(tags).size, 3);
  });

  test("a coding that is older than the file is not sent", async () => {
    const answer = await get("/stale.css", { "accept-encoding": "gzip" });
    assert.deepEqual(
      [answer.text, answer.fields["content-encoding"], answer.fields.vary],
      ["body{}", undefined, undefined],
    );
  });
});

describe("sending", () => {
  test("a large file arrives byte by byte, also to a client that takes one piece at a time", async () => {
    for (const slow of [false, true]) {
      const exchange = new FakeExchange("GET", "/big.bin");
      exchange.slow = slow;
      exchange.on("wrote", () => slow && setImmediate(() => exchange.drain()));
      await run(exchange);
      assert.ok(exchange.body.equals(big));
    }
  });

  test("nothing is written before the client has taken what was", async () => {
    const exchange = new FakeExchange("GET", "/big.bin");
    exchange.slow = true;
    files.handle(exchange);
    await once(exchange, "wrote");
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    assert.equal(exchange.writes, 1);
    exchange.on("wrote", () => setImmediate(() => exchange.drain()));
    exchange.drain();
    await once(exchange, "done");
    assert.ok(exchange.body.equals(big));
  });

  test("a client that goes at any moment leaves no descriptor open", async () => {
    await get("/big.bin");
    const before = descriptors();
    for (let turns = 0; turns < 30; turns++) {
      const exchange = new FakeExchange("GET", "/big.bin");
      exchange.slow = true;
      files.handle(exchange);
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      exchange.handler?.onClose(ExchangeEnd.gone);
    }
    while (descriptors() > before) await new Promise(setImmediate);
    assert.equal(descriptors(), before);
  });

  test("a file that becomes shorter while it is sent breaks the connection: it never looks whole", async () => {
    put("shrinks.bin", Buffer.alloc(600_000));
    const exchange = new FakeExchange("GET", "/shrinks.bin");
    exchange.slow = true;
    files.handle(exchange);
    await once(exchange, "wrote");
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    writeFileSync(join(root, "shrinks.bin"), "");
    exchange.on("wrote", () => setImmediate(() => exchange.drain()));
    exchange.drain();
    await once(exchange, "done");
    assert.deepEqual([exchange.aborted, exchange.ended], [true, false]);
  });

  test("a change is seen after a second, small or large, and a file replaced before that is never mixed", async () => {
    const time = new FakeClock(Date.UTC(2026, 5, 1));
    const app = target({ clock: time });
    put("changes.txt", "one");
    put("changes.bin", Buffer.alloc(100_000, 1));
    assert.equal((await get("/changes.txt", {}, app)).text, "one");
    assert.equal((await get("/changes.bin", {}, app)).body[0], 1);
    put("changes.txt", "two two");
    put("changes.bin", Buffer.alloc(90_000, 2));
    const large = await get("/changes.bin", {}, app);
    assert.deepEqual([large.length, large.body[0]], [90_000, 2]);
    time.advance(1_000);
    assert.equal((await get("/changes.txt", {}, app)).text, "two two");
    rmSync(join(root, "changes.txt"));
    time.advance(1_000);
    assert.equal((await get("/changes.txt", {}, app)).status, 404);
  });

  test("a root that is a link may be turned to another folder", async () => {
    const time = new FakeClock(Date.UTC(2026, 5, 1));
    const current = join(folder, "current");
    for (const release of ["r1", "r2"]) {
      mkdirSync(join(folder, release));
      writeFileSync(join(folder, release, "v.txt"), release);
    }
    symlinkSync(join(folder, "r1"), current);
    const app = target({ root: current, clock: time });
    assert.equal((await get("/v.txt", {}, app)).text, "r1");
    rmSync(current);
    symlinkSync(join(folder, "r2"), current);
    time.advance(1_000);
    assert.equal((await get("/v.txt", {}, app)).text, "r2");
  });

  test("a root that does not exist is 404, not a crash", async () => {
    assert.equal((await get("/a.txt", {}, target({ root: join(folder, "none") }))).status, 404);
    assert.equal(statSync(root).isDirectory(), true);
  });
});
