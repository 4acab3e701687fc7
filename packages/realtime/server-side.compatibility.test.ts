/**
 * `serverSideEmit` between two servers: `socket.io` with a cluster adapter that is a Map in this process, and ours on one hub
 * over links.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { silentLogger } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createLinkServer } from "@tideway/edge/link";
import { Hub } from "@tideway/engine/hub";
import { Server as Reference } from "socket.io";
import { ClusterAdapter } from "socket.io-adapter";
import { Server } from "./index.ts";

interface Cluster {
  readonly servers: readonly [Reference, Reference, Reference];
  close(): Promise<void>;
}

async function openReference(): Promise<Cluster> {
  const members = new Set<InProcess>();
  class InProcess extends ClusterAdapter {
    constructor(nsp: unknown) {
      super(nsp);
      members.add(this);
    }
    override serverCount(): Promise<number> {
      return Promise.resolve(3);
    }
    override doPublish(message: Parameters<ClusterAdapter["doPublish"]>[0]): Promise<string> {
      for (const member of members)
        setImmediate(() => (member as unknown as { onMessage(m: unknown): void }).onMessage(message));
      return Promise.resolve("");
    }
    override doPublishResponse(
      uid: string,
      response: Parameters<ClusterAdapter["doPublishResponse"]>[1],
    ): Promise<void> {
      for (const member of members) {
        const { uid: own } = member as unknown as { uid: string };
        if (own === uid) (member as unknown as { onResponse(r: unknown): void }).onResponse(response);
      }
      return Promise.resolve();
    }
  }
  const make = () => new Reference({ adapter: InProcess as never });
  const servers = [make(), make(), make()] as const;
  return { servers, async close() {} };
}

async function openOurs(): Promise<Cluster> {
  const directory = mkdtempSync(join(tmpdir(), "tideway-server-side-"));
  const path = join(directory, "hub.sock");
  const common = { clock: systemClock, random: systemRandom, logger: silentLogger };
  const hub = new Hub({ ...common, store: null });
  const link = await createLinkServer({ path, attach: (server) => hub.attach(server), ...common });
  const make = () => new Server({ link: `unix:${path}` });
  const servers = [make(), make(), make()] as const;
  // Each is there when it finds sockets, none, at the hub.
  for (const server of servers) await server.fetchSockets();
  return {
    servers: servers as unknown as Cluster["servers"],
    async close() {
      for (const server of servers) await server.close();
      await link.close();
      hub.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

const cases: Record<string, (cluster: Cluster) => Promise<void>> = {};

cases["the others hear it, in the namespace in which it was said"] = async ({ servers: [one, two, three] }) => {
  const trail: string[] = [];
  const done = Promise.all(
    [two, three].map(
      (server) =>
        new Promise<void>((resolve) => {
          server.of("/admin").on("hello", () => trail.push("wrong namespace"));
          server.on("hello", (...args: unknown[]) => {
            trail.push(JSON.stringify(args));
            resolve();
          });
        }),
    ),
  );
  one.on("hello", () => trail.push("oneself"));
  assert.equal(one.serverSideEmit("hello", 1, { two: [3] }), true);
  await done;
  assert.deepEqual(trail, ['[1,{"two":[3]}]', '[1,{"two":[3]}]']);
};

cases["with an acknowledgement: an answer of each other server, the first argument of its first"] = async ({
  servers,
}) => {
  const [one, two, three] = servers;
  two.on("ask", (question, done) => {
    done(`${question} two`, "ignored");
    done("again");
  });
  three.on("ask", (question, done) => setImmediate(() => done(`${question} three`)));
  const answers = (await one.serverSideEmitWithAck("ask", "?")) as unknown as string[];
  assert.deepEqual(answers.sort(), ["? three", "? two"]);
  const called = await new Promise<unknown[]>((resolve) => {
    one.serverSideEmit("ask", "!", (...args: unknown[]) => resolve(args));
  });
  assert.equal(called[0], null);
  assert.deepEqual((called[1] as string[]).sort(), ["! three", "! two"]);
};

cases["one that does not answer: an error after the time-out, with the answers that came"] = async ({ servers }) => {
  const [one, two] = servers;
  two.on("ask", (done) => done("here"));
  await assert.rejects(Promise.resolve(one.serverSideEmitWithAck("ask")), (error: Error & { responses: unknown }) => {
    assert.equal(error.message, "timeout reached: only 1 responses received out of 2");
    assert.deepEqual(error.responses, ["here"]);
    return true;
  });
};

cases["a namespace's own events cannot be said"] = async ({ servers: [one] }) => {
  for (const name of ["connect", "connection", "new_namespace"]) {
    assert.throws(() => one.serverSideEmit(name), { message: `"${name}" is a reserved event name` });
    assert.throws(() => one.of("/x").serverSideEmit(name), { message: `"${name}" is a reserved event name` });
  }
};

for (const [name, open] of [
  ["socket.io", openReference],
  ["tideway", openOurs],
] as const) {
  suite(name, { concurrency: true }, () => {
    for (const [rule, run] of Object.entries(cases)) {
      test(rule, { timeout: 30_000 }, async () => {
        const cluster = await open();
        try {
          await run(cluster);
        } finally {
          await cluster.close();
        }
      });
    }
  });
}

test("tideway: a server that is alone is answered at once by nobody", async () => {
  const io = new Server(0);
  try {
    assert.deepEqual(await io.serverSideEmitWithAck("ask"), []);
  } finally {
    await io.close();
  }
});
