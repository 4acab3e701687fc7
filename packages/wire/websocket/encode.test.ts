/** A server's texts, written in place: the same bytes as of one that was joined and measured first. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeText, textFrameBytes, writeText } from "./index.ts";

const FOUR = "4".charCodeAt(0);

function framed(texts: readonly string[]): Buffer {
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const frames = Buffer.alloc(
    sizes.reduce((sum, bytes) => sum + textFrameBytes(bytes), 0),
    0xff,
  );
  let at = 0;
  for (const [i, text] of texts.entries()) at = writeText(frames, at, FOUR, text, sizes[i]!);
  assert.equal(at, frames.length);
  return frames;
}

test("texts of any characters, one behind the other, are the frames that each is by itself", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "binary", maxLength: 200 })), (texts) => {
      assert.deepEqual(framed(texts), Buffer.concat(texts.map((text) => encodeText(`4${text}`))));
    }),
  );
});

test("the head is as long as the length needs: two bytes, four or ten", () => {
  for (const [bytes, head] of [
    [124, 2],
    [125, 4],
    [0xfffe, 4],
    [0xffff, 10],
  ] as const) {
    assert.equal(textFrameBytes(bytes), head + 1 + bytes);
    for (const text of ["x".repeat(bytes), `é${"x".repeat(bytes - 2)}`]) {
      assert.deepEqual(framed([text]), encodeText(`4${text}`));
    }
  }
});

test("half a surrogate pair is the replacement character, as everywhere", () => {
  assert.deepEqual(framed(["a\ud800b"]), encodeText("4a\ud800b"));
});
