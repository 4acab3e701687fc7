import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SeededRandom } from "@tideway/base/testing";
import fc from "fast-check";
import { addressKey, compileRate, type KeySpec, type RateLimit, type RateSpec, RequestsBound } from "./index.ts";

function limit(spec: RateSpec): RateLimit {
  const compiled = compileRate(spec, ["rate"]);
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.rate;
}

/** How many of `count` requests at one time are allowed. */
function allowed(rate: RateLimit, key: string, now: number, count: number): number {
  let sum = 0;
  for (let i = 0; i < count; i++) if (rate.take(key, now).allowed) sum++;
  return sum;
}

describe("a rate limit", () => {
  it("allows the burst at once, then one for each token that comes", () => {
    const rate = limit({ requests: 60, per: "minute", burst: 3 });
    assert.equal(allowed(rate, "a", 1_000, 10), 3);
    assert.equal(allowed(rate, "a", 1_999, 10), 0);
    assert.equal(allowed(rate, "a", 2_000, 10), 1);
    assert.equal(allowed(rate, "a", 4_000, 10), 2);
    assert.equal(allowed(rate, "a", 100_000, 10), 3, "more than the burst is never saved up");
  });

  it("counts each key by itself", () => {
    const rate = limit({ requests: 1, per: "hour" });
    assert.equal(allowed(rate, "a", 0, 2), 1);
    assert.equal(allowed(rate, "b", 0, 2), 1);
    assert.equal(rate.keys, 2);
  });

  it("the burst is the period's requests unless given", () => {
    assert.equal(allowed(limit({ requests: 100, per: "minute" }), "a", 5, 200), 100);
  });

  it("a refused request costs nothing", () => {
    const rate = limit({ requests: 1, per: "second" });
    assert.equal(allowed(rate, "a", 0, 1_000), 1);
    assert.equal(allowed(rate, "a", 1_000, 1_000), 1);
  });

  it("says what is left, when that has come back, and how long a refused one waits", () => {
    const rate = limit({ requests: 100, per: "minute" });
    assert.deepEqual(
      { ...rate.take("a", 0) },
      {
        allowed: true,
        limit: 100,
        remaining: 99,
        resetSeconds: 60,
        retryAfterSeconds: 0,
      },
    );
    for (let i = 0; i < 49; i++) rate.take("a", 0);
    assert.equal(rate.field(rate.take("a", 0)), '"default";r=49;t=30');
    for (let i = 0; i < 48; i++) rate.take("a", 0);
    assert.equal(rate.field(rate.take("a", 0)), '"default";r=0;t=1');
    assert.deepEqual(
      { ...rate.take("a", 0) },
      {
        allowed: false,
        limit: 100,
        remaining: 0,
        resetSeconds: 1,
        retryAfterSeconds: 1,
      },
    );
  });

  it("whoever waits as long as Retry-After says is allowed", () => {
    for (const spec of [
      { requests: 7, per: "minute" },
      { requests: 3, perMs: 10_000, burst: 1 },
    ] as const) {
      const rate = limit(spec);
      let now = 0;
      for (let i = 0; i < 500; i++) {
        const { allowed, retryAfterSeconds } = rate.take("a", now);
        if (allowed) continue;
        assert.equal(rate.take("a", now + 1).allowed, false);
        now += retryAfterSeconds * 1000;
        assert.equal(rate.take("a", now).allowed, true);
      }
    }
  });

  it("tells its policy as the bucket and the time in which it fills, and a refusal by all three fields", () => {
    assert.equal(limit({ requests: 100, per: "minute" }).policy, '"default";q=100;w=60');
    assert.equal(limit({ requests: 100, per: "minute", burst: 10 }).policy, '"default";q=10;w=6');
    assert.equal(limit({ requests: 1000, per: "day", name: "daily" }).policy, '"daily";q=1000;w=86400');
    assert.equal(limit({ requests: 5, perMs: 500 }).policy, '"default";q=5;w=1');
    const rate = limit({ requests: 1, per: "hour", name: "api" });
    rate.take("a", 0);
    assert.deepEqual(rate.refusalFields(rate.take("a", 60_000)), [
      ...["ratelimit-policy", '"api";q=1;w=3600', "ratelimit", '"api";r=0;t=3540', "retry-after", "3540"],
    ]);
  });

  it("decides as a plain bucket of tokens does, whatever the times", () => {
    const specs = fc.record({
      requests: fc.integer({ min: 1, max: 50 }),
      perMs: fc.constantFrom(100, 1_000, 7_000, 60_000),
      burst: fc.integer({ min: 1, max: 20 }),
    });
    const events = fc.array(
      fc.record({
        afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5_000 }), fc.constant(1e7)),
        key: fc.constantFrom("a", "b", "c"),
      }),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(specs, events, (spec, list) => {
        const rate = limit(spec);
        const model = new Map<string, { tokens: number; at: number }>();
        let now = 12_345;
        for (const { afterMs, key } of list) {
          now += afterMs;
          const bucket = model.get(key) ?? { tokens: spec.burst, at: now };
          const tokens = Math.min(spec.burst, bucket.tokens + ((now - bucket.at) * spec.requests) / spec.perMs);
          const told = rate.take(key, now);
          // To the hair of what fractions add up to, both may be right.
          if (Math.abs(tokens - 1) > 1e-5) assert.equal(told.allowed, tokens >= 1, `${tokens} tokens`);
          const left = told.allowed ? tokens - 1 : tokens;
          model.set(key, { tokens: left, at: now });
          if (Math.abs(left - Math.round(left)) > 1e-5) assert.equal(told.remaining, Math.max(0, Math.floor(left)));
          assert.ok(told.remaining >= 0 && told.remaining < told.limit);
          assert.ok(told.resetSeconds >= 1 && told.resetSeconds >= told.retryAfterSeconds);
          assert.equal(told.retryAfterSeconds > 0, !told.allowed);
        }
      }),
    );
  });
});

describe("the number of keys", () => {
  it("falls as buckets become full, which is as good as none", () => {
    const rate = limit({ requests: 10, per: "second", burst: 2 });
    for (let i = 0; i < 1_000; i++) rate.take(`k${i}`, 0);
    assert.equal(rate.keys, 1_000);
    for (let i = 0; i < 40; i++) rate.take("late", 1_000 + i * 1_000);
    assert.equal(rate.keys, 1, "a few at each step, so that no step is slow");
  });

  it("is bounded: over it the one goes that has most of its requests left", () => {
    const rate = limit({ requests: 60, per: "minute", burst: 4, keysMax: 3 });
    assert.equal(allowed(rate, "spent", 0, 4), 4);
    assert.equal(allowed(rate, "half", 0, 2), 2);
    assert.equal(allowed(rate, "fresh", 0, 1), 1);
    rate.take("new", 0);
    assert.equal(rate.keys, 3);
    assert.equal(allowed(rate, "spent", 0, 9), 0);
    assert.equal(allowed(rate, "half", 0, 9), 2);
  });

  it("a flood of invented keys does not push an exhausted one out, and the bound holds", () => {
    const random = new SeededRandom(1);
    const rate = limit({ requests: 60, per: "minute", keysMax: 500 });
    assert.equal(allowed(rate, "victim", 0, 61), 60);
    let now = 0;
    let extra = 0;
    for (let i = 0; i < 200_000; i++) {
      now += random.fraction() * 0.2;
      rate.take(`invented ${i}`, now);
      if (i % 100 === 0 && rate.take("victim", now).allowed) extra++;
      assert.ok(rate.keys <= 500);
    }
    assert.ok(Math.abs(extra - now / 1_000) <= 1, `${extra} in ${now} ms`);
  });

  it("pushing an exhausted one out takes as many others, as exhausted", () => {
    const rate = limit({ requests: 60, per: "minute", burst: 10, keysMax: 100 });
    assert.equal(allowed(rate, "victim", 0, 11), 10);
    // One request less each: still the victim is the last to go.
    for (let i = 0; i < 1_000; i++) assert.equal(allowed(rate, `k${i}`, 1, 9), 9);
    assert.equal(rate.take("victim", 2).allowed, false);
    for (let i = 0; i < 101; i++) allowed(rate, `k${i}`, 1_500, 10);
    assert.equal(rate.take("victim", 1_501).allowed, true);
  });

  it("buckets are the same after any history of keys that come, go and come again", () => {
    const event = fc.record({ afterMs: fc.integer({ min: 0, max: 400 }), key: fc.integer({ min: 0, max: 30 }) });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 400 }), (list) => {
        // Room for all: dropping full ones must never change a decision.
        const few = limit({ requests: 10, per: "second", burst: 3, keysMax: 31 });
        const fullAt = new Map<number, number>();
        let now = 0;
        for (const { afterMs, key } of list) {
          now += afterMs;
          const next = Math.max(fullAt.get(key) ?? 0, now) + 100;
          const expected = next - now <= 300;
          if (expected) fullAt.set(key, next);
          assert.equal(few.take(`k${key}`, now).allowed, expected);
          const alive = [...fullAt.values()].filter((at) => at > now).length;
          assert.ok(few.keys >= alive && few.keys <= 31);
        }
      }),
    );
  });
});

describe("what a limit counts by", () => {
  const rateBy = (by: KeySpec) => limit({ requests: 1, per: "hour", by });
  const key = (by: KeySpec, fields: string[], query = "", address = "192.0.2.1") =>
    rateBy(by).keyOf({ fields, query }, address);

  it("IPv4 by address, in whatever form it came; IPv6 by /64", () => {
    for (const [address, expected] of [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
      ["2001:DB8:1:2::9", "2001:db8:1:2::/64"],
      ["2001:db8::9", "2001:db8:0:0::/64"],
      ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::/64"],
      ["::1", "0:0:0:0::/64"],
      ["fe80::1%eth0", "fe80:0:0:0::/64"],
      ["1::", "1:0:0:0::/64"],
      ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
      ["", ""],
    ] as const) {
      assert.equal(addressKey(address), expected);
    }
  });

  it("two addresses have one key when they share their first 64 bits, and only then", () => {
    const half = fc.tuple(...Array.from({ length: 4 }, () => fc.constantFrom("0", "1", "abcd")));
    fc.assert(
      fc.property(half, half, half, half, (a, b, c, d) => {
        const same = addressKey([...a, ...b].join(":")) === addressKey([...c, ...d].join(":"));
        assert.equal(same, a.join() === c.join());
      }),
    );
  });

  it("a field's value; without one, the address", () => {
    assert.equal(key({ header: "X-Key" }, ["x-key", "k1"]), "=k1");
    assert.equal(key({ header: "x-key" }, ["x-key", ""]), "192.0.2.1");
    assert.equal(key({ header: "x-key" }, ["other", "x-key"]), "192.0.2.1");
    assert.equal(key("address", ["x-key", "k1"]), "192.0.2.1");
  });

  it("an account by the first of header, cookie and query that is there", () => {
    const by = { account: { header: "authorization", cookie: "sid", query: "key" } };
    const cookies = ["cookie", "a=b; sid=s1; sid=s2", "cookie", "sid=s3"];
    assert.equal(key(by, ["authorization", "Bearer x", ...cookies], "?key=q"), "=Bearer x");
    assert.equal(key(by, cookies, "?key=q"), "=s1");
    assert.equal(key(by, ["cookie", "xsid=1; sid"], "?akey=1&key=q&key=r"), "=q");
    assert.equal(key(by, [], "?key="), "192.0.2.1");
    assert.equal(key({ account: { cookie: "sid" } }, [], "?sid=1"), "192.0.2.1");
  });

  it("a value that names an address does not use up that address's requests", () => {
    const rate = rateBy({ header: "x-key" });
    assert.equal(rate.decide({ fields: ["x-key", "192.0.2.1"], query: "" }, "198.51.100.1", 0).allowed, true);
    assert.equal(rate.decide({ fields: [], query: "" }, "192.0.2.1", 0).allowed, true);
    assert.equal(rate.decide({ fields: [], query: "" }, "192.0.2.1", 0).allowed, false);
  });

  it("keys are short whatever a client sends, and long values differ still", () => {
    const long = (end: string) => key({ header: "x" }, ["x", "v".repeat(5_000) + end]);
    assert.ok(long("").length <= 65);
    assert.equal(new Set([long("a"), long("b"), long("aa"), long("")]).size, 4);
    const seen = new Set(Array.from({ length: 20_000 }, (_, i) => key({ header: "x" }, ["x", "v".repeat(80) + i])));
    assert.equal(seen.size, 20_000);
    assert.ok(addressKey("not:an:address".repeat(100)).length <= 65);
  });
});

describe("faults of a rate limit", () => {
  it("are reported with their place, all of them", () => {
    const places = (spec: unknown) => {
      const compiled = compileRate(spec as RateSpec, ["limits", "rate"]);
      assert.ok(!compiled.ok, JSON.stringify(spec));
      for (const { seen, allowed, hint } of compiled.faults) assert.ok(seen !== "" && allowed !== "" && hint !== "");
      return compiled.faults.map(({ place }) => place.slice(2).join("."));
    };
    const good = { requests: 1, per: "second" };
    for (const requests of [0, -1, 1.5, Number.NaN, 2e6])
      assert.deepEqual(places({ requests, per: "second", burst: 1 }), ["requests"]);
    assert.deepEqual(places({ requests: 1 }), ["per"]);
    assert.deepEqual(places({ ...good, perMs: 5 }), ["perMs"]);
    assert.deepEqual(places({ requests: 1, per: "constructor" }), ["per"]);
    for (const perMs of [0, 0.5, 1e12]) assert.deepEqual(places({ requests: 1, perMs }), ["perMs"]);
    assert.deepEqual(places({ ...good, burst: 0 }), ["burst"]);
    assert.deepEqual(places({ ...good, keysMax: 0 }), ["keysMax"]);
    for (const name of ["", 'a"b', "a b"]) assert.deepEqual(places({ ...good, name }), ["name"]);
    for (const by of [{ header: "" }, { header: "a b" }, { account: {} }, { account: { cookie: "a=b" } }])
      assert.deepEqual(places({ ...good, by }), ["by"]);
    assert.deepEqual(places({ requests: 0, burst: 0, keysMax: -1, name: "", by: { account: {} } }).length, 6);
  });
});

describe("a bound on concurrent requests", () => {
  it("lets in as many as may be, and another for each that leaves", () => {
    const bound = new RequestsBound(2);
    assert.deepEqual([bound.enter(), bound.enter(), bound.enter()], [true, true, false]);
    assert.equal(bound.active, 2);
    bound.leave();
    assert.deepEqual([bound.enter(), bound.enter()], [true, false]);
    bound.leave();
    bound.leave();
    assert.equal(bound.active, 0);
    assert.throws(() => bound.leave(), /leaves once/);
  });
});
