import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientInfo, FieldList } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { readTrace, TraceSource } from "@tideway/wire/fields";
import { requestHead } from "./heads.ts";
import type { RouteContext } from "./proxy.ts";
import { FakeExchange } from "./testing.ts";

const route: RouteContext = {
  strip: "",
  rewrite: "",
  requestFields: null,
  hostField: "preserve",
  serverTiming: false,
};
const instance = { host: "10.9.9.9", port: 3000 };

const proxy: ClientInfo = { address: "10.0.0.1", port: 5000, localPort: 80, secure: false };

/** The lines that go on from a request with these fields: of the client itself, or through the proxy in front. */
function lines(fields: FieldList, client?: Partial<ClientInfo>): string[] {
  const exchange = new FakeExchange({ fields });
  if (client !== undefined) exchange.client = { ...proxy, via: proxy, ...client };
  const text = requestHead(exchange, route, null, instance, "").split("\r\n");
  return text.slice(2, -2).filter((line) => !line.startsWith("x-request-id"));
}

describe("what a client says about itself", () => {
  const claims = [
    ...["x-forwarded-for", "10.0.0.1", "x-forwarded-proto", "https", "x-forwarded-host", "evil.test"],
    ...["x-forwarded-port", "443", "x-real-ip", "10.0.0.1", "forwarded", "for=10.0.0.1", "x-forwarded-user", "root"],
    ...[
      "x-forwarded-ssl",
      "on",
      "x-forwarded-prefix",
      "/admin",
      "x-forwarded-server",
      "x",
      "x-forwarded-scheme",
      "https",
    ],
    ...["x-forwarded-client-cert", "x", "x-forwarded-email", "root@a.test", "accept", "*/*"],
  ];

  it("is removed and written anew", () => {
    assert.deepEqual(lines(claims), [
      "accept: */*",
      "x-forwarded-for: 192.0.2.7",
      "x-forwarded-proto: http",
      "x-forwarded-host: a.test",
      'forwarded: for=192.0.2.7;proto=http;host="a.test"',
    ]);
  });

  it("is kept from a trusted proxy, which is added", () => {
    assert.deepEqual(lines(claims, { address: "192.0.2.9", secure: true }), [
      "x-forwarded-user: root",
      "x-forwarded-ssl: on",
      "x-forwarded-prefix: /admin",
      "x-forwarded-server: x",
      "x-forwarded-scheme: https",
      "x-forwarded-client-cert: x",
      "x-forwarded-email: root@a.test",
      "accept: */*",
      "x-forwarded-for: 10.0.0.1, 10.0.0.1",
      "x-forwarded-proto: https",
      "x-forwarded-host: evil.test",
      'forwarded: for=10.0.0.1, for=10.0.0.1;proto=http;host="a.test"',
      "x-forwarded-port: 443",
      "x-real-ip: 192.0.2.9",
    ]);
  });
});

describe("through a trusted proxy", () => {
  it("chains of both kinds are added to", () => {
    const fields = [
      "x-forwarded-for",
      "1.1.1.1",
      "x-forwarded-for",
      "2.2.2.2",
      "forwarded",
      "for=1.1.1.1, for=2.2.2.2;by=_x",
    ];
    assert.deepEqual(lines(fields, { address: "2.2.2.2" }), [
      "x-forwarded-for: 1.1.1.1, 2.2.2.2, 10.0.0.1",
      "x-forwarded-proto: http",
      "x-forwarded-host: a.test",
      'forwarded: for=1.1.1.1, for=2.2.2.2;by=_x, for=10.0.0.1;proto=http;host="a.test"',
    ]);
  });

  it("that says nothing it is the client", () => {
    assert.deepEqual(lines([], {}), [
      "x-forwarded-for: 10.0.0.1",
      "x-forwarded-proto: http",
      "x-forwarded-host: a.test",
      'forwarded: for=10.0.0.1;proto=http;host="a.test"',
    ]);
  });

  it("IPv6 stands in brackets and quotes in Forwarded, bare in the list", () => {
    const via = { ...proxy, address: "fd00::1" };
    assert.deepEqual(lines(["x-forwarded-for", "[2001:DB8::1]:80"], { address: "2001:db8::1", via }), [
      "x-forwarded-for: 2001:db8::1, fd00::1",
      "x-forwarded-proto: http",
      "x-forwarded-host: a.test",
      'forwarded: for="[2001:db8::1]", for="[fd00::1]";proto=http;host="a.test"',
    ]);
  });

  it("a port or host that is none is not passed on", () => {
    for (const port of ["0", "443, 80", "99999999", "x"])
      assert.ok(!lines(["x-forwarded-port", port], {}).some((line) => line.startsWith("x-forwarded-port")), port);
    assert.ok(lines(["x-forwarded-host", "a/b"], {}).includes("x-forwarded-host: a.test"));
  });
});

describe("the host that the service is asked for", () => {
  for (const [hostField, host, port, expected] of [
    ["preserve", "10.9.9.9", 3000, "a.test"],
    ["upstream", "10.9.9.9", 3000, "10.9.9.9:3000"],
    ["upstream", "db.internal", 80, "db.internal"],
    ["upstream", "fd00::1", 8080, "[fd00::1]:8080"],
    ["other.test:81", "10.9.9.9", 3000, "other.test:81"],
  ] as const) {
    it(`${hostField} of ${host} port ${port} is ${expected}`, () => {
      const text = requestHead(new FakeExchange(), { ...route, hostField }, null, { host, port }, "");
      assert.equal(text.split("\r\n")[1], `host: ${expected}`);
      assert.ok(text.includes("\r\nx-forwarded-host: a.test\r\n"), "what the client asked for is not lost");
    });
  }
});

it("a client of HTTP/1.0 that names no host: the service is asked for its own", () => {
  const exchange = new FakeExchange({ version: 10, host: "", authority: "" });
  const text = requestHead(exchange, route, null, { host: "10.9.9.9", port: 3000 }, "");
  assert.equal(text.split("\r\n")[1], "host: 10.9.9.9:3000");
});

it("a route changes any field but framing and connection: it sees those that the gateway writes, too", () => {
  const exchange = new FakeExchange({
    method: "POST",
    bodyLength: 5,
    fields: ["x-a", "1", "cookie", "c"],
    upgrade: "echo",
  });
  const requestFields = (fields: FieldList, seen: unknown): FieldList => {
    assert.equal(seen, exchange);
    assert.deepEqual(fields.slice(0, 6), ["host", "a.test", "x-a", "1", "cookie", "c"]);
    assert.deepEqual(fields.slice(-2), ["x-request-id", "req-1"]);
    assert.ok(fields.includes("forwarded") && !fields.includes("connection") && !fields.includes("content-length"));
    return ["host", "b.test", "x-b", "2"];
  };
  assert.equal(
    requestHead(exchange, { ...route, requestFields }, null, instance, "echo"),
    "POST / HTTP/1.1\r\nhost: b.test\r\nx-b: 2\r\ncontent-length: 5\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
  );
});

describe("TE", () => {
  for (const [fields, upgrade, expected] of [
    [["te", "trailers"], "", ["connection: te", "te: trailers"]],
    [["te", "gzip;q=0.5, Trailers"], "", ["connection: te", "te: trailers"]],
    [["te", "trailers"], "echo", ["connection: upgrade, te", "upgrade: echo", "te: trailers"]],
    [["te", "gzip"], "", []],
    [["te", "nottrailers"], "", []],
    [[], "", []],
  ] as const) {
    it(`${JSON.stringify(fields)}${upgrade} goes on as ${JSON.stringify(expected)}`, () => {
      const head = requestHead(new FakeExchange({ fields: [...fields] }), route, null, instance, upgrade);
      const hops = head.split("\r\n").filter((line) => /^(?:te|connection|upgrade):/.test(line));
      assert.deepEqual(hops, expected);
    });
  }
});

describe("the trace", () => {
  const id = "4bf92f3577b34da6a3ce929d0e0e4736";
  const valid = `00-${id}-00f067aa0ba902b7-00`;
  const source = new TraceSource(new SeededRandom(1));

  /** What goes on of these fields, and what the exchange knows. */
  function traced(fields: FieldList, tracing: { source: TraceSource | null; flags: string } | null, twice = false) {
    const exchange = new FakeExchange({ fields });
    let head = requestHead(exchange, route, tracing, instance, "");
    const first = head;
    if (twice) head = requestHead(exchange, route, tracing, instance, "");
    const lines = head.split("\r\n").filter((line) => line.startsWith("trace"));
    return { lines, trace: exchange.trace, first };
  }

  it("is none of the gateway's business unless it was asked to look after it", () => {
    const { lines, trace } = traced(["traceparent", "x", "tracestate", "a=1"], null);
    assert.deepEqual(lines, ["traceparent: x", "tracestate: a=1"]);
    assert.equal(trace, "");
  });

  it("goes on as it is when it is valid, with all of its state", () => {
    const fields = ["tracestate", "a=1", "traceparent", valid, "tracestate", "b=2"];
    const { lines, trace } = traced(fields, { source, flags: "01" });
    assert.deepEqual(lines, ["tracestate: a=1", `traceparent: ${valid}`, "tracestate: b=2"]);
    assert.equal(trace, id);
  });

  for (const fields of [
    [],
    ["traceparent", "00-0-0-0", "tracestate", "a=1"],
    ["tracestate", "a=1"],
    ["traceparent", valid, "traceparent", valid, "tracestate", "a=1"],
  ]) {
    it(`is created in place of ${JSON.stringify(fields)}, and stays the same when the request is repeated`, () => {
      const { lines, trace, first } = traced(fields, { source, flags: "01" }, true);
      assert.equal(lines.length, 1);
      assert.match(lines[0]!, /^traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
      assert.equal(readTrace(["traceparent", lines[0]!.slice(13)]), trace);
      assert.ok(first.includes(`traceparent: 00-${trace}-`));
      assert.ok(!first.includes(lines[0]!), "another attempt is another span");
    });
  }

  it("is only dropped when it is invalid, where none is to be created", () => {
    const { lines, trace } = traced(["traceparent", "x", "tracestate", "a=1"], { source: null, flags: "01" });
    assert.deepEqual(lines, []);
    assert.equal(trace, "");
  });

  it("says that it is not sampled where the configuration says so", () => {
    assert.match(traced([], { source, flags: "00" }).lines[0]!, /-00$/);
  });
});
