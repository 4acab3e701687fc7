import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";

/** Stands in for npm: counts its calls, then leaves behind what a real `npm ci` does, as the environment says. */
const npm = `
import { appendFileSync, copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
appendFileSync("npm.log", process.argv.slice(2).join(" ") + " PATH=" + process.env.PATH + "\\n");
if (process.env.FAKE_NPM === "fail") process.exit(7);
rmSync("node_modules", { recursive: true, force: true });
mkdirSync("node_modules/.bin", { recursive: true });
await new Promise((done) => setTimeout(done, 300));
if (process.env.FAKE_NPM !== "no scripts") symlinkSync(process.execPath, "node_modules/.bin/node");
mkdirSync("node_modules/vite/bin", { recursive: true });
copyFileSync("vite.js", "node_modules/vite/bin/vite.js");
copyFileSync("package-lock.json", "node_modules/.package-lock.json");
`;
/** Stands in for Vite: counts its calls, and builds. */
const vite = `
const { appendFileSync, mkdirSync, writeFileSync } = require("node:fs");
appendFileSync("../../../vite.log", "build\\n");
mkdirSync("dist", { recursive: true });
writeFileSync("dist/index.html", "page");
`;

interface Ended {
  readonly code: number | null;
  readonly said: string;
}

suite("bootstrap", () => {
  let root = "";
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const lock = (version: string): string =>
    JSON.stringify({
      packages: {
        "": { name: "root" },
        "node_modules/ws": { version },
        "node_modules/other-platform": { version: "1.0.0", optional: true },
      },
    });
  const calls = (log: string): number =>
    existsSync(join(root, log)) ? readFileSync(join(root, log), "utf8").trim().split("\n").length : 0;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "tideway-bootstrap-"));
    mkdirSync(join(root, "scripts"));
    for (const name of ["bootstrap.mjs", "lock.mjs"])
      copyFileSync(join(import.meta.dirname, name), join(root, "scripts", name));
    write("package.json", JSON.stringify({ devDependencies: { node: process.version.slice(1) } }));
    write("package-lock.json", lock("1.0.0"));
    write("npm/npm-cli.js", npm);
    write("npm/package.json", `{"type":"module"}`);
    write("vite.js", vite);
    write("apps/commons/package.json", "{}");
    write("apps/commons/web/vite.config.ts", "");
    write("apps/commons/web/src/page.tsx", "1");
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function start(args: readonly string[] = [], env: Record<string, string> = {}): ChildProcess {
    return spawn(process.execPath, [join(root, "scripts/bootstrap.mjs"), ...args], {
      env: { ...process.env, npm_execpath: join(root, "npm/npm-cli.js"), npm_node_execpath: process.execPath, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }
  async function ended(child: ChildProcess): Promise<Ended> {
    let said = "";
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const [code] = (await once(child, "close")) as [number | null];
    return { code, said };
  }
  const run = (args?: readonly string[], env?: Record<string, string>): Promise<Ended> => ended(start(args, env));

  test("a fresh clone is installed and built; the second time nothing is done and nothing said", async () => {
    const first = await run();
    assert.equal(first.code, 0, first.said);
    assert.deepEqual([calls("npm.log"), calls("vite.log")], [1, 1]);
    assert.deepEqual(await run(), { code: 0, said: "" });
    assert.deepEqual([calls("npm.log"), calls("vite.log")], [1, 1]);
  });

  test("npm does not run with the Node that it is about to replace", async () => {
    await run([], { PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` });
    assert.doesNotMatch(readFileSync(join(root, "npm.log"), "utf8"), new RegExp(`${root}/node_modules/.bin`));
  });

  test("a changed lock file installs again, and builds again", async () => {
    await run();
    write("package-lock.json", lock("1.0.1"));
    assert.equal((await run()).code, 0);
    assert.deepEqual([calls("npm.log"), calls("vite.log")], [2, 2]);
  });

  test("an install that was cut off is done again", async () => {
    await run();
    rmSync(join(root, "node_modules/.package-lock.json"));
    await run();
    assert.equal(calls("npm.log"), 2);
  });

  test("a changed source builds the page again, --no-build does not, --force-build always does", async () => {
    await run(["--no-build"]);
    assert.equal(calls("vite.log"), 0);
    await run();
    write("apps/commons/web/src/page.tsx", "2");
    await run(["--no-build"]);
    assert.equal(calls("vite.log"), 1);
    await run();
    assert.equal(calls("vite.log"), 2);
    await run(["--force-build"]);
    assert.equal(calls("vite.log"), 3);
    assert.equal(calls("npm.log"), 1);
  });

  test("two at once install once; the second waits and says so", async () => {
    const both = await Promise.all([run(), run()]);
    assert.deepEqual(
      both.map((each) => each.code),
      [0, 0],
      JSON.stringify(both),
    );
    assert.deepEqual([calls("npm.log"), calls("vite.log")], [1, 1]);
    assert.ok(both.some((each) => each.said.includes("waiting for it")));
    assert.ok(!existsSync(join(root, ".bootstrap.lock")));
  });

  test("a lock whose owner was killed is taken over", async () => {
    const gone = spawn(process.execPath, ["-e", ""]);
    await once(gone, "close");
    write(".bootstrap.lock", `${gone.pid} 1`);
    assert.equal((await run()).code, 0);
  });

  test("a lock whose owner's process id belongs to another process now is taken over", async () => {
    write(".bootstrap.lock", `${process.pid} 1`);
    assert.equal((await run()).code, 0);
  });

  test("without install scripts the Node is missing: the message gives the way out", async () => {
    const { code, said } = await run([], { FAKE_NPM: "no scripts" });
    assert.equal(code, 1);
    assert.match(said, /npm rebuild node/);
  });

  test("an installed Node of another version is told, with both versions", async () => {
    await run();
    rmSync(join(root, "node_modules/.bin/node"));
    write("node_modules/.bin/node", "#!/bin/sh\necho v18.0.0\n");
    chmodSync(join(root, "node_modules/.bin/node"), 0o755);
    const { code, said } = await run();
    assert.equal(code, 1);
    assert.match(said, new RegExp(`runs on Node ${process.version.slice(1)}.*v18\\.0\\.0 is there`));
  });

  test("a failing npm ci fails, with its code and without a stack", async () => {
    const { code, said } = await run([], { FAKE_NPM: "fail" });
    assert.equal(code, 1);
    assert.match(said, /npm ci failed with exit code 7/);
    assert.doesNotMatch(said, /at .*bootstrap/);
  });

  test("a signal ends it and what it started, and the lock is gone", async () => {
    const child = start();
    const end = ended(child);
    await once(child.stderr!, "data");
    while (!existsSync(join(root, "node_modules"))) await new Promise(setImmediate);
    child.kill("SIGTERM");
    assert.equal((await end).code, 143);
    assert.ok(!existsSync(join(root, ".bootstrap.lock")));
  });

  test("an unknown option is refused", async () => {
    assert.equal((await run(["--nobuild"])).code, 1);
  });
});
