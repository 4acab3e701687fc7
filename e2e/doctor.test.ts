/** `tideway doctor` as a user runs it: before the start, beside a running server, and where something is wrong. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { type TestContext, test } from "node:test";
import { freePort } from "@tideway/scripts/free-port";
import { RunningTideway, temporaryFolder, tideway, writeConfiguration } from "./harness/tideway.ts";

interface Report {
  readonly faults: number;
  readonly findings: readonly {
    readonly subject: string;
    readonly level: string;
    readonly what: string;
    readonly fix: string;
  }[];
}

async function examine(configuration: string): Promise<Report & { code: number | null }> {
  const { code, stdout, stderr } = await tideway(["doctor", "--json", configuration]);
  assert.equal(stderr, "");
  return { code, ...(JSON.parse(stdout) as Report) };
}

function folderFor(t: TestContext): string {
  const folder = temporaryFolder("doctor");
  t.after(() => folder.remove());
  return folder.path;
}

const pong = `data: "data", services: { pong: { respond: { body: "pong" } } }, sites: { "*": { "/": "pong" } }`;

test("a configuration that will work: each subject is looked at, and the code is 0; beside the running server, too", async (t) => {
  const source = `{ listen: [{ port: ${await freePort()} }], console: { port: 0 }, ${pong} }`;
  const configuration = writeConfiguration(folderFor(t), source);
  const before = await examine(configuration);
  assert.equal(before.code, 0, JSON.stringify(before.findings));
  const subjects = new Set(before.findings.map(({ subject }) => subject));
  for (const subject of ["configuration", "ports", "permissions", "disk", "clock", "limits"])
    assert.ok(subjects.has(subject));
  const running = await RunningTideway.start(configuration);
  t.after(() => running.stop());
  const beside = await examine(configuration);
  assert.equal(beside.code, 0, JSON.stringify(beside.findings));
  assert.ok(
    beside.findings.some(({ what }) => what.includes(`held by the Tideway that runs, process ${running.process.pid}`)),
  );
});

test("what will not work is a fault with a fix, and the code is 1", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const folder = folderFor(t);
  const configuration = writeConfiguration(folder, `{ listen: [{ port: ${port} }], console: false, ${pong} }`);
  const { code, faults, findings } = await examine(configuration);
  assert.deepEqual([code, faults], [1, 1]);
  const taken = findings.find(({ level }) => level === "fault")!;
  assert.match(taken.what, new RegExp(`:${port} is taken by .*process ${process.pid}`));
  const { stdout } = await tideway(["doctor", configuration]);
  assert.match(stdout, /^FAULT +ports .*\n +→ .*listen\[0\]\.port/m);
  assert.match(stdout, /1 thing will not work\.\n$/);
});

test("a configuration that is not valid is a finding like others", async (t) => {
  const configuration = writeConfiguration(folderFor(t), `{ services: {}, sites: { "*": { "/": "nobody" } } }`);
  const { code, findings } = await examine(configuration);
  assert.equal(code, 1);
  const invalid = findings.find(({ subject }) => subject === "configuration")!;
  assert.equal(invalid.level, "fault");
  assert.match(invalid.what, /nobody/);
  assert.ok(findings.some(({ subject }) => subject === "limits"));
});
