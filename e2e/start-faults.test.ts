/**
 * What goes wrong at the start: a message that names the place and a way out, exit code 1, nothing left running.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { RunningTideway, repository, temporaryFolder, tideway, until, writeConfiguration } from "./harness/tideway.ts";

const pong = `services: { pong: { respond: { body: "pong" } } }, sites: { "*": { "/": "pong" } }`;

function folderFor(t: TestContext): string {
  const folder = temporaryFolder("start-faults");
  t.after(() => folder.remove());
  return folder.path;
}

async function takePort(t: TestContext): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Processes whose command line or environment names this folder: what a failed start would have left. */
function leftovers(folder: string): string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "latin1") + readFileSync(`/proc/${pid}/environ`, "latin1");
        return words.includes(folder);
      } catch {
        return false;
      }
    });
}

test("a taken port of a listener, the console or the name server is named with the option to change", async (t) => {
  const folder = folderFor(t);
  const port = await takePort(t);
  const rows: [string, RegExp][] = [
    [`{ listen: [{ port: ${port} }], console: false, ${pong} }`, /listen\[0\]|PORT/],
    [`{ listen: [{ port: 0 }], console: { port: ${port} }, ${pong} }`, /console/],
    [`{ listen: [{ port: 0 }], console: false, names: { listen: { port: ${port} } }, ${pong} }`, /names\.listen/],
  ];
  for (const [source, option] of rows) {
    const { code, stderr, stdout } = await tideway(["start", writeConfiguration(folder, source)]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /START_PORT_IN_USE/);
    assert.ok(stderr.includes(String(port)), stderr);
    assert.match(stderr, option);
    assert.match(stderr, /mend /);
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.equal(stdout, "");
    assert.deepEqual(leftovers(folder), []);
  }
});

test("an unknown key is refused with file, key path and the nearest key; nothing starts", async (t) => {
  const folder = folderFor(t);
  const file = writeConfiguration(folder, `{ listen: [{ port: 0, hots: "x" }], ${pong} }`);
  for (const command of ["start", "check"]) {
    const { code, stderr, stdout } = await tideway([command, file]);
    assert.equal(code, 1);
    assert.match(stderr, /CONFIG_INVALID/);
    assert.ok(stderr.includes(`${file}  listen[0].hots`), stderr);
    assert.match(stderr, /Did you mean "host"/);
    assert.equal(stdout, "");
  }
  assert.deepEqual(leftovers(folder), []);
});

test("an application that never starts ends the start with its name, exit code and last words", async (t) => {
  const folder = folderFor(t);
  const sources: [string, RegExp][] = [
    [`node -e "console.error('no database today'); process.exit(3)"`, /no database today/],
    ["no-such-program --port", /no-such-program/],
  ];
  for (const [command, words] of sources) {
    const source = `{ listen: [{ port: 0 }], console: false, services: { web: { command: ${JSON.stringify(command)}, cwd: ${JSON.stringify(folder)}, env: { TEST_FOLDER: ${JSON.stringify(folder)} } } }, sites: { "*": { "/": "web" } } }`;
    const { code, stderr } = await tideway(["start", writeConfiguration(folder, source)]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /START_SERVICE_FAILED/);
    assert.match(stderr, /web/);
    assert.match(stderr, words);
    assert.match(stderr, /mend /);
    assert.deepEqual(leftovers(folder), []);
  }
});

test("an application that runs but never listens is given up after its time, and ended", async (t) => {
  const folder = folderFor(t);
  const source = `{ listen: [{ port: 0 }], console: false, services: { web: { command: "node -e setInterval(Object,1000)", startTimeoutMs: 700, env: { TEST_FOLDER: ${JSON.stringify(folder)} } } }, sites: { "*": { "/": "web" } } }`;
  const { code, stderr } = await tideway(["start", writeConfiguration(folder, source)]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /START_SERVICE_FAILED/);
  assert.deepEqual(leftovers(folder), []);
});

test("wrong usage exits with 2, a status without a server with 1 and a way out", async (t) => {
  const folder = folderFor(t);
  assert.equal((await tideway(["begin"])).code, 2);
  assert.equal((await tideway(["start", "--chekc"])).code, 2);
  const { code, stderr } = await tideway(["status", writeConfiguration(folder, `{ ${pong} }`)]);
  assert.equal(code, 1);
  assert.match(stderr, /CONTROL_UNREACHABLE/);
});

test("the edge killed with -9 leaves no application behind", async (t) => {
  const folder = folderFor(t);
  const source = `{ listen: [{ port: 0 }], console: false, services: {
    web: { command: ${JSON.stringify(`node ${join(repository, "e2e/apps/chat.ts")}`)}, instances: 2, env: { TEST_FOLDER: ${JSON.stringify(folder)} } },
    live: { realtime: { service: "web" } } }, sites: { "*": { "/": "web", "/socket.io": "live" } } }`;
  const running = await RunningTideway.start(writeConfiguration(folder, source));
  assert.ok(leftovers(folder).length >= 2);
  await running.kill();
  await until("the applications to end", async () => leftovers(folder).length === 0);
});

test("a second Tideway on the same data is refused; the first goes on", async (t) => {
  const folder = folderFor(t);
  const upstream = createHttpServer((_, answer) => void setTimeout(() => answer.end("up"), 50)).listen(0, "127.0.0.1");
  await once(upstream, "listening");
  t.after(() => upstream.close());
  const { port } = upstream.address() as AddressInfo;
  const source = `{ listen: [{ port: 0 }], console: false, services: { pong: { respond: { body: "pong" } },
    up: { upstreams: ["http://127.0.0.1:${port}", "http://name.invalid"] } }, sites: { "*": { "/": "pong", "/up": "up" } } }`;
  const running = await RunningTideway.start(writeConfiguration(folder, source));
  t.after(() => running.stop());
  const { code, stderr } = await tideway(["start", running.configuration]);
  assert.equal(code, 1);
  assert.match(stderr, /START_ALREADY_RUNNING/);
  assert.doesNotMatch(
    stderr,
    /instance|resolve/,
    "the error is the last that is said: nobody goes on probing behind it",
  );
  assert.equal(await (await fetch(running.url)).text(), "pong");
});

test("SIGTERM drains and exits with 0", async (t) => {
  const folder = folderFor(t);
  const running = await RunningTideway.start(
    writeConfiguration(folder, `{ listen: [{ port: 0 }], console: false, ${pong} }`),
  );
  assert.equal(await (await fetch(running.url)).text(), "pong");
  assert.equal(await running.stop(), 0);
});
