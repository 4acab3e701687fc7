/**
 * A 1 GiB body through the gateway, down and up: byte-identical, and the server's memory hardly grows.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { test } from "node:test";
import { RunningTideway, temporaryFolder, writeConfiguration } from "./harness/tideway.ts";

const bodyBytes = 1024 * 1024 * 1024;
const pieceBytes = 1024 * 1024;
const growthMax = 64 * 1024 * 1024;

/** The body, made as it is read: each piece begins with its number, so that a swapped or repeated piece changes the hash. */
function* pieces(): Generator<Buffer> {
  const pattern = Buffer.alloc(pieceBytes);
  for (let i = 0; i < pieceBytes; i++) pattern[i] = (i * 31 + (i >> 8)) & 0xff;
  for (let number = 0; number < bodyBytes / pieceBytes; number++) {
    const piece = Buffer.from(pattern);
    piece.writeUInt32BE(number, 0);
    yield piece;
  }
}

const expectedHash = () => {
  const hash = createHash("sha256");
  for (const piece of pieces()) hash.update(piece);
  return hash.digest("hex");
};

async function hashOf(stream: Readable): Promise<{ hash: string; bytes: number }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { hash: hash.digest("hex"), bytes };
}

/** Sends the body on GET, answers with the hash of what it got on PUT. */
async function startOrigin() {
  const answer = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    if (incoming.url === "/healthy") {
      outgoing.end();
    } else if (incoming.method === "PUT") {
      outgoing.end(JSON.stringify(await hashOf(incoming)));
    } else {
      const chunked = incoming.url === "/chunked";
      outgoing.writeHead(200, chunked ? {} : { "content-length": bodyBytes });
      await pipeline(Readable.from(pieces()), outgoing as Writable);
    }
  };
  const server = createServer((incoming, outgoing) => void answer(incoming, outgoing).catch(() => outgoing.destroy()));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, port: (server.address() as AddressInfo).port };
}

/** Resident memory of a process, in bytes, and the most that it reached while watched. */
class MemoryWatch {
  readonly #pid: number;
  readonly #start: number;
  #most: number;
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#pid = pid;
    this.#start = this.#read();
    this.#most = this.#start;
    this.#timer = setInterval(() => {
      this.#most = Math.max(this.#most, this.#read());
    }, 20);
  }

  #read(): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#pid}/status`, "utf8"))![1]) * 1024;
  }

  /** Ends the watch; returns by how much memory grew at its most. */
  growth(): number {
    clearInterval(this.#timer);
    return this.#most - this.#start;
  }
}

function get(url: string): Promise<IncomingMessage> {
  return new Promise((done, failed) => request(url, done).on("error", failed).end());
}

const mebibytes = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;

test("1 GiB down and up through the gateway is byte-identical, and resident memory grows by less than 64 MiB", async (t) => {
  const folder = temporaryFolder("large-bodies");
  t.after(() => folder.remove());
  const origin = await startOrigin();
  t.after(() => {
    origin.server.closeAllConnections();
    origin.server.close();
  });
  const source = `{ listen: [{ port: 0 }], console: false,
    services: { origin: { upstreams: ["http://127.0.0.1:${origin.port}"], health: { path: "/healthy" } } },
    sites: { "*": { "/": "origin" } } }`;
  const tideway = await RunningTideway.start(writeConfiguration(folder.path, source));
  t.after(() => tideway.stop());
  const expected = expectedHash();

  for (const path of ["/length", "/chunked"]) {
    const watch = new MemoryWatch(tideway.process.pid!);
    const down = await hashOf(await get(`${tideway.url}${path}`));
    const growth = watch.growth();
    assert.deepEqual(down, { hash: expected, bytes: bodyBytes });
    t.diagnostic(`down ${path}: memory grew by ${mebibytes(growth)}`);
    assert.ok(growth < growthMax, `memory grew by ${mebibytes(growth)}`);
  }
  for (const headers of [{ "content-length": bodyBytes }, { "transfer-encoding": "chunked" }]) {
    const watch = new MemoryWatch(tideway.process.pid!);
    const upload = request(tideway.url, { method: "PUT", headers });
    const answered = once(upload, "response") as Promise<[IncomingMessage]>;
    await pipeline(Readable.from(pieces()), upload);
    const [answer] = await answered;
    const up = JSON.parse(Buffer.concat(await answer.toArray()).toString()) as unknown;
    const growth = watch.growth();
    assert.deepEqual(up, { hash: expected, bytes: bodyBytes });
    t.diagnostic(`up ${Object.keys(headers)[0]}: memory grew by ${mebibytes(growth)}`);
    assert.ok(growth < growthMax, `memory grew by ${mebibytes(growth)}`);
  }
});
