/**
 * Ends at odd moments: told to stop in the middle of a start, a configuration that never finishes or leaves something
 * open. The command always ends, with the right code, and nothing stays.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { RunningTideway, repository, temporaryFolder, tideway, until, writeConfiguration } from "./harness/tideway.ts";

function folderFor(t: TestContext): string {
  const folder = temporaryFolder("endings");
  t.after(() => folder.remove());
  return folder.path;
}

/** Starts `file` and sends SIGTERM when `landmark` appears in its data directory. */
async function stopAt(landmark: string, folder: string, file: string): Promise<{ code: number | null; out: string }> {
  const data = join(folder, "data");
  mkdirSync(data);
  const child = spawn(process.execPath, [join(repository, "packages/tideway/bin/tideway.mjs"), "start", file], {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 20_000,
    killSignal: "SIGKILL",
  });
  let out = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      out += text;
    });
  }
  const watcher = watch(data, () => {
    if (child.killed || !existsSync(join(data, landmark))) return;
    child.kill("SIGTERM");
  });
  const [code] = (await once(child, "close")) as [number | null];
  watcher.close();
  return { code, out };
}

test("SIGTERM in the middle of a start ends it with 0: nothing is opened after the end", async (t) => {
  // The data is taken; the store is being opened; the hub's line is open and applications are next.
  for (const landmark of ["lock", "streams", "link-live.sock"]) {
    const folder = folderFor(t);
    const chat = JSON.stringify(`node ${join(repository, "e2e/apps/chat.ts")}`);
    const file = writeConfiguration(
      folder,
      `{ listen: [{ port: 0 }], console: false, services: { web: { command: ${chat} }, live: { realtime: { service: "web" } } },
        sites: { "*": { "/": "web", "/socket.io": "live" } } }`,
    );
    const { code, out } = await stopAt(landmark, folder, file);
    assert.equal(code, 0, `${landmark}: ${out}`);
    assert.doesNotMatch(out, /^\s+at /m);
    assert.doesNotMatch(out.slice(out.indexOf('"stopped"')), /instance started|"ready"/);
  }
});

test("a configuration that waits for ever is given up with a message", async (t) => {
  const folder = folderFor(t);
  const file = writeConfiguration(folder, "await new Promise(() => {})");
  const { code, stderr } = await tideway(["check", file]);
  assert.equal(code, 1, stderr);
  assert.match(stderr, /CONFIG_THREW/);
  assert.match(stderr, /not loaded after/);
  assert.doesNotMatch(stderr, /Warning/);
});

test("what a configuration leaves open does not keep a command that is done", async (t) => {
  const folder = folderFor(t);
  const file = writeConfiguration(
    folder,
    `(setInterval(() => {}, 1000), { services: { pong: { respond: {} } }, sites: { "*": { "/": "pong" } } })`,
  );
  const { code, stdout } = await tideway(["check", file]);
  assert.equal(code, 0);
  assert.match(stdout, /is valid/);
});

/** An application that accepts every upgrade and keeps it, with an engine of Tideway's beside it. */
const upgrading = `
import { createServer } from "node:http";
createServer((_, answer) => answer.end("up"))
  .on("upgrade", (_, socket) => socket.on("error", () => {}).resume().write("HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n"))
  .listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
`;

/** A client that keeps its side open whatever the server does, until the test is over. */
async function stubborn(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  socket.setEncoding("latin1").on("error", () => {});
  t.after(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

async function ask(socket: Socket, target: string, fields = ""): Promise<string> {
  socket.write(`GET ${target} HTTP/1.1\r\nHost: x\r\n${fields}\r\n`);
  const [answer] = (await once(socket, "data")) as [string];
  return answer;
}

test("open polls, upgraded connections and idle ones, on two listeners, do not hold up the end", async (t) => {
  const folder = folderFor(t);
  writeFileSync(join(folder, "app.mjs"), upgrading);
  const running = await RunningTideway.start(
    writeConfiguration(
      folder,
      `{ listen: [{ port: 0 }, { port: 0 }], console: false, services: { web: { command: "node app.mjs" }, live: { realtime: { service: "web" } } },
        sites: { "*": { "/": "web", "/socket.io": "live" } } }`,
    ),
  );
  t.after(() => running.kill());
  for (const { port } of running.addresses.listeners) {
    assert.match(await ask(await stubborn(t, port), "/"), /^HTTP\/1\.1 200/);
    assert.match(
      await ask(await stubborn(t, port), "/", "Connection: upgrade\r\nUpgrade: echo\r\n"),
      /^HTTP\/1\.1 101/,
    );
    const poller = await stubborn(t, port);
    const opened = await ask(poller, "/socket.io/?EIO=4&transport=polling");
    const sid = /"sid":"([^"]+)"/.exec(opened)?.[1];
    poller.write(`GET /socket.io/?EIO=4&transport=polling&sid=${sid} HTTP/1.1\r\nHost: x\r\n\r\n`);
  }
  const since = performance.now();
  assert.equal(await running.stop(), 0);
  const took = performance.now() - since;
  assert.ok(took < 6_000, `it took ${Math.round(took)} ms`);
});

test("an application that ends again and again stays in the status, with its restarts", async (t) => {
  const folder = folderFor(t);
  const app = `require("node:http").createServer((_, a) => a.end()).listen(process.env.PORT, "127.0.0.1"); setTimeout(() => process.exit(4), 300)`;
  writeFileSync(join(folder, "flap.cjs"), app);
  const running = await RunningTideway.start(
    writeConfiguration(
      folder,
      `{ listen: [{ port: 0 }], console: false, services: { web: { command: "node flap.cjs" } }, sites: { "*": { "/": "web" } } }`,
    ),
  );
  t.after(() => running.stop());
  await until("a wait between two starts", async () => {
    const [instance] = (await running.status()).services[0]!.instances;
    assert.equal(instance?.id, "web-1");
    return instance.state === "failed" && instance.restarts !== 0;
  });
});

test("after a start that ended by kill -9 its threads and instances find their modules compiled in the data directory", async (t) => {
  const folder = folderFor(t);
  const shown = join(folder, "shown");
  const command = JSON.stringify(
    `node -e "fs.writeFileSync('${shown}', process.env.NODE_COMPILE_CACHE); http.createServer((_, a) => a.end()).listen(process.env.PORT)"`,
  );
  const file = writeConfiguration(
    folder,
    `{ listen: [{ port: 0 }], console: false, services: { web: { command: ${command} }, live: { realtime: { service: "web" } } },
      sites: { "*": { "/": "web", "/socket.io": "live" } } }`,
  );
  const server = await RunningTideway.start(file);
  server.process.kill("SIGKILL");
  await once(server.process, "close");
  const compiled = join(folder, "data", "compiled");
  assert.equal(readFileSync(shown, "utf8"), compiled);
  assert.notEqual(readdirSync(compiled, { recursive: true }).length, 0);
});
