/**
 * `tideway reload` and SIGHUP: a changed configuration is applied as a difference, under steady requests and open sockets;
 * a bad one changes nothing.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { WebSocket, WebSocketServer } from "ws";
import { ChatUnderLoad } from "./harness/chat.ts";
import { RunningTideway, temporaryFolder, tideway, until, writeConfiguration } from "./harness/tideway.ts";

interface ReloadReport {
  readonly changes: readonly { readonly what: string; readonly name: string; readonly how: string }[];
}

/** Rewrites the configuration and has it applied. */
async function apply(running: RunningTideway, change: (source: string) => string): Promise<ReloadReport["changes"]> {
  writeFileSync(running.configuration, change(readFileSync(running.configuration, "utf8")));
  const { code, stdout, stderr } = await tideway(["reload", "--json", running.configuration]);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as ReloadReport).changes;
}

async function refused(running: RunningTideway, source: string): Promise<string> {
  const before = readFileSync(running.configuration, "utf8");
  writeFileSync(running.configuration, source);
  const { code, stderr } = await tideway(["reload", running.configuration]);
  writeFileSync(running.configuration, before);
  assert.equal(code, 1, "the configuration was taken");
  return stderr;
}

const get = async (url: string) => {
  const response = await fetch(url);
  return { status: response.status, text: await response.text() };
};

test("routes and services come and go by reload: no GET fails, no socket disconnects, instances stay", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const running = chat.tideway;
  const before = (await chat.instances()).map(({ pid }) => pid);

  const added = await apply(running, (source) =>
    source
      .replace("services: {", 'services: { pong: { respond: { body: "pong" } },')
      .replace('"/": "web",', '"/": "web", "/ping": "pong",'),
  );
  assert.ok(
    added.some(({ what, name, how }) => what === "routes" && name === "*/ping" && how === "added"),
    JSON.stringify(added),
  );
  assert.deepEqual(await get(`${running.url}/ping`), { status: 200, text: "pong" });
  await chat.talk(100);

  await apply(running, (source) => source.replace('body: "pong"', 'body: "pong, changed"'));
  assert.equal((await get(`${running.url}/ping`)).text, "pong, changed");

  await apply(running, (source) => source.replace('"/ping": "pong",', '"/gone": { redirect: "/ping" },'));
  assert.notEqual((await get(`${running.url}/ping`)).text, "pong, changed");
  assert.deepEqual(await apply(running, (source) => source), []);
  await chat.talk(100);
  assert.deepEqual(
    (await chat.instances()).map(({ pid }) => pid),
    before,
    "the instances of an unchanged service go on",
  );
  await chat.assertUnnoticed();
});

test("a changed command is a deploy, more or fewer instances are started or drained: nobody notices", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const running = chat.tideway;
  const pids = async () => new Set((await chat.instances()).map(({ pid }) => pid));
  const first = await pids();

  await apply(running, (source) => source.replace("instances: 2", "instances: 3"));
  await until("three instances", async () => (await chat.instances()).filter((i) => i.state === "up").length === 3);
  assert.ok([...first].every(async (pid) => (await pids()).has(pid)));

  await apply(running, (source) => source.replace("instances: 3", 'instances: 1, env: { GREETING: "changed" }'));
  await until("one instance", async () => (await chat.instances()).length === 1);
  assert.equal([...(await pids())].filter((pid) => first.has(pid)).length, 0, "it runs with the new environment");
  await chat.talk(100);
  await chat.assertUnnoticed();
});

test("a bad configuration changes nothing, and says why where it was asked for", async (t) => {
  const chat = await ChatUnderLoad.start(t);
  const running = chat.tideway;
  const good = readFileSync(running.configuration, "utf8");
  const before = (await chat.instances()).map(({ pid }) => pid);

  assert.match(await refused(running, "export default {"), /CONFIG_THREW/);
  assert.match(await refused(running, good.replace("sites:", "sitse:")), /sitse[\s\S]*Did you mean "sites"/);
  assert.match(await refused(running, good.replace('"/": "web"', '"/": "wbe"')), /unknown|wbe/);
  const failing = good.replace("services: {", 'services: { bad: { command: "node -e process.exit(3)" },');
  assert.match(await refused(running, failing), /START_SERVICE_FAILED[\s\S]*services\.bad/);
  const replaced = good.replace(/command: "[^"]*"/, 'command: "node -e process.exit(3)"');
  assert.match(await refused(running, replaced), /START_SERVICE_FAILED/);
  const taken = await listening(t);
  assert.match(
    await refused(running, good.replace("listen: [{ port: 0 }]", `listen: [{ port: 0 }, { port: ${taken} }]`)),
    /START_PORT_IN_USE/,
  );
  // The command would look for the server where it is not: the signal reaches it all the same.
  writeFileSync(running.configuration, good.replace("listen:", 'data: "./elsewhere", listen:'));
  running.process.kill("SIGHUP");
  await until("the refusal in the log", async () => running.log.some((line) => line.includes("elsewhere, and ")));
  writeFileSync(running.configuration, good);

  await until("the old instances to be all there are", async () => {
    const now = (await chat.instances()).filter(({ state }) => state === "up").map(({ pid }) => pid);
    return now.length === before.length && now.every((pid) => before.includes(pid));
  });
  await chat.talk(100);
  await chat.assertUnnoticed();
});

async function listening(t: TestContext): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Two upstreams of the test's own: one answers slowly in chunks, and both echo WebSocket messages. */
async function upstream(t: TestContext): Promise<{ port: number; next: () => void }> {
  let next = () => {};
  const server = createServer((_, response) => {
    response.write("first\n");
    next = () => response.end("last\n");
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(data)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, next: () => next() };
}

test("open streams and WebSockets of unchanged routes go on; a removed route's finish; new listeners open, removed ones close", async (t) => {
  const folder = temporaryFolder("reload");
  t.after(() => folder.remove());
  const kept = await upstream(t);
  const gone = await upstream(t);
  const source = `{
    listen: [{ port: 0 }], console: false, log: { requests: false },
    services: {
      kept: { upstreams: ["http://127.0.0.1:${kept.port}"], health: { kind: "tcp" } },
      gone: { upstreams: ["http://127.0.0.1:${gone.port}"], health: { kind: "tcp" } },
    },
    sites: { "*": { "/kept": "kept", "/gone": "gone" } },
  }`;
  const running = await RunningTideway.start(writeConfiguration(folder.path, source));
  t.after(() => running.stop());

  const open = async (path: string) => {
    const socket = new WebSocket(`${running.url.replace("http", "ws")}${path}`);
    await once(socket, "open");
    t.after(() => socket.terminate());
    const echo = async (text: string) => {
      socket.send(text);
      return String((await once(socket, "message"))[0]);
    };
    const stream = request(`${running.url}${path}/stream`).end();
    const [response] = await once(stream, "response");
    response.setEncoding("utf8");
    const [first] = await once(response, "data");
    assert.equal(first, "first\n");
    return { echo, response };
  };
  const onKept = await open("/kept");
  const onGone = await open("/gone");

  const changes = await apply(running, (text) =>
    text
      .replace("[{ port: 0 }]", "[{ port: 0 }, { port: 0, sites: { '*': { '/': { respond: { body: 'own' } } } } }]")
      .replace(/\n.*gone: \{.*\n/, "\n")
      .replace(', "/gone": "gone"', ""),
  );
  assert.ok(
    changes.some(({ what, how }) => what === "listener" && how === "added"),
    JSON.stringify(changes),
  );
  assert.ok(changes.some(({ what, name, how }) => what === "service" && name === "gone" && how === "removed"));
  const opened = changes.find(({ what }) => what === "listener")!.name;
  assert.deepEqual(await get(`http://${opened}/`), { status: 200, text: "own" });
  assert.equal((await get(`${running.url}/gone`)).status, 404);

  assert.equal(await onKept.echo("still here"), "still here");
  assert.equal(await onGone.echo("still here, too"), "still here, too");
  for (const [side, { response }] of [
    [kept, onKept],
    [gone, onGone],
  ] as const) {
    side.next();
    const [last] = await once(response, "data");
    assert.equal(last, "last\n");
  }

  await apply(running, (text) => text.replace(/, \{ port: 0, sites: .*\} \}\]/, "]"));
  await assert.rejects(get(`http://${opened}/`));
  assert.equal(await onKept.echo("and after that"), "and after that");
});

test("SIGHUP reloads, also what the configuration imports; a bad one is told in the log", async (t) => {
  const folder = temporaryFolder("sighup");
  t.after(() => folder.remove());
  const imported = join(folder.path, "body.ts");
  writeFileSync(imported, 'export const body: string = "before";\n');
  const configuration = join(folder.path, "tideway.config.ts");
  writeFileSync(
    configuration,
    `import { body } from "./body.ts";
     export default { listen: [{ port: 0 }], console: false, services: { a: { respond: { body } } }, sites: { "*": { "/": "a" } } };\n`,
  );
  const running = await RunningTideway.start(configuration);
  t.after(() => running.stop());
  assert.equal((await get(running.url)).text, "before");

  writeFileSync(imported, 'export const body: string = "after";\n');
  running.process.kill("SIGHUP");
  await until("the new body", async () => (await get(running.url)).text === "after");

  writeFileSync(imported, "export const body = 7;\n");
  running.process.kill("SIGHUP");
  await until("the fault in the log", async () => running.log.some((line) => line.includes("services.a.respond.body")));
  assert.equal((await get(running.url)).text, "after");
});
