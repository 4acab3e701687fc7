/** What is made of a head and kept for the next one with the same fields is what would be made of it anew. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientInfo, FieldList, Memo, RequestHead } from "@tideway/base";
import { SeededRandom } from "@tideway/base/testing";
import { TraceSource } from "@tideway/wire/fields";
import { encodeResponseHead, type ResponseHead, writtenOnce } from "@tideway/wire/http1";
import fc from "fast-check";
import { finalFields, requestHead } from "./heads.ts";
import type { RouteContext, Tracing } from "./proxy.ts";
import { ask, ok, raw, rig } from "./rig.testing.ts";
import { FakeExchange } from "./testing.ts";

const plain: RouteContext = {
  strip: "",
  rewrite: "",
  requestFields: null,
  hostField: "preserve",
  serverTiming: false,
};
const instance = { host: "10.9.9.9", port: 3000 };
const other: ClientInfo = { address: "10.0.0.1", port: 5000, localPort: 80, secure: true };

const field = fc.constantFrom<FieldList>(
  ...[
    ["accept", "*/*"],
    ["connection", "x-a"],
    ["x-a", "1"],
    ["te", "trailers"],
    ["cookie", "a=1"],
  ],
  ...[
    ["x-forwarded-for", "1.1.1.1"],
    ["x-real-ip", "1.1.1.1"],
    ["upgrade", "websocket"],
    ["x-request-id", "x"],
  ],
  ...[
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
    ["traceparent", "bad"],
    ["tracestate", "a=1"],
  ],
);

const routes: readonly RouteContext[] = [
  plain,
  { ...plain, strip: "/api", rewrite: "/v1" },
  { ...plain, hostField: "upstream" },
  { ...plain, requestFields: (fields) => fields.filter((_, i) => fields[i - (i % 2)] !== "accept") },
];

/** One of the requests that come with the same fields: who asks, what for, and where it goes. */
const request = fc.record({
  path: fc.constantFrom("/", "/api", "/api/x", "/api/x", "/api/x"),
  method: fc.constantFrom("GET", "GET", "GET", "POST"),
  route: fc.constantFrom(0, 0, 0, 1, 2, 3),
  upgrade: fc.constantFrom("", "", "websocket"),
  traced: fc.constantFrom(0, 0, 1, 2),
  /** Of the connection itself, or behind it. */
  client: fc.constantFrom(0, 0, 0, 1, 2),
});

it("requests with the same fields are forwarded as if they were the first, whatever was forwarded before", () => {
  let whole = 0;
  fc.assert(
    fc.property(
      fc.array(field, { maxLength: 5 }),
      fc.array(request, { minLength: 2, maxLength: 10 }),
      (lines, requests) => {
        const fields = Object.freeze(lines.flat()) as FieldList;
        const memo: Memo = { by: null, made: null };
        const clients = [new FakeExchange().client, other, { ...other, via: other, address: "192.0.2.9" }];
        const sources = [0, 1].map(() => new TraceSource(new SeededRandom(1)));
        // As from a decoder: the same head again is the same object.
        const heads = new Map<string, RequestHead>();
        for (const { path, method, route, upgrade, traced, client } of requests) {
          const texts = [memo, undefined].map((kept, i) => {
            const fresh = new FakeExchange({ path, method, fields, memo: kept }).head;
            const head = kept === undefined ? fresh : (heads.get(path + method) ?? fresh);
            if (kept !== undefined) heads.set(path + method, head);
            const exchange = Object.assign(new FakeExchange(), { head });
            exchange.client = clients[client]!;
            const tracings: (Tracing | null)[] = [
              null,
              { source: null, flags: "01" },
              { source: sources[i]!, flags: "01" },
            ];
            const text = requestHead(exchange, routes[route]!, tracings[traced]!, instance, upgrade);
            return [text, exchange.trace];
          });
          assert.deepEqual(texts[0], texts[1]);
          const { front = "" } = (memo.made ?? {}) as { front?: string };
          if (front !== "") whole++;
        }
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(whole > 20, `only ${whole} heads were kept as a whole`);
});

it("what was made for one client of a connection is not another's", () => {
  const memo: Memo = { by: null, made: null };
  const one = new FakeExchange({ memo });
  requestHead(one, plain, null, instance, "");
  assert.ok(memo.by !== null);
  const two = new FakeExchange({ memo });
  two.client = other;
  assert.match(
    requestHead(two, plain, null, instance, ""),
    /\r\nx-forwarded-for: 10\.0\.0\.1\r\nx-forwarded-proto: https\r\n/,
  );
});

describe("fields of responses", () => {
  const fields = Object.freeze([
    ...["date", "x", "connection", "x-a", "x-a", "1", "x-request-id", "2", "etag", "3", "content-length", "5"],
  ]) as FieldList;
  const head: ResponseHead = {
    status: 200,
    fields,
    bodyLength: 5,
    contentLength: 5,
    keepAlive: true,
    version: 11,
    upgrade: false,
  };

  it("are the same list for the same fields, written once, saying what it said", () => {
    const first = finalFields(head);
    assert.deepEqual(first, ["date", "x", "etag", "3"]);
    const memo: Memo = { by: null, made: null };
    const second = finalFields({ ...head, memo });
    assert.deepEqual([...second], first);
    assert.equal(finalFields({ ...head, memo }), second);
    assert.equal(writtenOnce(second)?.dated, true);
    assert.equal(encodeResponseHead(200, second, 5), encodeResponseHead(200, first, 5));
  });

  it("reach each client with its own additions only", async () => {
    const server = await raw((socket) => socket.write(ok));
    const { proxy } = await rig([server], { sticky: { cookie: "to", key: "s".repeat(32) } });
    const timed = proxy.target({ serverTiming: true });
    const answers: FakeExchange[] = [];
    for (const target of [proxy, proxy, proxy, timed, proxy, timed])
      answers.push(await ask({ ...proxy, handle: target.handle }));
    const counts = answers.map(({ fields }) => fields.filter((_, i) => i % 2 === 0));
    assert.deepEqual(counts, [
      ...[["set-cookie"], ["set-cookie"], ["set-cookie"]],
      ...[["set-cookie", "server-timing"], ["set-cookie"], ["set-cookie", "server-timing"]],
    ]);
  });
});
