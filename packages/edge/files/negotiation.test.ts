import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { FakeClock } from "@tideway/base/testing";
import { big, FakeExchange, get, OLD_TEXT, put, run, target } from "./exchange.testing.ts";

describe("conditions (RFC 9110 §13)", () => {
  let etag = "";
  before(async () => {
    etag = (await get("/a.txt")).fields.etag!;
  });
  const cases: [string, () => Record<string, string>, number][] = [
    ["If-None-Match with the tag is 304", () => ({ "if-none-match": etag }), 304],
    ["If-None-Match compares weakly, in a list, and takes *", () => ({ "if-none-match": `"other", W/${etag}` }), 304],
    ["If-None-Match * is 304", () => ({ "if-none-match": "*" }), 304],
    [
      "If-None-Match with another tag sends, whatever the date says",
      () => ({ "if-none-match": '"x"', "if-modified-since": OLD_TEXT }),
      200,
    ],
    ["If-Modified-Since at the date is 304", () => ({ "if-modified-since": OLD_TEXT }), 304],
    ["If-Modified-Since before it sends", () => ({ "if-modified-since": "Fri, 02 Jan 2026 03:04:04 GMT" }), 200],
    [
      "If-Modified-Since in the old forms is understood",
      () => ({ "if-modified-since": "Friday, 02-Jan-26 03:04:05 GMT" }),
      304,
    ],
    ["a date that is none is ignored", () => ({ "if-modified-since": "yesterday" }), 200],
    ["If-Match with the tag sends", () => ({ "if-match": `"x", ${etag}` }), 200],
    ["If-Match * sends", () => ({ "if-match": "*" }), 200],
    ["If-Match with another tag is 412", () => ({ "if-match": '"x"' }), 412],
    ["If-Match compares strongly", () => ({ "if-match": `W/${etag}` }), 412],
    [
      "If-Match goes before If-Unmodified-Since",
      () => ({ "if-match": etag, "if-unmodified-since": "Thu, 01 Jan 2026 00:00:00 GMT" }),
      200,
    ],
    [
      "If-Unmodified-Since before the date is 412",
      () => ({ "if-unmodified-since": "Thu, 01 Jan 2026 00:00:00 GMT" }),
      412,
    ],
    ["If-Unmodified-Since at the date sends", () => ({ "if-unmodified-since": OLD_TEXT }), 200],
    ["If-Match goes before If-None-Match", () => ({ "if-match": '"x"', "if-none-match": etag }), 412],
    ["Range with If-Range of the tag is 206", () => ({ range: "bytes=0-1", "if-range": etag }), 206],
    ["Range with If-Range of another tag is whole", () => ({ range: "bytes=0-1", "if-range": '"x"' }), 200],
    ["Range with a weak If-Range is whole", () => ({ range: "bytes=0-1", "if-range": `W/${etag}` }), 200],
    ["Range with If-Range of the date is 206", () => ({ range: "bytes=0-1", "if-range": OLD_TEXT }), 206],
    [
      "Range with If-Range of a later date is whole",
      () => ({ range: "bytes=0-1", "if-range": "Sat, 03 Jan 2026 00:00:00 GMT" }),
      200,
    ],
    ["If-None-Match goes before Range", () => ({ range: "bytes=0-1", "if-none-match": etag }), 304],
  ];
  for (const [name, fields, status] of cases) {
    test(name, async () => {
      const answer = await get("/a.txt", fields());
      assert.equal(answer.status, status);
      if (status === 304) {
        assert.equal(answer.body.length, 0);
        assert.deepEqual(Object.keys(answer.fields).toSorted(), ["cache-control", "etag", "last-modified"]);
      }
    });
  }

  test("a file that changed a moment ago has a weak tag, until it has settled", async () => {
    const wall = new FakeClock(Date.now());
    const app = target({ clock: wall });
    put("fresh.bin", Buffer.alloc(200_000), new Date());
    assert.match((await get("/fresh.bin", {}, app)).fields.etag ?? "", /^W\//);
    wall.advance(3_000);
    assert.match((await get("/fresh.bin", {}, app)).fields.etag ?? "", /^"/);
  });

  test("a date in the future is said as now", async () => {
    put("future.txt", "x", new Date("2090-01-01"));
    const wall = new FakeClock(Date.UTC(2026, 5, 1));
    assert.equal(
      (await get("/future.txt", {}, target({ clock: wall }))).fields["last-modified"],
      "Mon, 01 Jun 2026 00:00:00 GMT",
    );
  });
});

describe("ranges (RFC 9110 §14)", () => {
  const cases: [string, number, string, string | undefined][] = [
    ["bytes=0-3", 206, "0123", "bytes 0-3/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=-99", 206, "0123456789", "bytes 0-9/10"],
    ["bytes=9-99", 206, "9", "bytes 9-9/10"],
    ["BYTES=0-0", 206, "0", "bytes 0-0/10"],
    ["bytes=5-3", 200, "0123456789", undefined],
    ["bytes=a-b", 200, "0123456789", undefined],
    ["bytes=-", 200, "0123456789", undefined],
    ["lines=1-2", 200, "0123456789", undefined],
    ["bytes=0-8,1-9", 200, "0123456789", undefined],
    [`bytes=${"0-0,".repeat(40)}0-0`, 200, "0123456789", undefined],
  ];
  for (const [range, status, body, contentRange] of cases) {
    test(`${range.slice(0, 30)} is ${status}`, async () => {
      const answer = await get("/a.txt", { range });
      assert.deepEqual([answer.status, answer.text, answer.fields["content-range"]], [status, body, contentRange]);
    });
  }

  test("a range outside is 416 with the length, also of an empty file", async () => {
    for (const range of ["bytes=10-", "bytes=-0", "bytes=99999999999999999999-"]) {
      const answer = await get("/a.txt", { range });
      assert.deepEqual([answer.status, answer.fields["content-range"]], [416, "bytes */10"]);
    }
    assert.equal((await get("/empty.txt", { range: "bytes=0-" })).status, 416);
  });

  test("several ranges are parts of a multipart answer, from memory and from disk", async () => {
    for (const [path, whole] of [
      ["/a.txt", Buffer.from("0123456789")],
      ["/big.bin", big],
    ] as const) {
      const answer = await get(path, { range: "bytes=0-1, 4-4, -2" });
      assert.equal(answer.status, 206);
      const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(answer.fields["content-type"] ?? "")?.[1];
      const parts = answer.body.toString("latin1").split(`\r\n--${boundary}`);
      assert.equal(parts.length, 5);
      assert.equal(parts.at(-1), "--\r\n");
      const bodies = parts.slice(1, 4).map((part) => part.split("\r\n\r\n"));
      assert.deepEqual(
        bodies.map(([, body]) => body),
        [
          [0, 2],
          [4, 5],
          [whole.length - 2, whole.length],
        ].map(([from, to]) => whole.subarray(from, to).toString("latin1")),
      );
      assert.match(bodies[0]![0]!, new RegExp(`content-range: bytes 0-1/${whole.length}`));
    }
  });

  test("HEAD knows no ranges", async () => {
    assert.equal((await run(new FakeExchange("HEAD", "/a.txt", { range: "bytes=0-1" }))).status, 200);
  });
});

describe("codings beside the file", () => {
  const cases: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ["gzip", "gzip"],
    ["gzip, br", "br"],
    ["gzip;q=1, br;q=0.5", "gzip"],
    ["br;q=0, gzip;q=0", undefined],
    ["*", "br"],
    ["identity", undefined],
    ["identity;q=0.5, gzip;q=0.4", undefined],
    ["zstd", undefined],
    ["deflate, gzip;q=0.2", "gzip"],
    ["identity;q=0", undefined],
  ];
  for (const [accept, coding] of cases) {
    test(`Accept-Encoding ${accept ?? "absent"}: ${coding ?? "as it is"}, and Vary says that there is a choice`, async () => {
      const answer = await get("/app.js", accept === undefined ? {} : { "accept-encoding": accept });
      assert.equal(answer.fields["content-encoding"], coding);
      assert.equal(answer.fields.vary, "accept-encoding");
      assert.equal(answer.fields["content-type"], "text/javascript; charset=utf-8");
    });
  }

  test("each coding has a tag of its own", async () => {
    const tags = await Promise.all(
      ["gzip", "br", "identity"].map(
        async (coding) => (await get("/app.js", { "accept-encoding": coding })).fields.etag,
      ),
    );
    assert.equal(new Set(tags).size, 3);
  });

  test("a coding that is older than the file is not sent", async () => {
    const answer = await get("/stale.css", { "accept-encoding": "gzip" });
    assert.deepEqual(
      [answer.text, answer.fields["content-encoding"], answer.fields.vary],
      ["body{}", undefined, undefined],
    );
  });
});
