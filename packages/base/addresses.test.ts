import assert from "node:assert/strict";
import { BlockList, isIP, isIPv4 } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { canonicalAddress, parseAddressRanges } from "./index.ts";

function ranges(...list: string[]) {
  const parsed = parseAddressRanges(list);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.ranges;
}

describe("ranges of addresses", () => {
  for (const [list, inside, outside] of [
    [["10.0.0.0/8"], ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], ["9.255.255.255", "11.0.0.0", "::a00:0"]],
    [["192.0.2.7"], ["192.0.2.7"], ["192.0.2.6", "192.0.2.8", ""]],
    [["0.0.0.0/0"], ["0.0.0.0", "255.255.255.255"], ["::1", "::"]],
    [["::/0"], ["::", "ffff::", "64:ff9b::1"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    [["fd00::/8"], ["fd00::1", "FDFF:ffff::1", "fd00::1%eth0"], ["fc00::1", "fe00::", "fd00"]],
    [["2001:db8::/33"], ["2001:db8:7fff::"], ["2001:db8:8000::"]],
    [["::1"], ["::1", "0:0:0:0:0:0:0:1", "0::0:1"], ["::2", "1::", "127.0.0.1"]],
    [["::ffff:10.0.0.0/104"], ["10.9.9.9", "::ffff:a00:1"], ["11.0.0.0"]],
    [["255.255.255.255/32", "0.0.0.0/32"], ["255.255.255.255", "0.0.0.0"], ["128.0.0.0"]],
    [[], [], ["10.0.0.1", "::1", ""]],
  ] as const) {
    it(`[${list.join(", ")}] holds ${inside.join(", ")} and not ${outside.join(", ")}`, () => {
      const made = ranges(...list);
      for (const address of inside) assert.equal(made.has(address), true, address);
      for (const address of outside) assert.equal(made.has(address), false, address);
    });
  }

  it("that lie within others are dropped, and change nothing", () => {
    const made = ranges("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/9", "10.0.0.0/8", "12.0.0.0/8", "fd00::/8", "fd01::1");
    assert.equal(made.count, 3);
    for (const address of ["10.0.0.0", "10.1.0.0", "10.255.0.1", "12.0.0.1", "fdff::"])
      assert.equal(made.has(address), true, address);
    assert.equal(made.has("11.0.0.0"), false);
  });

  const v4 = fc.ipV4();
  const v6 = fc.ipV6();
  const range = fc
    .oneof(fc.tuple(v4, fc.integer({ min: 0, max: 32 })), fc.tuple(v6, fc.integer({ min: 0, max: 128 })))
    .map(([address, prefix]) => first(address, prefix));

  /** The first address of the range, found by bits as text: slow and plain. */
  function first(address: string, prefix: number): { net: string; prefix: number } {
    const family = isIPv4(address) ? 4 : 6;
    const bits =
      family === 4
        ? address.split(".").map((part) => Number(part).toString(2).padStart(8, "0"))
        : expand(address).map((part) => Number.parseInt(part, 16).toString(2).padStart(16, "0"));
    const kept = bits
      .join("")
      .slice(0, prefix)
      .padEnd(family === 4 ? 32 : 128, "0");
    const size = family === 4 ? 8 : 16;
    const parts = kept.match(new RegExp(`.{${size}}`, "g"))!.map((part) => Number.parseInt(part, 2));
    return { net: family === 4 ? parts.join(".") : parts.map((part) => part.toString(16)).join(":"), prefix };
  }

  function expand(address: string): string[] {
    const [head = [], tail = []] = new URL(`http://[${address}]/`).hostname
      .slice(1, -1)
      .split("::")
      .map((half) => (half === "" ? [] : half.split(":")));
    return [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  }

  it("answer as node's BlockList does, whatever the ranges and addresses", () => {
    const probe = fc.oneof(v4, v6);
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), fc.array(probe, { minLength: 1 }), (list, probes) => {
        // An IPv4 address within IPv6 is that IPv4 address here; BlockList has rules of its own for it.
        fc.pre(
          [...list.map(({ net }) => net), ...probes].every(
            (text) => isIPv4(text) || !expand(text).join(":").startsWith("0:0:0:0:0:"),
          ),
        );
        const peer = new BlockList();
        for (const { net, prefix } of list) peer.addSubnet(net, prefix, isIPv4(net) ? "ipv4" : "ipv6");
        const made = ranges(...list.map(({ net, prefix }) => `${net}/${prefix}`));
        for (const address of [...probes, ...list.map(({ net }) => net)])
          assert.equal(made.has(address), peer.check(address, isIPv4(address) ? "ipv4" : "ipv6"), address);
      }),
    );
  });

  for (const [entry, hint] of [
    ["", /write an address/],
    ["10.0.0.1/8", /begins at "10\.0\.0\.0\/8"/],
    ["2001:db8::1/32", /begins at "2001:db8::\/32"/],
    ["10.0.0.0/33", /0 to 32/],
    ["10.0.0.0/", /0 to 32/],
    ["10.0.0.0/08", /0 to 32/],
    ["10.0.0.0/-1", /0 to 32/],
    ["::ffff:10.0.0.0/8", /from 96 on/],
    ["fd00::/129", /0 to 128/],
    ["10.0.0", /four numbers/],
    ["10.0.0.256", /four numbers/],
    ["010.0.0.1", /four numbers/],
    ["[::1]", /brackets/],
    ["fe80::1%eth0", /zone/],
    ["fe80:::1", /eight groups/],
    ["proxy.test", /not looked up/],
    ["10.0.0.0/255.0.0.0", /0 to 32/],
    [" 10.0.0.0/8", /not looked up/],
  ] as const) {
    it(`refuse ${JSON.stringify(entry)} with its place and a way out`, () => {
      const parsed = parseAddressRanges(["10.0.0.0/8", entry]);
      assert.ok(!parsed.ok);
      assert.equal(parsed.faults.length, 1);
      const [fault] = parsed.faults;
      assert.equal(fault!.index, 1);
      assert.equal(fault!.seen, JSON.stringify(entry));
      assert.match(fault!.hint, hint);
    });
  }

  it("report every fault, not only the first", () => {
    const parsed = parseAddressRanges(["x", "10.0.0.0/8", "y"]);
    assert.deepEqual(!parsed.ok && parsed.faults.map(({ index }) => index), [0, 2]);
  });
});

describe("the canonical spelling of an address", () => {
  for (const [text, expected] of [
    ["192.0.2.7", "192.0.2.7"],
    ["::FFFF:192.0.2.7", "192.0.2.7"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::", "::"],
    ["1::", "1::"],
    ["fe80::1%eth0", "fe80::1"],
    ["64:ff9b::192.0.2.7", "64:ff9b::c000:207"],
    ["", ""],
    ["unknown", ""],
    ["192.0.2.7:80", ""],
    ["[::1]", ""],
    ["1:2:3:4:5:6:7:8:9", ""],
    ["1:2:3:4:5:6:7::8:9", ""],
    ["1:2:3:4:5:6:7:1.2.3.4", ""],
    ["::1.2.3", ""],
    ["1:", ""],
    [":1", ""],
    [":", ""],
    ["1::2::3", ""],
    ["12345::", ""],
    ["g::", ""],
    ["@::", ""],
    ["1.2.3.4.5", ""],
    ["1..2.3", ""],
    ["%", ""],
    [`::${"0".repeat(100)}`, ""],
  ] as const) {
    it(`of ${JSON.stringify(text)} is ${JSON.stringify(expected)}`, () =>
      assert.equal(canonicalAddress(text), expected));
  }

  it("is of every address, of nothing else, and its own", () => {
    const text = fc.oneof(fc.ipV4(), fc.ipV6(), fc.stringMatching(/^[0-9a-fA-F:.]{0,40}$/));
    fc.assert(
      fc.property(text, (address) => {
        const canonical = canonicalAddress(address);
        assert.equal(canonical !== "", isIP(address) !== 0, address);
        if (canonical === "") return;
        assert.equal(canonicalAddress(canonical), canonical);
        if (canonical.includes(":")) assert.equal(`[${canonical}]`, new URL(`http://[${address}]/`).hostname);
      }),
      { numRuns: 2000 },
    );
  });
});
