/**
 * Whole Socket.IO programs as applications of a running Tideway: the import is changed and nothing else, the clients are at the
 * edge, and what they see is what they see from `socket.io` itself (`packages/realtime/programs.compatibility.test.ts`).
 */
import assert from "node:assert/strict";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { type Program, programs, sourceWith, transports } from "@tideway/realtime/testing";
import { type Socket as Client, io } from "socket.io-client";
import { RunningTideway, repository, temporaryFolder, until, writeConfiguration } from "./harness/tideway.ts";

const extensions = { commonjs: "cjs", "module-typescript": "ts", module: "mjs" } as const;

interface Place {
  readonly rule: string;
  readonly program: Program;
  readonly instances: number;
}

const places: Place[] = Object.entries(programs).map(([rule, program]) => {
  return { rule, program, instances: program.alone === undefined ? 2 : 1 };
});

function configurationOf(folder: string): object {
  const services: Record<string, object> = {};
  const listen = places.map(({ program, instances }, index) => {
    const file = join(folder, `program-${index}.${extensions[program.kind ?? "module"]}`);
    writeFileSync(file, sourceWith(program, "@tideway/realtime"));
    services[`web-${index}`] = {
      command: `node ${file}`,
      instances,
      // Some answer no request but a client's.
      health: { kind: "tcp" },
    };
    // With a log, events have offsets behind their arguments, as with `connectionStateRecovery`; these programs count theirs.
    const durability = program.recovers === true ? "disk" : "none";
    services[`live-${index}`] = { realtime: { service: `web-${index}`, durability } };
    return { port: 0, sites: { "*": { "/": `web-${index}`, "/socket.io": `live-${index}` } } };
  });
  return { listen, console: false, data: join(folder, "data"), log: { requests: false }, services };
}

suite("programs under `tideway start`", () => {
  const folder = temporaryFolder("programs");
  let tideway: RunningTideway;

  before(async () => {
    symlinkSync(join(repository, "node_modules"), join(folder.path, "node_modules"));
    writeFileSync(join(folder.path, "package.json"), JSON.stringify({ type: "module" }));
    tideway = await RunningTideway.start(writeConfiguration(folder.path, JSON.stringify(configurationOf(folder.path))));
    await until(
      "every instance to join its hub",
      async () => {
        const { realtime } = await tideway.status();
        return places.every(({ instances }, index) => {
          return realtime.find(({ name }) => name === `live-${index}`)?.servers.length === instances;
        });
      },
      60_000,
    );
  });

  after(async () => {
    await tideway?.stop();
    folder.remove();
  });

  suite("each", { concurrency: 4 }, () => {
    for (const [index, { rule, program, instances }] of places.entries()) {
      const name = instances === 1 ? `${rule}, in one instance` : `${rule}, in ${instances} instances`;
      // Their memory is of one client after the other.
      suite(name, { concurrency: 1 }, () => {
        for (const [transport, options] of transports) {
          test(transport, { timeout: 30_000 }, async () => {
            const { host, port } = tideway.addresses.listeners[index]!;
            const clients: Client[] = [];
            try {
              const seen = await program.use((namespace = "/", own = {}) => {
                const address = `http://${host}:${port}${namespace === "/" ? "" : namespace}`;
                const client = io(address, { forceNew: true, reconnection: false, ...options, ...own });
                clients.push(client);
                return client;
              });
              assert.deepEqual(seen, program.sees);
            } finally {
              for (const client of clients) client.disconnect();
            }
          });
        }
      });
    }
  });
});
