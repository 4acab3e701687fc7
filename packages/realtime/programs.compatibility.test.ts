/**
 * Whole programs in the style of Socket.IO's documentation, each run twice as a process: as it is, and with `socket.io` changed
 * to `@tideway/realtime` and nothing else. Stock clients use them; what they saw must be what is written here.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { suite, type TestContext, test } from "node:test";
import { type Socket as Client, io, type ManagerOptions, type SocketOptions } from "socket.io-client";
import { transports } from "./testing/counterparts.ts";
import { type Program, programs, sourceWith } from "./testing/programs/index.ts";

for (const [name, from] of [
  ["socket.io", "socket.io"],
  ["tideway", "@tideway/realtime"],
] as const) {
  suite(name, { concurrency: 2 }, () => {
    for (const [rule, program] of Object.entries(programs)) {
      for (const [transport, clientOptions] of transports) {
        test(`${rule} (${transport})`, { timeout: 30_000 }, (t) => run(t, program, from, clientOptions));
      }
    }
  });
}

async function run(
  t: TestContext,
  program: Program,
  from: string,
  clientOptions: Partial<ManagerOptions & SocketOptions>,
): Promise<void> {
  const kind = `--input-type=${program.kind ?? "module"}`;
  const child = spawn(process.execPath, [kind, "--eval", sourceWith(program, from)], {
    cwd: import.meta.dirname,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const clients: Client[] = [];
  // Also when the test is given up: a process left behind would keep the whole run from ending.
  t.after(async () => {
    for (const client of clients) client.disconnect();
    const gone = once(child, "exit");
    child.kill();
    await gone;
  });
  const [port] = (await once(createInterface(child.stdout), "line")) as [string];
  const seen = await program.use((namespace = "/", options = {}) => {
    const address = `http://127.0.0.1:${port}${namespace === "/" ? "" : namespace}`;
    const client = io(address, { forceNew: true, reconnection: false, ...clientOptions, ...options });
    clients.push(client);
    return client;
  });
  assert.deepEqual(seen, program.sees);
}
