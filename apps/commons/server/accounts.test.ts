import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, test } from "node:test";
import { addressKey } from "./attempts.ts";
import { SESSION_LIFE_MS } from "./sessions.ts";
import { TestCommons } from "./testing.ts";

let commons: TestCommons;
beforeEach(async () => {
  commons = await TestCommons.start();
});
afterEach(async () => {
  await commons.close();
  assert.deepEqual(commons.faults, []);
});

const ada = { name: "ada", password: "secret of ada" };

test("signing up signs in, with a cookie that scripts and other sites cannot use", async () => {
  const visitor = commons.visitor();
  assert.deepEqual(await visitor.expect(200, "GET", "/api/session"), { account: null });
  const answer = await visitor.request("POST", "/api/accounts", ada);
  assert.equal(answer.status, 201);
  assert.deepEqual(answer.body, { account: { id: "1", name: "ada" } });
  const cookie = answer.headers.get("set-cookie")!;
  assert.match(cookie, /^commons=[A-Za-z0-9_-]{43};/);
  for (const part of ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age=2592000"]) assert.ok(cookie.includes(part), part);
  assert.doesNotMatch(cookie, /Secure|Domain/);
  assert.deepEqual(await visitor.expect(200, "GET", "/api/session"), { account: { id: "1", name: "ada" } });
});

test("over https the cookie is Secure and bound to the host", async () => {
  const visitor = commons.visitor({ "x-forwarded-proto": "https" });
  const cookie = (await visitor.request("POST", "/api/accounts", ada)).headers.get("set-cookie")!;
  assert.match(cookie, /^__Host-commons=/);
  assert.match(cookie, /; Secure/);
  assert.deepEqual((await visitor.expect(200, "GET", "/api/session")).account.name, "ada");
});

test("names and passwords are held to rules, and a refusal names the field", async () => {
  const visitor = commons.visitor();
  const fieldsOf = async (name: unknown, password: unknown) =>
    (await visitor.refused(400, "POST", "/api/accounts", { name, password })).fields;
  assert.deepEqual(await fieldsOf("a", "good enough"), { name: "Use at least 2 characters." });
  assert.deepEqual(await fieldsOf("a".repeat(25), "good enough"), { name: "Use at most 24 characters." });
  assert.deepEqual(await fieldsOf("ada love", "good enough"), { name: "Use letters, digits, - and _." });
  assert.deepEqual(await fieldsOf("ad\u0430", "good enough"), { name: "Use letters, digits, - and _." });
  assert.deepEqual(await fieldsOf("ada", "short"), { password: "Use at least 8 characters." });
  assert.deepEqual(await fieldsOf("ada", "x".repeat(201)), { password: "Use at most 200 characters." });
  assert.deepEqual(Object.keys((await fieldsOf("ada", "password1")) ?? {}), ["password"]);
  assert.deepEqual(await fieldsOf(7, null), { name: "A name is missing.", password: "A password is missing." });
});

test("a name is taken in every spelling of upper and lower case", async () => {
  await commons.member("Ada");
  const error = await commons.visitor().refused(409, "POST", "/api/accounts", ada);
  assert.equal(error.code, "NAME_TAKEN");
  assert.deepEqual(error.fields, { name: "This name is taken." });
});

test("of two who want a name at the same time, one gets it", async () => {
  const answers = await Promise.all([1, 2, 3].map(() => commons.visitor().request("POST", "/api/accounts", ada)));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409, 409]);
});

test("a wrong password and an unknown name are answered alike and cost the same", async () => {
  await commons.member("ada");
  const wrong = await commons.visitor().request("POST", "/api/session", { ...ada, password: "something else" });
  const unknown = await commons.visitor().request("POST", "/api/session", { ...ada, name: "nobody" });
  assert.equal(wrong.status, 401);
  assert.deepEqual(unknown.body, wrong.body);
  assert.equal(unknown.status, wrong.status);
  assert.equal(commons.passwords.verified, 2);
});

test("signing in makes a new session and ends the one that came with it", async () => {
  const owner = await commons.member("ada");
  const planted = owner.cookie;
  await owner.expect(200, "POST", "/api/session", ada);
  assert.notEqual(owner.cookie, planted);
  const thief = commons.visitor();
  thief.cookie = planted;
  assert.deepEqual(await thief.expect(200, "GET", "/api/session"), { account: null });
});

test("a token that the server did not make is not taken up at sign-in", async () => {
  await commons.member("ada");
  const visitor = commons.visitor();
  visitor.cookie = `commons=${"A".repeat(43)}`;
  await visitor.expect(200, "POST", "/api/session", ada);
  assert.notEqual(visitor.cookie, `commons=${"A".repeat(43)}`);
});

test("signing out ends the session on the server, not only the cookie", async () => {
  const visitor = await commons.member("ada");
  const kept = visitor.cookie;
  await visitor.expect(204, "DELETE", "/api/session");
  assert.equal(visitor.cookie, "");
  visitor.cookie = kept;
  assert.deepEqual(await visitor.expect(200, "GET", "/api/session"), { account: null });
});

test("a session ends after its time, and its row is removed", async () => {
  const visitor = await commons.member("ada");
  commons.time += SESSION_LIFE_MS;
  assert.deepEqual(await visitor.expect(200, "GET", "/api/session"), { account: null });
  await commons.sessions.sweep();
  assert.deepEqual(await commons.db.selectFrom("sessions").selectAll().execute(), []);
});

test("the database holds a hash of the token and never the token", async () => {
  const visitor = await commons.member("ada");
  const token = visitor.cookie.split("=")[1]!;
  const row = await commons.db.selectFrom("sessions").selectAll().executeTakeFirstOrThrow();
  assert.deepEqual(Buffer.from(row.token_hash), createHash("sha256").update(token).digest());
});

test("guessing at one account from one address is stopped, and waiting helps", async () => {
  await commons.member("ada");
  const guesser = commons.visitor({ "x-forwarded-for": "203.0.113.7" });
  for (let guess = 0; guess < 10; guess++) {
    await guesser.expect(401, "POST", "/api/session", { ...ada, password: `guess ${guess}` });
  }
  const stopped = await guesser.request("POST", "/api/session", ada);
  assert.equal(stopped.status, 429);
  assert.equal(stopped.body.error.code, "SLOW_DOWN");
  assert.equal(stopped.headers.get("retry-after"), "900");
  assert.equal(commons.passwords.verified, 10);
  commons.time += 900_000;
  await guesser.expect(200, "POST", "/api/session", ada);
});

test("a guesser does not lock the owner out at another address", async () => {
  await commons.member("ada");
  const guesser = commons.visitor({ "x-forwarded-for": "203.0.113.7" });
  for (let guess = 0; guess < 12; guess++) await guesser.request("POST", "/api/session", { ...ada, password: "guess" });
  await commons.visitor({ "x-forwarded-for": "198.51.100.1" }).expect(200, "POST", "/api/session", ada);
});

test("guessing at many accounts from one address is stopped, whatever the address claims before the last hop", async () => {
  const statuses: number[] = [];
  for (let guess = 0; guess < 61; guess++) {
    const guesser = commons.visitor({ "x-forwarded-for": `198.51.100.${guess}, 203.0.113.7` });
    statuses.push((await guesser.request("POST", "/api/session", { name: `n${guess}`, password: "guess" })).status);
  }
  assert.deepEqual([...new Set(statuses.slice(0, 60))], [401]);
  assert.equal(statuses[60], 429);
});

test("guessing at one account from many addresses is stopped", async () => {
  const statuses: number[] = [];
  for (let guess = 0; guess < 101; guess++) {
    const guesser = commons.visitor({ "x-forwarded-for": `10.0.${guess}.1` });
    statuses.push((await guesser.request("POST", "/api/session", ada)).status);
  }
  assert.equal(statuses[99], 401);
  assert.equal(statuses[100], 429);
});

test("many guesses at once do not pass together", async () => {
  const guesser = commons.visitor({ "x-forwarded-for": "203.0.113.7" });
  const answers = await Promise.all(Array.from({ length: 30 }, () => guesser.request("POST", "/api/session", ada)));
  assert.equal(answers.filter((answer) => answer.status === 401).length, 10);
  assert.equal(answers.filter((answer) => answer.status === 429).length, 20);
});

test("signing in rightly does not use up attempts", async () => {
  const visitor = await commons.member("ada");
  for (let time = 0; time < 70; time++) await visitor.expect(200, "POST", "/api/session", ada);
});

test("an IPv6 household is one address", () => {
  assert.equal(addressKey("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(addressKey("2001:db8:1:2::9"), "2001:db8:1:2::/64");
  assert.equal(addressKey("2001:DB8::1"), "2001:db8:0:0::/64");
  assert.equal(addressKey("::1"), "0:0:0:0::/64");
  assert.equal(addressKey("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(addressKey("192.0.2.1"), "192.0.2.1");
});
