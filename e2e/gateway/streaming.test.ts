/** Issue 3, "Streaming": chunks pass as they come, in both directions; what must survive does; compression flushes with its source. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { before, describe, it } from "node:test";
import { createBrotliDecompress, createGunzip, createZstdDecompress } from "node:zlib";
import { requires } from "@tideway/scripts/requires";
import { ask, curl, type Gateway, gateway, type Origin, origin, suite, until } from "./harness.ts";

/** One side of an exchange that is still going on. */
interface Open {
  readonly incoming: IncomingMessage;
  readonly answer: ServerResponse;
}

/** An origin whose answers the test writes itself, piece by piece. */
class Script {
  readonly #open: Open[] = [];
  readonly handle = (incoming: IncomingMessage, answer: ServerResponse): void => {
    this.#open.push({ incoming, answer });
  };

  next(): Promise<Open> {
    return until("a request at the origin", async () => this.#open.shift());
  }
}

/** What has come of a stream so far, as text. */
function gathered(stream: NodeJS.ReadableStream): { text: string; expect(text: string): Promise<unknown> } {
  const so = { text: "", expect: (wanted: string) => until(`${wanted} to come`, async () => so.text.includes(wanted)) };
  stream.setEncoding("utf8").on("data", (piece: string) => {
    so.text += piece;
  });
  return so;
}

async function answerOf(sent: ClientRequest): Promise<IncomingMessage> {
  return ((await once(sent, "response")) as [IncomingMessage])[0];
}

describe("streams", () => {
  const owner = suite();
  const script = new Script();
  let gate: Gateway;

  before(async () => {
    const { url } = await origin(owner, script.handle);
    gate = await gateway(owner, {
      services: { api: { upstreams: [url] } },
      sites: { "*": { "/": "api", "/compressed": { to: "api", compress: true } } },
    });
    await gate.ready();
  });

  it("an answer's chunks pass as they come", async () => {
    const sent = request(`${gate.url()}/`).end();
    const { answer } = await script.next();
    answer.write("one,");
    const received = gathered(await answerOf(sent));
    await received.expect("one,");
    answer.write("two,");
    await received.expect("one,two,");
    answer.end();
    await once(sent, "close");
  });

  it("a request's chunks pass as they come, and an answer may begin before its end", async () => {
    const sent = request(`${gate.url()}/`, { method: "POST" });
    sent.write("one,");
    const { incoming, answer } = await script.next();
    const up = gathered(incoming);
    await up.expect("one,");
    answer.write("got one;");
    const down = gathered(await answerOf(sent));
    await down.expect("got one;");
    sent.write("two,");
    await up.expect("one,two,");
    sent.end();
    await once(incoming, "end");
    answer.end("got all");
    await down.expect("got one;got all");
  });

  for (const path of ["/", "/compressed"]) {
    it(`server-sent events pass at once${path === "/" ? "" : ", also where answers are compressed"}`, async () => {
      const headers = { accept: "text/event-stream", "accept-encoding": "gzip, br" };
      const sent = request(gate.url() + path, { headers }).end();
      const { answer } = await script.next();
      answer.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" }).flushHeaders();
      const response = await answerOf(sent);
      assert.equal(response.headers["content-encoding"], undefined);
      const events = gathered(response);
      for (const id of [1, 2, 3]) {
        answer.write(`id: ${id}\ndata: ${id}\n\n`);
        await events.expect(`data: ${id}\n\n`);
      }
      answer.end();
      await once(sent, "close");
    });
  }

  it("a long poll waits for its answer, and one whose client has gone ends at the service", async () => {
    const waiting = request(gate.url()).end();
    const first = await script.next();
    const leaving = request(gate.url())
      .on("error", () => {})
      .end();
    const second = await script.next();
    const gone = once(second.answer, "close");
    // A client that only closes its side may wait for its answer still: this one breaks the line.
    leaving.socket!.resetAndDestroy();
    await gone;
    first.answer.end("news");
    assert.equal(await text(await answerOf(waiting)), "news");
  });

  it("trailers pass in both directions, as gRPC's do; early hints go ahead", async () => {
    const sent = request(gate.url(), { method: "POST", headers: { te: "trailers", trailer: "x-sum" } });
    const hints: unknown[] = [];
    sent.on("information", ({ statusCode, headers }) => hints.push(statusCode, headers.link));
    sent.write("body");
    sent.addTrailers({ "x-sum": "4" });
    sent.end();
    const { incoming, answer } = await script.next();
    assert.equal(incoming.headers["te"], "trailers");
    incoming.resume();
    await once(incoming, "end");
    assert.equal(incoming.trailers["x-sum"], "4");
    answer.writeEarlyHints({ link: "</style.css>; rel=preload; as=style" });
    answer.writeHead(200, { "content-type": "application/grpc+proto", trailer: "grpc-status" });
    answer.write("message");
    answer.addTrailers({ "grpc-status": "0" });
    answer.end();
    const response = await answerOf(sent);
    assert.equal(await text(response), "message");
    assert.equal(response.trailers["grpc-status"], "0");
    assert.deepEqual(hints, [103, "</style.css>; rel=preload; as=style"]);
  });

  const codings: readonly [string, () => Duplex][] = [
    ["zstd", createZstdDecompress],
    ["br", createBrotliDecompress],
    ["gzip", createGunzip],
  ];
  for (const [coding, decompress] of codings) {
    it(`${coding}: what a slow source has written comes before it goes on`, async () => {
      const sent = request(`${gate.url()}/compressed`, { headers: { "accept-encoding": coding } }).end();
      const { answer } = await script.next();
      answer.setHeader("content-type", "application/x-ndjson");
      const lines = [1, 2, 3].map((number) => `${JSON.stringify({ number, text: "x".repeat(200) })}\n`);
      answer.write(lines[0]);
      const response = await answerOf(sent);
      assert.equal(response.headers["content-encoding"], coding);
      assert.match(String(response.headers["vary"]), /accept-encoding/i);
      const plain = gathered(response.pipe(decompress()));
      await plain.expect(lines[0]!);
      answer.write(lines[1]);
      await plain.expect(lines[1]!);
      answer.end(lines[2]);
      await plain.expect(lines.join(""));
    });
  }
});

describe("compression", { skip: requires("curl") }, () => {
  const owner = suite();
  const folder = mkdtempSync(join(tmpdir(), "tideway-files-"));
  const long = "All work and no play makes Jack a dull boy. ".repeat(100);
  let behind: Origin;
  let gate: Gateway;

  before(async () => {
    owner.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "a.txt"), long);
    behind = await origin(owner, (incoming, answer) => {
      const { searchParams } = new URL(incoming.url!, "http://x");
      for (const [name, value] of searchParams) if (name !== "body") answer.setHeader(name, value);
      if (!searchParams.has("content-type")) answer.setHeader("content-type", "text/plain");
      answer.end(searchParams.get("body") ?? long);
    });
    gate = await gateway(owner, {
      services: { api: { upstreams: [behind.url] }, files: { files: folder }, text: { respond: { body: long } } },
      sites: {
        "*": {
          "/": { to: "api", compress: true },
          "/plain": "api",
          "/files": { to: "files", strip: true, compress: true },
          "/text": { to: "text", compress: true },
          "/own": { respond: { body: long }, compress: true },
        },
      },
    });
    await gate.ready();
  });

  it("curl gets what was sent, however it is compressed; of a service, of files, of fixed answers", async () => {
    for (const path of ["/", "/files/a.txt", "/text", "/own"]) {
      assert.equal(await curl("--compressed", gate.url() + path), long);
      for (const coding of ["zstd", "br", "gzip"]) {
        const words = ["--include", "--compressed", "--header", `accept-encoding: ${coding}`];
        const answer = await curl(...words, gate.url() + path);
        assert.match(answer, new RegExp(`\\r\\ncontent-encoding: ${coding}\\r\\n`, "i"), path);
        assert.ok(answer.endsWith(long));
      }
    }
  });

  it("what is small, compressed already, an image, a part, or not to be transformed goes as it is", async () => {
    const coded = async (query: string, path = "/") => {
      const answer = await ask(`${gate.url()}${path}?${query}`, { headers: { "accept-encoding": "gzip" } });
      assert.ok(answer.text.length > 0);
      return answer.headers["content-encoding"];
    };
    assert.equal(await coded(""), "gzip");
    assert.equal(await coded("", "/plain"), undefined);
    assert.equal(await coded("body=short"), undefined);
    assert.equal(await coded("content-type=image/png"), undefined);
    assert.equal(await coded("content-encoding=br"), "br");
    assert.equal(await coded("cache-control=no-transform"), undefined);
    assert.equal(await coded("content-range=bytes 0-1/2"), undefined);
    const { headers } = await ask(gate.url());
    assert.equal(headers["content-encoding"], undefined, "nobody asked for it");
    assert.match(String(headers["vary"]), /accept-encoding/i);
  });
});
