import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Answer, createZones, Rcode, recordTypes, type Zones, type ZonesOptions } from "./index.ts";
import { absoluteName, addressFamily, words } from "./records.ts";

const base: ZonesOptions = {
  sites: ["www.abc.test", "www.abc.test:8080", "*.apps.abc.test", "*", "127.0.0.1", "[::1]:80", "lone.example"],
  addresses: ["127.0.0.1", "::1"],
  zones: {
    "abc.test": {
      "@": { MX: "10 mail", TXT: ["v=spf1 -all", '"one" "two"'], CAA: '0 issue "ca.test"' },
      mail: { A: ["192.0.2.1", "192.0.2.2"] },
      alias: { CNAME: "www" },
      chain: { CNAME: "alias.abc.test." },
      out: { CNAME: "elsewhere.example." },
      dead: { CNAME: "nothing" },
      loop1: { CNAME: "loop2" },
      loop2: { CNAME: "loop1" },
      "_sip._tcp": { SRV: "0 5 5060 mail" },
      "a.b.c": { A: "192.0.2.9" },
      "*.wild": { A: "192.0.2.7" },
      "x.wild": { TXT: "here" },
    },
  },
  serial: 7,
};

function zonesOf(options: ZonesOptions = base): Zones {
  const built = createZones(options);
  assert.ok("zones" in built, JSON.stringify(built));
  return built.zones;
}

const zones = zonesOf();
function ask(name: string, type: keyof typeof recordTypes | number, from: Zones = zones): Answer {
  const number = typeof type === "number" ? type : recordTypes[type];
  return from.answer({ opcode: 0, questions: [{ name, type: number, class: 1 }] });
}
const data = (answer: Answer) => answer.answers.map((record) => record.data);

describe("names that exist", () => {
  test("a site's name has the listener's addresses, by family", () => {
    assert.deepEqual(data(ask("www.abc.test", "A")), ["127.0.0.1"]);
    assert.deepEqual(data(ask("www.abc.test", "AAAA")), ["::1"]);
    assert.equal(ask("www.abc.test", "A").authoritative, true);
  });

  test("a site outside every configured zone gets a zone of its own", () => {
    assert.deepEqual(data(ask("lone.example", "A")), ["127.0.0.1"]);
    assert.equal(ask("example", "A").rcode, Rcode.refused);
    assert.equal(ask("other.lone.example", "A").rcode, Rcode.noSuchName);
  });

  test("letter case does not matter, and the owner comes back as it was asked", () => {
    const answer = ask("wWw.AbC.tEst", "A");
    assert.equal(answer.answers[0]?.name, "wWw.AbC.tEst");
    assert.deepEqual(data(answer), ["127.0.0.1"]);
  });

  test("extra records of every type are read as a zone file writes them", () => {
    assert.deepEqual(data(ask("abc.test", "MX")), [{ preference: 10, exchange: "mail.abc.test" }]);
    assert.deepEqual(data(ask("abc.test", "TXT")), [["v=spf1 -all"], ["one", "two"]]);
    assert.deepEqual(data(ask("abc.test", "CAA")), [{ flags: 0, tag: "issue", value: "ca.test" }]);
    assert.deepEqual(data(ask("_sip._tcp.abc.test", "SRV")), [
      { priority: 0, weight: 5, port: 5060, target: "mail.abc.test" },
    ]);
    assert.deepEqual(data(ask("mail.abc.test", "A")), ["192.0.2.1", "192.0.2.2"]);
  });

  test("SOA and NS are made up at the origin, and the name server has an address", () => {
    const [soa] = ask("abc.test", "SOA").answers;
    assert.ok(soa?.type === "SOA" && soa.data.serial === 7 && soa.data.mname === "ns.abc.test");
    assert.deepEqual(data(ask("abc.test", "NS")), ["ns.abc.test"]);
    assert.deepEqual(data(ask("ns.abc.test", "A")), ["127.0.0.1"]);
  });

  test("a record that a person wrote wins over the site's made-up address", () => {
    const own = zonesOf({ ...base, zones: { "abc.test": { www: { A: "192.0.2.55" } } } });
    assert.deepEqual(data(ask("www.abc.test", "A", own)), ["192.0.2.55"]);
    assert.deepEqual(data(ask("www.abc.test", "AAAA", own)), []);
  });

  test("a site in another script answers to the name that browsers ask for", () => {
    const own = zonesOf({ ...base, sites: ["www.bücher.test", "*.bücher.test"], zones: {} });
    assert.deepEqual(data(ask("www.xn--bcher-kva.test", "A", own)), ["127.0.0.1"]);
    assert.deepEqual(data(ask("any.xn--bcher-kva.test", "A", own)), ["127.0.0.1"]);
  });

  test("a name of full length leaves room for nothing made up below it", () => {
    const long = `${"a234567890.".repeat(22)}abcdefgh.uk`;
    const own = zonesOf({ ...base, sites: [long], zones: {} });
    assert.equal(long.length, 253);
    assert.deepEqual(data(ask(long, "NS", own)), [long]);
    assert.deepEqual(data(ask(long, "A", own)), ["127.0.0.1"]);
  });

  test("the longest matching zone answers", () => {
    const nested = zonesOf({ ...base, zones: { "abc.test": {}, "sub.abc.test": { x: { A: "192.0.2.3" } } } });
    assert.deepEqual(data(ask("x.sub.abc.test", "A", nested)), ["192.0.2.3"]);
    assert.equal(ask("y.sub.abc.test", "A", nested).authorities[0]?.name, "sub.abc.test");
  });
});

describe("names that do not", () => {
  test("an unknown name is NXDOMAIN with the SOA, kept no longer than its minimum (RFC 2308)", () => {
    const answer = ask("nothing.abc.test", "A");
    assert.equal(answer.rcode, Rcode.noSuchName);
    const [soa] = answer.authorities;
    assert.ok(soa?.type === "SOA" && soa.name === "abc.test" && soa.ttl === soa.data.minimum);
  });

  test("a known name without the type is NODATA: no error, no answer, the SOA", () => {
    for (const type of ["MX", 65, 64_000] as const) {
      const answer = ask("www.abc.test", type);
      assert.equal(answer.rcode, Rcode.noError);
      assert.equal(answer.answers.length, 0);
      assert.equal(answer.authorities[0]?.type, "SOA");
    }
  });

  test("a name that only holds names below it exists (empty non-terminal)", () => {
    assert.equal(ask("c.abc.test", "A").rcode, Rcode.noError);
    assert.equal(ask("b.c.abc.test", "A").rcode, Rcode.noError);
    assert.equal(ask("z.c.abc.test", "A").rcode, Rcode.noSuchName);
  });

  test("names outside our zones are refused, also those that merely end alike", () => {
    for (const name of ["example.com", "test", "", "xabc.test", "www.xabc.test"]) {
      assert.equal(ask(name, "A").rcode, Rcode.refused, name);
      assert.equal(ask(name, "A").authoritative, false);
    }
  });
});

describe("wildcards (RFC 4592)", () => {
  test("a wildcard answers for names of any depth below it, under the asked name", () => {
    assert.deepEqual(data(ask("one.apps.abc.test", "A")), ["127.0.0.1"]);
    assert.equal(ask("Two.One.apps.abc.test", "A").answers[0]?.name, "Two.One.apps.abc.test");
  });

  test("a wildcard does not answer for its own parent, nor for a name that exists, nor below one", () => {
    assert.equal(ask("wild.abc.test", "A").answers.length, 0);
    assert.equal(ask("wild.abc.test", "A").rcode, Rcode.noError);
    assert.deepEqual(data(ask("x.wild.abc.test", "A")), []);
    assert.equal(ask("y.x.wild.abc.test", "A").rcode, Rcode.noSuchName);
  });

  test("a wildcard without the type is NODATA", () => {
    assert.equal(ask("q.wild.abc.test", "AAAA").rcode, Rcode.noError);
    assert.equal(ask("q.wild.abc.test", "AAAA").answers.length, 0);
  });
});

describe("aliases", () => {
  test("an alias is followed inside our zones, each link an answer of its own", () => {
    const answer = ask("CHAIN.abc.test", "A");
    assert.deepEqual(
      answer.answers.map((record) => [record.name, record.type, record.data]),
      [
        ["CHAIN.abc.test", "CNAME", "alias.abc.test"],
        ["alias.abc.test", "CNAME", "www.abc.test"],
        ["www.abc.test", "A", "127.0.0.1"],
      ],
    );
  });

  test("a question for CNAME itself is not followed", () => {
    assert.deepEqual(data(ask("chain.abc.test", "CNAME")), ["alias.abc.test"]);
  });

  test("an alias to elsewhere ends there", () => {
    assert.deepEqual(data(ask("out.abc.test", "A")), ["elsewhere.example"]);
    assert.equal(ask("out.abc.test", "A").rcode, Rcode.noError);
  });

  test("the code is that of the last name (RFC 6604)", () => {
    const answer = ask("dead.abc.test", "A");
    assert.equal(answer.rcode, Rcode.noSuchName);
    assert.equal(answer.answers.length, 1);
    assert.equal(answer.authorities[0]?.type, "SOA");
  });

  test("a loop of aliases ends", () => {
    assert.deepEqual(data(ask("loop1.abc.test", "A")), ["loop2.abc.test", "loop1.abc.test"]);
  });
});

describe("questions that are not answered", () => {
  test("ANY is not implemented; transfers are refused; OPT is no question", () => {
    assert.equal(ask("abc.test", 255).rcode, Rcode.notImplemented);
    assert.equal(ask("abc.test", 252).rcode, Rcode.refused);
    assert.equal(ask("abc.test", 251).rcode, Rcode.refused);
    assert.equal(ask("abc.test", 41).rcode, Rcode.formatError);
  });

  test("opcodes other than QUERY are not implemented, classes other than IN refused, one question allowed", () => {
    const question = { name: "www.abc.test", type: 1, class: 1 };
    for (const opcode of [1, 2, 4, 5, 15]) {
      assert.equal(zones.answer({ opcode, questions: [question] }).rcode, Rcode.notImplemented);
    }
    for (const klass of [0, 3, 4, 254, 255]) {
      assert.equal(zones.answer({ opcode: 0, questions: [{ ...question, class: klass }] }).rcode, Rcode.refused);
    }
    assert.equal(zones.answer({ opcode: 0, questions: [] }).rcode, Rcode.formatError);
    assert.equal(zones.answer({ opcode: 0, questions: [question, question] }).rcode, Rcode.formatError);
  });

  test("any name and type gives an answer that is refused or ours, and never throws", () => {
    const label = fc.oneof(
      fc.stringMatching(/^[a-zA-Z0-9*_-]{1,8}$/),
      fc.constantFrom("abc", "test", "www", "__proto__", "\\000"),
    );
    fc.assert(
      fc.property(fc.array(label, { maxLength: 6 }), fc.nat(65_535), (labels, type) => {
        const answer = ask([...labels, "abc", "test"].join("."), type);
        assert.ok(answer.answers.length === 0 || answer.authoritative);
      }),
    );
  });
});

describe("health", () => {
  const two = { ...base, addresses: ["192.0.2.1", "192.0.2.2"] };
  const withHealth = (healthy: (address: string) => boolean) => {
    const built = createZones(two, { healthy });
    assert.ok("zones" in built);
    return data(ask("www.abc.test", "A", built.zones));
  };

  test("an unhealthy address is left out; when none is healthy all are given", () => {
    assert.deepEqual(
      withHealth((address) => address !== "192.0.2.1"),
      ["192.0.2.2"],
    );
    assert.deepEqual(
      withHealth(() => false),
      ["192.0.2.1", "192.0.2.2"],
    );
  });
});

describe("a faulty configuration", () => {
  const faultsOf = (records: ZonesOptions["zones"]) => {
    const built = createZones({ ...base, zones: records });
    assert.ok("faults" in built, "expected faults");
    return built.faults;
  };
  const cases: [string, string, string, RegExp][] = [
    ["www", "A", "::1", /IPv4/],
    ["www", "A", "1.2.3.256", /IPv4/],
    ["www", "AAAA", "1.2.3.4", /IPv6/],
    ["www", "MX", "mail", /preference host/],
    ["www", "MX", "70000 mail", /preference host/],
    ["www", "SRV", "1 2 3", /priority weight/],
    ["www", "CAA", "0 iss-ue x", /flags tag/],
    ["www", "TXT", '"open', /quotes/],
    ["www", "CNAME", "mail.abc.test", /final dot/],
    ["www", "CNAME", "bad name", /host name/],
    ["www", "HINFO", "x", /A, AAAA/],
    ["www", "NS", "ns1", /only at/],
    ["@", "CNAME", "www", /no CNAME/],
    ["www.other.", "A", "192.0.2.1", /within abc.test/],
    ["-bad", "A", "192.0.2.1", /host name/],
    ["x".repeat(64), "A", "192.0.2.1", /host name/],
  ];
  for (const [name, type, value, allowed] of cases) {
    test(`${name} ${type} ${value.slice(0, 20)} is refused with its place and what is allowed`, () => {
      const [fault] = faultsOf({ "abc.test": { [name]: { [type]: value } } });
      assert.equal(fault?.path[0], "abc.test");
      assert.equal(fault?.path[1], name);
      assert.match(fault?.allowed ?? "", allowed);
    });
  }

  test("an alias beside other records, or two of them, is refused", () => {
    assert.match(faultsOf({ "abc.test": { w: { CNAME: "a", A: "192.0.2.1" } } })[0]?.allowed ?? "", /alone/);
    assert.match(faultsOf({ "abc.test": { w: { CNAME: ["a", "b"] } } })[0]?.allowed ?? "", /one CNAME/);
  });

  test("every fault is reported, not only the first", () => {
    assert.equal(faultsOf({ "abc.test": { a: { A: "x" }, b: { A: "y" } }, "not a name": {} }).length, 3);
  });
});

describe("reading", () => {
  test("long texts are cut into strings of at most 255 bytes", () => {
    const long = zonesOf({ ...base, zones: { "abc.test": { "@": { TXT: "ä".repeat(300) } } } });
    const [record] = ask("abc.test", "TXT", long).answers;
    assert.ok(record?.type === "TXT" && record.data.every((part) => Buffer.byteLength(part) <= 255));
    assert.equal(record.data.join(""), "ä".repeat(300));
  });

  test("words keep quoted blanks and escaped characters", () => {
    assert.deepEqual(words('a "b c" d\\"e ""'), ["a", "b c", 'd"e', ""]);
    assert.equal(words("a\\"), null);
  });

  test("addresses and names are told from what only looks alike", () => {
    for (const bad of ["", "1.2.3", "1.2.3.4.", "01.2.3.4", "1.2.3.4.5", ":::", "g::1", "1:2", "fe80::1%eth0"]) {
      assert.equal(addressFamily(bad), 0, bad);
    }
    assert.equal(addressFamily("::ffff:1.2.3.4"), 6);
    for (const bad of ["", ".", "a..b", "a b", "-a.b", "*", "a.*.b", `${"a.".repeat(127)}ab`])
      assert.equal(absoluteName(bad), null, bad);
    assert.equal(absoluteName("*.A.b."), "*.a.b");
  });
});
