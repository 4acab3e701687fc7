import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OperatorError } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { LineWriter } from "./writer.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-lines-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function writerFor(t: TestContext, path: string, waitingBytesMax?: number) {
  const clock = new FakeClock();
  const said: string[] = [];
  const heard = Promise.withResolvers<void>();
  const say = (what: string) => {
    said.push(what);
    heard.resolve();
  };
  const writer = new LineWriter({
    to: path,
    clock,
    ...(waitingBytesMax === undefined ? {} : { waitingBytesMax }),
    onFailure: (error) => say((error as NodeJS.ErrnoException).code ?? error.message),
    onDropped: (lines) => say(`dropped ${lines}`),
  });
  t.after(() => writer.close());
  return { writer, clock, said, heard: heard.promise };
}

/** Resolves when the file holds as many bytes: what `flushMs` starts ends on the disk's time, not the clock's. */
async function holds(path: string, bytes: number): Promise<string> {
  for (;;) {
    if (existsSync(path) && statSync(path).size >= bytes) return readFileSync(path, "latin1");
    await new Promise(setImmediate);
  }
}

test("lines wait for others at most 200 ms, and come in order", async (t) => {
  const path = join(folderFor(t), "access.log");
  const { writer, clock } = writerFor(t, path);
  writer.write("one\n");
  writer.write("two\n");
  clock.advance(199);
  assert.equal(readFileSync(path, "latin1"), "");
  clock.advance(1);
  assert.equal(await holds(path, 8), "one\ntwo\n");
  assert.deepEqual(writer.counters, { lines: 2, dropped: 0 });
});

test("many lines do not wait for the time", async (t) => {
  const path = join(folderFor(t), "access.log");
  const { writer } = writerFor(t, path);
  const line = `${"x".repeat(1023)}\n`;
  for (let i = 0; i < 32; i++) writer.write(line);
  assert.equal((await holds(path, 32 * 1024)).length, 32 * 1024);
});

test("what is in the file already stays there", async (t) => {
  const path = join(folderFor(t), "access.log");
  for (const line of ["before\n", "after\n"]) {
    const { writer } = writerFor(t, path);
    writer.write(line);
    await writer.close();
  }
  assert.equal(readFileSync(path, "latin1"), "before\nafter\n");
  assert.equal(statSync(path).mode & 0o007, 0, "others may not read who visits");
});

test("a file that was moved away is opened anew, and no line is lost or cut", async (t) => {
  const path = join(folderFor(t), "access.log");
  const { writer, clock } = writerFor(t, path);
  writer.write("old\n");
  await writer.flush();
  renameSync(path, `${path}.1`);
  writer.write("still old\n");
  await writer.flush();
  clock.advance(1_000);
  writer.write("new\n");
  await writer.flush();
  renameSync(path, `${path}.2`);
  writer.reopen();
  writer.write("newest\n");
  await writer.flush();
  assert.equal(readFileSync(`${path}.1`, "latin1"), "old\nstill old\n");
  assert.equal(readFileSync(`${path}.2`, "latin1"), "new\n");
  assert.equal(readFileSync(path, "latin1"), "newest\n");
});

test("a full disk costs memory up to the bound; what was dropped is said once there is room again", async (t) => {
  const folder = folderFor(t);
  const path = join(folder, "access.log");
  symlinkSync("/dev/full", path);
  const { writer, clock, said, heard } = writerFor(t, path, 100);
  writer.write("kept, since it fits\n");
  clock.advance(200);
  await heard;
  assert.deepEqual(said, ["ENOSPC"]);
  for (let i = 0; i < 10; i++) writer.write(`${String(i).repeat(39)}\n`);
  assert.deepEqual(writer.counters, { lines: 3, dropped: 8 });
  unlinkSync(path);
  clock.advance(1_000);
  const kept = `kept, since it fits\n${"0".repeat(39)}\n${"1".repeat(39)}\n`;
  assert.equal(await holds(path, kept.length), kept);
  await writer.flush();
  assert.deepEqual(said, ["ENOSPC", "dropped 8"]);
  writer.write("and on\n");
  await writer.flush();
  assert.equal(readFileSync(path, "latin1"), `${kept}and on\n`);
});

test("the end does not wait for a disk that takes nothing", async (t) => {
  const path = join(folderFor(t), "access.log");
  symlinkSync("/dev/full", path);
  const { writer } = writerFor(t, path);
  writer.write("lost\n");
  await writer.close();
  writer.write("too late\n");
  assert.equal(writer.counters.dropped, 1);
});

test("at the end of the process what waits is written at once", (t) => {
  const path = join(folderFor(t), "access.log");
  const { writer } = writerFor(t, path);
  writer.write("last words\n");
  writer.flushSync();
  assert.equal(readFileSync(path, "latin1"), "last words\n");
});

test("more than one write takes is written in order, line by line", async (t) => {
  const path = join(folderFor(t), "access.log");
  const { writer } = writerFor(t, path);
  let all = "";
  for (let i = 0; i < 60_000; i++) {
    const line = `${i} ${"y".repeat(i % 80)}\n`;
    all += line;
    writer.write(line);
  }
  await writer.flush();
  assert.ok(readFileSync(path, "latin1") === all);
});

test("text beyond ASCII is written in UTF-8, and waits as such", async (t) => {
  const path = join(folderFor(t), "access.log");
  symlinkSync("/dev/full", path);
  const { writer, clock, heard } = writerFor(t, path);
  writer.write("Größe 🌊\n");
  clock.advance(200);
  await heard;
  unlinkSync(path);
  clock.advance(1_000);
  await holds(path, 1);
  assert.equal(readFileSync(path, "utf8"), "Größe 🌊\n");
});

test("a file that cannot be opened is an error that names it", (t) => {
  const path = join(folderFor(t), "missing", "access.log");
  const refused = (error: unknown) =>
    error instanceof OperatorError && error.code === "START_LOG_UNUSABLE" && error.details.where.includes(path);
  assert.throws(() => new LineWriter({ to: path, clock: new FakeClock() }), refused);
});

test("a descriptor is written to and left open", async (t) => {
  const { open } = await import("node:fs/promises");
  const path = join(folderFor(t), "out");
  const file = await open(path, "w");
  const writer = new LineWriter({ to: file.fd, clock: new FakeClock() });
  writer.write("by descriptor\n");
  await writer.close();
  await file.write("still open\n");
  await file.close();
  assert.equal(readFileSync(path, "latin1"), "by descriptor\nstill open\n");
});
