import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientInfo, FieldList } from "@tideway/base";
import { requestHead } from "./heads.ts";
import { FakeExchange } from "./testing.ts";

const proxy: ClientInfo = { address: "10.0.0.1", port: 5000, localPort: 80, secure: false };

/** The lines that go on from a request with these fields: of the client itself, or through the proxy in front. */
function lines(fields: FieldList, client?: Partial<ClientInfo>): string[] {
  const exchange = new FakeExchange({ fields });
  if (client !== undefined) exchange.client = { ...proxy, via: proxy, ...client };
  const text = requestHead(exchange, "", "").split("\r\n");
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
