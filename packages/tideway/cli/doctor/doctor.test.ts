import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type TestContext, test } from "node:test";
import { readable } from "../doctor.ts";
import { examineClock } from "./clock.ts";
import { examineDisk, examinePermissions } from "./data.ts";
import { type Finding, fault, ok } from "./finding.ts";
import { examineLimits } from "./limits.ts";
import { examineNames, type Lookup } from "./names.ts";
import { examinePorts, holderOf } from "./ports.ts";

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-doctor-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const levels = (findings: readonly Finding[]) => findings.map(({ level }) => level);

suite("ports", () => {
  async function takenPort(t: TestContext): Promise<number> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    return (server.address() as AddressInfo).port;
  }

  test("a taken one is a fault that names who has it, and the option to change", async (t) => {
    const port = await takenPort(t);
    const claim = { protocol: "tcp", host: "127.0.0.1", port, option: "listen[0].port" } as const;
    const [finding] = await examinePorts([claim], null);
    assert.equal(finding!.level, "fault");
    assert.match(finding!.what, new RegExp(`tcp 127\\.0\\.0\\.1:${port} is taken by .*, process ${process.pid}$`));
    assert.match(finding!.fix, /listen\[0\]\.port/);
  });

  test("one that the Tideway which runs has is well; one that another has is not", async (t) => {
    const port = await takenPort(t);
    const claim = { protocol: "tcp", host: "127.0.0.1", port, option: "listen[0].port" } as const;
    assert.deepEqual(levels(await examinePorts([claim], process.pid)), ["ok"]);
    assert.deepEqual(levels(await examinePorts([claim], process.pid + 1)), ["fault"]);
  });

  test("UDP is looked at by itself", async (t) => {
    // A port that is free for TCP, too: of all numbers the system gives each protocol what is free for that one alone.
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const socket = createSocket("udp4");
    socket.bind(port, "127.0.0.1");
    await once(socket, "listening");
    t.after(() => socket.close());
    await new Promise((done) => server.close(done));
    const claim = { host: "127.0.0.1", port, option: "names.listen.port" };
    const findings = await examinePorts(
      [
        { ...claim, protocol: "udp" },
        { ...claim, protocol: "tcp" },
      ],
      null,
    );
    assert.deepEqual(levels(findings), ["fault", "ok"]);
    assert.equal(holderOf("udp", port)?.pid, process.pid);
    assert.equal(holderOf("tcp", port), null);
  });

  test("an address that is not this machine's is a fault with the option to change", async () => {
    const claim = { protocol: "tcp", host: "192.0.2.1", port: 7777, option: "listen[0].port" } as const;
    const [finding] = await examinePorts([claim], null);
    assert.equal(finding!.level, "fault");
    assert.match(finding!.fix, /listen\[0\]\.host/);
  });

  test("any free port will do where the configuration says 0", async () => {
    const claim = { protocol: "tcp", host: "127.0.0.1", port: 0, option: "listen[0].port" } as const;
    assert.deepEqual(levels(await examinePorts([claim], null)), ["ok"]);
  });
});

suite("permissions and disk", () => {
  const of = (findings: readonly Finding[], words: RegExp) => findings.find(({ what }) => words.test(what));

  test("a data directory that others may enter, and a token that they may read, are found", (t) => {
    const directory = folderFor(t);
    writeFileSync(join(directory, "console-token"), "secret");
    chmodSync(join(directory, "console-token"), 0o644);
    chmodSync(directory, 0o755);
    const findings = examinePermissions({ directory, isDurable: false, writes: [], reads: [] });
    assert.deepEqual(
      [of(findings, /open to others/)?.level, of(findings, /open to others/)?.fix],
      ["warning", `chmod 700 ${directory}`],
    );
    assert.equal(of(findings, /console-token/)?.level, "fault");
    chmodSync(directory, 0o700);
    chmodSync(join(directory, "console-token"), 0o600);
    const mended = examinePermissions({ directory, isDurable: false, writes: [], reads: [] });
    assert.equal(of(mended, /alone/)?.level, "ok");
    assert.equal(of(mended, /console-token/), undefined);
  });

  test("a directory that is not there yet is well where it can be made; a missing folder to read or write is not", (t) => {
    const folder = folderFor(t);
    const place = {
      directory: join(folder, "deep", "data"),
      isDurable: false,
      writes: [join(folder, "logs", "access.log"), join(folder, "access.log")],
      reads: [{ path: join(folder, "public"), option: "services.docs.files" }],
    };
    const findings = examinePermissions(place);
    assert.equal(of(findings, /will be made/)?.level, "ok");
    assert.equal(of(findings, /logs\/access\.log/)?.level, "fault");
    assert.equal(of(findings, /[^s]\/access\.log can/)?.level, "ok");
    assert.equal(of(findings, /services\.docs\.files/)?.level, "fault");
    mkdirSync(join(folder, "public"));
    assert.equal(of(examinePermissions(place), /services\.docs\.files/)?.level, "ok");
  });

  test("the disk is told with its room and the time of a durable write, and nothing stays behind", (t) => {
    const directory = folderFor(t);
    const findings = examineDisk({ directory, isDurable: true, writes: [], reads: [] });
    assert.match(of(findings, /MiB free/)!.what, /: [\d,]+ MiB free, \d+ %$/);
    assert.match(of(findings, /durable write takes/)!.what, /takes \d+\.\d ms$/);
    assert.deepEqual(readdirSync(directory), []);
  });

  test("streams in memory are no durable streams", () => {
    const memory = { directory: "/dev/shm", writes: [], reads: [] };
    assert.equal(of(examineDisk({ ...memory, isDurable: true }), /is in memory/)?.level, "warning");
    assert.equal(of(examineDisk({ ...memory, isDurable: false }), /is in memory/), undefined);
  });
});

suite("the clock", () => {
  test("that lies in the past is a fault, and files from the future show that it went back", (t) => {
    const folder = folderFor(t);
    const now = Date.UTC(2026, 5, 1);
    writeFileSync(join(folder, "file"), "");
    utimesSync(join(folder, "file"), now / 1000, now / 1000);
    utimesSync(folder, now / 1000, now / 1000);
    assert.deepEqual(levels(examineClock(Date.UTC(1970, 0, 1), [folder])), ["fault"]);
    assert.deepEqual(levels(examineClock(now + 60_000, [folder, join(folder, "missing")])), ["ok"]);
    assert.deepEqual(levels(examineClock(now - 300_000, [folder])), ["warning"]);
  });
});

suite("names", () => {
  const known: Readonly<Record<string, readonly string[]>> = {
    "www.abc.test": ["127.0.0.1"],
    "far.abc.test": ["192.0.2.9"],
    "db.abc.test": ["192.0.2.10"],
  };
  const ask: Lookup = (name) =>
    known[name] === undefined
      ? Promise.reject(Object.assign(new Error(name), { code: "ENOTFOUND" }))
      : Promise.resolve(known[name]);
  const places = { sites: [], listens: ["127.0.0.1"], upstreams: [], nameServer: null };

  test("of sites lead here, elsewhere, or nowhere", async () => {
    const sites = ["www.abc.test", "far.abc.test", "new.abc.test", "www.abc.test"];
    const [here, far, nowhere, ...more] = await examineNames({ ...places, sites, nameServer: "127.0.0.1:7753" }, ask);
    assert.equal(here!.level, "ok");
    assert.equal(far!.level, "warning");
    assert.match(far!.what, /leads to 192\.0\.2\.9, and this listens on 127\.0\.0\.1/);
    assert.equal(nowhere!.level, "warning");
    assert.match(nowhere!.fix, /"127\.0\.0\.1 new\.abc\.test".*127\.0\.0\.1:7753/);
    assert.deepEqual(more, []);
  });

  test("of upstreams must resolve; addresses need not", async () => {
    const upstreams = ["db.abc.test", "gone.abc.test", "10.0.0.1", "::1"].map((host) => ({ service: "api", host }));
    const findings = await examineNames({ ...places, upstreams }, ask);
    assert.deepEqual(levels(findings), ["ok", "fault"]);
    assert.match(findings[1]!.fix, /services\.api\.upstreams/);
  });

  test("every address of this machine is meant by 0.0.0.0", async () => {
    const [finding] = await examineNames({ ...places, sites: ["www.abc.test"], listens: ["0.0.0.0"] }, ask);
    assert.equal(finding!.level, "ok");
  });
});

test("limits: an old Node is a fault, few descriptors a warning", () => {
  const limits = (soft: number) =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}     524288     files\n`;
  assert.deepEqual(levels(examineLimits("26.1.0", limits(65_536))), ["ok", "ok"]);
  assert.deepEqual(levels(examineLimits("24.15.0", limits(1_024))), ["ok", "warning"]);
  assert.deepEqual(levels(examineLimits("24.14.9", null)), ["fault"]);
});

test("each finding is a line, with its fix below", () => {
  assert.equal(
    readable([ok("disk", "much room"), fault("permissions", "data is not writable", "chown it")]),
    `ok       disk         much room
FAULT    permissions  data is not writable
                      → chown it`,
  );
});
