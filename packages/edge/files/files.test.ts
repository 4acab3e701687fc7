import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { FakeExchange, files, get, OLD_TEXT, root, run, target } from "./exchange.testing.ts";

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
