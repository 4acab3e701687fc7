/**
 * Two people at two real browsers: what one posts, edits and deletes the other sees within a second, without reloading;
 * over WebSocket, and again where the browser has no WebSockets.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, suite, type TestContext, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { type Person, TestBrowser } from "./harness/browser.ts";
import { commonsConfiguration } from "./harness/commons.ts";
import { RunningTideway, temporaryFolder } from "./harness/tideway.ts";

const withinMs = 1000;
const require = createRequire(import.meta.url);

/** Runs `change`, and fails unless `seen` holds within a second after it was done. */
async function seenInTime(
  t: TestContext,
  what: string,
  change: () => Promise<void>,
  seen: () => Promise<void>,
): Promise<void> {
  await change();
  const start = performance.now();
  await seen();
  const tookMs = performance.now() - start;
  t.diagnostic(`${what}: seen after ${Math.round(tookMs)} ms`);
  assert.ok(tookMs < withinMs, `${what} was seen after ${Math.round(tookMs)} ms`);
}

async function watchEachOther(t: TestContext, writer: Person, reader: Person, name: string): Promise<void> {
  await Promise.all([writer.live(), reader.live()]);
  await writer.signUp(name, "correct horse battery");
  const first = `Hello from ${name}`;
  const second = `Hello again from ${name}`;
  const post = () => writer.post(first);
  await seenInTime(t, "a post", post, () => reader.postOf(first).waitFor());
  await writer.postOf(first).getByTestId("edit").waitFor();
  await seenInTime(
    t,
    "an edit",
    () => writer.edit(first, second),
    () => reader.postOf(second).waitFor(),
  );
  assert.equal(await reader.postOf(first).count(), 0);
  assert.equal(await reader.postOf(second).getByTestId("edit").count(), 0, "others' posts cannot be edited");
  const gone = () => reader.postOf(second).waitFor({ state: "detached" });
  await seenInTime(t, "a deletion", () => writer.remove(second), gone);
  await seenInTime(
    t,
    "an undo",
    () => writer.undo(),
    () => reader.postOf(second).waitFor(),
  );
  await seenInTime(t, "a second deletion", () => writer.remove(second), gone);
  for (const person of [writer, reader]) {
    assert.equal(person.loads, 1, "no page was loaded again");
    assert.deepEqual(person.errors, []);
  }
}

suite("two browsers at Commons", { skip: requires("chromium") }, () => {
  const folder = temporaryFolder("browser");
  let tideway: RunningTideway;
  let browser: TestBrowser;

  before(async () => {
    tideway = await RunningTideway.start(commonsConfiguration(folder.path));
    browser = await TestBrowser.start();
  });

  after(async () => {
    await browser?.close();
    await tideway?.stop();
    folder.remove();
  });

  test("one posts, edits, deletes and undoes; the other sees each within a second, over WebSocket", async (t) => {
    const [writer, reader] = await Promise.all([browser.person(tideway.url), browser.person(tideway.url)]);
    await watchEachOther(t, writer, reader, "ada");
    assert.ok(writer.webSocketsOpened >= 1);
  });

  test("the same without WebSockets: polling only", async (t) => {
    const without = { webSockets: false };
    const [writer, reader] = await Promise.all([
      browser.person(tideway.url, without),
      browser.person(tideway.url, without),
    ]);
    await watchEachOther(t, writer, reader, "grace");
    assert.equal(writer.webSocketsOpened + reader.webSocketsOpened, 0);
  });

  test("a newcomer sees what was posted before, and the page fits a phone", async () => {
    const phone = await browser.person(tideway.url, { webSockets: true, width: 360 });
    await phone.live();
    await phone.signUp("linus", "correct horse battery");
    await phone.post("A post from a phone, with aVeryLongWordThatHasNoPlaceToBreakAndMustNotWidenThePage".repeat(2));
    await phone.postOf("A post from a phone").waitFor();
    const overflow = await phone.page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
    assert.ok(Number(overflow) <= 0, `the page is ${String(overflow)} px wider than the phone`);
    const desk = await browser.person(tideway.url);
    await desk.postOf("A post from a phone").waitFor();
  });

  test("the page has no accessibility faults that axe can find, signed out and signed in", async () => {
    const person = await browser.person(tideway.url);
    await person.live();
    const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
    const faults = async () => {
      await person.page.evaluate(axe);
      const found =
        "axe.run().then((r) => r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => n.target).join(' ')))";
      return person.page.evaluate(found);
    };
    assert.deepEqual(await faults(), []);
    await person.signUp("barbara", "correct horse battery");
    assert.deepEqual(await faults(), []);
  });
});
