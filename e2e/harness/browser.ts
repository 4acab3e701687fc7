/**
 * A real Chromium, Debian's, without a window. Owns one browser with a profile of its own; each person in a test is a
 * context of it, with cookies of their own.
 */
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

export const chromiumPath = "/usr/bin/chromium";
const flags = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export class TestBrowser {
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(): Promise<TestBrowser> {
    return new TestBrowser(await chromium.launch({ executablePath: chromiumPath, args: flags }));
  }

  /** A person with cookies of their own. Without `webSockets` the page has none, as behind a proxy that blocks them. */
  async person(url: string, options: { webSockets: boolean; width?: number } = { webSockets: true }): Promise<Person> {
    const context = await this.#browser.newContext({ viewport: { width: options.width ?? 1280, height: 800 } });
    if (!options.webSockets) await context.addInitScript("delete window.WebSocket");
    const page = await context.newPage();
    const person = new Person(context, page);
    await page.goto(url);
    return person;
  }

  /** A page in a context of its own. */
  async page(url: string): Promise<Page> {
    const page = await (await this.#browser.newContext()).newPage();
    await page.goto(url);
    return page;
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}

/** One person at Commons: what they do, in the page's words. */
export class Person {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Every load of a document: a page that shows changes without reloading has one. */
  loads = 0;
  /** Errors that the page met: exceptions, and refused or missing resources. */
  readonly errors: string[] = [];
  webSocketsOpened = 0;

  constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on("load", () => this.loads++);
    page.on("pageerror", (error) => this.errors.push(String(error)));
    page.on("websocket", () => this.webSocketsOpened++);
    page.setDefaultTimeout(10_000);
  }

  at(testId: string) {
    return this.page.getByTestId(testId);
  }

  /** The same person in a second tab: same cookies, a page of its own. */
  async anotherTab(): Promise<Person> {
    const page = await this.context.newPage();
    const person = new Person(this.context, page);
    await page.goto(this.page.url());
    await person.live();
    return person;
  }

  async live(): Promise<void> {
    await this.page.waitForSelector('[data-testid="connection"][data-state="live"]', { state: "attached" });
  }

  async signUp(name: string, password: string): Promise<void> {
    await this.at("sign-up-form").waitFor();
    await this.at("username").fill(name);
    await this.at("password").fill(password);
    await this.at("submit").click();
    await this.at("compose").waitFor();
  }

  async post(body: string): Promise<void> {
    await this.at("compose").fill(body);
    await this.at("post-button").click();
  }

  /** The post with this text. */
  postOf(body: string) {
    return this.at("post").filter({ hasText: body });
  }

  async edit(from: string, to: string): Promise<void> {
    await this.postOf(from).getByTestId("edit").click();
    await this.at("edit-body").fill(to);
    await this.at("save").click();
  }

  async remove(body: string): Promise<void> {
    await this.postOf(body).getByTestId("delete").click();
  }

  async undo(): Promise<void> {
    await this.at("undo").click();
  }
}
