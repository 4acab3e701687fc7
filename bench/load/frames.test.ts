import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import { clientFrame, FrameReader } from "./frames.ts";

/** A server's frame: unmasked, in the shortest form of its length. */
function serverFrame(opcode: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

const lengths = [0, 1, 2, 124, 125, 126, 127, 65_535, 65_536, 3, 0, 100];

for (const collects of [true, false]) {
  test(`frames of every length form are ${collects ? "read" : "counted"} alike, however the bytes are cut`, () => {
    const random = new SeededRandom(7);
    const payloads = lengths.map((length) => Buffer.from(random.bytes(length)));
    const bytes = Buffer.concat(payloads.map((payload, index) => serverFrame(index % 2 === 0 ? 1 : 2, payload)));
    for (const pieceMax of [1, 2, 3, 7, 1000, bytes.length]) {
      const seen: string[] = [];
      const reader = new FrameReader((opcode, payload, length) =>
        seen.push(`${opcode} ${length} ${payload?.toString("hex")}`),
      );
      reader.collects = collects;
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 1 + Math.floor(random.fraction() * pieceMax));
        reader.feed(bytes, at, end);
        at = end;
      }
      const expected = payloads.map((payload, index) => {
        return `${index % 2 === 0 ? 1 : 2} ${payload.length} ${collects ? payload.toString("hex") : undefined}`;
      });
      assert.deepEqual(seen, expected, `pieces of up to ${pieceMax} bytes`);
    }
  });
}

test("a client's frame is final and masked, with its length in the shortest form", () => {
  assert.equal(clientFrame(1, "hi").toString("hex"), `8182${"00000000"}6869`);
  assert.equal(clientFrame(1, "a".repeat(126)).subarray(0, 8).toString("hex"), "81fe007e00000000");
});
