import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { OperatorError } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { startConsole } from "./console.ts";
import { askControl, serveControl, socketPath } from "./control.ts";
import type { ReloadReport, StatusReport } from "./report.ts";

const report: StatusReport = {
  version: "0.0.0",
  configuration: "tideway.config.ts",
  pid: 1,
  uptimeMs: 5,
  listeners: [],
  sites: [],
  services: [],
  realtime: [],
  names: null,
};

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "tideway-console-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

async function consoleFor(t: TestContext) {
  const dataDirectory = folderFor(t);
  const clock = new FakeClock();
  const running = await startConsole({ host: "127.0.0.1", port: 0, dataDirectory, clock, status: () => report });
  t.after(() => running.close());
  const token = readFileSync(running.tokenFile, "utf8").trim();
  const login = (given: string) =>
    fetch(`${running.address}login`, {
      method: "POST",
      body: new URLSearchParams({ token: given }),
      redirect: "manual",
    });
  return { ...running, clock, token, login };
}

const cookieOf = (answer: Response) => (answer.headers.get("set-cookie") ?? "").split(";", 1)[0]!;

test("without a login the console shows its form and nothing else", async (t) => {
  const { address } = await consoleFor(t);
  const page = await fetch(address);
  assert.equal(page.status, 401);
  assert.match(await page.text(), /<form method="post" action="\/login">/);
  for (const path of ["status.json", "console.js"]) assert.equal((await fetch(address + path)).status, 401);
});

test("the token of the data directory logs in, for twelve hours; another does not", async (t) => {
  const { address, token, tokenFile, login, clock } = await consoleFor(t);
  assert.equal(statSync(tokenFile).mode & 0o777, 0o600);
  const refused = await login(`${token}x`);
  assert.equal(refused.status, 401);
  assert.equal(refused.headers.get("set-cookie"), null);
  const granted = await login(token);
  assert.equal(granted.status, 303);
  assert.match(granted.headers.get("set-cookie") ?? "", /HttpOnly; SameSite=Strict/);
  const headers = { cookie: cookieOf(granted) };
  assert.deepEqual(await (await fetch(`${address}status.json`, { headers })).json(), report);
  assert.equal((await fetch(address, { headers })).status, 200);
  clock.advance(12 * 60 * 60 * 1000 + 1);
  assert.equal((await fetch(`${address}status.json`, { headers })).status, 401);
});

test("guessing is slowed: after twenty attempts a minute even the token waits", async (t) => {
  const { token, login, clock } = await consoleFor(t);
  for (let i = 0; i < 20; i++) assert.equal((await login("no")).status, 401);
  assert.equal((await login(token)).status, 429);
  clock.advance(61_000);
  assert.equal((await login(token)).status, 303);
});

test("a foreign name in Host is refused, so that DNS cannot bring another page here", async (t) => {
  const { address } = await consoleFor(t);
  const status = await new Promise((done, failed) => {
    const asked = request(address, { headers: { host: "evil.test" } }, (answer) => done(answer.resume().statusCode));
    asked.on("error", failed).end();
  });
  assert.equal(status, 421);
});

test("the token stays the same over restarts", async (t) => {
  const dataDirectory = folderFor(t);
  const tokens: string[] = [];
  for (let i = 0; i < 2; i++) {
    const clock = new FakeClock();
    const running = await startConsole({ host: "127.0.0.1", port: 0, dataDirectory, clock, status: () => report });
    tokens.push(readFileSync(running.tokenFile, "utf8"));
    await running.close();
  }
  assert.equal(tokens[0], tokens[1]);
});

test("the control socket answers status and pick, to its owner only", async (t) => {
  const dataDirectory = folderFor(t);
  const adjusted: unknown[] = [];
  const control = await serveControl(dataDirectory, {
    status: () => report,
    pick: (service) => ({ instance: service === "web" ? "web-1" : null, balance: null, candidates: [] }),
    reload: async () => ({ changes: [{ what: "routes", name: "*/", how: "changed" }] }),
    adjust: (service, instance, how) => void adjusted.push([service, instance, how]),
    deploy: async (service) => {
      if (service !== "web") throw new OperatorError("CONTROL_REFUSED", { where: service, hint: "Name another." });
    },
  });
  t.after(() => control.close());
  assert.deepEqual(await askControl(dataDirectory, "/status"), report);
  const nothing = { balance: null, candidates: [] };
  assert.deepEqual(await askControl(dataDirectory, "/pick?service=web"), { instance: "web-1", ...nothing });
  assert.deepEqual(await askControl(dataDirectory, "/pick?service=none"), { instance: null, ...nothing });
  const { changes } = await askControl<ReloadReport>(dataDirectory, "/reload", { method: "POST" });
  assert.deepEqual(changes, [{ what: "routes", name: "*/", how: "changed" }]);
  await askControl(dataDirectory, "/instance?service=api&instance=a&weight=2", { method: "POST" });
  await askControl(dataDirectory, "/instance?service=api&instance=a&how=drain", { method: "POST" });
  assert.deepEqual(adjusted, [
    ["api", "a", { weight: 2 }],
    ["api", "a", "drain"],
  ]);
  assert.deepEqual(await askControl(dataDirectory, "/deploy?service=web", { method: "POST" }), {});
  const refused = (error: unknown) =>
    error instanceof OperatorError && error.code === "CONTROL_REFUSED" && error.details.where === "api";
  await assert.rejects(askControl(dataDirectory, "/deploy?service=api", { method: "POST" }), refused);
  assert.equal(await askControl(dataDirectory, "/deploy?service=web"), null, "nothing changes on a GET");
  assert.equal(statSync(socketPath(dataDirectory, "control")).mode & 0o777, 0o600);
});

test("asking where nothing runs says so, with a way out", async (t) => {
  const unreachable = (error: unknown) => error instanceof OperatorError && error.code === "CONTROL_UNREACHABLE";
  await assert.rejects(askControl(folderFor(t), "/status"), unreachable);
});

test("a data directory with a long path has its sockets in the temporary folder, under a name of its own", () => {
  const long = `/${"x".repeat(120)}`;
  const path = socketPath(long, "control");
  assert.ok(Buffer.byteLength(path) <= 100);
  assert.notEqual(path, socketPath(`${long}y`, "control"));
  assert.equal(socketPath("/data", "control"), "/data/control.sock");
});
