/**
 * What the files room's tests share: a folder with one file of each kind, and an exchange that records what it is given.
 * The hooks register themselves with the importing test file.
 */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import type { Exchange, ExchangeHandler, FieldList } from "@tideway/base";
import { silentLogger } from "@tideway/base";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { createFiles, type FilesOptions, type FilesTarget } from "./index.ts";

export const folder = mkdtempSync(join(tmpdir(), "tideway-files-"));
export const root = join(folder, "public");
export const big = Buffer.alloc(700_001);
for (let i = 0; i < big.length; i++) big[i] = (i * 31 + (i >> 8)) & 255;
const OLD = new Date("2026-01-02T03:04:05Z");
export const OLD_TEXT = "Fri, 02 Jan 2026 03:04:05 GMT";

export function put(path: string, content: string | Buffer, at = OLD): void {
  const full = join(root, path);
  mkdirSync(join(full, ".."), { recursive: true });
  writeFileSync(full, content);
  utimesSync(full, at, at);
}

before(() => {
  put("index.html", "<h1>home</h1>");
  put("a.txt", "0123456789");
  put("empty.txt", "");
  put("sub/index.html", "sub");
  put("bare/file.bin", "x");
  put("big.bin", big);
  put("app.js", "let a = 1;".repeat(50));
  put("app.js.gz", "gz".repeat(100));
  put("app.js.br", "br".repeat(50));
  put("stale.css", "body{}", new Date("2026-02-02"));
  put("stale.css.gz", "old");
  put("assets/x-1a2b.js", "hashed");
  put(".env", "secret");
  put(".git/config", "secret");
  put(".well-known/security.txt", "contact");
  put("with space & ä.txt", "named");
  writeFileSync(join(folder, "outside.txt"), "outside");
  symlinkSync(join(folder, "outside.txt"), join(root, "link-out.txt"));
  symlinkSync(folder, join(root, "folder-out"));
  symlinkSync("a.txt", join(root, "link-in.txt"));
  symlinkSync("loop", join(root, "loop"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** An exchange that records; `take` decides how much a write may hold before it says to wait. */
export class FakeExchange extends EventEmitter implements Exchange {
  readonly id = "test-id";
  readonly client = { address: "127.0.0.1", port: 1, localPort: 2, secure: false };
  readonly head: Exchange["head"];
  service = "";
  instance = "";
  status = 0;
  fields: Record<string, string> = {};
  length = -2;
  chunks: Uint8Array[] = [];
  writes = 0;
  ended = false;
  aborted = false;
  slow = false;
  handler: ExchangeHandler | null = null;
  constructor(method: string, target: string, fields: Record<string, string> = {}) {
    super();
    const [path = "", query] = target.split("?");
    const list: FieldList = Object.entries(fields).flat();
    this.head = {
      method,
      path,
      query: query === undefined ? "" : `?${query}`,
      host: "x.test",
      authority: "x.test",
      version: 11,
      fields: list,
      bodyLength: 0,
      upgrade: "",
    };
  }
  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }
  get text(): string {
    return this.body.toString();
  }
  accept(handler: ExchangeHandler): void {
    this.handler = handler;
  }
  pause(): void {}
  resume(): void {}
  inform(): void {}
  respond(status: number, fields: FieldList, bodyLength: number): void {
    assert.equal(this.status, 0, "answered once");
    this.status = status;
    this.length = bodyLength;
    for (let i = 0; i < fields.length; i += 2) {
      assert.ok(!(fields[i]! in this.fields), `${fields[i]} twice`);
      this.fields[fields[i]!] = fields[i + 1]!;
    }
    this.emit("respond");
  }
  write(chunk: Uint8Array): boolean {
    assert.ok(this.status > 0 && !this.ended);
    this.writes++;
    // Copied at once: a buffer used again too early would not go unnoticed if it were kept, nor excuse itself here.
    this.chunks.push(this.slow ? chunk : Buffer.from(chunk));
    this.emit("wrote");
    return !this.slow;
  }
  /** The client takes what was written. */
  drain(): void {
    this.chunks = this.chunks.map((chunk) => Buffer.from(chunk));
    this.handler?.onDrain();
  }
  end(): void {
    assert.ok(!this.ended);
    this.ended = true;
    this.emit("done");
  }
  abort(): void {
    this.aborted = true;
    this.emit("done");
  }
  upgrade(): never {
    throw new Error("no upgrade");
  }
}

export const clock = new FakeClock(Date.UTC(2026, 5, 1));
export function target(more: Partial<FilesOptions> = {}): FilesTarget {
  return createFiles({ root, clock, random: new SeededRandom(1), logger: silentLogger, ...more });
}
export const files = target();

export async function run(exchange: FakeExchange, on = files, strip?: string): Promise<FakeExchange> {
  const done = once(exchange, "done");
  on.handle(exchange, strip);
  if (!exchange.ended) await done;
  if (exchange.head.method === "GET" && ![204, 304].includes(exchange.status)) {
    assert.equal(exchange.body.length, exchange.length, "the body has the announced length");
  }
  return exchange;
}
export const get = (path: string, fields: Record<string, string> = {}, on = files) =>
  run(new FakeExchange("GET", path, fields), on);
/** How many descriptors of files below the folder are open. */
export function openFiles(): number {
  const target = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // It was that of the listing itself.
      return "";
    }
  };
  return readdirSync("/proc/self/fd").filter((descriptor) => target(descriptor).startsWith(root)).length;
}
