import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { limits, OperatorError, silentLogger } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { createListener } from "@tideway/edge/listener";
import type { AccessRecord } from "@tideway/edge/logging";
import { AccessLog } from "./access-log.ts";
import { fixedAnswer } from "./answers.ts";
import type { Log } from "./logs.ts";

const record: AccessRecord = {
  id: "a-1",
  address: "192.0.2.7",
  method: "GET",
  host: "www.abc.test",
  path: "/db/x",
  status: 200,
  bytesIn: 0,
  bytesOut: 5,
  durationMs: 1,
  service: "api",
  instance: "",
  fault: "",
  at: 0,
  headMs: 1,
  peer: "192.0.2.7",
  version: 11,
  route: "www.abc.test/db",
  trace: "",
  reason: "",
  head: null,
};

function logFor(t: TestContext, readable = false) {
  const root = mkdtempSync(join(tmpdir(), "tideway-access-"));
  t.after(() => rmSync(root, { recursive: true }));
  const lines: string[] = [];
  const log: Log = {
    ...silentLogger,
    info: (fields, message) => lines.push(`${message} ${JSON.stringify(fields)}`),
    line: readable ? null : (text) => lines.push(text),
    setLevel() {},
    flush() {},
  };
  const access = new AccessLog(log, new FakeClock());
  t.after(() => access.close());
  return { root, lines, access, read: (name: string) => readFileSync(join(root, name), "latin1") };
}

test("requests are logged as JSON among the rest of the log, for a person in readable lines, or not at all", (t) => {
  const program = logFor(t);
  program.access.prepare(true, program.root).commit();
  program.access.record(record);
  assert.equal((JSON.parse(program.lines[0]!) as { path: string }).path, "/db/x");
  const person = logFor(t, true);
  person.access.prepare("json", person.root).commit();
  person.access.record({ ...record, fault: "BARE_LF" });
  assert.match(person.lines[0]!, /^request refused \{.*"rule":"BARE_LF"/);
  person.access.prepare(false, person.root).commit();
  person.access.record(record);
  assert.equal(person.lines.length, 1);
});

test("a file of its own is named from the configuration's folder, and stays open over a change that keeps it", async (t) => {
  const { root, access, lines, read } = logFor(t);
  access.prepare({ file: "access.log" }, root).commit();
  access.record(record);
  access.prepare({ file: "access.log", format: "combined" }, root).commit();
  access.record(record);
  assert.deepEqual(access.counters, { lines: 2, dropped: 0 });
  await access.close();
  const [first, second] = read("access.log").split("\n");
  assert.equal((JSON.parse(first!) as { id: string }).id, "a-1");
  assert.match(second!, /^192\.0\.2\.7 - - \[.*\] "GET \/db\/x HTTP\/1\.1" 200 5 "-" "-"$/);
  assert.deepEqual(lines, []);
});

test("a change to another file loses no line; one that cannot be opened changes nothing", async (t) => {
  const { root, access, read } = logFor(t);
  access.prepare({ file: "one.log" }, root).commit();
  access.record(record);
  const refused = (error: unknown) => error instanceof OperatorError && error.code === "START_LOG_UNUSABLE";
  assert.throws(() => access.prepare({ file: "missing/two.log" }, root), refused);
  access.record({ ...record, id: "a-2" });
  await access.prepare({ file: "three.log" }, root).rollBack();
  access.record({ ...record, id: "a-3" });
  access.prepare({ file: "two.log" }, root).commit();
  access.record({ ...record, id: "a-4" });
  await access.close();
  // The old file is closed behind what was given to it.
  while (!read("one.log").includes("a-3")) await new Promise(setImmediate);
  assert.deepEqual(read("one.log").match(/a-\d/g), ["a-1", "a-2", "a-3"]);
  assert.deepEqual(read("two.log").match(/a-\d/g), ["a-4"]);
});

test("a reload finds a file that was moved away", async (t) => {
  const { root, access, read } = logFor(t);
  access.prepare({ file: "access.log" }, root).commit();
  renameSync(join(root, "access.log"), join(root, "access.log.1"));
  access.prepare({ file: "access.log" }, root).commit();
  access.record(record);
  await access.close();
  assert.equal(read("access.log.1"), "");
  assert.match(read("access.log"), /a-1/);
});

test("a process that ends at once leaves the lines of its last moment in the file", async (t) => {
  const { root, read } = logFor(t);
  const script = `
    import { AccessLog } from ${JSON.stringify(new URL("./access-log.ts", import.meta.url).href)};
    import { systemClock } from "@tideway/edge/clock";
    const access = new AccessLog({ line: null }, systemClock);
    access.prepare({ file: "access.log" }, ${JSON.stringify(root)}).commit();
    access.record(${JSON.stringify(record)});
    process.exit(3);
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    cwd: new URL(".", import.meta.url),
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number];
  assert.equal(code, 3);
  assert.match(read("access.log"), /"id":"a-1"/);
});

async function logged(t: TestContext, option: "json" | "combined" | false, bytes: string): Promise<string[]> {
  const { root, lines, access } = logFor(t);
  access.prepare(option, root).commit();
  const target = fixedAnswer("ping", { status: 200, body: "pong", type: "text/plain" });
  const listener = createListener({
    host: "127.0.0.1",
    port: 0,
    clock: systemClock,
    random: systemRandom,
    logger: silentLogger,
    limits,
    onExchange: (exchange) => target.handle(exchange),
    onRecord: access.record,
  });
  const { port } = await listener.listen();
  t.after(() => listener.close({ graceMs: 0 }));
  const socket = connect(port, "127.0.0.1").resume();
  socket.write(bytes, "latin1");
  await once(socket, "end");
  socket.end();
  return lines;
}

test("a rejection is in the log with its rule and the section that has it", async (t) => {
  const [answered, refused, ...more] = await logged(
    t,
    "json",
    "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost : x\r\n\r\n",
  );
  const { status, path, service, out } = JSON.parse(answered!) as Record<string, unknown>;
  assert.deepEqual({ status, path, service, out }, { status: 200, path: "/a", service: "ping", out: 4 });
  const { status: code, rule, section, msg, address } = JSON.parse(refused!) as Record<string, unknown>;
  assert.deepEqual(
    { code, rule, section, msg, address },
    { code: 400, rule: "SPACE_BEFORE_COLON", section: "RFC 9112 §5.1", msg: "request refused", address: "127.0.0.1" },
  );
  assert.deepEqual(more, [], "once");
});

test("a rejection is in the Combined log as it was answered, and in the log with its rule, where it is also when requests are not", async (t) => {
  const rule = /^request refused .*"status":400,"rule":"[A-Z_]+","section":"RFC 9112 §3"/;
  const [combined, told, ...more] = await logged(t, "combined", "GARBAGE\r\n\r\n");
  assert.match(combined!, /^127\.0\.0\.1 - - \[[^\]]+\] "-" 400 0 "-" "-"\n$/);
  assert.match(told!, rule);
  const [alone, ...others] = await logged(t, false, "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n");
  assert.match(alone!, rule);
  assert.deepEqual([more, others], [[], []]);
});
