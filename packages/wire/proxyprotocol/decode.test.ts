import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { decode, PROXY_HEADER_BYTES_MAX, type ProxyHeader, type ProxyStep } from "./index.ts";

const signature = "0d0a0d0a000d0a515549540a";
const tcp4 = "c0a80001 c0a8000b dc04 01bb";
const tcp4Ends = {
  source: { address: "192.168.0.1", port: 56324 },
  destination: { address: "192.168.0.11", port: 443 },
};

function text(line: string): Buffer {
  return Buffer.from(line, "latin1");
}

/** `hex` may hold spaces between its parts. */
function bytes(...hex: string[]): Buffer {
  return Buffer.from(hex.join("").replaceAll(" ", ""), "hex");
}

/** A header of version 2: signature, version and command, family and transport, length, and what it counts. */
function v2(versionCommand: string, family: string, ...rest: string[]): Buffer {
  const behind = bytes(...rest);
  return Buffer.concat([bytes(signature, versionCommand, family, behind.length.toString(16).padStart(4, "0")), behind]);
}

/** Reads `header` whole and, byte by byte, says what each piece of it gives: always the same header, never sooner. */
function read(header: Buffer): ProxyHeader {
  for (let length = 0; length < header.length; length++)
    assert.deepEqual(decode(header.subarray(0, length)), { state: "incomplete" }, `${length} bytes`);
  const alone = decode(header);
  assert.equal(alone.state, "whole", JSON.stringify(alone));
  assert.deepEqual(decode(Buffer.concat([header, text("GET / HTTP/1.1\r\n")])), alone);
  assert.ok(alone.state === "whole" && alone.next === header.length);
  return alone.value;
}

/** The fault of `header`, and at which byte it is one: what comes behind does not change it. */
function fault(header: Buffer): string {
  const faultOf = (step: ProxyStep) => (step.state === "fault" ? step.fault.code : step.state);
  let at = 1;
  while (at < header.length && faultOf(decode(header.subarray(0, at))) === "incomplete") at++;
  const code = faultOf(decode(header.subarray(0, at)));
  for (let longer = at; longer <= header.length; longer++)
    assert.equal(faultOf(decode(header.subarray(0, longer))), code, `${longer} bytes`);
  return `${code} at ${at}`;
}

test("version 1: the specification's example", () => {
  assert.deepEqual(read(text("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n")), {
    version: 1,
    command: "PROXY",
    protocol: "TCP4",
    addresses: tcp4Ends,
    tlvs: [],
  });
});

test("version 1: the longest line of each protocol, and numbers at their bounds", () => {
  const wide = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const longest = [
    { line: "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", length: 56 },
    { line: `PROXY TCP6 ${wide} ${wide} 65535 65535\r\n`, length: 104 },
    { line: `PROXY UNKNOWN ${wide} ${wide} 65535 65535\r\n`, length: 107 },
  ];
  for (const { line, length } of longest) {
    assert.equal(line.length, length);
    read(text(line));
  }
  const least = read(text("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"));
  assert.deepEqual(least.addresses?.source, { address: "0.0.0.0", port: 0 });
});

test("version 1: IPv6 in every form that RFC 4291 allows, told as in RFC 5952", () => {
  const forms = [
    ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
    ["FF01:0:0:0:0:0:0:101", "ff01::101"],
    ["0:0:0:0:0:0:0:1", "::1"],
    ["::", "::"],
    ["1::", "1::"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["0001:0002:0003:0004:0005:0006:0007:0008", "1:2:3:4:5:6:7:8"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["0:0:0:0:0:FFFF:c000:0201", "192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["1:2:3:4:5:6:192.0.2.1", "1:2:3:4:5:6:c000:201"],
  ] as const;
  for (const [sent, told] of forms) {
    const { addresses } = read(text(`PROXY TCP6 ${sent} ::1 1 2\r\n`));
    assert.equal(addresses?.source.address, told, sent);
  }
});

test("version 1: whatever follows UNKNOWN is ignored", () => {
  const unknown: ProxyHeader = { version: 1, command: "PROXY", protocol: "UNSPEC", addresses: null, tlvs: [] };
  for (const rest of ["", " ", " ffff::1 ffff::2 65535 65535", " 1.2.3.4", "  \x00\xff any thing \x7f"])
    assert.deepEqual(read(text(`PROXY UNKNOWN${rest}\r\n`)), unknown);
});

test("version 1: what is no line of it, at the byte where that is clear", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["GET / HTTP/1.1\r\n\r\n", "PROXY_ABSENT at 1"],
    ["proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY_ABSENT at 1"],
    ["PROXYTCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY_ABSENT at 6"],
    ["PROXY\tTCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY_ABSENT at 6"],
    ["PROXY\r\n", "PROXY_ABSENT at 6"],
    [" PROXY UNKNOWN\r\n", "PROXY_ABSENT at 1"],
    ["\x16\x03\x01", "PROXY_ABSENT at 1"],
    ["PROXY UNKNOWN\n", "PROXY_V1_LINE_END at 14"],
    ["PROXY UNKNOWN a\rb\r\n", "PROXY_V1_LINE_END at 17"],
    ["PROXY UNKNOWN\r\r\n", "PROXY_V1_LINE_END at 15"],
    ["PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n\r", "PROXY_V1_LINE_END at 31"],
    [`PROXY UNKNOWN ${"x".repeat(92)}\r\n`, "PROXY_V1_LENGTH at 107"],
    [`PROXY UNKNOWN ${"x".repeat(200)}\r\n`, "PROXY_V1_LENGTH at 107"],
  ];
  for (const [line, expected] of cases) assert.equal(fault(text(line)), expected, JSON.stringify(line));
});

test("version 1: protocols, spaces, addresses and ports are exactly as specified", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["UNKNOWNX", "PROTOCOL"],
    ["unknown", "PROTOCOL"],
    ["tcp4 1.1.1.1 1.1.1.1 1 1", "PROTOCOL"],
    ["UDP4 1.1.1.1 1.1.1.1 1 1", "PROTOCOL"],
    [" TCP4 1.1.1.1 1.1.1.1 1 1", "PROTOCOL"],
    ["", "PROTOCOL"],
    ["TCP4", "SHAPE"],
    ["TCP4 1.1.1.1 1.1.1.1 1", "SHAPE"],
    ["TCP4 1.1.1.1 1.1.1.1 1 1 ", "SHAPE"],
    ["TCP4 1.1.1.1  1.1.1.1 1 1", "SHAPE"],
    ["TCP4 1.1.1.1 1.1.1.1 1 1 1", "SHAPE"],
  ];
  for (const [rest, code] of cases)
    assert.equal(fault(text(`PROXY ${rest}\r\n`)), `PROXY_V1_${code} at ${rest.length + 8}`, rest);
  const ipv4 = [
    "1.1.1",
    "1.1.1.1.1",
    "01.1.1.1",
    "1.1.1.256",
    "1.1.1.-1",
    "+1.1.1.1",
    "1.1.1.",
    ".1.1.1",
    "1.1.1.1000",
  ];
  for (const bad of [...ipv4, "0x1.1.1.1", "1", "", "::1", "localhost", "1.1.1.1%1", "1.1.1.1\t", "1.1.1.\xb2"]) {
    assert.match(fault(text(`PROXY TCP4 ${bad} 1.1.1.1 1 1\r\n`)), /^PROXY_V1_ADDRESS/, bad);
    assert.match(fault(text(`PROXY TCP4 1.1.1.1 ${bad} 1 1\r\n`)), /^PROXY_V1_ADDRESS/, bad);
  }
  const ipv6 = [
    ":",
    ":::",
    "1::2::3",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::1:2:3:4:5:6:7:8",
    "12345::",
    "g::",
    "::1%lo",
  ];
  const dotted = [
    "::1.2.3",
    "::1.2.3.256",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "1:2:3:4:5:6:7:1.2.3.4",
    "::01.2.3.4",
    "1.1.1.1",
  ];
  for (const bad of [
    ...ipv6,
    ...dotted,
    "[::1]",
    "1:",
    ":1",
    "1:2:3:4:5:6:7:",
    ":2:3:4:5:6:7:8",
    "+1::",
    "::-1",
    "",
    "::1/64",
  ])
    assert.match(fault(text(`PROXY TCP6 ${bad} ::1 1 1\r\n`)), /^PROXY_V1_ADDRESS/, bad);
  for (const bad of ["", "00", "01", "+1", "-1", "65536", "100000", "1.0", "0x1", "1e3", "a", "1\t", "\xb9"]) {
    assert.match(fault(text(`PROXY TCP4 1.1.1.1 1.1.1.1 ${bad} 1\r\n`)), /^PROXY_V1_PORT/, bad);
    assert.match(fault(text(`PROXY TCP4 1.1.1.1 1.1.1.1 1 ${bad}\r\n`)), /^PROXY_V1_PORT/, bad);
  }
});

test("version 2: each address family with each transport", () => {
  const six = `20010db8000000000000000000000001 00000000000000000000ffffc0a80001 0001 ffff`;
  const sixEnds = {
    source: { address: "2001:db8::1", port: 1 },
    destination: { address: "192.168.0.1", port: 65535 },
  };
  const path = Buffer.from("/run/a.sock").toString("hex").padEnd(216, "0");
  const abstract = Buffer.from("\0name").toString("hex").padEnd(216, "0");
  const unixEnds = { source: { address: "/run/a.sock", port: 0 }, destination: { address: "\0name", port: 0 } };
  const cases = [
    ["11", tcp4, "TCP4", tcp4Ends],
    ["12", tcp4, "UDP4", tcp4Ends],
    ["21", six, "TCP6", sixEnds],
    ["22", six, "UDP6", sixEnds],
    ["31", path + abstract, "UNIX", unixEnds],
    ["32", path + abstract, "UNIX_DGRAM", unixEnds],
  ] as const;
  for (const [family, block, protocol, addresses] of cases)
    assert.deepEqual(read(v2("21", family, block)), { version: 2, command: "PROXY", protocol, addresses, tlvs: [] });
});

test("version 2: an unnamed UNIX socket has no path, a full one needs no NUL", () => {
  const { addresses } = read(v2("21", "31", "00".repeat(108), "61".repeat(108)));
  assert.equal(addresses?.source.address, "");
  assert.equal(addresses?.destination.address, "a".repeat(108));
});

test("version 2: what is unspecified is skipped, whatever stands in it", () => {
  for (const family of ["00", "01", "02", "10", "20", "30"]) {
    for (const block of ["", tcp4, "ff", "ffffff"]) {
      const header = read(v2("21", family, block));
      assert.deepEqual(header, { version: 2, command: "PROXY", protocol: "UNSPEC", addresses: null, tlvs: [] });
    }
  }
});

test("version 2: LOCAL ignores its family and skips its addresses", () => {
  for (const family of ["00", "11", "21", "31", "ff", "47"]) {
    for (const block of ["", "01", tcp4]) {
      const header = read(v2("20", family, block));
      assert.deepEqual(header, { version: 2, command: "LOCAL", protocol: "UNSPEC", addresses: null, tlvs: [] });
    }
  }
});

test("version 2: what is no header of it, at the byte where that is clear", () => {
  const cases: readonly (readonly [Buffer, string])[] = [
    [bytes("0d0a0d0a0d"), "PROXY_ABSENT at 5"],
    [bytes("0d0a0d0a000d0a515549540d"), "PROXY_ABSENT at 12"],
    [v2("11", "11", tcp4), "PROXY_V2_VERSION at 13"],
    [v2("31", "11", tcp4), "PROXY_V2_VERSION at 13"],
    [v2("01", "11", tcp4), "PROXY_V2_VERSION at 13"],
    [v2("22", "11", tcp4), "PROXY_V2_COMMAND at 13"],
    [v2("2f", "11", tcp4), "PROXY_V2_COMMAND at 13"],
    [v2("21", "41", tcp4), "PROXY_V2_FAMILY at 14"],
    [v2("21", "f1", tcp4), "PROXY_V2_FAMILY at 14"],
    [v2("21", "13", tcp4), "PROXY_V2_TRANSPORT at 14"],
    [v2("21", "0f", tcp4), "PROXY_V2_TRANSPORT at 14"],
    [v2("21", "11", tcp4.slice(0, -2)), "PROXY_V2_SHORT at 16"],
    [v2("21", "21", tcp4), "PROXY_V2_SHORT at 16"],
    [v2("21", "31", tcp4), "PROXY_V2_SHORT at 16"],
    [v2("21", "11", ""), "PROXY_V2_SHORT at 16"],
    [bytes(signature, "21 11 ffff"), "PROXY_V2_LENGTH at 16"],
  ];
  for (const [header, expected] of cases) assert.equal(fault(header), expected, header.toString("hex"));
});

test("version 2: the bound is on the whole header, and may be another", () => {
  const pad = (length: number) =>
    v2("21", "11", tcp4, `04${(length - 31).toString(16).padStart(4, "0")}`, "00".repeat(length - 31));
  assert.equal(pad(PROXY_HEADER_BYTES_MAX).length, PROXY_HEADER_BYTES_MAX);
  assert.equal(decode(pad(PROXY_HEADER_BYTES_MAX)).state, "whole");
  assert.equal(decode(pad(PROXY_HEADER_BYTES_MAX + 1)).state, "fault");
  assert.equal(decode(pad(1000), 1000).state, "whole");
  assert.equal(decode(pad(1001), 1000).state, "fault");
});

test("version 2: extensions are told in order, padding is not", () => {
  const id = createHash("sha512").update("id").digest("hex").slice(0, 64);
  const header = read(
    v2("21", "11", tcp4, "01 0002 6832", "04 0003 000000", "02 0003 612e62", `05 0020 ${id}`, "ee 0000"),
  );
  assert.deepEqual(header.tlvs, [
    { type: 0x01, value: new Uint8Array(bytes("6832")) },
    { type: 0x02, value: new Uint8Array(bytes("612e62")) },
    { type: 0x05, value: new Uint8Array(bytes(id)) },
    { type: 0xee, value: new Uint8Array(0) },
  ]);
});

test("version 2: extensions are copies, for the bytes are the caller's to reuse", () => {
  const header = v2("21", "11", tcp4, "01 0002 6832");
  const step = decode(header);
  header.fill(0);
  assert.ok(step.state === "whole");
  assert.deepEqual(step.value.tlvs, [{ type: 1, value: new Uint8Array(bytes("6832")) }]);
});

test("version 2: extensions behind LOCAL and unspecified families are told when they read as such", () => {
  for (const [command, family] of [
    ["20", "00"],
    ["21", "00"],
  ] as const) {
    const header = read(v2(command, family, "05 0001 61"));
    assert.deepEqual(header.tlvs, [{ type: 5, value: new Uint8Array([0x61]) }]);
  }
});

test("version 2: extensions fill the header exactly", () => {
  for (const bad of ["01", "0100", "01 0001", "01 0002 61", "01 0001 61 00", "01 ffff", `05 0081 ${"00".repeat(129)}`])
    assert.match(fault(v2("21", "11", tcp4, bad)), /^PROXY_V2_TLV/, bad);
});

test("version 2: a checksum is checked over the whole header with zeros in its place", () => {
  const right = v2("21", "11", "7f000001 7f000001 0001 0002", "03 0004 ", "00000000");
  right.writeUInt32BE(bitwiseCrc32c(right), right.length - 4);
  assert.deepEqual(read(right).tlvs, []);
  for (let at = 16; at < right.length; at++) {
    if (at >= 28 && at < 31) continue;
    const wrong = Buffer.from(right);
    wrong[at]! ^= 0x10;
    assert.equal(fault(wrong), `PROXY_V2_CHECKSUM at ${right.length}`, `byte ${at}`);
  }
  assert.match(fault(v2("20", "00", "03 0004 00000001")), /^PROXY_V2_CHECKSUM/);
  assert.match(fault(v2("21", "11", tcp4, "03 0003 000000")), /^PROXY_V2_TLV/);
  assert.match(fault(v2("21", "11", tcp4, "03 0004 00000000 03 0004 00000000")), /^PROXY_V2_TLV/);
});

/** RFC 4960 Appendix B, bit by bit. */
function bitwiseCrc32c(data: Uint8Array): number {
  let c = 0xffffffff;
  for (const byte of data) {
    c ^= byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  }
  return ~c >>> 0;
}

test("the bitwise CRC32c is the one of RFC 3720 B.4", () => {
  assert.equal(bitwiseCrc32c(new Uint8Array(32)), 0x8a9136aa);
});
