import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import type { Post } from "../contract.ts";
import { RESTORE_WINDOW_MS } from "./posts.ts";
import { TestCommons, type Visitor } from "./testing.ts";

let commons: TestCommons;
let ada: Visitor;
let grace: Visitor;
beforeEach(async () => {
  commons = await TestCommons.start();
  ada = await commons.member("ada");
  grace = await commons.member("grace");
});
afterEach(async () => {
  await commons.close();
  assert.deepEqual(commons.faults, []);
});

async function write(author: Visitor, body: string, key?: string): Promise<Post> {
  const headers = key === undefined ? {} : { "idempotency-key": key };
  return (await author.expect(201, "POST", "/api/posts", { body }, headers)).post;
}

async function bodies(query = ""): Promise<string[]> {
  const page = await commons.visitor().expect(200, "GET", `/api/posts${query}`);
  return page.posts.map((post: Post) => post.body);
}

test("a post is answered whole and is in everybody's list, newest first", async () => {
  const post = await write(ada, "first");
  assert.deepEqual(post, {
    id: "1",
    author: { id: "1", name: "ada" },
    body: "first",
    version: 1,
    createdAt: "2026-01-01T00:00:00.000Z",
    editedAt: null,
    deletedAt: null,
  });
  await write(grace, "second");
  assert.deepEqual(await bodies(), ["second", "first"]);
});

test("only who is signed in can write", async () => {
  const visitor = commons.visitor();
  const { id } = await write(ada, "mine");
  for (const [method, path, body] of [
    ["POST", "/api/posts", { body: "x" }],
    ["PATCH", `/api/posts/${id}`, { body: "x", version: 1 }],
    ["DELETE", `/api/posts/${id}`, undefined],
    ["POST", `/api/posts/${id}/restore`, undefined],
  ] as const) {
    assert.equal((await visitor.refused(401, method, path, body)).code, "SIGN_IN_FIRST");
  }
});

test("nobody changes another's post", async () => {
  const { id } = await write(ada, "mine");
  assert.equal((await grace.refused(403, "PATCH", `/api/posts/${id}`, { body: "x", version: 1 })).code, "NOT_YOURS");
  assert.equal((await grace.refused(403, "DELETE", `/api/posts/${id}`)).code, "NOT_YOURS");
  await ada.expect(200, "DELETE", `/api/posts/${id}`);
  assert.equal((await grace.refused(404, "POST", `/api/posts/${id}/restore`)).code, "POST_NOT_FOUND");
  assert.deepEqual(
    (await commons.announcer.read(commons.db)).map((entry) => entry.event),
    ["post:created", "post:deleted"],
  );
});

test("an edit raises the version; one made on an older version is refused with the post as it is", async () => {
  const post = await write(ada, "one");
  commons.time += 1000;
  const edited = (await ada.expect(200, "PATCH", `/api/posts/${post.id}`, { body: "two", version: 1 })).post;
  assert.deepEqual(edited, { ...post, body: "two", version: 2, editedAt: "2026-01-01T00:00:01.000Z" });
  const refusal = await ada.expect(409, "PATCH", `/api/posts/${post.id}`, { body: "three", version: 1 });
  assert.equal(refusal.error.code, "POST_CHANGED");
  assert.deepEqual(refusal.post, edited);
});

test("of two edits at the same time on one version, one wins and the other is told", async () => {
  const { id } = await write(ada, "one");
  const answers = await Promise.all(
    ["a", "b", "c"].map((body) => ada.request("PATCH", `/api/posts/${id}`, { body, version: 1 })),
  );
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 409, 409]);
});

test("an edit that changes nothing is no change", async () => {
  const post = await write(ada, "same");
  assert.deepEqual(
    (await ada.expect(200, "PATCH", `/api/posts/${post.id}`, { body: " same ", version: 1 })).post,
    post,
  );
  assert.equal((await commons.announcer.read(commons.db)).length, 1);
});

test("a deleted post is gone for all and can be restored by its author for a while", async () => {
  await write(ada, "older");
  const post = await write(ada, "oops");
  const deleted = (await ada.expect(200, "DELETE", `/api/posts/${post.id}`)).post;
  assert.equal(deleted.version, 2);
  assert.deepEqual(await bodies(), ["older"]);
  await ada.refused(404, "PATCH", `/api/posts/${post.id}`, { body: "x", version: 2 });
  commons.time += RESTORE_WINDOW_MS;
  const restored = (await ada.expect(200, "POST", `/api/posts/${post.id}/restore`)).post;
  assert.deepEqual(restored, { ...post, version: 3 });
  assert.deepEqual(await bodies(), ["oops", "older"]);
});

test("deleting and restoring twice is doing it once", async () => {
  const { id } = await write(ada, "x");
  await ada.expect(200, "DELETE", `/api/posts/${id}`);
  assert.equal((await ada.expect(200, "DELETE", `/api/posts/${id}`)).post.version, 2);
  await ada.expect(200, "POST", `/api/posts/${id}/restore`);
  assert.equal((await ada.expect(200, "POST", `/api/posts/${id}/restore`)).post.version, 3);
  assert.equal((await commons.announcer.read(commons.db)).length, 3);
});

test("after its time a deleted post cannot be restored, and its text is erased", async () => {
  const { id } = await write(ada, "a secret");
  await ada.expect(200, "DELETE", `/api/posts/${id}`);
  await commons.posts.sweep();
  commons.time += RESTORE_WINDOW_MS + 1;
  assert.equal((await ada.refused(410, "POST", `/api/posts/${id}/restore`)).code, "POST_GONE");
  await commons.posts.sweep();
  const rows = await commons.db.selectFrom("posts").select("body").execute();
  assert.deepEqual(
    rows.map((row) => row.body),
    [""],
  );
  assert.equal((await ada.refused(410, "POST", `/api/posts/${id}/restore`)).code, "POST_GONE");
});

test("every change is announced with the whole post; a deletion without its text", async () => {
  const post = await write(ada, "one", "key-1");
  const edited = (await ada.expect(200, "PATCH", `/api/posts/${post.id}`, { body: "two", version: 1 })).post;
  const deleted = (await ada.expect(200, "DELETE", `/api/posts/${post.id}`)).post;
  const restored = (await ada.expect(200, "POST", `/api/posts/${post.id}/restore`)).post;
  assert.deepEqual(await commons.announcer.read(commons.db), [
    { event: "post:created", args: [post, { key: "key-1" }] },
    { event: "post:changed", args: [edited] },
    { event: "post:deleted", args: [{ ...deleted, body: "" }] },
    { event: "post:restored", args: [restored] },
  ]);
  assert.equal(commons.announcer.woken, 4);
});

test("post and event are one transaction: when the event cannot be written, there is no post", async () => {
  const kept = await write(ada, "kept");
  commons.announcer.broken = true;
  for (const [method, path, body] of [
    ["POST", "/api/posts", { body: "lost" }],
    ["PATCH", `/api/posts/${kept.id}`, { body: "lost", version: 1 }],
    ["DELETE", `/api/posts/${kept.id}`, undefined],
  ] as const) {
    assert.equal((await ada.refused(500, method, path, body)).code, "INTERNAL");
  }
  assert.equal(commons.faults.splice(0).length, 3);
  assert.deepEqual(await bodies(), ["kept"]);
  assert.equal((await commons.announcer.read(commons.db)).length, 1);
  assert.equal(commons.announcer.woken, 1);
});

test("the same Idempotency-Key makes one post and one event, also when sent at the same time", async () => {
  const send = () => ada.request("POST", "/api/posts", { body: "once" }, { "idempotency-key": "k1" });
  const answers = await Promise.all([send(), send(), send()]);
  answers.push(await send());
  for (const answer of answers) {
    assert.equal(answer.status, 201);
    assert.deepEqual(answer.body, answers[0]!.body);
  }
  assert.equal(answers.filter((answer) => answer.headers.get("idempotent-replayed") === "true").length, 3);
  assert.deepEqual(await bodies(), ["once"]);
  assert.equal((await commons.announcer.read(commons.db)).length, 1);
});

test("an Idempotency-Key belongs to its author and its text", async () => {
  await write(ada, "hers", "k1");
  await write(grace, "also hers", "k1");
  const error = await ada.refused(422, "POST", "/api/posts", { body: "different" }, { "idempotency-key": "k1" });
  assert.equal(error.code, "KEY_REUSED");
  await ada.refused(400, "POST", "/api/posts", { body: "x" }, { "idempotency-key": "k".repeat(129) });
  assert.deepEqual(await bodies(), ["also hers", "hers"]);
});

test("pages follow each other without gap or repetition while posts are written and deleted", async () => {
  for (let n = 1; n <= 7; n++) await write(ada, `p${n}`);
  const first = await ada.expect(200, "GET", "/api/posts?limit=3");
  assert.deepEqual(
    first.posts.map((post: Post) => post.body),
    ["p7", "p6", "p5"],
  );
  await write(ada, "new above");
  await ada.expect(200, "DELETE", "/api/posts/5");
  const second = await ada.expect(200, "GET", `/api/posts?limit=3&cursor=${first.next}`);
  assert.deepEqual(
    second.posts.map((post: Post) => post.body),
    ["p4", "p3", "p2"],
  );
  const third = await ada.expect(200, "GET", `/api/posts?limit=3&cursor=${second.next}`);
  assert.deepEqual(
    third.posts.map((post: Post) => post.body),
    ["p1"],
  );
  assert.equal(third.next, null);
});

test("a cursor that is not ours is refused, and a foolish limit is replaced", async () => {
  for (const cursor of [
    "x",
    "0",
    "-1",
    encodeURIComponent("' or 1=1"),
    Buffer.from("before:0").toString("base64url"),
  ]) {
    assert.equal((await ada.refused(400, "GET", `/api/posts?cursor=${cursor}`)).code, "BAD_CURSOR");
  }
  for (let n = 1; n <= 31; n++) await write(ada, `p${n}`);
  for (const limit of ["0", "-1", "101", "1e9", "x", ""]) assert.equal((await bodies(`?limit=${limit}`)).length, 30);
});

test("texts are tidied, and held to 1 to 500 characters as a person counts", async () => {
  assert.equal((await write(ada, "  a\r\nb\u0000\n\n\n\n\nc \n")).body, "a\nb\n\n\nc");
  assert.equal((await write(ada, "🌊".repeat(500))).body, "🌊".repeat(500));
  const fieldsOf = async (body: unknown) => (await ada.refused(400, "POST", "/api/posts", { body })).fields;
  assert.deepEqual(await fieldsOf("🌊".repeat(501)), { body: "Use at most 500 characters." });
  assert.deepEqual(await fieldsOf(" \n\u0007"), { body: "Write something first." });
  assert.deepEqual(await fieldsOf("\ud83c"), { body: "This is not well-formed text." });
  assert.deepEqual(await fieldsOf(["x"]), { body: "The text is missing." });
});

test("ids that cannot be are not found", async () => {
  for (const id of ["0", "-1", "1e3", "99", "9".repeat(30), "__proto__", "%00", "1%20or%201"]) {
    assert.equal((await ada.refused(404, "DELETE", `/api/posts/${id}`)).code, "POST_NOT_FOUND");
  }
});
