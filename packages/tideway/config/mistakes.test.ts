/** Mistakes that people make with the gateway's keys, and what they are told: where, what is allowed, the way out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Issue } from "./issues.ts";
import { makePlan } from "./plan.ts";

const up = { upstreams: ["http://127.0.0.1:3001"] };
const here = { body: "here" };
const sites = { "*": { "/": "api" } };

function issuesOf(input: unknown): readonly Issue[] {
  const result = makePlan("/nowhere/tideway.config.ts", input, {});
  assert.ok(!result.ok, `taken: ${JSON.stringify(input)}`);
  return result.issues;
}

const service = (keys: object) => ({ services: { api: { ...up, ...keys } }, sites });
const route = (said: unknown) => ({
  services: { api: up, page: { respond: here }, away: { redirect: "/x" } },
  sites: { "*": { "/": said } },
});
const tcp = (keys: object, listen: object = {}) => ({
  ...service({}),
  listen: [{ port: 1 }, { port: 2, ...listen, tcp: { upstreams: ["127.0.0.1:5432"], ...keys } }],
});
const udp = (keys: object, listen: object = {}) => ({
  ...service({}),
  listen: [{ port: 1 }, { port: 2, ...listen, udp: { upstreams: ["127.0.0.1:53"], ...keys } }],
});
const whole = (keys: object) => ({ ...service({}), ...keys });

const api = "services.api";
const root = 'sites["*"]["/"]';

/** What was written, the key path that is named, and patterns for what is allowed and for the way out. */
const mistakes: readonly (readonly [input: unknown, path: string, allowed: RegExp, hint: RegExp])[] = [
  // Services.
  [service({ balance: "least_busy" }), `${api}.balance`, /"least-busy" \| .* or an object \{ hash/, /"least-busy"/],
  [service({ balance: { hash: "ip" } }), `${api}.balance.hash`, /"address", or an object \{ header \}/, /./],
  [
    service({ balance: { hash: { header: "a", cookie: "b" } } }),
    `${api}.balance.hash`,
    /one of `header` \| `cookie` \| `query`/,
    /Keep/,
  ],
  [service({ balance: { hash: "address", load: 0.5 } }), `${api}.balance.load`, /at least 1/, /./],
  [service({ sticky: true }), `${api}.sticky`, /\{ cookie, ttlMs, secure \}/, /./],
  [service({ sticky: { cookie: "a b" } }), `${api}.sticky.cookie`, /name/, /./],
  [service({ health: "/healthz" }), `${api}.health`, /an object \{ kind, path, method/, /./],
  [service({ health: { interval: 5 } }), `${api}.health.interval`, /everyMs/, /allowed keys/],
  [service({ health: { status: "2xx" } }), `${api}.health.status`, /"200-399"/, /./],
  [service({ health: { status: "399-200" } }), `${api}.health.status`, /first status is its lowest/, /./],
  [service({ health: { kind: "tcp", body: "fine" } }), `${api}.health.body`, /only with kind: "http"/, /"http"/],
  [service({ breaker: true }), `${api}.breaker`, /\{ failureShare, windowMs/, /./],
  [service({ breaker: { failureShare: 50 } }), `${api}.breaker.failureShare`, /at most 1/, /./],
  [service({ retries: 3 }), `${api}.retries`, /\{ max, budget \}/, /./],
  [service({ queue: 5 }), `${api}.queue`, /queueMs, queueMax/, /./],
  [service({ connectMs: 0 }), `${api}.connectMs`, /at least 1/, /./],
  [service({ proxyProtocol: 2 }), `${api}.proxyProtocol`, /"v1" \| "v2"/, /./],
  [service({ hostField: "client" }), `${api}.hostField`, /"preserve" \| "upstream", or an object \{ set \}/, /./],
  [service({ whenDown: { status: 200 } }), `${api}.whenDown.status`, /at least 400/, /./],
  [service({ upstreams: "http://a.test" }), `${api}.upstreams`, /a list/, /\["http:\/\/a\.test"\]/],
  [service({ upstreams: ["a.test:80"] }), `${api}.upstreams[0]`, /http:\/\/127\.0\.0\.1:3001/, /./],
  [service({ upstreams: [{ url: "http://a.test", weight: 0 }] }), `${api}.upstreams[0].weight`, /more than 0/, /./],
  [
    service({ upstreams: ["http://a.test", { url: "http://a.test:80", weight: 2 }] }),
    `${api}.upstreams[1]`,
    /once/,
    /`weight`/,
  ],
  [service({ respond: here }), api, /one of `command` \| `upstreams` \| `files`/, /Keep the one/],
  [
    { services: { api: { files: "/", balance: "hash" } }, sites },
    `${api}.balance`,
    /^files, fallback, immutable$/,
    /./,
  ],
  // Routes.
  [route({ to: "api", stripe: true }), `${root}.stripe`, /strip, rewrite/, /"strip"/],
  [route({ to: "api", redirect: "/x" }), root, /`to` or `redirect`/, /keep/],
  [route({ to: "api", status: 301 }), `${root}.status`, /only beside `redirect`/, /Remove/],
  [route({ redirect: "/x", status: 200 }), `${root}.status`, /301 \| 302/, /./],
  [route({ respond: here, strip: true }), `${root}.strip`, /`command` \| `upstreams` \| `files`/, /Remove/],
  [route({ to: "page", request: { set: { a: "b" } } }), `${root}.request`, /`command` \| `upstreams`$/, /Remove/],
  [route({ to: "away", serverTiming: true }), `${root}.serverTiming`, /`command` \| `upstreams`$/, /Remove/],
  [route({ to: "api", when: { headers: {} } }), `${root}.when.headers`, /method, header, query/, /"header"/],
  [route({ to: "api", when: { method: "get" } }), `${root}.when.method`, /GET/, /write "GET"/],
  [
    route({ to: "api", when: { query: { a: { matches: "(" } } } }),
    `${root}.when.query.a.matches`,
    /expression/,
    /escape/,
  ],
  [route({ to: "api", request: { remove: "a" } }), `${root}.request.remove`, /a list/, /\["a"\]/],
  [route({ to: "api", request: { set: { a: "{hots}" } } }), `${root}.request.set.a`, /\{host\}/, /twice/],
  [route({ to: "api", response: { set: { date: "now" } } }), `${root}.response.set.date`, /does not write itself/, /./],
  [route({ to: "api", compress: "gzip" }), `${root}.compress`, /true or false/, /./],
  [route({ to: "api", limits: { rate: 10 } }), `${root}.limits.rate`, /\{ requests, per, burst, by/, /./],
  [route({ to: "api", limits: { rate: { requests: 1, per: "1m" } } }), `${root}.limits.rate.per`, /"minute"/, /./],
  [route({ to: "api", limits: { rate: { requests: 1, by: "ip" } } }), `${root}.limits.rate.by`, /"address"/, /./],
  [
    route({ to: "api", limits: { rate: { requests: 1, by: { account: {} } } } }),
    `${root}.limits.rate.by`,
    /cookie/,
    /./,
  ],
  [route({ to: "api", limits: { bodyBytesMax: "1mb" } }), `${root}.limits.bodyBytesMax`, /a number/, /./],
  [route({ to: "api", maintenance: "soon" }), `${root}.maintenance`, /true or false, or an object \{/, /./],
  [route({ to: "api", maintenance: { except: ["::/200"] } }), `${root}.maintenance.except[0]`, /10\.0\.0\.0\/8/, /./],
  [route([{ to: "api" }, "page"]), `${root}[1]`, /only as the last/, /./],
  [route([{ to: "ap", when: { method: "GET" } }, "page"]), `${root}[0]`, /api/, /./],
  // Listeners, and the whole.
  [whole({ listen: 8080 }), "listen", /a list/, /./],
  [whole({ listen: ["127.0.0.1:80"] }), "listen[0]", /an object \{ host, port, sites/, /./],
  [whole({ listen: [{ host: "::" }] }), "listen[0].port", /a number/, /Add/],
  [whole({ listen: [{ port: 1, proxyProtocol: "v2" }] }), "listen[0].proxyProtocol", /true or false, or .*from/, /./],
  [
    whole({ listen: [{ port: 1, proxyProtocol: { from: "::1" } }] }),
    "listen[0].proxyProtocol.from",
    /list/,
    /\["::1"\]/,
  ],
  [whole({ listen: [{ port: 1, tcp: "api" }] }), "listen[0].tcp", /an object \{ name, upstreams/, /./],
  [tcp({}, { udp: { upstreams: ["a.test:53"] } }), "listen[1]", /one of .*`tcp` \| `udp`/, /Keep/],
  [tcp({ upstreams: ["http://a.test"] }), "listen[1].tcp.upstreams[0]", /host:port/, /./],
  [tcp({ upstreams: ["a.test:99999"] }), "listen[1].tcp.upstreams[0]", /1 to 65535/, /./],
  [tcp({ upstreams: ["a.test:1", "a.test:1"] }), "listen[1].tcp.upstreams[1]", /once/, /./],
  [tcp({ balance: { hash: { header: "x" } } }), "listen[1].tcp.balance.hash", /"address"/, /./],
  [tcp({ health: { path: "/healthz" } }), "listen[1].tcp.health.path", /kind: "http"/, /Write kind: "http"/],
  [tcp({ eject: { statuses: 500 } }), "listen[1].tcp.eject.statuses", /`services`/, /Remove/],
  [tcp({ name: "db", upstream: "a.test:1" }), "listen[1].tcp.upstream", /name, upstreams/, /"upstreams"/],
  [udp({}, { proxyProtocol: true }), "listen[1].proxyProtocol", /host, port, udp/, /Remove/],
  [udp({ proxyProtocol: "v2" }), "listen[1].udp.proxyProtocol", /name, upstreams/, /Remove/],
  [tcp({}, { sites: {} }), "listen[1].sites", /host, port, tcp, proxyProtocol/, /Remove/],
  [tcp({ name: "api" }), "listen[1]", /name of its own/, /`name`/],
  [{ services: { api: up } }, "sites", /an object: host → path/, /sites: \{ "\*"/],
  [whole({ listen: [{ port: 1, sites }] }), "sites", /without `sites`/, /remove these/],
  [whole({ trust: "10.0.0.0/8" }), "trust", /a list/, /\["10\.0\.0\.0\/8"\]/],
  [whole({ trust: ["proxy.test"] }), "trust[0]", /IP address/, /./],
  [whole({ limits: { maxConnections: 5 } }), "limits.maxConnections", /connectionsMax/, /./],
  [whole({ trace: false }), "trace", /\{ create, sampled \}/, /./],
  [whole({ console: { metrics: true } }), "console.metrics", /"token" \| "open"/, /./],
  [whole({ log: { requests: "clf" } }), "log.requests", /"json" \| "combined", or an object/, /./],
];

for (const [input, path, allowed, hint] of mistakes) {
  const [issue, ...others] = issuesOf(input);
  test(`${path}: ${issue!.seen}`, () => {
    assert.deepEqual(others, []);
    assert.equal(issue!.path, path);
    assert.match(issue!.allowed, allowed);
    assert.match(issue!.hint, hint);
  });
}

test("what fits is taken: TCP alone, listeners with sites of their own, a service's name among the routes of a path", () => {
  const fits = [
    { listen: [{ port: 1, tcp: { upstreams: ["db.test:5432", "[::1]:5432"], balance: { hash: "address" } } }] },
    { listen: [{ port: 1, sites: { "*": { "/": { respond: here } } } }] },
    route([{ when: { method: "POST" }, to: "api" }, "page"]),
    route({ to: "away", limits: { rate: { requests: 1 } }, maintenance: true, compress: true }),
    tcp({ health: { kind: "http", path: "/healthz" }, healthPort: 8080 }),
  ];
  for (const input of fits) assert.ok(makePlan("/nowhere/tideway.config.ts", input, {}).ok, JSON.stringify(input));
});

test("a TCP service is probed by connections, however else its probes are set", () => {
  const result = makePlan("/nowhere/tideway.config.ts", tcp({ health: { everyMs: 500 } }), {});
  assert.ok(result.ok);
  const [stream] = result.plan.streams;
  assert.equal(stream?.options.health?.kind, "tcp");
});

test("a redirect of a route has its status, of which routes without one know nothing", () => {
  const result = makePlan("/nowhere/tideway.config.ts", route({ to: "api", compress: true }), {});
  assert.ok(result.ok);
  assert.deepEqual(
    result.plan.rows.filter(({ path }) => path.startsWith("sites")).map(({ path }) => path),
    [`${root}.to`, `${root}.compress`],
  );
});
