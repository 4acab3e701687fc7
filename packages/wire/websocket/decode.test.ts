import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  CloseCode,
  closePayload,
  encodeBinary,
  encodeFrame,
  encodeMaskedFrame,
  encodeText,
  type Fault,
  FrameDecoder,
  faultTable,
  type MessageSink,
  Opcode,
} from "./index.ts";

/** Writes down everything a decoder says, in order. */
class Trail implements MessageSink {
  readonly events: string[] = [];
  onText(data: string): void {
    this.events.push(`text ${data}`);
  }
  onBinary(data: Buffer): void {
    this.events.push(`binary ${data.toString("hex")}`);
  }
  onPing(data: Buffer): void {
    this.events.push(`ping ${data.toString("hex")}`);
  }
  onPong(data: Buffer): void {
    this.events.push(`pong ${data.toString("hex")}`);
  }
  onClose(code: number, reason: string): void {
    this.events.push(`close ${code} ${reason}`);
  }
}

type Side = "server" | "client";

/** The trail of `bytes` cut into pieces; a fault is its last event. */
function read(side: Side, bytes: Uint8Array, pieces: number[] = [], max = 1_000_000): string[] {
  const decoder = new FrameDecoder(side, max);
  const trail = new Trail();
  let wrong: Fault | null = null;
  let at = 0;
  for (const length of [...pieces, bytes.length]) {
    const piece = Buffer.from(bytes.subarray(at, at + length));
    at += piece.length;
    const found = decoder.write(piece, trail);
    if (wrong !== null) assert.equal(found, null, "a fault is told once");
    wrong ??= found;
  }
  if (wrong !== null) trail.events.push(wrong.code);
  return trail.events;
}

/** The same whole, and one byte at a time. */
function readBothWays(side: Side, bytes: Uint8Array, max?: number): string[] {
  const whole = read(side, bytes, [], max);
  assert.deepEqual(read(side, bytes, new Array(bytes.length).fill(1), max), whole, "one byte at a time differs");
  return whole;
}

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");

/** RFC 6455 §5.7, byte for byte. */
const rfcExamples: [name: string, side: Side, bytes: Buffer, events: string[]][] = [
  ["a single-frame unmasked text message", "client", hex("81 05 48 65 6c 6c 6f"), ["text Hello"]],
  ["a single-frame masked text message", "server", hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), ["text Hello"]],
  ["a fragmented unmasked text message", "client", hex("01 03 48 65 6c  80 02 6c 6f"), ["text Hello"]],
  ["an unmasked ping", "client", hex("89 05 48 65 6c 6c 6f"), ["ping 48656c6c6f"]],
  ["a masked pong", "server", hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"), ["pong 48656c6c6f"]],
  [
    "256 bytes of binary in one unmasked frame",
    "client",
    Buffer.concat([hex("82 7e 01 00"), Buffer.alloc(256, 7)]),
    [`binary ${"07".repeat(256)}`],
  ],
  [
    "64 KiB of binary in one unmasked frame",
    "client",
    Buffer.concat([hex("82 7f 00 00 00 00 00 01 00 00"), Buffer.alloc(65536, 9)]),
    [`binary ${"09".repeat(65536)}`],
  ],
];

for (const [name, side, bytes, events] of rfcExamples) {
  test(`RFC 6455 §5.7: ${name}`, () => assert.deepEqual(readBothWays(side, bytes), events));
}

const KEY = 0x37fa213d;
const masked = (opcode: Opcode, payload: string | Uint8Array, fin = true) =>
  encodeMaskedFrame(opcode, typeof payload === "string" ? Buffer.from(payload, "utf8") : payload, KEY, fin);

test("control frames may come between fragments", () => {
  const bytes = Buffer.concat([
    masked(Opcode.text, "He", false),
    masked(Opcode.ping, "?"),
    masked(Opcode.continuation, "", false),
    masked(Opcode.pong, ""),
    masked(Opcode.continuation, "llo"),
    masked(Opcode.text, "!"),
  ]);
  assert.deepEqual(readBothWays("server", bytes), ["ping 3f", "pong ", "text Hello", "text !"]);
});

test("empty messages are messages", () => {
  const bytes = Buffer.concat([
    masked(Opcode.text, ""),
    masked(Opcode.binary, ""),
    masked(Opcode.text, "", false),
    masked(Opcode.continuation, ""),
  ]);
  assert.deepEqual(readBothWays("server", bytes), ["text ", "binary ", "text "]);
});

test("a character may be split over fragments", () => {
  const [a, b] = [Buffer.from("κόσμε€").subarray(0, 5), Buffer.from("κόσμε€").subarray(5)];
  const bytes = Buffer.concat([masked(Opcode.text, a!, false), masked(Opcode.continuation, b!)]);
  assert.deepEqual(readBothWays("server", bytes), ["text κόσμε€"]);
});

test("a close frame gives its code and reason, and nothing is read after it", () => {
  const after = masked(Opcode.text, "late");
  assert.deepEqual(readBothWays("server", Buffer.concat([masked(Opcode.close, ""), after])), ["close 1005 "]);
  const payload = closePayload(CloseCode.goingAway, "tschüß");
  assert.deepEqual(readBothWays("server", Buffer.concat([masked(Opcode.close, payload), after])), [
    "close 1001 tschüß",
  ]);
});

const closing = (...payload: number[]) => masked(Opcode.close, Buffer.from(payload));

/** What must be refused: a server reads these, unless told. Each whole and one byte at a time. */
const bad: [what: string, bytes: Uint8Array, code: string, side?: Side][] = [
  ["RSV1 without an extension", hex("c1 80 00000000"), "WS_RESERVED_BITS"],
  ["RSV2", hex("a1 80 00000000"), "WS_RESERVED_BITS"],
  ["RSV3", hex("91 80 00000000"), "WS_RESERVED_BITS"],
  ["RSV1 on a control frame", hex("c9 80 00000000"), "WS_RESERVED_BITS"],
  ["opcode 3", hex("83 80 00000000"), "WS_OPCODE"],
  ["opcode 7", hex("87 80 00000000"), "WS_OPCODE"],
  ["opcode 11", hex("8b 80 00000000"), "WS_OPCODE"],
  ["opcode 15", hex("8f 80 00000000"), "WS_OPCODE"],
  ["an unmasked frame from a client", hex("81 05 48656c6c6f"), "WS_UNMASKED"],
  ["an unmasked empty close from a client", hex("88 00"), "WS_UNMASKED"],
  ["a masked frame from a server", hex("81 85 37fa213d 7f9f4d5158"), "WS_MASKED", "client"],
  ["a fragmented ping", hex("09 80 00000000"), "WS_CONTROL_FRAGMENTED"],
  ["a fragmented close", hex("08 80 00000000"), "WS_CONTROL_FRAGMENTED"],
  ["a ping of 126 bytes", hex("89 fe 007e 00000000"), "WS_CONTROL_LENGTH"],
  ["a close with a 64-bit length", hex("88 ff 0000000000000080"), "WS_CONTROL_LENGTH"],
  ["a continuation of nothing", hex("80 80 00000000"), "WS_CONTINUATION"],
  ["a new message within another", Buffer.concat([masked(1, "a", false), masked(2, "b")]), "WS_INTERLEAVED"],
  ["a 16-bit length that fits in 7 bits", hex("81 fe 007d 00000000"), "WS_LENGTH"],
  ["a 64-bit length that fits in 16 bits", hex("81 ff 000000000000ffff 00000000"), "WS_LENGTH"],
  ["a 64-bit length with its top bit set", hex("81 ff 8000000000000000 00000000"), "WS_LENGTH"],
  ["a length of 2^63 - 1", hex("81 ff 7fffffffffffffff 00000000"), "WS_TOO_BIG"],
  ["a message one byte over the limit", masked(2, Buffer.alloc(1001)), "WS_TOO_BIG"],
  [
    "fragments that pass the limit together",
    Buffer.concat([masked(2, Buffer.alloc(600), false), masked(0, Buffer.alloc(401))]),
    "WS_TOO_BIG",
  ],
  ["a lone continuation byte in text", masked(1, Buffer.of(0x80)), "WS_UTF8"],
  ["an overlong slash", masked(1, Buffer.of(0xc0, 0xaf)), "WS_UTF8"],
  ["a surrogate in text", masked(1, Buffer.of(0xed, 0xa0, 0x80)), "WS_UTF8"],
  ["a code point above U+10FFFF", masked(1, Buffer.of(0xf4, 0x90, 0x80, 0x80)), "WS_UTF8"],
  ["a character cut off at the message's end", masked(1, Buffer.from("a€").subarray(0, 3)), "WS_UTF8"],
  [
    "bad UTF-8 over fragments",
    Buffer.concat([masked(1, Buffer.of(0xce), false), masked(0, Buffer.of(0x41))]),
    "WS_UTF8",
  ],
  ["a close of one byte", closing(3), "WS_CLOSE_PAYLOAD"],
  ["close code 0", closing(0, 0), "WS_CLOSE_CODE"],
  ["close code 999", closing(3, 231), "WS_CLOSE_CODE"],
  ["close code 1004", closing(3, 236), "WS_CLOSE_CODE"],
  ["close code 1005", closing(3, 237), "WS_CLOSE_CODE"],
  ["close code 1006", closing(3, 238), "WS_CLOSE_CODE"],
  ["close code 1015", closing(3, 247), "WS_CLOSE_CODE"],
  ["close code 2999", closing(11, 183), "WS_CLOSE_CODE"],
  ["close code 5000", closing(19, 136), "WS_CLOSE_CODE"],
  ["a close reason that is not UTF-8", closing(3, 232, 0xff), "WS_UTF8"],
];

for (const [what, bytes, code, side = "server"] of bad) {
  test(`${what} is ${code}, whole or byte by byte`, () => {
    assert.deepEqual(readBothWays(side, bytes, 1000), [code]);
  });
}

test("every fault closes with the code that the RFC gives it", () => {
  for (const [code, { closeCode }] of Object.entries(faultTable)) {
    const wanted = code === "WS_UTF8" || code === "WS_DEFLATE" ? 1007 : code === "WS_TOO_BIG" ? 1009 : 1002;
    assert.equal(closeCode, wanted, code);
  }
});

test("every close code that may be sent is taken", () => {
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]) {
    assert.deepEqual(read("server", masked(Opcode.close, closePayload(code))), [`close ${code} `]);
  }
});

test("a message of exactly the limit is taken, whole and in fragments", () => {
  const half = Buffer.alloc(500, 1);
  const whole = masked(2, Buffer.alloc(1000, 1));
  const parts = Buffer.concat([masked(2, half, false), masked(0, half)]);
  const events = [`binary ${"01".repeat(1000)}`];
  assert.deepEqual(readBothWays("server", whole, 1000), events);
  assert.deepEqual(readBothWays("server", parts, 1000), events);
});

test("messages before a fault are delivered", () => {
  assert.deepEqual(readBothWays("server", Buffer.concat([masked(1, "a"), hex("83 80 00000000")])), [
    "text a",
    "WS_OPCODE",
  ]);
});

test("a second continuation after a message's end is a fault", () => {
  const bytes = Buffer.concat([masked(1, "a", false), masked(0, "b"), masked(0, "c")]);
  assert.deepEqual(readBothWays("server", bytes), ["text ab", "WS_CONTINUATION"]);
});

test("an announced payload takes no memory before it comes", () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders: FrameDecoder[] = [];
  for (let i = 0; i < 200; i++) {
    const decoder = new FrameDecoder("server", 1 << 30);
    assert.equal(decoder.write(hex("82 ff 0000000020000000 00000000 01"), new Trail()), null);
    decoders.push(decoder);
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
  assert.equal(decoders.length, 200);
});

test("a million bytes in fragments of one byte are read in linear time", () => {
  const one = masked(Opcode.continuation, Buffer.of(65), false);
  const frames = [masked(Opcode.binary, "", false)];
  for (let i = 0; i < 200_000; i++) frames.push(one);
  frames.push(masked(Opcode.continuation, ""));
  const decoder = new FrameDecoder("server", 1_000_000);
  let length = 0;
  const sink = new Trail();
  sink.onBinary = (data) => {
    length = data.length;
  };
  assert.equal(decoder.write(Buffer.concat(frames), sink), null);
  assert.equal(length, 200_000);
});

test("a small binary message does not hold the span that it came in", () => {
  const decoder = new FrameDecoder("server", 1000);
  const trail = new Trail();
  let kept = 0;
  trail.onBinary = (data) => {
    kept = data.buffer.byteLength;
  };
  const span = Buffer.alloc(1 << 20);
  const frame = masked(2, "abc");
  frame.copy(span);
  decoder.write(span.subarray(0, frame.length), trail);
  assert.ok(kept < Buffer.poolSize * 2);
});

interface Sent {
  opcode: 1 | 2 | 9 | 10;
  parts: Uint8Array[];
  key: number;
}

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.uint8Array({ minLength: 120, maxLength: 130 }),
  fc.integer({ min: 65530, max: 65540 }).map((n) => new Uint8Array(n).fill(0x61)),
);
const message: fc.Arbitrary<Sent> = fc.oneof(
  fc.record({
    opcode: fc.constant(1 as const),
    parts: fc.array(
      fc.string({ unit: "grapheme" }).map((s) => Buffer.from(s, "utf8")),
      { minLength: 1, maxLength: 4 },
    ),
    key: fc.integer(),
  }),
  fc.record({
    opcode: fc.constant(2 as const),
    parts: fc.array(payload, { minLength: 1, maxLength: 4 }),
    key: fc.integer(),
  }),
  fc.record({
    opcode: fc.constantFrom(9 as const, 10 as const),
    parts: fc.array(fc.uint8Array({ maxLength: 125 }), { minLength: 1, maxLength: 1 }),
    key: fc.integer(),
  }),
);

function eventOf(sent: Sent): string {
  const whole = Buffer.concat(sent.parts);
  if (sent.opcode === 1) return `text ${whole.toString("utf8")}`;
  const name = sent.opcode === 2 ? "binary" : sent.opcode === 9 ? "ping" : "pong";
  return `${name} ${whole.toString("hex")}`;
}

test("any messages come back the same, in any fragments, cut anywhere", () => {
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 6 }),
      fc.array(fc.nat(300), { maxLength: 40 }),
      fc.boolean(),
      (all, cuts, server) => {
        const frames = all.flatMap((sent) =>
          sent.parts.map((part, i) => {
            const opcode = i === 0 ? sent.opcode : Opcode.continuation;
            const fin = i === sent.parts.length - 1;
            return server ? encodeMaskedFrame(opcode, part, sent.key, fin) : encodeFrame(opcode, part, fin);
          }),
        );
        assert.deepEqual(read(server ? "server" : "client", Buffer.concat(frames), cuts), all.map(eventOf));
      },
    ),
    { numRuns: 200 },
  );
});

test("garbage never throws, and gives the same trail however it is cut", () => {
  const start = fc.constantFrom(hex("8180"), hex("8185"), hex("0181"), hex("8882"), hex("82fe"), hex("82ff"), hex(""));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(start, fc.uint8Array({ maxLength: 30 })), { maxLength: 5 }),
      fc.array(fc.nat(9)),
      (list, cuts) => {
        const bytes = Buffer.concat(list.flat());
        assert.deepEqual(read("server", bytes, cuts), read("server", bytes));
      },
    ),
    { numRuns: 500 },
  );
});

test("a server's text and binary frames are read by a client", () => {
  for (const text of ["", "a", "é", "x".repeat(125), "x".repeat(126), "€".repeat(30_000), "x".repeat(70_000)]) {
    assert.deepEqual(read("client", encodeText(text)), [`text ${text}`]);
    assert.deepEqual(read("client", encodeBinary(Buffer.from(text))), [`binary ${Buffer.from(text).toString("hex")}`]);
  }
});

test("masking leaves the caller's payload alone, at every alignment and length", () => {
  for (let offset = 0; offset < 5; offset++) {
    for (let length = 0; length < 150; length++) {
      const payload = new Uint8Array(new ArrayBuffer(200), offset, length).fill(0x5a);
      const frame = encodeMaskedFrame(Opcode.binary, payload, 0x01020304);
      assert.ok(payload.every((b) => b === 0x5a));
      const body = frame.subarray(frame.length - length);
      assert.ok(
        body.every((b, i) => b === (0x5a ^ ((i % 4) + 1))),
        `offset ${offset} length ${length}`,
      );
    }
  }
});

test("a close reason is cut between characters", () => {
  const payload = closePayload(1000, "ü".repeat(100));
  assert.equal(payload.length, 2 + 122);
  assert.deepEqual(read("client", encodeFrame(Opcode.close, payload)), [`close 1000 ${"ü".repeat(61)}`]);
});

test("a decoder rests between messages only: not within a head, a payload, a fragmented message, nor after an end", () => {
  const decoder = new FrameDecoder("client", 1000);
  const trail = new Trail();
  const write = (text: string): boolean => {
    decoder.write(hex(text), trail);
    return decoder.resting;
  };
  assert.equal(decoder.resting, true);
  assert.equal(write("81"), false);
  assert.equal(write("02 61"), false);
  assert.equal(write("62"), true);
  assert.equal(write("01 01 61"), false);
  assert.equal(write("89 00"), false);
  assert.equal(write("80 00"), true);
  assert.equal(write("82 01 ff 81 00"), true);
  assert.equal(write("88 00"), false);
  assert.deepEqual(trail.events, ["text ab", "ping ", "text a", "binary ff", "text ", "close 1005 "]);
});
