import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { FieldList, RequestHead } from "@tideway/base";
import fc from "fast-check";
import {
  chooseCoding,
  codedFields,
  confirmedFields,
  isCompressible,
  isWorthCompressing,
  variedFields,
  wantedCoding,
} from "./decision.ts";

describe("the coding that a client wants (RFC 9110 §12.5.3)", () => {
  for (const [field, coding] of [
    ["", null],
    ["gzip", "gzip"],
    ["gzip, deflate", "gzip"],
    ["gzip, deflate, br", "br"],
    ["gzip, deflate, br, zstd", "zstd"],
    ["zstd;q=0.5, br;q=0.9, gzip;q=0.8", "br"],
    ["gzip;q=1.0, br;q=0.999", "gzip"],
    ["x-gzip", "gzip"],
    ["GZIP", "gzip"],
    ["deflate", null],
    ["compress, deflate", null],
    ["*", "zstd"],
    ["*;q=0", null],
    ["zstd;q=0, *", "br"],
    ["gzip;q=0", null],
    ["gzip;q=0.000", null],
    ["identity", null],
    ["identity;q=1, gzip;q=0.5", null],
    ["identity;q=0.5, gzip;q=0.5", "gzip"],
    ["identity, *;q=0.1", null],
    ["identity;q=0", null],
    ["identity;q=0, gzip;q=0.1", "gzip"],
    ["gzip ; q=0.5", "gzip"],
    ["gzip;Q=0.5", "gzip"],
    ["gzip;q=2", null],
    ["gzip;q=0.1234", null],
    ["gzip;q=-1", null],
    ["gzip;q=", null],
    ["gzip;level=5", null],
    ["gzip;q=1;q=0", null],
    [",, gzip,,", "gzip"],
    [`${"a,".repeat(40)}gzip`, null],
  ] as const) {
    it(`${JSON.stringify(field.slice(0, 60))}: ${coding}`, () => assert.equal(chooseCoding(field), coding));
  }

  it("is one that it named, or a star's, whatever is said", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (noise) => {
        const coding = chooseCoding(noise);
        if (coding !== null) assert.ok(noise.toLowerCase().includes(coding) || noise.includes("*"), noise);
      }),
    );
  });

  const head = (fields: FieldList, version = 11) => ({ version, fields }) as RequestHead;

  it("is asked of all lines together", () => {
    assert.equal(wantedCoding(head(["accept-encoding", "gzip", "accept-encoding", "br"]), chooseCoding), "br");
  });

  it("is none without the field, for HTTP/1.0, and where the client forbids it", () => {
    const br = ["accept-encoding", "br"];
    assert.equal(wantedCoding(head([]), chooseCoding), null);
    assert.equal(wantedCoding(head(br, 10), chooseCoding), null);
    assert.equal(wantedCoding(head([...br, "cache-control", "no-cache, no-transform"]), chooseCoding), null);
    assert.equal(wantedCoding(head(["x-no-compression", "1", ...br]), chooseCoding), null);
    assert.equal(wantedCoding(head([...br, "cache-control", "no-cache"]), chooseCoding), "br");
  });
});

describe("a type", () => {
  for (const type of [
    "text/html; charset=utf-8",
    "TEXT/CSS",
    "application/json",
    "application/problem+json",
    "application/javascript",
    "image/svg+xml",
    "application/wasm",
    "application/atom+xml;x=1",
    "font/ttf",
    "application/x-ndjson",
  ])
    it(`${type} is compressed`, () => assert.equal(isCompressible(type), true));
  for (const type of [
    "",
    "text/event-stream",
    "text/event-stream; charset=utf-8",
    "image/png",
    "video/mp4",
    "application/zip",
    "application/octet-stream",
    "font/woff2",
    "application/grpc+json",
    "textual",
    "application/jsonx",
    "multipart/byteranges; boundary=x",
  ])
    it(`"${type}" is not`, () => assert.equal(isCompressible(type), false));
});

describe("an answer is worth it", () => {
  const text = ["content-type", "text/plain"];
  const worth = (status: number, fields: FieldList, length: number) => isWorthCompressing(status, fields, length, 1024);

  it("when it is text, long enough or of unknown length", () => {
    assert.equal(worth(200, text, 1024), true);
    assert.equal(worth(200, text, -1), true);
    assert.equal(worth(201, text, 5000), true);
    assert.equal(worth(200, text, 1023), false);
    assert.equal(isWorthCompressing(200, text, 0, 0), false);
    assert.equal(worth(200, [], 5000), false);
  });

  for (const status of [204, 205, 206, 301, 304, 400, 404, 500])
    it(`not with ${status}`, () => assert.equal(worth(status, text, 5000), false));

  for (const fields of [
    ["content-encoding", "br"],
    ["content-encoding", "identity"],
    ["content-range", "bytes 0-1/2"],
    ["cache-control", "public, no-transform"],
    ["cache-control", "NO-TRANSFORM,max-age=1"],
    ["x-accel-buffering", "no"],
    ["x-no-compression", "1"],
    ["content-digest", "sha-256=:x:"],
    ["repr-digest", "sha-256=:x:"],
    ["content-md5", "x"],
  ])
    it(`not with ${fields.join(": ")}`, () => {
      assert.equal(worth(200, [...text, ...fields], 5000), false);
      assert.equal(worth(200, [...fields, ...text], 5000), false);
    });

  for (const fields of [
    ["cache-control", "public, max-age=1"],
    ["cache-control", "x-no-transform-x"],
    ["x-accel-buffering", "yes"],
  ])
    it(`also with ${fields.join(": ")}`, () => assert.equal(worth(200, [...text, ...fields], 5000), true));
});

describe("the fields", () => {
  it("say the coding and that it varies; the tag is weak, and parts cannot be asked for", () => {
    assert.deepEqual(codedFields(["etag", '"a"', "accept-ranges", "bytes", "x", "y"], "br"), [
      ...["content-encoding", "br", "etag", 'W/"a"', "x", "y", "vary", "accept-encoding"],
    ]);
  });

  it("keep a weak tag, and what varies already", () => {
    assert.deepEqual(codedFields(["etag", 'W/"a"', "vary", "Cookie"], "gzip"), [
      ...["content-encoding", "gzip", "etag", 'W/"a"', "vary", "Cookie", "vary", "accept-encoding"],
    ]);
    for (const vary of ["Accept-Encoding", "cookie,accept-encoding", "*"])
      assert.deepEqual(variedFields(["vary", vary]), ["vary", vary]);
  });

  it("of a 304 confirm the tag that the client has", () => {
    const fields = ["x", "etag", "etag", '"a"'];
    assert.deepEqual(confirmedFields(fields, '"b", W/"a"'), ["x", "etag", "etag", 'W/"a"', "vary", "accept-encoding"]);
    assert.equal(confirmedFields(fields, '"a"'), fields);
    assert.equal(confirmedFields(["etag", 'W/"a"'], 'W/"a"').length, 2);
    assert.deepEqual(confirmedFields(["x", "y"], "*"), ["x", "y"]);
  });
});
