/**
 * The page of Commons when things go wrong: loaded again in the middle of writing, asked twice, signed out in another tab,
 * its instance or the whole server killed while it is open.
 */
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { type Person, TestBrowser } from "./harness/browser.ts";
import { commonsConfiguration } from "./harness/commons.ts";
import { RunningTideway, temporaryFolder } from "./harness/tideway.ts";

const password = "correct horse battery";
/** The page waits at most 3 s between its attempts; the rest is for the server to start on a busy machine. */
const backMs = 20_000;

suite("the page of Commons in trouble", { skip: requires("chromium") }, () => {
  const folder = temporaryFolder("page");
  let tideway: RunningTideway;
  let browser: TestBrowser;
  let reader: Person;

  before(async () => {
    tideway = await RunningTideway.start(commonsConfiguration(folder.path));
    browser = await TestBrowser.start();
    reader = await browser.person(tideway.url);
    await reader.live();
  });

  after(async () => {
    await browser?.close();
    await tideway?.stop();
    folder.remove();
  });

  const newcomer = async (name: string) => {
    const person = await browser.person(tideway.url);
    await person.live();
    await person.signUp(name, password);
    return person;
  };

  test("what is being written, edited or sent survives a reload, and is posted once", async () => {
    const ada = await newcomer("ada");
    await ada.post("Ada's first");
    await ada.postOf("Ada's first").getByTestId("edit").click();
    await ada.at("edit-body").fill("Ada's first, mended");
    await ada.context.route("**/api/posts", (route) =>
      route.request().method() === "POST" ? route.abort() : route.continue(),
    );
    await ada.post("Ada's second");
    await ada.at("post-draft").waitFor();
    await ada.at("compose").fill("Ada's third, half");
    await ada.page.reload();
    assert.equal(await ada.at("edit-body").inputValue(), "Ada's first, mended");
    assert.equal(await ada.at("compose").inputValue(), "Ada's third, half");
    await ada.at("post-draft").waitFor();
    await ada.context.unroute("**/api/posts");
    await ada.at("save").click();
    await reader.postOf("Ada's first, mended").waitFor();
    await reader.postOf("Ada's second").waitFor();
    await ada.at("post-draft").waitFor({ state: "detached" });
    assert.equal(await ada.postOf("Ada's second").count(), 1);
  });

  test("an edit begun over a version that was changed meanwhile says so, and overwrites nothing unseen", async () => {
    const bob = await newcomer("bob");
    await bob.post("Bob's plan");
    await bob.postOf("Bob's plan").getByTestId("edit").click();
    await bob.at("edit-body").fill("Bob's plan, on the desk");
    const phone = await bob.anotherTab();
    await phone.edit("Bob's plan", "Bob's plan, on the way");
    await reader.postOf("on the way").waitFor();
    await bob.page.reload();
    await bob.page.getByText("changed elsewhere meanwhile, to: “Bob's plan, on the way”").waitFor();
    await bob.at("save").click();
    await reader.postOf("on the desk").waitFor();
  });

  test("Post pressed twice before the page is drawn again posts once", async () => {
    const cleo = await newcomer("cleo");
    await cleo.at("compose").fill("Only once");
    await cleo.page.evaluate(`for (const _ of [1, 2, 3]) document.querySelector(".composer").requestSubmit()`);
    await cleo.post("And then this");
    await reader.postOf("And then this").waitFor();
    assert.equal(await reader.postOf("Only once").count(), 1);
  });

  test("tabs of one browser agree on who is signed in", async () => {
    const dora = await newcomer("dora");
    await dora.at("compose").fill("Dora's own words");
    const other = await dora.anotherTab();
    await other.at("sign-out").click();
    await dora.at("sign-up-form").waitFor();
    await other.signUp("emil", password);
    await dora.at("compose").waitFor();
    assert.equal(await dora.at("compose").inputValue(), "", "another's words are not offered");
  });

  test("with the keyboard alone: write, edit, give up, delete, bring back; the focus is never lost", async () => {
    const finn = await newcomer("finn");
    const focused = (testId: string) => finn.page.locator(`[data-testid="${testId}"]:focus`).waitFor();
    const { keyboard } = finn.page;
    await finn.at("compose").focus();
    await keyboard.type("Finn types");
    await keyboard.press("Control+Enter");
    await finn.postOf("Finn types").getByTestId("edit").focus();
    await keyboard.press("Enter");
    await keyboard.type(" on");
    await keyboard.press("Control+Enter");
    await reader.postOf("Finn types on").waitFor();
    await focused("edit");
    await keyboard.press("Enter");
    await keyboard.type(" and on");
    await keyboard.press("Escape");
    await focused("edit");
    await keyboard.press("Tab");
    await keyboard.press("Enter");
    await focused("undo");
    await reader.postOf("Finn types").waitFor({ state: "detached" });
    await keyboard.press("Enter");
    await reader.postOf("Finn types on").waitFor();
    await focused("edit");
  });

  test("an instance killed with -9 under somebody who types: nothing typed is lost, the line stays, the post arrives", async () => {
    const gil = await newcomer("gil");
    await gil.page.evaluate(`
      globalThis.lineStates = [];
      new MutationObserver(() => lineStates.push(document.querySelector("[data-testid=connection]").dataset.state))
        .observe(document.querySelector("[data-testid=connection]"), { attributes: true });`);
    await gil.at("compose").pressSequentially("Typed before ");
    const { services } = await tideway.status();
    for (const { pid } of services.find((service) => service.name === "web")!.instances) process.kill(pid!, "SIGKILL");
    await gil.at("compose").pressSequentially("and after");
    await gil.at("post-button").click();
    await reader.postOf("Typed before and after").waitFor({ timeout: backMs });
    assert.deepEqual(await gil.page.evaluate("lineStates"), []);
    assert.equal(gil.loads, 1);
  });

  test("everything killed with -9 and started again: the open page is live again by itself and shows what it missed", async () => {
    const hedi = await newcomer("hedi");
    const { port } = tideway.addresses.listeners[0]!;
    await tideway.kill();
    await hedi.page.locator('[data-testid="connection"]:not([data-state="live"])').waitFor();
    await hedi.post("Written while nobody was there");
    tideway = await RunningTideway.start(commonsConfiguration(folder.path, { site: port }));
    const ina = await newcomer("ina");
    await ina.post("Posted while others were away");
    for (const person of [reader, hedi]) {
      await person.page.waitForSelector('[data-state="live"]', { timeout: backMs });
      await person.postOf("Written while nobody was there").waitFor({ timeout: backMs });
      await person.postOf("Posted while others were away").waitFor({ timeout: backMs });
      assert.equal(await person.postOf("Written while nobody was there").count(), 1);
      assert.equal(person.loads, 1, "no page was loaded again");
      assert.deepEqual(person.errors, []);
    }
  });
});
