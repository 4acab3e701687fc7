import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAddressRanges } from "@tideway/base";
import fc from "fast-check";
import {
  FORWARDED_HOPS_MAX,
  forwardedClient,
  forwardedElement,
  forwardedHost,
  forwardedLists,
  forwardedRequestId,
} from "./index.ts";

const parsed = parseAddressRanges(["10.0.0.0/8", "fd00::/8"]);
assert.ok(parsed.ok);
const trusts = parsed.ranges;

const xff = (...values: string[]) => values.flatMap((value) => ["x-forwarded-for", value]);
const fwd = (...values: string[]) => values.flatMap((value) => ["forwarded", value]);

describe("the client that trusted proxies vouch for", () => {
  for (const [what, fields, address, port = 0] of [
    ["is the right-most address that is not trusted", xff("1.1.1.1, 2.2.2.2, 10.0.0.1"), "2.2.2.2"],
    ["is found over several lines", xff("1.1.1.1", "2.2.2.2", "10.0.0.1, 10.0.0.2"), "2.2.2.2"],
    ["is the left-most when all are trusted", xff("10.0.0.3, 10.0.0.2"), "10.0.0.3"],
    ["may have a port", xff("192.0.2.7:4711"), "192.0.2.7", 4711],
    ["may be IPv6, bare", xff("2001:DB8::1, fd00::1"), "2001:db8::1"],
    ["may be IPv6 in brackets", xff("[2001:db8::1]"), "2001:db8::1"],
    ["may be IPv6 in brackets with a port", xff("[2001:db8:0:0::1]:80"), "2001:db8::1", 80],
    ["is IPv4 when it came over IPv6", xff("::ffff:192.0.2.7"), "192.0.2.7"],
    ["is the proxy before an entry that is no address", xff("1.1.1.1, rubbish, 10.0.0.1"), "10.0.0.1"],
    ["is the proxy before `unknown`", xff("1.1.1.1, unknown, 10.0.0.1"), "10.0.0.1"],
    ["is the proxy before a port out of range", xff("1.1.1.1:65536, 10.0.0.1"), "10.0.0.1"],
    ["is found past empty entries", xff(",1.1.1.1,, ,10.0.0.1, "), "1.1.1.1"],
    ["is nobody when the nearest entry is no address", xff("1.1.1.1, rubbish"), ""],
    ["is nobody without a list", ["x-real-ip", "1.1.1.1"], ""],
    ["in Forwarded", fwd("for=1.1.1.1, for=2.2.2.2;proto=https, for=10.0.0.1"), "2.2.2.2"],
    ["in Forwarded over several lines", fwd("for=1.1.1.1", "for=10.0.0.1"), "1.1.1.1"],
    ["in Forwarded, quoted IPv6 with port", fwd('for="[2001:db8::1]:4711"'), "2001:db8::1", 4711],
    ["in Forwarded, quoted IPv4 with port", fwd('by=10.0.0.9; For="192.0.2.7:80" ;Proto=HTTP'), "192.0.2.7", 80],
    ["in Forwarded, unquoted against the letter", fwd("for=[2001:db8::1]:80"), "2001:db8::1", 80],
    ["in Forwarded, with an obfuscated port", fwd('for="192.0.2.7:_x1"'), "192.0.2.7"],
    ["in Forwarded, escaped", fwd('for="192.0.2\\.7"'), "192.0.2.7"],
    ["in Forwarded, before an obfuscated name", fwd('for=1.1.1.1, for="_gazonk", for=10.0.0.1'), "10.0.0.1"],
    ["in Forwarded, before unknown", fwd("for=unknown, for=10.0.0.1"), "10.0.0.1"],
    ["in Forwarded, before an element without for", fwd("for=1.1.1.1, by=10.0.0.2, for=10.0.0.1"), "10.0.0.1"],
    ["in Forwarded, before one that says it twice", fwd("for=1.1.1.1;for=3.3.3.3, for=10.0.0.1"), "10.0.0.1"],
    ["in Forwarded, before broken pairs", fwd("for = 1.1.1.1, for=10.0.0.1"), "10.0.0.1"],
    [
      "in Forwarded, behind an open quote that a client sent",
      fwd('for="1.1.1.1, for=2.2.2.2, for=10.0.0.1'),
      "2.2.2.2",
    ],
    ["in Forwarded, behind an escaped quote", fwd('for="a\\", for=1.1.1.1, for=2.2.2.2, for=10.0.0.1'), "2.2.2.2"],
    [
      "in Forwarded, whatever commas stand in quotes",
      fwd('for=1.1.1.1;host="a, for=9.9.9.9", for=10.0.0.1'),
      "1.1.1.1",
    ],
    ["is X-Forwarded-For's when both are there", [...fwd("for=9.9.9.9"), ...xff("1.1.1.1")], "1.1.1.1"],
    ["is Forwarded's when the other is empty", [...fwd("for=9.9.9.9"), ...xff("")], "9.9.9.9"],
  ] as const) {
    it(what, () => {
      const client = forwardedClient([...fields], trusts);
      assert.equal(client?.address ?? "", address);
      assert.equal(client?.port ?? 0, port);
    });
  }

  it("is looked for among the nearest entries only", () => {
    const trusted = Array(FORWARDED_HOPS_MAX).fill("10.0.0.1");
    assert.equal(forwardedClient(xff(["1.1.1.1", ...trusted.slice(1)].join()), trusts)?.address, "1.1.1.1");
    assert.equal(forwardedClient(xff(["1.1.1.1", ...trusted].join()), trusts)?.address, "10.0.0.1");
    assert.equal(forwardedClient(xff(`1.1.1.1${",".repeat(8000)}`), trusts), null);
  });

  it("is never changed by what stands left of the first untrusted entry", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii", maxLength: 80 }), fc.boolean(), (noise, own) => {
        for (const nearest of ["for=2.2.2.2", 'for="[2001:db8::2]:1"']) {
          const tail = `${nearest}, for=10.0.0.1`;
          const fields = own ? fwd(noise, tail) : fwd(`${noise}, ${tail}`);
          const address = forwardedClient(fields, trusts)?.address;
          assert.equal(address, nearest.includes("[") ? "2001:db8::2" : "2.2.2.2");
        }
        assert.equal(forwardedClient(xff(`${noise}, 2.2.2.2, 10.0.0.1`), trusts)?.address, "2.2.2.2");
      }),
      { numRuns: 2000 },
    );
  });

  for (const [what, fields, secure] of [
    ["https", [...xff("1.1.1.1"), "x-forwarded-proto", "https"], true],
    ["HTTP", [...xff("1.1.1.1"), "x-forwarded-proto", "HTTP"], false],
    ["wss", [...xff("1.1.1.1"), "x-forwarded-proto", "wss"], true],
    ["https, http", [...xff("1.1.1.1"), "x-forwarded-proto", "https, http"], false],
    ["nonsense", [...xff("1.1.1.1"), "x-forwarded-proto", "ftp"], null],
    ["nothing", xff("1.1.1.1"), null],
    ["the element's proto", [...fwd("for=1.1.1.1;proto=https, for=10.0.0.1;proto=http")], true],
    ["the element's before the other's", [...fwd("for=1.1.1.1;proto=http"), "x-forwarded-proto", "https"], false],
    ["https without a list", ["x-forwarded-proto", "https"], true],
  ] as const) {
    it(`came over TLS or not: ${what}`, () => {
      assert.equal(forwardedClient([...fields], trusts)?.secure ?? null, secure);
    });
  }
});

describe("the host that the first proxy was asked for", () => {
  for (const [fields, host] of [
    [["x-forwarded-host", "A.test:8080"], "a.test:8080"],
    [["x-forwarded-host", "a.test, b.test"], "b.test"],
    [["x-forwarded-host", "[2001:db8::1]:80"], "[2001:db8::1]:80"],
    [["x-forwarded-host", "a.test/x"], ""],
    [["x-forwarded-host", "a@b"], ""],
    [["x-forwarded-host", '"a"'], ""],
    [["x-forwarded-host", "a".repeat(256)], ""],
    [fwd('for=1.1.1.1;host="c.test:80"'), "c.test:80"],
    [[...fwd("for=1.1.1.1;host=c.test"), "x-forwarded-host", "a.test"], "c.test"],
    [[...fwd("for=1.1.1.1;host=c.test"), ...xff("1.1.1.1"), "x-forwarded-host", "a.test"], "a.test"],
    [[...fwd("for=1.1.1.1"), "x-forwarded-host", "a.test"], "a.test"],
    [[], ""],
  ] as const) {
    it(`${JSON.stringify(fields)}: "${host}"`, () => assert.equal(forwardedHost([...fields]), host));
  }
});

describe("the lists that go on", () => {
  for (const [what, fields, addresses, elements] of [
    ["nothing", [], "", ""],
    [
      "one list: the other is made from it",
      xff("1.1.1.1, 2001:db8::1"),
      "1.1.1.1, 2001:db8::1",
      'for=1.1.1.1, for="[2001:db8::1]"',
    ],
    [
      "the other way round",
      fwd('for="[2001:DB8::1]:80";proto=https,for=_x'),
      "2001:db8::1, unknown",
      'for="[2001:DB8::1]:80";proto=https, for=_x',
    ],
    ["both, the same", [...xff("1.1.1.1"), ...fwd("for=1.1.1.1;proto=https")], "1.1.1.1", "for=1.1.1.1;proto=https"],
    ["both, and they differ", [...fwd("for=9.9.9.9;proto=https"), ...xff("1.1.1.1")], "1.1.1.1", "for=1.1.1.1"],
    ["what is no address", xff("<script>, 1.1.1.1:80"), "unknown, 1.1.1.1", "for=unknown, for=1.1.1.1"],
    ["what is no element", fwd('for="1.1.1.1, for=2.2.2.2'), "unknown, 2.2.2.2", "for=unknown, for=2.2.2.2"],
  ] as const) {
    it(what, () => assert.deepEqual(forwardedLists([...fields]), { addresses, elements }));
  }

  it("are bounded: the nearest entries", () => {
    const { addresses, elements } = forwardedLists(xff(Array(5000).fill("1.1.1.1").concat("2.2.2.2").join()));
    assert.equal(addresses.split(", ").length, FORWARDED_HOPS_MAX);
    assert.equal(elements.split(", ").length, FORWARDED_HOPS_MAX);
    assert.ok(addresses.endsWith("1.1.1.1, 2.2.2.2"));
    assert.equal(
      forwardedLists(fwd(Array(1000).fill("for=1.1.1.1").join())).elements.split(", ").length,
      FORWARDED_HOPS_MAX,
    );
  });

  it("name the same client as what was received, once the own entry is added", () => {
    const node = fc.oneof(
      fc.ipV4(),
      fc.ipV6().map((text) => `"[${text}]"`),
      fc.constantFrom("unknown", "_x", "10.0.0.1"),
    );
    fc.assert(
      fc.property(fc.array(node, { minLength: 1, maxLength: 6 }), (nodes) => {
        const received = fwd(nodes.map((text) => `for=${text}`).join(", "));
        const { addresses, elements } = forwardedLists(received);
        const address = forwardedClient(received, trusts)?.address;
        assert.equal(forwardedClient(xff(addresses), trusts)?.address, address);
        assert.equal(forwardedClient(fwd(elements), trusts)?.address, address);
      }),
    );
  });
});

it("an element is written as RFC 7239 wants it", () => {
  assert.equal(forwardedElement("1.1.1.1", "http", "a.test:80"), 'for=1.1.1.1;proto=http;host="a.test:80"');
  assert.equal(forwardedElement("2001:db8::1", "https", ""), 'for="[2001:db8::1]";proto=https');
});

describe("a request id", () => {
  for (const id of ["a", "6f1c-4a", "Root=1-67891233-abcdef", "abc/def+x==", "a".repeat(128)])
    it(`"${id.slice(0, 30)}" is kept`, () => assert.equal(forwardedRequestId(["x-request-id", id]), id));
  for (const id of ["", "a b", 'a"', "a,b", "-a", "é", "a\\", "<a>", "a".repeat(129)])
    it(`"${id.slice(0, 30)}" is not`, () => assert.equal(forwardedRequestId(["x-request-id", id]), ""));
});
