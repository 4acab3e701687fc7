/** The commands that ask: check, explain and status, as lines for a person and as JSON for a program. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { commonsConfiguration } from "./harness/commons.ts";
import { RunningTideway, repository, temporaryFolder, tideway, writeConfiguration } from "./harness/tideway.ts";

interface Explanation {
  readonly service: string | null;
  readonly instance: string | null;
  readonly forwardedPath: string | null;
  readonly running: boolean;
  readonly steps: readonly { readonly subject: string; readonly key: string; readonly taken: boolean }[];
}

suite("the command line", () => {
  const folder = temporaryFolder("command-line");
  const configuration = commonsConfiguration(folder.path);

  const run = async (...words: string[]) => {
    const { code, stdout, stderr } = await tideway(words);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const json = async <T>(...words: string[]) => JSON.parse(await run(...words, "--json")) as T;

  test("check prints every value with its origin, and starts nothing", async () => {
    const { values } = await json<{ values: { path: string; value: unknown; origin: string }[] }>(
      "check",
      configuration,
    );
    const of = (path: string) => values.find((row) => row.path === path);
    assert.deepEqual(of("services.web.instances"), { path: "services.web.instances", value: 2, origin: "file" });
    assert.equal(of("services.web.balance")?.origin, "default");
    assert.match(await run("check", configuration), /is valid\.\n\nKEY +VALUE +FROM\n/);
    assert.match(await run("start", "--check", configuration), /is valid/);
  });

  test("the configurations that README.md shows are valid", async () => {
    const readme = readFileSync(join(repository, "README.md"), "utf8");
    const blocks = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!);
    const shown = blocks.filter((block) => block.includes("export default defineConfig("));
    assert.equal(shown.length, 2);
    // Inside of the repository, since it imports "tideway"; git ignores this folder.
    mkdirSync(join(repository, "tmp"), { recursive: true });
    const folder = mkdtempSync(join(repository, "tmp", "readme-"));
    try {
      mkdirSync(join(folder, "public"));
      for (const [at, block] of shown.entries()) {
        const line = 'import { defineConfig } from "tideway";\n';
        const file = join(folder, `shown-${at}.config.ts`);
        writeFileSync(file, block.startsWith(line) ? block : line + block);
        assert.match(await run("start", "--check", file), /is valid/);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("explain takes a path as the listener would: encoded or not, it is the same one", async () => {
    const encoded = await json<Explanation>("explain", "http://www.commons.test/%61pi/posts", configuration);
    assert.equal(encoded.service, "web");
    assert.equal(encoded.forwardedPath, "/api/posts");
    const refused = await tideway(["explain", "http://www.commons.test/%00", configuration]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /refused with 400/);
  });

  test("explain without a running server tells the route and says that the instance is unknown", async () => {
    const url = "http://www.commons.test/api/posts";
    const explanation = await json<Explanation>("explain", url, configuration);
    assert.equal(explanation.service, "web");
    assert.equal(explanation.running, false);
    assert.match(await run("explain", url, configuration), /instance {2}unknown: Tideway does not run/);
  });

  test("explain of a port that nobody has names those that there are", async () => {
    const other = temporaryFolder("explain");
    const sites = { "*": { "/": "pong" } };
    const source = { listen: [{ port: 7777 }, { port: 8080 }], services: { pong: { respond: {} } }, sites };
    const file = writeConfiguration(other.path, JSON.stringify(source));
    assert.match(
      await run("explain", "http://x.test:9/", file),
      /answer +none: no listener .* port 9, but 7777, 8080$/m,
    );
    other.remove();
  });

  suite("while Tideway runs", () => {
    let running: RunningTideway;
    before(async () => {
      running = await RunningTideway.start(configuration);
    });
    after(async () => {
      await running?.stop();
      folder.remove();
    });

    test("explain names the site, the path, the service and the instance, and why", async () => {
      const explanation = await json<Explanation>("explain", `${running.url}/api/posts`, configuration);
      assert.match(explanation.instance ?? "", /^web-[12]$/);
      assert.equal(explanation.forwardedPath, "/api/posts");
      const taken = explanation.steps.filter((step) => step.taken).map((step) => `${step.subject} ${step.key}`);
      assert.deepEqual(taken, ["site *", "path /api"]);
      const page = await run("explain", `${running.url}/anything`, configuration);
      assert.match(page, /service {3}page \(files\)\ninstance {2}none needed/);
    });

    test("status shows services, instances, streams and names", async () => {
      const text = await run("status", configuration);
      for (const words of [/web +web-1 +up/, /live +\/socket\.io +disk/, /commons\.test/, /LISTENER/]) {
        assert.match(text, words);
      }
    });
  });
});
