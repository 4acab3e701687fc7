/**
 * What the disk can do to a server: run full, and lose a write. Full: changes are refused with 507, reading and open
 * lines go on, and it heals by itself. A failed fsync: nothing is acknowledged any more, and the process ends.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import { requires } from "@tideway/scripts/requires";
import { io } from "socket.io-client";
import { CommonsClient, commonsConfiguration, type PostOnWire } from "./harness/commons.ts";
import { Ledger } from "./harness/ledger.ts";
import { RunningTideway, repository, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

const run = promisify(execFile);
const postsMax = 3_000;

/** Mounting needs a namespace of one's own, which needs root. */
const notRoot = process.getuid?.() === 0 ? false : "only root may mount a small disk";

function folderFor(t: TestContext): string {
  const folder = temporaryFolder("disk-faults");
  t.after(() => folder.remove());
  return folder.path;
}

test("a full disk: posting is answered 507, reading and open lines go on, and it heals by itself", {
  skip: notRoot || requires("unshare", "nsenter"),
}, async (t) => {
  const folder = folderFor(t);
  const data = join(folder, "data");
  mkdirSync(data);
  const mount = `mount -t tmpfs -o size=6m tmpfs "${data}" && exec "$@"`;
  const tideway = await RunningTideway.start(commonsConfiguration(folder), {}, [
    "unshare",
    "-m",
    "sh",
    "-c",
    mount,
    "sh",
  ]);
  t.after(() => tideway.stop());
  const inside = (script: string) => run("nsenter", ["-t", String(tideway.process.pid), "-m", "sh", "-c", script]);
  const ledger = new Ledger();
  const socket = io(tideway.url, { transports: ["websocket"], forceNew: true });
  t.after(() => socket.close());
  let disconnects = 0;
  socket.on("disconnect", () => disconnects++);
  socket.on("post:created", (post: PostOnWire) => ledger.add(post.body));
  await until("the client to connect", async () => socket.connected);
  const client = new CommonsClient(tideway.url);
  await client.signUp("ada");
  const confirmed: string[] = [];
  const post = async (body: string) => {
    const { status } = await client.call("POST", "/api/posts", { body });
    if (status === 201) confirmed.push(body);
    return status;
  };
  assert.equal(await post("before"), 201);

  await inside(`dd if=/dev/zero of="${data}/filler" bs=4k 2>/dev/null; true`);
  let status = 201;
  for (let number = 0; status === 201 && number < postsMax; number++)
    status = await post(`full ${number} ${"x".repeat(400)}`);
  assert.equal(status, 507, "a post that cannot be kept is refused");
  const { status: read, body } = await client.call("GET", "/api/posts");
  assert.equal(read, 200);
  assert.ok(body.posts!.length > 0);
  assert.equal(disconnects, 0);

  await inside(`rm "${data}/filler"`);
  await until("posting to heal", async () => (await post("after")) === 201);
  await until("every event to arrive", async () => ledger.missing(confirmed).length === 0, 20_000);
  assert.deepEqual(
    ledger.repeated.filter((entry) => entry !== "after"),
    [],
  );
  assert.equal(disconnects, 0);
  t.diagnostic(`${confirmed.length} posts were taken, ${ledger.entries.length} events came`);
});

test("a failed fsync: nothing more is acknowledged or delivered, the process ends with 1, and what was delivered is there", {
  skip: requires("strace"),
}, async (t) => {
  const folder = folderFor(t);
  const source = `{ listen: [{ port: 0 }], console: false, log: { requests: false }, data: ${JSON.stringify(join(folder, "data"))}, services: {
    web: { command: ${JSON.stringify(`node ${join(repository, "e2e/apps/chat.ts")}`)} },
    live: { realtime: { service: "web" } } }, sites: { "*": { "/": "web", "/socket.io": "live" } } }`;
  const configuration = writeConfiguration(folder, source);
  const log = join(folder, "data/streams/live/streams.db-wal");
  const faulty = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", log, "-e", "trace=fsync,fdatasync"];
  const tideway = await RunningTideway.start(configuration, {}, [
    ...faulty,
    "-e",
    "inject=fsync,fdatasync:error=EIO:when=30+",
  ]);
  t.after(() => tideway.kill());
  const ended = once(tideway.process, "close") as Promise<[number | null]>;
  const { port } = tideway.addresses.listeners[0]!;
  const ledger = new Ledger();
  const socket = io(tideway.url, {
    transports: ["websocket"],
    forceNew: true,
    reconnectionDelay: 100,
    reconnectionDelayMax: 200,
  });
  t.after(() => socket.close());
  const recoveries: boolean[] = [];
  socket.on("connect", () => recoveries.push(socket.recovered));
  socket.on("said", (from: string, number: number) => ledger.add(`${from}:${number}`));
  let said = 0;
  const talking = setInterval(() => {
    if (socket.connected) socket.emit("say", "s", said++);
  }, 10);
  t.after(() => clearInterval(talking));
  const [code] = await ended;
  clearInterval(talking);
  const words = tideway.log.join("\n");
  assert.equal(code, 1, words);
  assert.match(words, /STORE_FAILED/);
  const delivered = [...ledger.entries];
  assert.ok(delivered.length > 5, `${delivered.length} events came before the fault`);

  const again = await RunningTideway.start(configuration, { PORT: String(port) });
  t.after(() => again.stop());
  await until("the client to come back", async () => recoveries.length === 2);
  assert.equal(recoveries[1], true, "the session is there, and so is the gap");
  socket.emit("say", "s", said++);
  await until("an event after the restart", async () => ledger.has(`s:${said - 1}`));
  assert.deepEqual(ledger.repeated, []);
  const numbers = ledger.entries.map((entry) => Number(entry.split(":")[1]));
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
    "in order",
  );
  t.diagnostic(`${delivered.length} events before the fault, ${ledger.entries.length} in all`);
});
