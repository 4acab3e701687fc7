/** Compressed answers at stock clients, over real sockets and with real compressors. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { promisify } from "node:util";
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createZstdDecompress,
  gunzipSync,
  zstdDecompressSync,
} from "node:zlib";
import { type Exchange, type ExchangeHandler, type FieldList, limits, silentLogger, type Target } from "@tideway/base";
import { systemClock as clock, systemRandom as random } from "@tideway/edge/clock";
import { createFiles } from "@tideway/edge/files";
import { createListener } from "@tideway/edge/listener";
import { createProxy } from "@tideway/edge/proxy";
import { Service } from "@tideway/edge/upstream";
import { requires } from "@tideway/scripts/requires";
import fc from "fast-check";
import { request as undiciRequest } from "undici";
import { type Compression, createCompression } from "./index.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

const decoders = { gzip: createGunzip, br: createBrotliDecompress, zstd: createZstdDecompress };
const decode = { gzip: gunzipSync, br: brotliDecompressSync, zstd: zstdDecompressSync };
const codings = ["gzip", "br", "zstd"] as const;

interface Gate {
  readonly port: number;
  readonly url: string;
  readonly compression: Compression;
}

/** A listener whose every answer of this target is compressed, where that may be. */
async function gate(target: Target): Promise<Gate> {
  const compression = createCompression({ clock, logger: silentLogger });
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock,
    random,
    logger: silentLogger,
    limits,
    onExchange: (exchange) => target.handle(compression.wrap(exchange)),
  });
  const { port } = await listener.listen();
  open.unshift({ close: () => listener.close({ graceMs: 0 }) });
  return { port, url: `http://127.0.0.1:${port}/`, compression };
}

/** A target that writes when the test says so. */
class Source implements Target, ExchangeHandler {
  readonly fields: FieldList;
  exchange: Exchange | null = null;
  closed = false;
  onDrained: () => void = () => {};
  #asked: () => void = () => {};
  readonly asked = new Promise<void>((resolve) => {
    this.#asked = resolve;
  });

  constructor(fields: FieldList = ["content-type", "text/plain"]) {
    this.fields = fields;
  }
  handle(exchange: Exchange): void {
    this.exchange = exchange;
    exchange.accept(this);
    exchange.respond(200, this.fields, -1);
    this.#asked();
  }
  onBody(): void {}
  onBodyEnd(): void {}
  onDrain(): void {
    this.onDrained();
  }
  onClose(): void {
    this.closed = true;
  }
}

/** A target that answers with this body at once, in pieces. */
function fixed(body: Buffer, fields: FieldList, pieces = 1): Target {
  return {
    handle(exchange) {
      exchange.accept({ onBody() {}, onBodyEnd() {}, onDrain() {}, onClose() {} });
      exchange.respond(200, fields, body.length);
      const size = Math.ceil(body.length / pieces);
      for (let at = 0; at < body.length; at += size) exchange.write(body.subarray(at, at + size));
      exchange.end();
    },
  };
}

async function ask(port: number, coding: string, path = "/"): Promise<IncomingMessage> {
  const sent = request({ port, host: "127.0.0.1", path, headers: { "accept-encoding": coding } }).end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return answer;
}

async function bytesOf(answer: IncomingMessage): Promise<Buffer> {
  return Buffer.concat((await answer.toArray()) as Buffer[]);
}

/** Head and body as curl shows them, latin1. */
async function curl(...args: string[]): Promise<[string, string]> {
  const { stdout } = await promisify(execFile)("curl", ["-sS", "-i", ...args], { encoding: "latin1" });
  const end = stdout.indexOf("\r\n\r\n") + 4;
  return [stdout.slice(0, end), stdout.slice(end)];
}

/** Words of a small language, seeded: compressible as text is. */
function prose(length: number, seed = 1): Buffer {
  const words = Array.from({ length: 500 }, (_, i) => ((i * 7919 + 13) % 46_656).toString(36));
  let state = seed;
  const out = [];
  for (let size = 0; size < length; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const word = words[(state >>> 8) % 500]!;
    out.push(word);
    size += word.length + 1;
  }
  return Buffer.from(out.join(" ").padEnd(length, ".").slice(0, length));
}

const text = ["content-type", "text/plain"];

for (const coding of codings) {
  describe(coding, () => {
    it("a slow source is heard piece by piece: each is readable before the next is written", async () => {
      const source = new Source();
      const { port, compression } = await gate(source);
      const answer = await ask(port, coding);
      assert.equal(answer.headers["content-encoding"], coding);
      const decoder = answer.pipe(decoders[coding]());
      await source.asked;
      let heard = "";
      const pieces = decoder[Symbol.asyncIterator]();
      for (const size of [1, 20, 3000, 5, 40_000, 1]) {
        const piece = String(size % 7).repeat(size);
        source.exchange!.write(Buffer.from(piece));
        for (heard = ""; heard.length < piece.length; heard += String((await pieces.next()).value));
        assert.equal(heard, piece);
      }
      source.exchange!.end();
      assert.equal((await pieces.next()).done, true);
      assert.equal(compression.counters.streamed, 1);
      while (compression.counters.open > 0) await new Promise(setImmediate);
    });

    it("a fast source of small pieces comes out nearly as small as in one go", async () => {
      const body = prose(600_000);
      const { port } = await gate(fixed(body, text, 600));
      const coded = await bytesOf(await ask(port, coding));
      assert.ok(decode[coding](coded).equals(body));
      const { port: onePort } = await gate(fixed(body, text, 1));
      const inOne = await bytesOf(await ask(onePort, coding));
      assert.ok(coded.length < inOne.length * 1.05, `${coded.length} beside ${inOne.length}`);
      assert.ok(coded.length < body.length / 2);
    });

    it("whatever is written comes back the same, in whatever pieces and with whatever pauses", async () => {
      const piece = fc.oneof(
        fc.tuple(fc.integer({ min: 1, max: 3000 }), fc.boolean()),
        fc.tuple(fc.integer({ min: 1, max: 90_000 }), fc.boolean()),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(piece, { maxLength: 12 }), fc.integer(), async (plan, seed) => {
          const source = new Source();
          const { port, compression } = await gate(source);
          const answered = ask(port, coding);
          await source.asked;
          const written: Buffer[] = [];
          for (const [size, pause] of plan) {
            const bytes = prose(size, seed + written.length);
            written.push(bytes);
            if (!source.exchange!.write(bytes))
              await new Promise<void>((resolve) => {
                source.onDrained = resolve;
              });
            if (pause) await new Promise(setImmediate);
          }
          source.exchange!.end();
          const answer = await answered;
          const body = await bytesOf(answer);
          const plain = answer.headers["content-encoding"] === coding ? decode[coding](body) : body;
          assert.ok(plain.equals(Buffer.concat(written)));
          while (compression.counters.open > 0) await new Promise(setImmediate);
          for (const thing of open.splice(0)) await thing.close();
        }),
        { numRuns: 15 },
      );
    });

    it("curl reads it, small and large", { skip: requires("curl") }, async () => {
      for (const size of [1500, 300_000]) {
        const body = prose(size);
        const { url } = await gate(fixed(body, text));
        const [head, heard] = await curl("--compressed", "-H", `accept-encoding: ${coding}`, url);
        assert.ok(Buffer.from(heard, "latin1").equals(body));
        assert.match(head, new RegExp(`\r\ncontent-encoding: ${coding}\r\n`));
        assert.match(head, size === 1500 ? /content-length: \d+\r\n/ : /transfer-encoding: chunked\r\n/);
      }
    });
  });
}

it("a client that speaks HTTP/1.0 gets it as it is, with its length", { skip: requires("curl") }, async () => {
  const { url } = await gate(fixed(prose(5000), text));
  const [head, heard] = await curl("--http1.0", "-H", "accept-encoding: gzip", url);
  assert.match(head, /content-length: 5000\r\n/);
  assert.doesNotMatch(head, /content-encoding/);
  assert.equal(heard.length, 5000);
});

it("server-sent events pass untouched, each at once", async () => {
  const source = new Source(["content-type", "text/event-stream"]);
  const { port } = await gate(source);
  const answer = await ask(port, "gzip, br, zstd");
  assert.equal(answer.headers["content-encoding"], undefined);
  await source.asked;
  const pieces = answer[Symbol.asyncIterator]();
  for (let i = 0; i < 5; i++) {
    source.exchange!.write(Buffer.from(`data: ${i}\n\n`));
    assert.equal(String((await pieces.next()).value), `data: ${i}\n\n`);
  }
  source.exchange!.end();
  assert.equal((await pieces.next()).done, true);
});

it("a client that does not read holds up the source; nothing is lost when it does", async () => {
  const source = new Source();
  const { port } = await gate(source);
  const answer = await ask(port, "zstd");
  await source.asked;
  // Noise as text: it hardly shrinks, so that the client's slowness is felt.
  const total = 48 * 1024 * 1024;
  let written = 0;
  const push = (): void => {
    while (written < total) {
      written += 64 * 1024;
      const noise = Buffer.from(random.bytes(48 * 1024)).toString("base64");
      if (!source.exchange!.write(Buffer.from(noise))) return;
    }
    source.exchange!.end();
  };
  source.onDrained = push;
  push();
  // It has come to rest when no piece was taken for some turns of the loop and of the compressor's thread.
  for (let quiet = 0, last = -1; quiet < 2000; quiet = written === last ? quiet + 1 : 0) {
    last = written;
    await new Promise(setImmediate);
  }
  assert.ok(written < total / 2, `${written}`);
  let heard = 0;
  for await (const chunk of answer.pipe(createZstdDecompress()) as AsyncIterable<Buffer>) heard += chunk.length;
  assert.equal(heard, total);
});

it("clients that leave in the middle leave no compressor behind", async () => {
  const sources: Source[] = [];
  const { port, compression } = await gate({
    handle(exchange) {
      const source = new Source();
      sources.push(source);
      source.handle(exchange);
      source.exchange!.write(prose(50_000));
    },
  });
  for (let round = 0; round < 60; round++) {
    const answer = await ask(port, codings[round % 3]!);
    answer.on("error", () => {});
    answer.socket.resetAndDestroy();
  }
  while (compression.counters.open > 0) await new Promise(setImmediate);
  assert.equal(compression.counters.streamed, 60);
  assert.ok(sources.every(({ closed }) => closed));
});

it("Chromium reads what it asks for", { skip: requires("chromium") }, async () => {
  const data = prose(100_000);
  const page = `<script>
    const asked = new XMLHttpRequest();
    asked.open("GET", "/data", false);
    asked.send();
    document.title = asked.responseText.length + " " + asked.responseText.slice(-20);
  </script>${" ".repeat(2000)}`;
  const asked: string[] = [];
  const { url, compression } = await gate({
    handle(exchange) {
      const { path, fields } = exchange.head;
      asked.push(`${path} ${fields[fields.indexOf("accept-encoding") + 1]}`);
      const [body, type] = path === "/data" ? [data, "text/plain"] : [Buffer.from(page), "text/html"];
      fixed(body, ["content-type", type]).handle(exchange);
    },
  });
  const profile = mkdtempSync(join(tmpdir(), "tideway-chromium-"));
  open.push({ close: () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }) });
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`, "--dump-dom", url];
  const { stdout } = await promisify(execFile)("chromium", flags);
  assert.ok(stdout.includes(`<title>100000 ${data.subarray(-20)}</title>`), stdout);
  const best = asked.find((line) => line.startsWith("/data"))!;
  assert.match(best, /gzip, deflate, br, zstd$/, "it takes them all from this machine, without TLS");
  assert.equal(compression.counters.streamed, 1);
});

describe("behind it", () => {
  it("files that are compressed already pass as they are, others are compressed", async () => {
    const root = mkdtempSync(join(tmpdir(), "tideway-compression-"));
    open.push({ close: () => rmSync(root, { recursive: true, force: true }) });
    writeFileSync(join(root, "plain.js"), prose(200_000));
    writeFileSync(join(root, "small.js"), prose(3000));
    writeFileSync(join(root, "pre.js"), prose(5000));
    writeFileSync(join(root, "pre.js.br"), "already compressed");
    const files = createFiles({ root, clock, random, logger: silentLogger });
    const { port, compression } = await gate({ handle: (exchange) => files.handle(exchange) });
    const pre = await ask(port, "br", "/pre.js");
    assert.equal(String(await bytesOf(pre)), "already compressed");
    assert.equal(compression.counters.whole + compression.counters.streamed, 0);
    for (const [path, size] of [
      ["/plain.js", 200_000],
      ["/small.js", 3000],
    ] as const) {
      const answer = await ask(port, "br", path);
      assert.equal(answer.headers["content-encoding"], "br");
      assert.match(answer.headers.etag ?? 'W/"', /^W\/"/);
      assert.ok(brotliDecompressSync(await bytesOf(answer)).equals(prose(size)));
      const { headers, body } = await undiciRequest(`http://127.0.0.1:${port}${path}`, {
        headers: { "accept-encoding": "br", "if-none-match": answer.headers.etag ?? "*" },
      });
      await body.dump();
      assert.equal(headers.etag, answer.headers.etag);
    }
    const range = request({
      port,
      host: "127.0.0.1",
      path: "/plain.js",
      headers: { range: "bytes=0-9", "accept-encoding": "br" },
    });
    const [part] = (await once(range.end(), "response")) as [IncomingMessage];
    assert.equal(part.statusCode, 206);
    assert.ok((await bytesOf(part)).equals(prose(200_000).subarray(0, 10)));
  });

  it("a proxied service's bodies come back byte for byte, many at once: no buffer is used again while it is held", async () => {
    const bodies = Array.from({ length: 8 }, (_, i) => prose(500_000 + i * 1111, i + 1));
    const origin = createServer((incoming, response) => {
      const which = Number(incoming.url!.slice(1));
      response.setHeader("content-type", "application/json");
      if (which % 2 === 0) response.setHeader("content-length", bodies[which]!.length);
      response.end(bodies[which]);
    }).listen(0, "127.0.0.1");
    await once(origin, "listening");
    open.push({ close: () => origin.close() });
    const service = new Service({ name: "web", clock, random, logger: silentLogger });
    open.push(service);
    service.add({ id: "i0", host: "127.0.0.1", port: (origin.address() as AddressInfo).port });
    const proxy = createProxy({ service, logger: silentLogger, clock });
    const { port, compression } = await gate(proxy);
    const one = async (which: number): Promise<void> => {
      const coding = codings[which % 3]!;
      const answer = await ask(port, coding, `/${which}`);
      assert.equal(answer.headers["content-encoding"], coding);
      assert.ok(decode[coding](await bytesOf(answer)).equals(bodies[which]!));
    };
    for (let round = 0; round < 2; round++) await Promise.all(bodies.map((_, which) => one(which)));
    assert.equal(compression.counters.streamed, 16);
  });
});
