/**
 * A whole Tideway whose heap is small, under everything that clients can make it hold: heads that are almost whole, bodies
 * that wait for a service which does not read, answers that nobody reads, pipelines. It holds what its limits say and no more,
 * serves whoever behaves, and has let go of it all when they have left.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { RunningTideway, temporaryFolder, until, writeConfiguration } from "../harness/tideway.ts";
import { Line } from "./client.ts";

const heapMebibytes = 64;
const crowds = { heads: 500, uploads: 50, readers: 50, pipelines: 100 } as const;
/** Per connection: a head's buffer; a body kept for a retry; what the socket is given ahead, and one read; one read. */
const heldBytesMax = { heads: 48 * 1024, uploads: 256 * 1024, readers: 256 * 1024, pipelines: 128 * 1024 } as const;
const slackBytes = 64 * 1024 * 1024;

/** `/quick` is answered, `/pour` without end; nothing is read of a body before `readOn`. */
async function startService(t: TestContext): Promise<{ port: number; readOn(): void }> {
  const open = new Set<Socket>();
  const piece = Buffer.alloc(64 * 1024, "x");
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => {}).on("close", () => open.delete(socket));
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1", 0, 16);
      if (text.startsWith("GET /pour")) {
        const pour = (): void => {
          while (!socket.destroyed && socket.write(piece));
        };
        socket.on("drain", pour).write("HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n");
        pour();
      } else if (text.startsWith("PUT")) socket.pause();
      else socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    for (const socket of open) socket.destroy();
  });
  const { port } = server.address() as AddressInfo;
  return { port, readOn: () => [...open].map((socket) => socket.resume()) };
}

function residentBytes({ process }: RunningTideway): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${process.pid}/status`, "utf8"))![1]) * 1024;
}

const says: Readonly<Record<keyof typeof crowds, (socket: Socket) => void>> = {
  heads: (socket) =>
    socket.write(`GET /quick HTTP/1.1\r\nHost: a.test\r\n${`X: ${"a".repeat(7000)}\r\n`.repeat(2)}X: `),
  uploads(socket) {
    socket.write("PUT /up HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100000000000\r\n\r\n");
    const piece = Buffer.alloc(16 * 1024, "x");
    const pour = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on("drain", pour);
    pour();
  },
  readers(socket) {
    socket.pause();
    socket.write("GET /pour HTTP/1.1\r\nHost: a.test\r\n\r\n");
  },
  // Many times what is read at once, of a client that reads no answer.
  pipelines(socket) {
    socket.pause();
    socket.write("GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n".repeat(20_000));
  },
};

test("a small heap under crowds that never finish: it holds what its limits say, serves others, and lets go", async (t) => {
  const folder = temporaryFolder("memory");
  t.after(() => folder.remove());
  const { port, readOn } = await startService(t);
  const service = `{ upstreams: ["http://127.0.0.1:${port}"] }`;
  const source = `{ listen: [{ port: 0 }], console: false, data: ${JSON.stringify(`${folder.path}/data`)}, log: { requests: false },
    services: { quick: ${service}, held: ${service} }, sites: { "*": { "/": "held", "/quick": "quick" } } }`;
  const options = { NODE_OPTIONS: `--max-old-space-size=${heapMebibytes}` };
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, source), options);
  t.after(() => tideway.stop());
  const gateway = tideway.addresses.listeners[0]!.port;
  const quick = async (): Promise<void> => {
    const line = await Line.open(gateway);
    await line.say([Buffer.from("GET /quick HTTP/1.1\r\nHost: a.test\r\n\r\n")]);
    assert.equal((await line.answer())?.body, "ok");
    line.socket.destroy();
  };
  await quick();
  const before = residentBytes(tideway);
  const lines: Line[] = [];
  t.after(() => lines.map(({ socket }) => socket.destroy()));
  let most = 0;
  for (const [crowd, count] of Object.entries(crowds)) {
    for (let i = 0; i < count; i++) {
      const line = await Line.open(gateway);
      lines.push(line);
      says[crowd as keyof typeof crowds](line.socket);
      if (i % 20 === 0) await quick();
    }
    // Until nobody can send any more: then all is held that ever will be.
    const sent = (): number => lines.reduce((sum, { socket }) => sum + socket.bytesWritten - socket.writableLength, 0);
    let last = -1;
    await until(
      `the ${crowd} to stand still`,
      async () => {
        await quick();
        const now = sent();
        const still = now === last;
        last = now;
        most = Math.max(most, residentBytes(tideway));
        return still;
      },
      30_000,
    );
  }
  const allowed = Object.entries(crowds).reduce(
    (sum, [crowd, count]) => sum + count * heldBytesMax[crowd as keyof typeof crowds],
    slackBytes,
  );
  const mebibytes = (bytes: number): number => Math.round(bytes / 1024 / 1024);
  t.diagnostic(`memory grew by ${mebibytes(most - before)} MiB; ${mebibytes(allowed)} MiB are allowed`);
  assert.ok(most - before < allowed, `${mebibytes(most - before)} MiB`);
  for (const { socket } of lines) socket.resetAndDestroy();
  // A client that is not read from is not seen to leave: the service goes on reading, and so does the gateway.
  readOn();
  await until("all to be let go", async () => {
    const held = (await tideway.status()).services.find(({ name }) => name === "held")!;
    return held.instances.every((instance) => (instance as { active?: number }).active === 0);
  });
  for (let i = 0; i < 50; i++) await quick();
  assert.equal(tideway.process.exitCode, null);
});
