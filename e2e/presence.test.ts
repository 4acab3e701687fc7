/**
 * Presence over two processes of an application: each change is told once, whichever process it happens at; a quick return is no
 * leave, and neither are the processes' own deaths and deploys.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { io, type Socket } from "socket.io-client";
import { RunningTideway, repository, temporaryFolder, tideway, until, writeConfiguration } from "./harness/tideway.ts";

test("everybody hears of each coming and going once: over two processes, quick returns, a kill -9 and a deploy", async (t) => {
  const folder = temporaryFolder("presence");
  t.after(() => folder.remove());
  const source = {
    listen: [{ port: 0 }],
    console: false,
    data: join(folder.path, "data"),
    services: {
      web: { command: `node ${join(repository, "e2e/apps/lobby.ts")}`, instances: 2, health: { everyMs: 500 } },
      live: { realtime: { service: "web" } },
    },
    sites: { "*": { "/": "web", "/socket.io": "live" } },
  };
  const running = await RunningTideway.start(writeConfiguration(folder.path, JSON.stringify(source)));
  t.after(() => running.stop());
  const instances = async () => (await running.status()).services.find(({ name }) => name === "web")!.instances;
  const joined = async () => (await running.status()).realtime[0]?.servers.length === 2;
  await until("both processes to join the hub", joined);

  const clients: Socket[] = [];
  t.after(() => {
    for (const client of clients) client.close();
  });
  const visit = async (auth: object, transports = ["websocket"]) => {
    const client = io(running.url, {
      auth,
      transports,
      forceNew: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 100,
    });
    clients.push(client);
    await new Promise<void>((resolve) => client.once("connect", () => resolve()));
    return client;
  };
  const told: string[] = [];
  const watcher = await visit({});
  watcher.on("told", (text: string) => told.push(text));
  let disconnects = 0;
  watcher.on("disconnect", () => disconnects++);
  const heard = (...texts: string[]) => until(texts.join(), async () => texts.every((one) => told.includes(one)));

  const [ada, bob, cleo] = [
    await visit({ user: "ada" }),
    await visit({ user: "bob" }, ["polling"]),
    await visit({ user: "cleo" }),
  ];
  await heard("+ada", "+bob", "+cleo");
  const seen = new Map<string, string[]>();
  for (const client of [watcher, ada, bob, cleo]) {
    const [instance, members] = await new Promise<[string, string[]]>((resolve) => {
      client.emit("who", (name: string, list: string[]) => resolve([name, list]));
    });
    seen.set(instance, members.toSorted());
  }
  assert.equal(seen.size, 2, "the clients are at both processes");
  for (const members of seen.values()) assert.deepEqual(members, ["ada", "bob", "cleo"]);

  for (const client of [ada, bob, ada]) {
    const back = new Promise<void>((resolve) => client.once("connect", () => resolve()));
    client.io.engine.close();
    await back;
  }
  const [victim] = await instances();
  process.kill(victim!.pid!, "SIGKILL");
  await until(
    "another process to join",
    async () => (await instances()).every(({ pid }) => pid !== victim!.pid),
    30_000,
  );
  await until(
    "both processes to be up",
    async () => (await instances()).filter((one) => one.state === "up").length === 2,
    30_000,
  );
  const { code, stderr } = await tideway(["deploy", "web", running.configuration]);
  assert.equal(code, 0, stderr);

  cleo.disconnect();
  await heard("-cleo");
  const tab = await visit({ user: "ada" });
  tab.disconnect();
  bob.disconnect();
  await heard("-bob");
  assert.deepEqual(told, ["+ada", "+bob", "+cleo", "-cleo", "-bob"]);
  assert.equal(disconnects, 0);
});
