/** The table of framing: what a client may send over a WebSocket, right and wrong, and what the server must say to it. */
import {
  binaries,
  bye,
  closed,
  deflated,
  type FrameParts,
  frame,
  messageBytesMax,
  offer,
  texts,
} from "./framing.testing.ts";

export interface FramingCase {
  readonly name: string;
  readonly bytes: Buffer | readonly Buffer[];
  /** All that the server says, until and with its close. */
  readonly says: readonly string[];
  /** Extensions that the client offers; none unless given. */
  readonly offer?: string;
  /** What the stock `ws` says where it is another. */
  readonly stock?: readonly string[];
}

type Add = (name: string, frames: FrameParts[], says: string[], more?: Partial<FramingCase>) => void;

const wrong = ["close 1002"];
const badText = ["close 1007"];
const tooBig = ["close 1009"];

/** Every first byte: 16 opcodes, with and without FIN, with every reserved bit; without compression and with it. */
function firstBytes(add: Add): void {
  for (const compressed of [false, true]) {
    for (let first = 0; first < 256; first++) {
      const [fin, rsv, opcode] = [first >= 128, (first >> 4) & 7, first & 15];
      const control = opcode >= 8;
      const deflates = compressed && rsv === 4 && (opcode === 1 || opcode === 2);
      const text = deflates ? deflated("4") : "4";
      const payload = opcode === 8 ? "" : text;
      let says: string[];
      if ((rsv !== 0 && !deflates) || opcode === 0 || (control ? opcode > 10 || !fin : opcode > 2)) says = wrong;
      else if (opcode === 8) says = ["close 1005"];
      else if (opcode === 9) says = ["pong 34", closed];
      else if (opcode === 10 || !fin) says = [closed];
      else says = [...(opcode === 1 ? texts("4") : binaries(Buffer.from("4"))), closed];
      const name = `first byte ${first.toString(16)}${compressed ? ", compression agreed" : ""}`;
      add(name, [{ fin, rsv, opcode, payload }], says, compressed ? { offer } : {});
    }
  }
}

/** Every way to write a length, at its edges. The stock server takes lengths in more bytes than they need (§5.2: MUST NOT). */
function lengths(add: Add): void {
  for (const length of [
    1,
    2,
    124,
    125,
    126,
    127,
    128,
    255,
    256,
    32767,
    65535,
    65536,
    65537,
    messageBytesMax - 1,
    messageBytesMax,
  ]) {
    for (const form of [7, 16, 64] as const) {
      if ((form === 7 && length > 125) || (form === 16 && length > 65535)) continue;
      const shortest = length < 126 ? 7 : length < 65536 ? 16 : 64;
      const text = `4${"x".repeat(length - 1)}`;
      const data = Buffer.alloc(length, 0xa5);
      for (const [opcode, payload, echo] of [
        [1, text, texts(text)],
        [2, data, binaries(data)],
      ] as const) {
        const said = [...echo, closed];
        const more = form === shortest ? {} : { stock: said };
        add(
          `opcode ${opcode}, ${length} bytes in ${form} bits`,
          [{ opcode, payload, form }],
          form === shortest ? said : wrong,
          more,
        );
      }
    }
  }
  for (const opcode of [1, 2]) {
    add(
      `opcode ${opcode}, one byte over the limit`,
      [{ opcode, payload: Buffer.alloc(messageBytesMax + 1, 52) }],
      tooBig,
    );
    for (const power of [20n, 31n, 32n, 52n, 53n, 62n]) {
      // What JavaScript cannot count exactly is refused by the stock server as too big as well.
      add(`opcode ${opcode}, 2^${power} bytes announced`, [{ opcode, length: 1n << power, form: 64 }], tooBig);
    }
    add(`opcode ${opcode}, top bit of a length`, [{ opcode, length: 1n << 63n, form: 64 }], wrong, { stock: tooBig });
  }
  add("an empty binary message", [{ opcode: 2 }], [...binaries(Buffer.alloc(0)), closed]);
}

function controls(add: Add): void {
  for (const length of [0, 1, 2, 3, 4, 5, 63, 64, 124, 125]) {
    const payload = Buffer.alloc(length, 0x5a);
    add(`a ping of ${length}`, [{ opcode: 9, payload }], [`pong ${payload.toString("hex")}`, closed]);
    add(`a pong of ${length}`, [{ opcode: 10, payload }], [closed]);
  }
  for (const opcode of [8, 9, 10]) {
    for (const length of [126, 127, 200, 65536]) {
      add(`control ${opcode} of ${length}`, [{ opcode, payload: Buffer.alloc(length) }], wrong);
    }
    for (const form of [16, 64] as const) add(`control ${opcode}, length in ${form} bits`, [{ opcode, form }], wrong);
    add(`control ${opcode} in fragments`, [{ opcode, fin: false }, { opcode: 0 }], wrong);
  }
}

function masks(add: Add): void {
  for (const opcode of [0, 1, 2, 8, 9, 10]) add(`opcode ${opcode} unmasked`, [{ opcode, key: null }], wrong);
  const text = `4${"åß∂ƒ∆".repeat(20)}`;
  for (const key of [0, 1, 0xff, 0xff00, 0xff0000, 0xff000000, 0xffffffff, 0x80808080, 0x12345678, 0x34343434]) {
    add(`masked with ${key.toString(16)}`, [{ payload: text, key }], [...texts(text), closed]);
  }
  for (let cut = 1; cut <= 9; cut++) {
    const bytes = Buffer.from(text);
    const parts = [
      { payload: bytes.subarray(0, cut), fin: false, key: 0x01020304 },
      { opcode: 0, payload: bytes.subarray(cut), key: 0xa1b2c3d4 },
    ];
    add(`two masks, changed after ${cut}`, parts, [...texts(text), closed]);
  }
}

function fragments(add: Add): void {
  const text = "4fragments";
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const [a, b] = [bytes.subarray(0, cut), bytes.subarray(cut)];
    const first = { payload: a, fin: false };
    const last = { opcode: 0, payload: b };
    add(`cut at ${cut}`, [first, last], [...texts(text), closed]);
    add(
      `cut at ${cut}, a ping between`,
      [first, { opcode: 9, payload: "p" }, last],
      ["pong 70", ...texts(text), closed],
    );
    add(`cut at ${cut}, an empty fragment between`, [first, { opcode: 0, fin: false }, last], [...texts(text), closed]);
    add(`cut at ${cut}, closed between`, [first, { opcode: 8, payload: Buffer.of(3, 233) }, last], ["close 1001"]);
    for (const opcode of [1, 2])
      add(`cut at ${cut}, opcode ${opcode} between`, [first, { opcode, payload: "4" }, last], wrong);
  }
  const each = [...bytes].map((byte, i) => ({
    opcode: i === 0 ? 1 : 0,
    payload: Buffer.of(byte),
    fin: i === bytes.length - 1,
  }));
  add("one byte in each fragment", each, [...texts(text), closed]);
  add("continued after its end", [{ payload: "4a" }, { opcode: 0, payload: "b" }], [...texts("4a"), ...wrong]);
  add(
    "a second message after the first",
    [{ payload: "4a" }, { payload: "4b" }],
    [...texts("4a"), ...texts("4b"), closed],
  );
  const half = Buffer.alloc(messageBytesMax / 2, 7);
  const whole = [
    { opcode: 2, payload: half, fin: false },
    { opcode: 0, payload: half },
  ];
  add("the limit in two fragments", whole, [...binaries(Buffer.concat([half, half])), closed]);
  add("over the limit in three", [whole[0]!, { ...whole[1]!, fin: false }, { opcode: 0, payload: "x" }], tooBig);
}

/** Codes that may be sent come back; others are a protocol error (§7.4). */
function closes(add: Add): void {
  const bad = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 10000, 65535];
  const good = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
  for (const code of [...good, ...bad]) {
    const says = good.includes(code) ? [`close ${code}`] : wrong;
    for (const reason of ["", "why", "ü".repeat(61)]) {
      const payload = Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(reason)]);
      add(`close ${code} "${reason.slice(0, 3)}"`, [{ opcode: 8, payload }], says);
    }
  }
  add("half a close code", [{ opcode: 8, payload: Buffer.of(3) }], wrong);
  add("a close reason that is not UTF-8", [{ opcode: 8, payload: Buffer.of(3, 232, 0xff) }], badText);
  add("nothing is read after a close", [{ opcode: 8 }, { payload: "4late" }], ["close 1005"]);
}

const goodUtf8 = [
  "7f",
  "c280",
  "dfbf",
  "e0a080",
  "ed9fbf",
  "ee8080",
  "efbfbf",
  "f0908080",
  "f48fbfbf",
  "ceba cf8c",
  "efbbbf",
  "00",
];
const badUtf8 = [
  ...[
    "80",
    "bf",
    "c0af",
    "c1bf",
    "c2",
    "e08080",
    "e09fbf",
    "e1",
    "e180",
    "eda080",
    "edbfbf",
    "f08080af",
    "f08fbfbf",
    "f0",
    "f090",
  ],
  ...[
    "f09080",
    "f4908080",
    "f5808080",
    "f880808080",
    "fc8080808080",
    "fe",
    "ff",
    "c241",
    "e24182",
    "f0904180",
    "eda081edb080",
  ],
];

/** Text whole and cut at every byte into fragments, and into segments of TCP. */
function utf8(add: Add): void {
  for (const [hexes, right] of [
    [goodUtf8, true],
    [badUtf8, false],
  ] as const) {
    for (const hex of hexes) {
      const bytes = Buffer.concat([
        Buffer.from("4"),
        Buffer.from(hex.replaceAll(" ", ""), "hex"),
        Buffer.from(right ? "z" : ""),
      ]);
      const says = right ? [...texts(bytes.toString()), closed] : badText;
      add(`UTF-8 ${hex}`, [{ payload: bytes }], says);
      for (let cut = 1; cut < bytes.length; cut++) {
        const parts = [
          { payload: bytes.subarray(0, cut), fin: false },
          { opcode: 0, payload: bytes.subarray(cut) },
        ];
        add(`UTF-8 ${hex}, cut at ${cut}`, parts, says);
      }
      const whole = Buffer.concat([frame({ payload: bytes }), bye]);
      add(`UTF-8 ${hex}, byte by byte`, [], says, { bytes: [...whole].map((byte) => Buffer.of(byte)) });
    }
  }
}

function compression(add: Add): void {
  const text = `4${"compress me ".repeat(50)}`;
  const packed = deflated(text);
  const half = packed.length >> 1;
  const said = [...texts(text), closed];
  add("a compressed message", [{ rsv: 4, payload: packed }], said, { offer });
  add("a plain one where compression is agreed", [{ payload: text }], said, { offer });
  const [first, last] = [
    { rsv: 4, payload: packed.subarray(0, half), fin: false },
    { opcode: 0, payload: packed.subarray(half) },
  ];
  add("compressed, in fragments", [first, last], said, { offer });
  add("compressed, in fragments, a ping between", [first, { opcode: 9 }, last], ["pong ", ...said], { offer });
  add("RSV1 on a continuation", [first, { ...last, rsv: 4 }], wrong, { offer });
  add(
    "RSV1 on a continuation alone",
    [
      { ...first, rsv: 0, payload: "4" },
      { ...last, rsv: 4 },
    ],
    wrong,
    { offer },
  );
  for (const opcode of [8, 9, 10]) add(`RSV1 on control ${opcode}`, [{ opcode, rsv: 4 }], wrong, { offer });
  add("compressed though nothing was agreed", [{ rsv: 4, payload: packed }], wrong);
  const bomb = deflated(Buffer.alloc(20_000_000));
  const limit = Buffer.alloc(messageBytesMax, 1);
  add(
    "exactly the limit after inflating",
    [{ opcode: 2, rsv: 4, payload: deflated(limit) }],
    [...binaries(limit), closed],
    { offer },
  );
  add(
    "one byte over the limit after inflating",
    [{ opcode: 2, rsv: 4, payload: deflated(Buffer.alloc(messageBytesMax + 1)) }],
    tooBig,
    { offer },
  );
  add("a bomb", [{ opcode: 2, rsv: 4, payload: bomb }], tooBig, { offer });
  add("a bomb as text", [{ rsv: 4, payload: bomb }], tooBig, { offer });
  add("a bomb and a bad byte", [{ rsv: 4, payload: Buffer.concat([bomb, Buffer.of(0xff)]) }], tooBig, { offer });
  const parts = [...Array(10).keys()].map((i) => ({
    opcode: i === 0 ? 2 : 0,
    rsv: i === 0 ? 4 : 0,
    fin: i === 9,
    payload: bomb.subarray((i * bomb.length) / 10, ((i + 1) * bomb.length) / 10),
  }));
  add("a bomb in fragments", parts, tooBig, { offer });
  add("a bad byte", [{ rsv: 4, payload: Buffer.of(0xff) }], badText, { offer });
  add("compressed text that is not UTF-8", [{ rsv: 4, payload: deflated(Buffer.of(0x34, 0xff)) }], badText, { offer });
  add(
    "an empty compressed message of one byte",
    [{ opcode: 2, rsv: 4, payload: Buffer.of(0) }],
    [...binaries(Buffer.alloc(0)), closed],
    { offer },
  );
  // The stock server delivers what there was of it.
  const torn = { payload: deflated(text).subarray(0, 12), rsv: 4, opcode: 2 };
  add("a torn compressed message", [torn], badText, {
    offer,
    stock: [...binaries(Buffer.from("34636f6d7072657373206d60", "hex")), closed],
  });
  add(
    "no context is taken over",
    [
      { rsv: 4, payload: packed },
      { rsv: 4, payload: packed },
    ],
    [...texts(text), ...said],
    { offer },
  );
}

/** All cases; each is closed by its client at the end, unless the server did it before. */
export function framingCases(): Map<string, FramingCase[]> {
  const groups = { firstBytes, lengths, controls, masks, fragments, closes, utf8, compression };
  const all = new Map<string, FramingCase[]>();
  for (const [group, fill] of Object.entries(groups)) {
    const cases: FramingCase[] = [];
    fill((name, frames, says, more = {}) => {
      cases.push({ name, bytes: Buffer.concat([...frames.map(frame), bye]), says, ...more });
    });
    all.set(group, cases);
  }
  return all;
}
