import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { OperatorError } from "@tideway/base";
import { controlPort, data, hostOf, nextReport, Observer, probe } from "./children.testing.ts";
import { startOf } from "./groups.ts";
import { InstanceState } from "./index.ts";

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
       createAppHost({ services: { web: ${JSON.stringify(spec)} }, data: ${JSON.stringify(data)}, clock: systemClock,
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

describe("trouble around it", { timeout: 20_000 }, () => {
  test("a record that cannot be written, or an observer that fails once, does not keep a service from running", async () => {
    writeFileSync(join(data, "no-folder"), "");
    const observer = new Observer();
    let failures = 1;
    const announce = observer.onInstance.bind(observer);
    observer.onInstance = (instance) => {
      announce(instance);
      if (failures-- > 0) throw new Error("not now");
    };
    const { host } = hostOf({ web: { command: "node app.mjs" } }, observer, { data: join(data, "no-folder") });
    const off = probe(host);
    await host.start();
    assert.deepEqual(observer.events, ["up web-1", "gone web-1", "up web-1"]);
    assert.equal(host.status()[0]?.state, InstanceState.ready);
    off();
    await host.stop();
  });
});
