import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ConfigurationFault, findConfiguration, loadPlan } from "./index.ts";
import { makePlan, type Plan } from "./plan.ts";

const folder = mkdtempSync(join(tmpdir(), "tideway-config-"));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, "tideway.config.ts");

const services = { web: { command: "node server.ts" }, pong: { respond: { body: "pong" } } };
const sites = { "*": { "/": "web" } };

function planOf(input: unknown, environment = {}): Plan {
  const result = makePlan(file, input, environment);
  assert.ok(result.ok, JSON.stringify(result));
  return result.plan;
}

/** The only issue of a configuration that has one. */
function issueOf(input: unknown, environment = {}) {
  const result = makePlan(file, input, environment);
  assert.ok(!result.ok, "the configuration was taken");
  assert.equal(result.issues.length, 1, JSON.stringify(result.issues, null, 1));
  return result.issues[0]!;
}

test("defaults are filled in: loopback, the fixed ports, two seconds between probes", () => {
  const plan = planOf({ services, sites, names: {} });
  assert.deepEqual(plan.listen, [{ host: "127.0.0.1", port: 7777, proxyProtocol: false }]);
  assert.deepEqual(plan.console, { host: "127.0.0.1", port: 7770, metrics: "token" });
  assert.equal(plan.names?.host, "127.0.0.1");
  assert.equal(plan.names?.port, 7753);
  assert.equal(plan.dataDirectory, join(folder, "data"));
  const web = plan.services.get("web");
  assert.ok(web?.kind === "command");
  assert.equal(web.options.instances, 1);
  assert.equal(web.options.balance, "least-busy");
  assert.equal(web.options.health.everyMs, 2000);
});

test("every value of the plan says where it came from", () => {
  const plan = planOf({ services, sites, listen: [{ port: 8000 }] }, { PORT: "9000" });
  const origin = (path: string) => plan.rows.find((row) => row.path === path);
  assert.deepEqual(origin("listen[0].port"), { path: "listen[0].port", value: 9000, origin: "environment PORT" });
  assert.equal(origin("listen[0].host")?.origin, "default");
  assert.equal(origin("services.web.command")?.origin, "file");
  assert.equal(origin("services.web.instances")?.value, 1);
});

test("an unknown key is named with its path, the allowed keys and the nearest one", () => {
  const top = issueOf({ services, sites, listn: [] });
  assert.equal(top.path, "listn");
  assert.match(top.allowed, /listen/);
  assert.equal(top.hint, 'Did you mean "listen"?');
  const inner = issueOf({ services: { web: { command: "x", instancs: 2 } }, sites });
  assert.equal(inner.path, "services.web.instancs");
  assert.equal(inner.hint, 'Did you mean "instances"?');
  const deep = issueOf({ services: { ...services, api: { upstreams: [{ url: "http://a.test", wieght: 2 }] } }, sites });
  assert.equal(deep.path, "services.api.upstreams[0].wieght");
  assert.equal(deep.hint, 'Did you mean "weight"?');
});

test("wrong types, ranges and URLs say what was seen and what is allowed", () => {
  const rows: [unknown, string, string, RegExp][] = [
    [{ services, sites, listen: [{ port: 99_999 }] }, "listen[0].port", "99999", /at most 65535/],
    [{ services, sites, listen: [{ port: "80" }] }, "listen[0].port", '"80"', /number/],
    [{ services, sites, listen: [] }, "listen", "[]", /not empty/],
    [
      { services: { web: { command: "x", balance: "random" } }, sites },
      "services.web.balance",
      '"random"',
      /"least-busy"/,
    ],
    [
      { services: { web: { upstreams: ["htp:/x"] } }, sites },
      "services.web.upstreams[0]",
      '"htp:/x"',
      /an http:\/\/ URL/,
    ],
    [
      { services: { web: { command: "x", health: { path: "z" } } }, sites },
      "services.web.health.path",
      '"z"',
      /begins with \//,
    ],
    [{ services, sites: { "*": { "/": 5 } } }, 'sites["*"]["/"]', "5", /string, or an object/],
    [{ services: { web: { command: "x", instances: 0 } }, sites }, "services.web.instances", "0", /at least 1/],
    [{ services }, "sites", "nothing", /an object/],
  ];
  for (const [input, path, seen, allowed] of rows) {
    const issue = issueOf(input);
    assert.equal(issue.path, path);
    assert.equal(issue.seen, seen);
    assert.match(issue.allowed, allowed);
  }
  assert.ok(!makePlan(file, 7, {}).ok);
  assert.ok(!makePlan(file, { services: { web: {} }, sites }, {}).ok, "a service that says nothing");
});

test("a service that says nothing is told what a service may be, and a value of a wrong kind what it may be instead", () => {
  const empty = issueOf({ services: { web: {} }, sites });
  assert.equal(empty.path, "services.web");
  assert.match(empty.allowed, /a key "command", or a key "upstreams", or a key "files"/);
  assert.equal(issueOf({ services, sites, console: true }).allowed, "false, or an object { host, port, metrics }");
});

test("an unknown service in a site is refused with the services that there are", () => {
  const issue = issueOf({ services, sites: { "a.test": { "/": "wbe" } } });
  assert.equal(issue.path, 'sites["a.test"]["/"]');
  assert.match(issue.seen, /wbe/);
});

test("two listeners on one port are refused, and so is a console or name server on a taken one", () => {
  assert.equal(issueOf({ services, sites, listen: [{ port: 80 }, { port: 80 }] }).path, "listen[1].port");
  assert.equal(issueOf({ services, sites, listen: [{ host: "0.0.0.0", port: 7770 }] }).path, "console.port");
  assert.equal(issueOf({ services, sites, names: { listen: { port: 7777 } } }).path, "names.listen.port");
  planOf({
    services,
    sites,
    console: false,
    listen: [
      { host: "127.0.0.1", port: 80 },
      { host: "127.0.0.2", port: 80 },
    ],
  });
});

test("a folder that does not exist is refused with its absolute path", () => {
  const issue = issueOf({ services: { web: { files: "./nowhere" } }, sites });
  assert.equal(issue.path, "services.web.files");
  assert.ok(issue.seen.includes(join(folder, "nowhere")));
});

test("real time needs a service that Tideway runs, one for each", () => {
  const live = (service: string) => ({ ...services, live: { realtime: { service } } });
  planOf({ services: live("web"), sites });
  assert.equal(issueOf({ services: live("wbe"), sites }).hint, 'Did you mean "web"?');
  assert.match(issueOf({ services: live("pong"), sites }).seen, /not run by Tideway/);
  const twice = { ...live("web"), again: { realtime: { service: "web" } } };
  assert.match(issueOf({ services: twice, sites }).allowed, /one realtime service/);
});

test("a record that a zone cannot hold is refused with its key path", () => {
  const zones = { "abc.test": { www: { A: "not an address" } } };
  const issue = issueOf({ services, sites, names: { zones } });
  assert.equal(issue.path, 'names.zones["abc.test"].www.A');
  planOf({
    services,
    sites: { "www.abc.test": { "/": "web" } },
    names: { zones: { "abc.test": { mail: { A: "192.0.2.1" } } } },
  });
});

test("PORT from the environment must be a port", () => {
  assert.equal(issueOf({ services, sites }, { PORT: "http" }).path, "environment PORT");
});

test("a file that is missing, throws or exports nothing is named with a way out", async () => {
  const fault = async (promise: Promise<unknown>) => {
    const error = await promise.then(
      () => assert.fail("taken"),
      (e: unknown) => e,
    );
    assert.ok(error instanceof ConfigurationFault, String(error));
    return error.faults[0]!;
  };
  assert.throws(() => findConfiguration("nowhere.ts", folder), ConfigurationFault);
  const throwing = join(folder, "throws.ts");
  writeFileSync(throwing, "const a: number = 1;\nnull!.x;\nexport default {};\n");
  const thrown = await fault(loadPlan(throwing, {}));
  assert.equal(thrown.code, "CONFIG_THREW");
  assert.equal(thrown.details.where, `${throwing}:2`);
  const empty = join(folder, "empty.ts");
  writeFileSync(empty, "export const x = 1;\n");
  assert.match((await fault(loadPlan(empty, {}))).details.seen ?? "", /no default export/);
});

test("what could not be kept at run time is refused: a path in an upstream's URL, a line break in a field's value", () => {
  const services = {
    up: {
      upstreams: [
        "http://127.0.0.1:1/app",
        "http://user:word@127.0.0.1:1",
        { url: "http://127.0.0.1:1/?q" },
        "http://[::1]:1/",
      ],
    },
    away: { redirect: "https://x.test/\r\nset-cookie: a=b" },
    pong: { respond: { type: "text/plain\r\nx: y" } },
  };
  const result = makePlan("/nowhere/tideway.config.ts", { services, sites: { "*": { "/": "pong" } } }, {});
  assert.ok(!result.ok);
  assert.deepEqual(
    result.issues.map((issue) => issue.path),
    [
      "services.up.upstreams[0]",
      "services.up.upstreams[1]",
      "services.up.upstreams[2].url",
      "services.away.redirect",
      "services.pong.respond.type",
    ],
  );
  assert.match(result.issues[0]!.allowed, /host and port alone/);
  assert.match(result.issues[3]!.allowed, /printable ASCII/);
});
