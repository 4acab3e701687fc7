import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { OperatorError } from "@tideway/base";
import { data, hostOf, lines, nextReport, probe, type Report, reports } from "./children.testing.ts";
import { InstanceState, type ServiceSpec } from "./index.ts";

describe("a service that starts", { timeout: 20_000 }, () => {
  test("every instance gets a port of its own, the link, its name and NODE_ENV, and runs with our Node", async () => {
    const { host, observer } = hostOf({
      web: { command: 'node app.mjs \'a b\' "c\\"d"', instances: 2, link: "127.0.0.1:1234", env: { EXTRA: "yes" } },
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
