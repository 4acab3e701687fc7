import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addressBytes, addressText } from "./addresses.ts";
import { decode, encodeV1, encodeV2, type ProxyEndpoint, type Tlv } from "./index.ts";

const plain = { noNullPrototype: true };
const port = fc.integer({ min: 0, max: 0xffff });
const ipv4 = fc.ipV4();
/** Canonical, and not a mapped one: those leave as IPv4. */
const ipv6 = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => bytes.map((byte, i) => (i % 3 === 0 ? byte : byte & 1)))
  .map((bytes) => addressText(bytes, 0, 16))
  .filter((text) => text.includes(":"));
const path = fc.stringMatching(/^\/[a-z\xe9]{0,40}$/);

function endpoint(address: fc.Arbitrary<string>, at = port): fc.Arbitrary<ProxyEndpoint> {
  return fc.record({ address, port: at }, plain);
}
function pair(address: fc.Arbitrary<string>, at = port) {
  return fc.record({ source: endpoint(address, at), destination: endpoint(address, at) }, plain);
}
const anyPair = fc.oneof(pair(ipv4), pair(ipv6));
const tlv: fc.Arbitrary<Tlv> = fc.record(
  {
    type: fc.constantFrom(0x01, 0x02, 0x05, 0x20, 0x30, 0xe0, 0xff),
    value: fc.uint8Array({ maxLength: 128 }),
  },
  plain,
);
const tlvs = fc.array(tlv, { maxLength: 8 });

test("version 1 comes back as it was sent, whatever follows it", () => {
  fc.assert(
    fc.property(fc.option(anyPair), fc.uint8Array(), (addresses, rest) => {
      const header = encodeV1(addresses);
      assert.ok(header.length <= 107);
      const step = decode(Buffer.concat([header, rest]));
      assert.ok(step.state === "whole" && step.next === header.length);
      assert.deepEqual(step.value.addresses, addresses);
    }),
  );
});

test("version 2 comes back as it was sent, with extensions and checksum", () => {
  const how = fc.record({
    transport: fc.constantFrom("stream" as const, "datagram" as const),
    tlvs,
    checksum: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.option(fc.oneof(anyPair, pair(path, fc.constant(0)))),
      how,
      fc.uint8Array(),
      (addresses, options, rest) => {
        const unix = addresses?.source.address.startsWith("/") === true;
        const header = encodeV2(addresses, { ...options, unix });
        const step = decode(Buffer.concat([header, rest]));
        assert.ok(step.state === "whole" && step.next === header.length, JSON.stringify(step));
        assert.deepEqual(step.value.addresses, addresses);
        assert.deepEqual(step.value.tlvs, options.tlvs);
        assert.equal(step.value.command, addresses === null ? "LOCAL" : "PROXY");
        if (addresses !== null) assert.equal(/^UDP|DGRAM$/.test(step.value.protocol), options.transport === "datagram");
      },
    ),
  );
});

test("every piece of a header is incomplete, and nothing behind it changes what it says", () => {
  const header = fc.oneof(
    anyPair.map((addresses) => encodeV1(addresses)),
    fc.tuple(anyPair, tlvs).map(([addresses, list]) => encodeV2(addresses, { tlvs: list, checksum: true })),
  );
  fc.assert(
    fc.property(header, fc.nat(), (bytes, seed) => {
      assert.deepEqual(decode(bytes.subarray(0, seed % bytes.length)), { state: "incomplete" });
    }),
  );
});

test("one wrong byte is a fault or another header, never a throw; a fault stays one whatever follows", () => {
  const header = fc.oneof(
    anyPair.map((addresses) => encodeV1(addresses)),
    fc.tuple(anyPair, tlvs).map(([addresses, list]) => encodeV2(addresses, { tlvs: list, checksum: true })),
  );
  fc.assert(
    fc.property(header, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.uint8Array(), (bytes, at, flip, rest) => {
      const changed = Buffer.from(bytes);
      changed[at % bytes.length]! ^= flip;
      const step = decode(changed);
      if (step.state === "whole") assert.ok(step.next <= changed.length);
      if (step.state === "fault") assert.deepEqual(decode(Buffer.concat([changed, rest])), step);
    }),
  );
});

test("garbage never throws, behind a signature either", () => {
  const start = fc.constantFrom(
    "",
    "PROXY ",
    "PROXY TCP6 ",
    "\r\n\r\n\0\r\nQUIT\n",
    "\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x20",
  );
  fc.assert(
    fc.property(start, fc.uint8Array({ maxLength: 300 }), (prefix, rest) => {
      const bytes = Buffer.concat([Buffer.from(prefix, "latin1"), rest]);
      const step = decode(bytes);
      if (step.state === "whole") assert.ok(step.next <= bytes.length);
    }),
  );
});

test("mixed families leave as IPv6 with the other end mapped; mapped ones on both sides as IPv4; zones stay at home", () => {
  const four = { address: "192.0.2.1", port: 1 };
  const mapped = { address: "::ffff:192.0.2.2", port: 2 };
  const six = { address: "fe80::1%eth0", port: 3 };
  const lines = [
    [four, mapped, "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
    [four, six, "PROXY TCP6 ::ffff:192.0.2.1 fe80::1 1 3\r\n"],
    [six, mapped, "PROXY TCP6 fe80::1 ::ffff:192.0.2.2 3 2\r\n"],
  ] as const;
  for (const [source, destination, line] of lines) {
    assert.equal(encodeV1({ source, destination }).toString("latin1"), line);
    const step = decode(encodeV2({ source, destination }));
    assert.ok(step.state === "whole");
    assert.equal(step.value.protocol, line.slice(6, 10));
  }
});

test("an unknown pair is UNKNOWN in version 1 and LOCAL in version 2, exactly", () => {
  assert.equal(encodeV1(null).toString("latin1"), "PROXY UNKNOWN\r\n");
  assert.equal(encodeV2(null).toString("hex"), "0d0a0d0a000d0a515549540a20000000");
});

test("version 2's bytes, field by field", () => {
  const addresses = {
    source: { address: "192.0.2.1", port: 0x1234 },
    destination: { address: "192.0.2.2", port: 443 },
  };
  const header = encodeV2(addresses, { tlvs: [{ type: 0x01, value: Buffer.from("h2") }] });
  const expected = [
    "0d0a0d0a000d0a515549540a", // signature
    "21", // version 2, PROXY
    "11", // AF_INET, STREAM
    "0011", // length
    "c0000201", // source address
    "c0000202", // destination address
    "1234", // source port
    "01bb", // destination port
    "01", // ALPN
    "0002", // its length
    "6832", // "h2"
  ];
  assert.equal(header.toString("hex"), expected.join(""));
});

test("addresses that are none are our own fault", () => {
  const good = { address: "192.0.2.1", port: 1 };
  for (const bad of [
    { address: "", port: 1 },
    { address: "host", port: 1 },
    { address: "1.2.3.4", port: -1 },
    { address: "1.2.3.4", port: 65536 },
  ]) {
    assert.throws(() => encodeV1({ source: bad, destination: good }), /invariant/);
    assert.throws(() => encodeV2({ source: good, destination: bad }), /invariant/);
  }
});

test("an address in canonical text and its bytes are one", () => {
  fc.assert(
    fc.property(fc.oneof(ipv6, ipv4), (text) => {
      const bytes = addressBytes(text);
      assert.equal(addressText(bytes, 0, bytes.length), text);
    }),
  );
});
