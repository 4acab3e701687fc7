/** Encoders and decoders agree: whatever is encoded is decoded to the same, however cut, and cut short it never ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { AssertionFault, type FieldList } from "@tideway/base";
import fc from "fast-check";
import { chunkEnd, encodeChunkHead, encodeLastChunk, encodeRequestHead, encodeResponseHead, Framing } from "./index.ts";
import { bytes, cutAt, requestTrail, responseTrail } from "./testing.ts";

const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^`|~-]{1,12}$/);
const value = fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?$/);
const fieldList: fc.Arbitrary<FieldList> = fc
  .array(fc.tuple(name, value), { maxLength: 12 })
  .map((pairs) => pairs.flat());
const body = fc.array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 5 });
const places = fc.array(fc.nat(4000), { maxLength: 8 });

function payload(chunks: readonly Uint8Array[], framing: number, trailers: FieldList): Buffer {
  if (framing !== Framing.chunked) return Buffer.concat(chunks);
  const parts = chunks.flatMap((chunk) => [bytes(encodeChunkHead(chunk.length)), chunk, bytes(chunkEnd)]);
  return Buffer.concat([...parts, bytes(encodeLastChunk(trailers))]);
}

const text = (chunks: readonly Uint8Array[]): string => Buffer.concat(chunks).toString("latin1");
const lengthOf = (chunks: readonly Uint8Array[]): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0);
const bodyLine = (chunks: readonly Uint8Array[]): string[] => (lengthOf(chunks) === 0 ? [] : [`body ${text(chunks)}`]);

test("requests: round trip over any cut, and no end before the last byte", () => {
  fc.assert(
    fc.property(
      fieldList,
      body,
      fc.boolean(),
      fieldList,
      places,
      fc.nat(),
      (fields, chunks, chunked, trailers, cuts, short) => {
        const framing = chunked ? Framing.chunked : lengthOf(chunks);
        const head = encodeRequestHead("POST", "/p?q=1", ["host", "a.test", ...fields], framing);
        const wire = Buffer.concat([bytes(head), payload(chunks, framing, trailers)]);
        const framed = chunked ? ["transfer-encoding", "chunked"] : ["content-length", String(framing)];
        const list = JSON.stringify(["host", "a.test", ...fields, ...framed]);
        const expected = [
          `head POST /p?q=1 a.test a.test 11 ${framing} ${list}`,
          ...bodyLine(chunks),
          `end ${JSON.stringify(chunked ? trailers : [])}`,
        ];
        assert.deepEqual(requestTrail(cutAt(wire, cuts)), expected);
        const cut = requestTrail([wire.subarray(0, short % wire.length)]);
        assert.ok(
          !cut.some((line) => line.startsWith("end") || line.startsWith("fault")),
          "a truncated request neither ends nor faults",
        );
      },
    ),
  );
});

test("responses: round trip over any cut, and a fault when the connection ends before the last byte", () => {
  fc.assert(
    fc.property(
      fieldList,
      body,
      fc.boolean(),
      fieldList,
      places,
      fc.nat(),
      (fields, chunks, chunked, trailers, cuts, short) => {
        const framing = chunked ? Framing.chunked : lengthOf(chunks);
        const wire = Buffer.concat([
          bytes(encodeResponseHead(200, fields, framing)),
          payload(chunks, framing, trailers),
        ]);
        const framed = chunked ? ["transfer-encoding", "chunked"] : ["content-length", String(framing)];
        const list = JSON.stringify([...fields, ...framed]);
        const expected = [
          `head 200 11 ${framing} ${framing} ${list}`,
          ...bodyLine(chunks),
          `end ${JSON.stringify(chunked ? trailers : [])}`,
        ];
        assert.deepEqual(responseTrail(cutAt(wire, cuts), { eof: true }), expected);
        const cut = responseTrail([wire.subarray(0, short % wire.length)], { eof: true });
        assert.equal(cut.at(-1), "fault 502 TRUNCATED");
      },
    ),
  );
});

test("garbage never throws, and tells the same however it is cut", () => {
  const pieces = [
    "GET ",
    "/ ",
    "HTTP/1.1",
    "HTTP/1.1 200 OK",
    "\r\n",
    "\r\n",
    "\n",
    "\r",
    "Host: a",
    "Content-Length: 3",
    "Transfer-Encoding: chunked",
    ":",
    " ",
    "5",
    "\0",
    "\xff",
    "abc",
  ];
  const garbage = fc.array(fc.oneof(fc.constantFrom(...pieces), fc.string({ unit: "binary-ascii", maxLength: 4 })), {
    maxLength: 25,
  });
  fc.assert(
    fc.property(garbage, places, (parts, cuts) => {
      const wire = bytes(parts.join(""));
      assert.deepEqual(settled(requestTrail(cutAt(wire, cuts))), settled(requestTrail([wire])));
      assert.deepEqual(
        settled(responseTrail(cutAt(wire, cuts), { eof: true })),
        settled(responseTrail([wire], { eof: true })),
      );
    }),
    { numRuns: 500 },
  );
});

/** A fault may be seen sooner when more of its line is there at once; that nothing else is told is what counts. */
function settled(trail: string[]): string[] {
  const last = trail.at(-1);
  return last === "open head" || last === "fault 502 TRUNCATED" || last?.startsWith("fault") === true
    ? trail.slice(0, -1)
    : trail;
}

const injected = ["a\r\nX: y", "a\nb", "a\rb", "\0", "\x7f", "\u010a", "\u{1f600}", "a\x0bb"];

test("no line end, NUL or cut-off character gets into a head", () => {
  for (const bad of injected) {
    assert.throws(() => encodeResponseHead(200, ["x", bad], 0), AssertionFault, JSON.stringify(bad));
    assert.throws(() => encodeRequestHead("GET", "/", ["x", bad], 0), AssertionFault);
    assert.throws(() => encodeRequestHead("GET", `/${bad}`, [], 0), AssertionFault);
    assert.throws(() => encodeRequestHead(`GET${bad}`, "/", [], 0), AssertionFault);
    assert.throws(() => encodeResponseHead(200, [`x${bad}`, "y"], 0), AssertionFault);
    assert.throws(() => encodeLastChunk(["x", bad]), AssertionFault);
  }
  assert.throws(() => encodeRequestHead("GET", "/a b", [], 0), AssertionFault);
  assert.throws(() => encodeRequestHead("GET", "", [], 0), AssertionFault);
  assert.throws(() => encodeResponseHead(200, ["x y", "z"], 0), AssertionFault);
  assert.throws(() => encodeResponseHead(200, ["", "z"], 0), AssertionFault);
});

test("framing fields come from the framing alone, and chunks are never empty", () => {
  assert.throws(() => encodeResponseHead(200, ["content-length", "5"], 5), AssertionFault);
  assert.throws(() => encodeRequestHead("GET", "/", ["transfer-encoding", "chunked"], Framing.none), AssertionFault);
  assert.throws(() => encodeChunkHead(0), AssertionFault);
  assert.throws(() => encodeResponseHead(99, [], 0), AssertionFault);
  assert.throws(() => encodeResponseHead(600, [], 0), AssertionFault);
  assert.throws(() => encodeResponseHead(200, [], 1.5), AssertionFault);
});

test("a head's bytes, line by line", () => {
  assert.equal(
    encodeResponseHead(404, ["content-type", "text/plain", "x", ""], 12, "date: now\r\n"),
    "HTTP/1.1 404 Not Found\r\n" +
      "content-type: text/plain\r\n" +
      "x: \r\n" +
      "content-length: 12\r\n" +
      "date: now\r\n" +
      "\r\n",
  );
  assert.equal(encodeResponseHead(599, [], Framing.none), "HTTP/1.1 599 \r\n\r\n");
  assert.equal(
    encodeRequestHead("PUT", "/a?b", ["host", "h"], Framing.chunked),
    "PUT /a?b HTTP/1.1\r\n" + "host: h\r\n" + "transfer-encoding: chunked\r\n" + "\r\n",
  );
  assert.equal(encodeLastChunk(), "0\r\n\r\n");
  assert.equal(encodeLastChunk(["x", "1"]), "0\r\nx: 1\r\n\r\n");
  assert.equal(encodeChunkHead(31), "1f\r\n");
});
