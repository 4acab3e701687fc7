import assert from "node:assert/strict";
import { connect } from "node:net";
import { afterEach, beforeEach, test } from "node:test";
import { apiErrors } from "./errors.ts";
import { TestCommons, type Visitor } from "./testing.ts";

let commons: TestCommons;
let ada: Visitor;
beforeEach(async () => {
  commons = await TestCommons.start();
  ada = await commons.member("ada");
});
afterEach(async () => {
  await commons.close();
  assert.deepEqual(commons.faults, []);
});

test("bad JSON is refused with the place", async () => {
  const error = await ada.refused(400, "POST", "/api/posts", '{\n  "body": "x",\n}');
  assert.equal(error.code, "BAD_JSON");
  assert.match(error.message, /\(line 3, column 1: a key in quotation marks is missing\)$/);
  assert.match(
    (await ada.refused(400, "POST", "/api/posts", '{"body":"a","body":"b"}')).message,
    /column 13: .* twice/,
  );
  assert.equal((await ada.refused(400, "POST", "/api/posts", "[".repeat(10_000))).code, "BAD_JSON");
});

test("unknown keys are refused, __proto__ among them, and touch nothing", async () => {
  for (const body of [
    '{"body":"x","version":1}',
    '{"body":"x","__proto__":{"polluted":1}}',
    '{"body":"x","constructor":{"prototype":{"polluted":1}}}',
  ]) {
    assert.equal((await ada.refused(400, "POST", "/api/posts", body)).code, "INVALID");
  }
  assert.equal(({} as Record<string, unknown>)["polluted"], undefined);
});

test("bodies of the wrong shape are refused with the place", async () => {
  for (const body of ["null", "7", '"x"', "[]", "{}", '{"body":{"a":1}}', '{"body":1e999}']) {
    const error = await ada.refused(400, "POST", "/api/posts", body);
    assert.equal(error.code, "INVALID");
    assert.notDeepEqual(error.fields, {});
  }
  const { post } = await ada.expect(201, "POST", "/api/posts", { body: "x" });
  for (const version of ["1", 1.5, 0, -1, 1e300, null]) {
    const error = await ada.refused(400, "PATCH", `/api/posts/${post.id}`, { body: "y", version });
    assert.deepEqual(Object.keys(error.fields ?? {}), ["version"]);
  }
});

test("a body that is not UTF-8 is refused", async () => {
  const response = await fetch(`${commons.origin}/api/posts`, {
    method: "POST",
    headers: { "content-type": "application/json", cookie: ada.cookie },
    body: Buffer.from([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x7d]),
  });
  assert.equal(response.status, 400);
});

test("a body over 16 KiB is refused, declared or chunked", async () => {
  assert.equal((await ada.refused(413, "POST", "/api/posts", { body: "x".repeat(17_000) })).code, "TOO_LARGE");
  const chunks = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let n = 0; n < 20; n++) controller.enqueue(Buffer.alloc(1024, " "));
      controller.close();
    },
  });
  const response = await fetch(`${commons.origin}/api/posts`, {
    method: "POST",
    headers: { "content-type": "application/json", cookie: ada.cookie },
    body: chunks,
    duplex: "half",
  });
  assert.equal(response.status, 413);
  await response.body?.cancel();
});

test("only JSON is read: what a form on another site can send is refused", async () => {
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
  ]) {
    const error = await ada.refused(415, "POST", "/api/posts", '{"body":"x"}', { "content-type": type });
    assert.equal(error.code, "WANT_JSON");
  }
  await ada.expect(201, "POST", "/api/posts", { body: "x" }, { "content-type": "Application/JSON; charset=utf-8" });
});

test("a change that another site asks for is refused", async () => {
  const { post } = await ada.expect(201, "POST", "/api/posts", { body: "x" });
  for (const headers of [
    { origin: "https://evil.test" },
    { origin: "null" },
    { origin: commons.origin.replace("http:", "https:") },
    { origin: `${commons.origin}.evil.test` },
    { "sec-fetch-site": "cross-site" },
    { "sec-fetch-site": "same-site" },
  ] as Record<string, string>[]) {
    assert.equal((await ada.refused(403, "POST", "/api/posts", { body: "y" }, headers)).code, "ORIGIN_REFUSED");
    assert.equal(
      (await ada.refused(403, "DELETE", `/api/posts/${post.id}`, undefined, headers)).code,
      "ORIGIN_REFUSED",
    );
    assert.equal((await ada.refused(403, "DELETE", "/api/session", undefined, headers)).code, "ORIGIN_REFUSED");
  }
  await ada.expect(200, "GET", "/api/posts", undefined, { origin: "https://evil.test" });
  await ada.expect(201, "POST", "/api/posts", { body: "y" }, { origin: commons.origin });
  const overTls = { origin: commons.origin.replace("http:", "https:"), "x-forwarded-proto": "https" };
  assert.equal((await ada.refused(401, "POST", "/api/posts", { body: "y" }, overTls)).code, "SIGN_IN_FIRST");
});

test("what is not there is answered in JSON, and nothing is ever stored by a cache", async () => {
  for (const [method, path] of [
    ["GET", "/"],
    ["GET", "/api"],
    ["PUT", "/api/posts"],
    ["GET", "/api/posts/1"],
    ["GET", "/api/%2e%2e/x"],
  ] as const) {
    const answer = await ada.request(method, path);
    assert.equal(answer.status, 404);
    assert.equal(answer.body.error.code, "NOT_FOUND");
    assert.equal(answer.headers.get("cache-control"), "no-store");
  }
  const page = await ada.request("GET", "/api/posts");
  assert.equal(page.headers.get("cache-control"), "no-store");
  assert.equal(page.headers.get("x-content-type-options"), "nosniff");
});

test("health is answered", async () => {
  assert.deepEqual(await ada.expect(200, "GET", "/healthz"), { ok: true });
});

test("a client that vanishes in the middle of its body leaves nothing behind", async () => {
  const url = new URL(commons.origin);
  const socket = connect(Number(url.port), url.hostname);
  socket.write(
    `POST /api/posts HTTP/1.1\r\nhost: ${url.host}\r\ncookie: ${ada.cookie}\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{"body"`,
    () => socket.destroy(),
  );
  await new Promise((resolve) => socket.once("close", resolve));
  assert.deepEqual((await ada.expect(200, "GET", "/api/posts")).posts, []);
});

test("every error has a message and a hint that end like sentences", () => {
  for (const [code, { message, hint }] of Object.entries(apiErrors)) {
    assert.match(message, /^[A-Z].*\.$/, code);
    assert.match(hint, /^[A-Z].*\.$/, code);
  }
});
