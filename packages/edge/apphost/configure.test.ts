import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { OperatorError } from "@tideway/base";
import {
  allReady,
  data,
  hostOf,
  lines,
  nextReport,
  Observer,
  probe,
  type Report,
  reports,
  specsOf,
} from "./children.testing.ts";
import { startOf } from "./groups.ts";
import type { AppHost } from "./index.ts";

const app = { command: "node app.mjs" };

/** Which process each instance is, as `web-1: 4711`. */
function pids(host: AppHost): string[] {
  return host.status().map(({ id, pid }) => `${id}: ${pid}`);
}

function ids(host: AppHost): string[] {
  return host.status().map(({ id, state }) => `${id} ${state}`);
}

/** What the instances that reported since were started with. */
function watch(): { readonly seen: Report[]; stop(): void } {
  const seen: Report[] = [];
  const onReport = (report: Report) => seen.push(report);
  reports.on("report", onReport);
  return { seen, stop: () => reports.off("report", onReport) };
}

const isFailedStart = (error: unknown) => error instanceof OperatorError && error.code === "START_SERVICE_FAILED";

describe("a change of the services while they run", { timeout: 30_000 }, () => {
  test("starts new ones, then drains and ends those no longer named; the same ones keep their processes", async () => {
    const { host, observer } = hostOf({ web: { ...app, instances: 2 }, old: app });
    const off = probe(host);
    await host.start();
    await allReady(host);
    const before = pids(host).filter((line) => line.startsWith("web"));
    const [old] = host.status().filter(({ service }) => service === "old");
    observer.events.length = 0;
    await host.configure(specsOf({ web: { ...app, instances: 2, env: {} }, new: app }));
    assert.deepEqual(observer.events, ["up new-1", "drain old-1", "gone old-1"]);
    assert.deepEqual(
      pids(host).filter((line) => line.startsWith("web")),
      before,
    );
    assert.deepEqual(ids(host), ["web-1 ready", "web-2 ready", "new-1 ready"]);
    assert.equal(startOf(old!.pid!), null);
    off();
    await host.stop();
  });

  test("replaces the instances of a changed one by one, and what starts again later is of the new kind too", async () => {
    const { host, observer } = hostOf({ web: { ...app, instances: 2, env: { EXTRA: "a" } }, other: app });
    const off = probe(host);
    await host.start();
    await allReady(host);
    const other = pids(host).at(-1);
    const watched = watch();
    observer.events.length = 0;
    await host.configure(specsOf({ web: { ...app, instances: 2, env: { EXTRA: "b" } }, other: app }));
    assert.deepEqual(observer.events, [
      "up web-3",
      "drain web-1",
      "gone web-1",
      "up web-1",
      "drain web-2",
      "gone web-2",
    ]);
    assert.deepEqual(
      watched.seen.map(({ instance, extra }) => [instance, extra]),
      [
        ["web-3", "b"],
        ["web-1", "b"],
      ],
    );
    assert.equal(pids(host).at(-1), other);
    const again = nextReport();
    process.kill(watched.seen[0]!.pid, "SIGKILL");
    assert.equal((await again).extra, "b");
    watched.stop();
    off();
    await host.stop();
  });

  for (const [what, change] of [
    ["command", { command: "node app.mjs --other" }],
    ["folder", { cwd: "/", command: () => `node ${join(data, "app.mjs")}` }],
    ["link", { link: "127.0.0.1:9" }],
    ["time to stop", { stopTimeoutMs: 9_000 }],
    ["time to start", { startTimeoutMs: 29_000 }],
    ["time to drain", { drainTimeoutMs: 29_000 }],
  ] as const) {
    test(`another ${what} is a change`, async () => {
      const { host, observer } = hostOf({ web: app });
      const off = probe(host);
      await host.start();
      observer.events.length = 0;
      const { command = app.command, ...rest } = change as { command?: string | (() => string); cwd?: string };
      await host.configure(specsOf({ web: { ...rest, command: typeof command === "string" ? command : command() } }));
      assert.deepEqual(observer.events, ["up web-2", "drain web-1", "gone web-1"]);
      off();
      await host.stop();
    });
  }

  test("more instances are started, those too many are drained; the others are not touched", async () => {
    const { host, observer } = hostOf({ web: app });
    const off = probe(host);
    await host.start();
    const [first] = pids(host);
    await host.configure(specsOf({ web: { ...app, instances: 3 } }));
    assert.deepEqual(ids(host), ["web-1 ready", "web-2 ready", "web-3 ready"]);
    assert.equal(pids(host)[0], first);
    const second = pids(host)[1];
    observer.events.length = 0;
    await host.configure(specsOf({ web: { ...app, instances: 2 } }));
    assert.deepEqual(observer.events, ["drain web-3", "gone web-3"]);
    assert.deepEqual(pids(host), [first, second]);
    off();
    await host.stop();
  });

  test("another kind and another number at once: never fewer in service than before or after", async () => {
    for (const [from, to] of [
      [1, 3],
      [3, 1],
      [2, 3],
    ] as const) {
      const { host, observer } = hostOf({ web: { ...app, instances: from } });
      const off = probe(host);
      await host.start();
      await allReady(host);
      let fewest = from as number;
      observer.changes.on("gone web-1", () => {
        fewest = Math.min(fewest, host.status().filter(({ state }) => state === "ready").length);
      });
      await host.configure(specsOf({ web: { ...app, instances: to, env: { EXTRA: "new" } } }));
      assert.equal(host.status().length, to);
      assert.ok(fewest >= Math.min(from, to), `${fewest} of ${from} to ${to}`);
      off();
      await host.stop();
    }
  });

  test("from no service to some and back to none", async () => {
    const { host, observer } = hostOf({});
    const off = probe(host);
    await host.start();
    await host.configure(specsOf({ web: app }));
    assert.deepEqual(ids(host), ["web-1 ready"]);
    assert.equal(existsSync(join(data, "instances.json")), true);
    await host.configure({});
    assert.deepEqual(host.status(), []);
    assert.deepEqual(observer.events, ["up web-1", "drain web-1", "gone web-1"]);
    off();
    await host.stop();
    assert.equal(existsSync(join(data, "instances.json")), false);
  });
});

describe("a change that does not do", { timeout: 30_000 }, () => {
  test("leaves all as it was: not even what would have done is kept", async () => {
    const { host, observer } = hostOf({ web: app, api: { ...app, instances: 2 }, old: app });
    const off = probe(host);
    await host.start();
    await allReady(host);
    const before = pids(host);
    observer.events.length = 0;
    const changed = { web: { command: "node crash.mjs" }, api: { ...app, env: { EXTRA: "b" } }, new: app };
    await assert.rejects(host.configure(specsOf(changed)), (error) => {
      return isFailedStart(error) && /cannot find the thing/.test((error as OperatorError).details.seen ?? "");
    });
    assert.deepEqual(pids(host), before);
    for (const id of ["web-1", "api-1", "api-2", "old-1"]) assert.ok(!observer.events.includes(`drain ${id}`), id);
    // What was new is ended.
    const ups = observer.events.filter((event) => event.startsWith("up")).length;
    assert.equal(observer.events.filter((event) => event.startsWith("gone")).length, ups);
    const watched = watch();
    await host.replace("api");
    assert.deepEqual([...new Set(watched.seen.map(({ extra }) => extra))], [undefined], "the old kind is kept");
    watched.stop();
    off();
    await host.stop();
  });

  test("a new service that cannot be started, or more instances that do not become ready, are refused alike", async () => {
    const { host } = hostOf({ web: { command: "node once.mjs", startTimeoutMs: 10_000 } });
    const off = probe(host);
    await host.start();
    const before = pids(host);
    const web = { command: "node once.mjs", startTimeoutMs: 10_000 };
    await assert.rejects(host.configure(specsOf({ web, bad: { command: "no-such-program" } })), isFailedStart);
    assert.deepEqual(pids(host), before);
    await assert.rejects(host.configure(specsOf({ web: { ...web, instances: 3 } })), isFailedStart);
    assert.deepEqual(pids(host), before);
    off();
    await host.stop();
  });

  test("when only a later instance fails, what was replaced by then is replaced back", async () => {
    const old = { ...app, instances: 2, env: { EXTRA: "old" } };
    const { host, observer } = hostOf({ web: old, api: app });
    const off = probe(host);
    await host.start();
    await allReady(host);
    observer.events.length = 0;
    const changed = { web: { ...old, command: "node once.mjs" }, api: { ...app, instances: 2 } };
    await assert.rejects(host.configure(specsOf(changed)), isFailedStart);
    assert.equal(observer.events.filter((event) => event.startsWith("drain web")).length, 2, "one went, its heir too");
    assert.deepEqual(ids(host).toSorted(), ["api-1 ready", "web-1 ready", "web-2 ready"]);
    const watched = watch();
    const restarted = nextReport();
    process.kill(host.status().find(({ id }) => id === "web-1")!.pid!, "SIGKILL");
    assert.equal((await restarted).extra, "old");
    watched.stop();
    off();
    await host.stop();
  });
});

describe("changes and other calls", { timeout: 30_000 }, () => {
  test("wait for one another: the last one holds, and each began where the one before ended", async () => {
    const { host } = hostOf({ web: app });
    const off = probe(host);
    await host.start();
    await Promise.all([
      host.configure(specsOf({ web: { ...app, instances: 3 } })),
      host.replace("web"),
      host.configure(specsOf({ web: { ...app, instances: 1 }, api: app })),
      host.configure(specsOf({ api: { ...app, instances: 2 } })),
    ]);
    assert.deepEqual(ids(host), ["api-1 ready", "api-2 ready"]);
    off();
    await host.stop();
  });

  test("one that failed does not keep the next from being made", async () => {
    const { host } = hostOf({ web: app });
    const off = probe(host);
    await host.start();
    const [failed, done] = await Promise.allSettled([
      host.configure(specsOf({ web: { command: "node crash.mjs" } })),
      host.configure(specsOf({ web: app, api: app })),
    ]);
    assert.deepEqual([failed.status, done.status], ["rejected", "fulfilled"]);
    assert.deepEqual(ids(host), ["web-1 ready", "api-1 ready"]);
    off();
    await host.stop();
  });

  test("a restart of an instance that is replaced meanwhile gives way", async () => {
    const observer = new Observer();
    const { host } = hostOf({ web: app }, observer);
    const off = probe(host);
    await host.start();
    let finish = () => {};
    observer.drainWith = () => new Promise((resolve) => (finish = resolve));
    const drained = once(observer.changes, "drain web-1");
    const restarted = host.restart("web-1");
    await drained;
    const up = nextReport();
    const changed = host.configure(specsOf({ web: { ...app, env: { EXTRA: "b" } } }));
    assert.equal((await up).instance, "web-2");
    observer.drainWith = () => Promise.resolve();
    finish();
    await Promise.all([restarted, changed]);
    assert.deepEqual(ids(host), ["web-2 ready"]);
    off();
    await host.stop();
  });

  test("a stop in the middle ends what is there and what was being started, and nothing is left", async () => {
    for (const event of ["up", "drain"] as const) {
      const observer = new Observer();
      const { host } = hostOf({ web: { ...app, instances: 2 }, old: app }, observer);
      const off = probe(host);
      await host.start();
      await allReady(host);
      const watched = watch();
      const before = host.status().map(({ pid }) => pid!);
      let begun = () => {};
      const middle = new Promise<void>((resolve) => (begun = resolve));
      observer.changes.once(`${event} ${event === "up" ? "new-1" : "web-1"}`, begun);
      const changed = host.configure(specsOf({ web: { ...app, instances: 2, env: { EXTRA: "b" } }, new: app }));
      const refused = assert.rejects(changed, /stopped/);
      await middle;
      await host.stop();
      await refused;
      for (const pid of [...before, ...watched.seen.map((report) => report.pid)]) assert.equal(startOf(pid), null);
      const count = (what: string) => observer.events.filter((line) => line.startsWith(what)).length;
      assert.equal(count("gone"), count("up"));
      assert.ok(!lines.some(({ message }) => /could not be taken back/.test(message)));
      watched.stop();
      off();
    }
  });

  test("is refused before the start, after a start that failed, and after the stop", async () => {
    const { host } = hostOf({ web: { command: "no-such-program" } });
    await assert.rejects(host.configure({}), /not started/);
    await assert.rejects(host.start(), isFailedStart);
    await assert.rejects(host.configure({}), /stopped/);
    const { host: other } = hostOf({});
    await other.start();
    await other.stop();
    await assert.rejects(other.configure(specsOf({ web: app })), /stopped/);
    await assert.rejects(other.replace("web"), /stopped/);
  });
});
