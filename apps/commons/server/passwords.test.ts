import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./errors.ts";
import { Argon2Passwords, passwordFault } from "./passwords.ts";

test("a password is kept as an argon2id PHC string with a salt of its own", async () => {
  const passwords = new Argon2Passwords();
  const [one, two] = await Promise.all([passwords.hash("correct horse"), passwords.hash("correct horse")]);
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  assert.notEqual(one, two);
  assert.equal(await passwords.verify(one, "correct horse"), true);
  assert.equal(await passwords.verify(one, "correct house"), false);
});

test("an account that does not exist is verified at full cost, and never right", async () => {
  const passwords = new Argon2Passwords();
  const started = performance.now();
  assert.equal(await passwords.verify(null, "anything"), false);
  // The derivation alone takes tens of milliseconds; returning early would take none.
  assert.ok(performance.now() - started > 5);
});

test("a password verifies however its characters are composed", async () => {
  const passwords = new Argon2Passwords();
  assert.equal(
    await passwords.verify(await passwords.hash("pass\u00e9 compos\u00e9"), "passe\u0301 compose\u0301"),
    true,
  );
});

test("parameters are read from the hash, so that they can be raised later", async () => {
  const { argon2Sync } = await import("node:crypto");
  const nonce = Buffer.from("0123456789abcdef");
  const tag = argon2Sync("argon2id", { message: "old", nonce, memory: 64, passes: 1, parallelism: 1, tagLength: 32 });
  const unpadded = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");
  const hash = `$argon2id$v=19$m=64,t=1,p=1$${unpadded(nonce)}$${unpadded(tag)}`;
  assert.equal(await new Argon2Passwords().verify(hash, "old"), true);
});

test("a flood of sign-ins is refused as busy beyond the queue", async () => {
  const passwords = new Argon2Passwords();
  const hash = "$argon2id$v=19$m=64,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY";
  const outcomes = await Promise.allSettled(Array.from({ length: 80 }, () => passwords.verify(hash, "x")));
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.equal(refused.length, 80 - 2 - 64);
  for (const { reason } of refused) assert.ok(reason instanceof ApiError && reason.code === "BUSY");
  assert.equal(await passwords.verify(hash, "x"), false);
});

test("passwords that anybody would guess are refused with a reason", () => {
  assert.notEqual(passwordFault("Password1", "ada"), null);
  assert.notEqual(passwordFault("lovelace", "Lovelace"), null);
  assert.notEqual(passwordFault("abababab", "ada"), null);
  assert.equal(passwordFault("correct horse", "ada"), null);
});
