import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { EventEmitter, on, once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import { type Logger, OperatorError } from "@tideway/base";
import { systemClock, systemRandom } from "@tideway/edge/clock";
import { startOf } from "./groups.ts";
import {
  type AppHost,
  type AppHostOptions,
  createAppHost,
  type InstanceAddress,
  InstanceState,
  type ServiceSpec,
} from "./index.ts";

const folder = mkdtempSync(join(tmpdir(), "tideway-apphost-"));
let data = "";
let runs = 0;

/** What a child says of itself when it is up; its socket stays open for as long as the process lives. */
interface Report {
  kind: string;
  pid: number;
  instance: string;
  port: string;
  link: string;
  nodeEnv: string;
  extra: string;
  cwd: string;
  execPath: string;
  argv: string[];
  gone: Promise<unknown>;
}

const reports = new EventEmitter();
const control = net.createServer((socket) => {
  socket.on("error", () => {});
  const gone = once(socket, "close");
  socket.once("data", (chunk) => reports.emit("report", { ...JSON.parse(String(chunk)), gone }));
});
async function nextReport(accept: (report: Report) => boolean = () => true): Promise<Report> {
  for await (const [report] of on(reports, "report")) if (accept(report)) return report;
  throw new Error("no report");
}

const REPORT = `
  import net from "node:net";
  export function report(kind) {
    const socket = net.connect(Number(process.env.CONTROL), "127.0.0.1");
    const { PORT, TIDEWAY_INSTANCE, TIDEWAY_LINK, NODE_ENV, EXTRA } = process.env;
    socket.write(JSON.stringify({ kind, pid: process.pid, instance: TIDEWAY_INSTANCE, port: PORT, link: TIDEWAY_LINK,
      nodeEnv: NODE_ENV, extra: EXTRA, cwd: process.cwd(), execPath: process.execPath, argv: process.argv.slice(2) }));
    socket.on("error", () => process.exit(3));
  }
`;
const SCRIPTS: Record<string, string> = {
  "report.mjs": REPORT,
  "app.mjs": `import { report } from "./report.mjs"; console.log("hello"); console.error("watch out"); report("app");`,
  "stubborn.mjs": `import { report } from "./report.mjs"; process.on("SIGTERM", () => {}); report("app");`,
  "family.mjs": `import { spawn } from "node:child_process"; import { report } from "./report.mjs";
    spawn(process.execPath, ["stubborn.mjs"], { stdio: "ignore" }); report("parent");`,
  "crash.mjs": `console.error("first line"); console.error("cannot find the thing"); process.exit(7);`,
  "crash-later.mjs": `import { existsSync } from "node:fs"; import { report } from "./report.mjs";
    if (existsSync("broken")) { console.error("broken now"); process.exit(9); } report("app");`,
};

const lines: { fields: Record<string, unknown>; message: string }[] = [];
const record = (fields: object, message: string) => lines.push({ fields: fields as Record<string, unknown>, message });
const logger: Logger = { debug: record, info: record, warn: record, error: record };

let controlPort = 0;
before(async () => {
  control.listen(0, "127.0.0.1");
  await once(control, "listening");
  controlPort = (control.address() as net.AddressInfo).port;
});
after(() => {
  control.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  lines.length = 0;
  data = join(folder, `run-${++runs}`);
  mkdirSync(data);
  for (const [name, text] of Object.entries(SCRIPTS)) writeFileSync(join(data, name), text);
});

class Observer {
  readonly events: string[] = [];
  readonly changes = new EventEmitter();
  drainWith: () => Promise<void> = () => Promise.resolve();
  onInstance(instance: InstanceAddress): void {
    this.#note("up", instance.id);
  }
  drain(id: string): Promise<void> {
    this.#note("drain", id);
    return this.drainWith();
  }
  onGone(id: string): void {
    this.#note("gone", id);
  }
  #note(what: string, id: string): void {
    this.events.push(`${what} ${id}`);
    this.changes.emit(`${what} ${id}`);
  }
}

function hostOf(
  services: Record<string, Partial<ServiceSpec> & { command: string }>,
  observer = new Observer(),
  more: Partial<AppHostOptions> = {},
) {
  const env: NodeJS.ProcessEnv = { ...process.env, CONTROL: String(controlPort) };
  delete env.NODE_ENV;
  const full = Object.fromEntries(Object.entries(services).map(([name, spec]) => [name, { cwd: data, ...spec }]));
  const base = { link: "127.0.0.1:1234", data, clock: systemClock, random: systemRandom, logger, env };
  const host = createAppHost({ ...base, ...more, services: full, observer });
  return { host, observer };
}

/** From now on every child that reports is declared ready: a prober that never errs. */
function probe(host: AppHost): () => void {
  const onReport = (report: Report) => host.ready(report.instance);
  reports.on("report", onReport);
  return () => reports.off("report", onReport);
}

describe("a service that starts", { timeout: 20_000 }, () => {
  test("every instance gets a port of its own, the link, its name and NODE_ENV, and runs with our Node", async () => {
    const { host, observer } = hostOf({
      web: { command: 'node app.mjs \'a b\' "c\\"d"', instances: 2, env: { EXTRA: "yes" } },
    });
    const seen: Report[] = [];
    const both = new Promise<void>((resolve) => {
      reports.on("report", (report: Report) => {
        seen.push(report);
        host.ready(report.instance);
        if (seen.length === 2) resolve();
      });
    });
    await host.start();
    await both;
    reports.removeAllListeners("report");
    assert.deepEqual(seen.map((report) => report.instance).toSorted(), ["web-1", "web-2"]);
    assert.equal(new Set(seen.map((report) => report.port)).size, 2);
    for (const report of seen) {
      assert.deepEqual(
        [report.link, report.nodeEnv, report.extra, report.cwd],
        ["127.0.0.1:1234", "production", "yes", data],
      );
      assert.equal(dirname(report.execPath), dirname(process.execPath));
      assert.deepEqual(report.argv, ["a b", 'c"d']);
    }
    assert.deepEqual(
      host.status().map((status) => status.state),
      [InstanceState.ready, InstanceState.ready],
    );
    await host.stop();
    await Promise.all(seen.map((report) => report.gone));
    assert.deepEqual(observer.events.filter((event) => event.startsWith("gone")).toSorted(), [
      "gone web-1",
      "gone web-2",
    ]);
    assert.equal(existsSync(join(data, "instances.json")), false);
    assert.ok(
      lines.some(
        (line) => line.message === "hello" && line.fields.stream === "stdout" && line.fields.service === "web",
      ),
    );
    assert.ok(lines.some((line) => line.message === "watch out" && line.fields.stream === "stderr"));
  });

  test("a command that needs a shell gets one", async () => {
    const { host } = hostOf({ web: { command: "cd . && EXTRA=$HOME-x exec node app.mjs" } });
    const off = probe(host);
    const report = nextReport();
    await host.start();
    assert.equal((await report).extra, `${process.env.HOME}-x`);
    off();
    await host.stop();
  });

  test("killed with -9, an instance is started again at once, under its name, on another process", async () => {
    const { host, observer } = hostOf({ web: { command: "node app.mjs" } });
    const off = probe(host);
    const first = nextReport();
    await host.start();
    const before = await first;
    const second = nextReport();
    process.kill(before.pid, "SIGKILL");
    const again = await second;
    assert.notEqual(again.pid, before.pid);
    assert.equal(again.instance, "web-1");
    assert.deepEqual(observer.events.slice(0, 3), ["up web-1", "gone web-1", "up web-1"]);
    const [status] = host.status();
    assert.deepEqual([status?.state, status?.restarts, status?.lastExit], [InstanceState.ready, 1, "signal SIGKILL"]);
    off();
    await host.stop();
  });

  test("an instance that is not ready in time is killed and started again", async () => {
    const { host } = hostOf({ web: { command: "node app.mjs", startTimeoutMs: 1_000 } });
    const first = nextReport();
    const started = host.start();
    host.ready((await first).instance);
    await started;
    const second = nextReport();
    host.notReady("web-1");
    assert.equal(host.status()[0]?.state, InstanceState.starting);
    host.ready((await second).instance);
    assert.equal(host.status()[0]?.lastExit, "did not answer on its port in time");
    await host.stop();
  });
});

describe("a service that never starts", { timeout: 20_000 }, () => {
  const failure = async (command: string, more: Partial<ServiceSpec> = {}) => {
    const { host, observer } = hostOf({
      web: { command, ...more },
      other: { command: "node stubborn.mjs", stopTimeoutMs: 50 },
    });
    const error = await host.start().then(
      () => assert.fail("it started"),
      (error: unknown) => error,
    );
    assert.ok(error instanceof OperatorError, String(error));
    assert.equal(error.code, "START_SERVICE_FAILED");
    assert.equal(error.details.where, "services.web");
    const ups = observer.events.filter((event) => event.startsWith("up")).length;
    assert.equal(observer.events.filter((event) => event.startsWith("gone")).length, ups, "nothing is left running");
    return error;
  };

  test("that exits again and again is given up, with its exit code, last lines and a way out", async () => {
    const error = await failure("node crash.mjs");
    assert.match(error.details.seen ?? "", /exit code 7, 5 times/);
    assert.match(error.details.seen ?? "", /\| cannot find the thing/);
    assert.match(error.details.hint, /by hand/);
    assert.match(error.format(), /START_SERVICE_FAILED/);
  });

  test("whose command is not found is given up at once, with a shell or without", async () => {
    for (const command of ["no-such-program --flag", "no-such-program | cat; exit 127"]) {
      const error = await failure(command);
      assert.match(error.details.seen ?? "", /not found|exit code 127/);
      assert.match(error.details.hint, /spelling/);
    }
  });

  test("whose folder does not exist is told so", async () => {
    assert.match(
      (await failure("node app.mjs", { cwd: join(data, "none") })).details.seen ?? "",
      /folder .*none does not exist/,
    );
  });

  test("that never answers is given up after its time", async () => {
    const error = await failure("node app.mjs", { startTimeoutMs: 300 });
    assert.match(error.details.seen ?? "", /did not answer/);
    assert.match(error.details.hint, /PORT/);
  });
});

describe("a stop", { timeout: 20_000 }, () => {
  test("waits for the requests under way before it sends SIGTERM", async () => {
    const observer = new Observer();
    let finish = () => {};
    observer.drainWith = () => new Promise((resolve) => (finish = resolve));
    const { host } = hostOf({ web: { command: "node app.mjs" } }, observer);
    const off = probe(host);
    const report = nextReport();
    await host.start();
    const drained = once(observer.changes, "drain web-1");
    const stopped = host.stop();
    await drained;
    assert.equal(host.status()[0]?.state, InstanceState.draining);
    const { gone } = await report;
    assert.equal(
      await Promise.race([gone.then(() => "gone"), new Promise((resolve) => setImmediate(resolve, "alive"))]),
      "alive",
    );
    finish();
    await stopped;
    assert.deepEqual(observer.events, ["up web-1", "drain web-1", "gone web-1"]);
    off();
  });

  test("kills what ignores SIGTERM, grandchildren too", async () => {
    const { host } = hostOf({ web: { command: "node family.mjs", stopTimeoutMs: 50 } });
    const off = probe(host);
    const parent = nextReport((report) => report.kind === "parent");
    const grandchild = nextReport((report) => report.kind === "app");
    await host.start();
    const both = [await parent, await grandchild];
    await host.stop();
    for (const { pid } of both) assert.equal(startOf(pid), null);
    off();
  });

  test("before the start is over ends that too", async () => {
    const { host } = hostOf({ web: { command: "node app.mjs" } });
    const report = nextReport();
    const started = assert.rejects(host.start(), /stopped/);
    const { gone } = await report;
    await host.stop();
    await Promise.all([started, gone]);
  });
});

describe("replacing", { timeout: 20_000 }, () => {
  test("starts a new instance, waits until it is ready, then drains the old one: one by one", async () => {
    const { host, observer } = hostOf({ web: { command: "node app.mjs", instances: 2 } });
    const off = probe(host);
    await host.start();
    if (host.status().some((status) => status.state !== InstanceState.ready)) await nextReport();
    observer.events.length = 0;
    await host.replace("web");
    assert.deepEqual(observer.events, [
      "up web-3",
      "drain web-1",
      "gone web-1",
      "up web-1",
      "drain web-2",
      "gone web-2",
    ]);
    assert.deepEqual(
      host.status().map((status) => [status.id, status.state]),
      [
        ["web-3", "ready"],
        ["web-1", "ready"],
      ],
    );
    off();
    await host.stop();
  });

  test("with one that does not start is refused, and the old ones go on", async () => {
    const { host } = hostOf({ web: { command: "node crash-later.mjs" } });
    const off = probe(host);
    await host.start();
    writeFileSync(join(data, "broken"), "");
    await assert.rejects(
      host.replace("web"),
      (error) => error instanceof OperatorError && /broken now/.test(error.details.seen ?? ""),
    );
    assert.deepEqual(
      host.status().map((status) => [status.id, status.state]),
      [["web-1", "ready"]],
    );
    off();
    await host.stop();
  });

  test("restart drains one instance and starts it anew", async () => {
    const { host, observer } = hostOf({ web: { command: "node app.mjs" } });
    const off = probe(host);
    await host.start();
    observer.events.length = 0;
    await host.restart("web-1");
    assert.deepEqual(observer.events, ["drain web-1", "gone web-1", "up web-1"]);
    await assert.rejects(host.restart("web-9"), /no instance/);
    off();
    await host.stop();
  });
});

describe("when Tideway itself is killed", { timeout: 20_000 }, () => {
  const parentScript = () => {
    const url = (path: string) => new URL(path, import.meta.url).href;
    const spec = { command: "node family.mjs", cwd: data };
    writeFileSync(
      join(data, "tideway.mjs"),
      `import { createAppHost } from ${JSON.stringify(url("./index.ts"))};
       import { systemClock, systemRandom } from ${JSON.stringify(url("../clock/index.ts"))};
       const quiet = () => {};
       createAppHost({ services: { web: ${JSON.stringify(spec)} }, link: "", data: ${JSON.stringify(data)}, clock: systemClock,
         random: systemRandom, logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
         observer: { onInstance() {}, onGone() {}, drain: async () => {} } }).start();`,
    );
    const env = { ...process.env, CONTROL: String(controlPort) };
    return spawn(process.execPath, [join(data, "tideway.mjs")], {
      env,
      stdio: ["ignore", "ignore", "inherit"],
      detached: true,
    });
  };

  test("with -9, its instances and what they started are gone soon after, by the guard", async () => {
    const parent = nextReport((report) => report.kind === "parent");
    const grandchild = nextReport((report) => report.kind === "app");
    const tideway = parentScript();
    const both = [await parent, await grandchild];
    // The whole group, as a terminal or a service manager does: the guard is in a session of its own.
    process.kill(-tideway.pid!, "SIGKILL");
    await Promise.all(both.map((report) => report.gone));
  });

  test("and the guard with it, the next start ends what was left, and only that", async () => {
    const child = nextReport();
    const left = spawn(process.execPath, ["stubborn.mjs"], {
      cwd: data,
      detached: true,
      stdio: "ignore",
      env: { ...process.env, CONTROL: String(controlPort) },
    });
    const { gone } = await child;
    const reused = { id: "web-9", pid: process.pid, started: "another start" };
    const instances = [{ id: "web-1", pid: left.pid, started: startOf(left.pid!) }, reused];
    writeFileSync(
      join(data, "instances.json"),
      JSON.stringify({ tideway: { pid: 999_999_999, started: "x" }, instances }),
    );
    const { host } = hostOf({ web: { command: "node app.mjs" } });
    const off = probe(host);
    await host.start();
    await gone;
    const recorded = JSON.parse(readFileSync(join(data, "instances.json"), "utf8"));
    assert.equal(recorded.tideway.pid, process.pid);
    assert.deepEqual(
      recorded.instances.map((entry: { id: string }) => entry.id),
      ["web-1"],
    );
    off();
    await host.stop();
  });

  test("but not when it still runs: a second one on the same data is refused and leaves the first alone", async () => {
    const child = nextReport((report) => report.kind === "app");
    const tideway = parentScript();
    const { gone } = await child;
    const { host } = hostOf({ web: { command: "node app.mjs" } });
    await assert.rejects(
      host.start(),
      (error) => error instanceof OperatorError && error.code === "START_ALREADY_RUNNING",
    );
    await host.stop();
    assert.equal(existsSync(join(data, "instances.json")), true);
    process.kill(tideway.pid!, "SIGKILL");
    await gone;
  });
});
