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

const payloads = lengths.map((length) => Buffer.from(new SeededRandom(7).bytes(length)));
const opcodeOf = (index: number) => (index % 2 === 0 ? 1 : 2);
const bytes = Buffer.concat(payloads.map((payload, index) => serverFrame(opcodeOf(index), payload)));

/** Cuts the bytes into pieces of up to so many. */
function feed(reader: FrameReader, pieceMax: number): void {
  const random = new SeededRandom(7);
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + Math.floor(random.fraction() * pieceMax));
    reader.feed(bytes, at, end);
    at = end;
  }
}

for (const pieceMax of [1, 2, 3, 7, 1000, bytes.length]) {
  test(`frames of every length form are read, in pieces of up to ${pieceMax} bytes`, () => {
    const seen: string[] = [];
    const reader = new FrameReader({
      onFrame: (opcode, payload, length) => seen.push(`${opcode} ${length} ${payload?.toString("hex")}`),
      onTexts: () => assert.fail("they are not only counted"),
    });
    feed(reader, pieceMax);
    const expected = payloads.map((payload, at) => `${opcodeOf(at)} ${payload.length} ${payload.toString("hex")}`);
    assert.deepEqual(seen, expected);
  });

  test(`frames of every length form are counted, in pieces of up to ${pieceMax} bytes`, () => {
    const seen: string[] = [];
    // Those that came whole are told of by their number alone; what is read behind them shows that their length was right.
    const say = (opcode: number, length: number) => (opcode === 1 && length > 1 ? "text" : `${opcode} ${length}`);
    const reader = new FrameReader({
      onFrame(opcode, payload, length) {
        assert.equal(payload, null);
        seen.push(say(opcode, length));
      },
      onTexts: (count) => seen.push(...new Array<string>(count).fill("text")),
    });
    reader.collects = false;
    feed(reader, pieceMax);
    const expected = lengths.map((length, at) => say(opcodeOf(at), length));
    assert.deepEqual(seen, expected);
  });
}

test("a client's frame is final and masked, with its length in the shortest form", () => {
  assert.equal(clientFrame(1, "hi").toString("hex"), `8182${"00000000"}6869`);
  assert.equal(clientFrame(1, "a".repeat(126)).subarray(0, 8).toString("hex"), "81fe007e00000000");
});
